// How many prompt tokens the next step computes. A step is also how long everyone waits: for the next token of the answers that
// run beside it, and for a cancellation to be seen. So the budget follows the machine: as many tokens as fit a set time, by the
// speed last measured. Pure.

export interface StepBudget {
  /** Most tokens a step may have: the size of the native batch. */
  limitTokens: number;
  /** Measured, prompt tokens in steps of some size; 0 when unknown. */
  promptTokensPerSecond: number;
  /** Sequences that wait for their next token in this step. */
  decoding: number;
}

const besideOthersMs = 100;
const aloneMs = 500;
const leastTokens = 16;

/** Prompt tokens the step may compute. Multiples of 16: native kernels work in blocks of rows. */
export function promptBudget({ limitTokens, promptTokensPerSecond, decoding }: StepBudget): number {
  const most = limitTokens - decoding;
  if (promptTokensPerSecond === 0) return Math.min(most, 128);
  const wanted = (promptTokensPerSecond * (decoding > 0 ? besideOthersMs : aloneMs)) / 1000;
  const whole = Math.max(leastTokens, Math.floor(wanted / 16) * 16);
  return Math.min(most, whole);
}

/** Shares the budget among prompts: each gets an equal part, and what the short ones do not need goes to the longer ones. */
export function shareBudget(budget: number, remaining: readonly number[]): number[] {
  const shares = remaining.map(() => 0);
  const order = remaining.map((tokens, place) => ({ tokens, place })).sort((a, b) => a.tokens - b.tokens);
  let left = budget;
  for (const [served, { tokens, place }] of order.entries()) {
    const share = Math.min(tokens, Math.floor(left / (order.length - served)));
    shares[place] = share;
    left -= share;
  }
  return shares;
}
