// How many prompt tokens the next step computes. A step is also how long everyone waits: for the next token of the answers that
// run beside it, and for a cancellation to be seen. So the budget follows the machine: as many tokens as fit a set time, by the
// speed last measured. Pure.
//
// llama.cpp computes rows of a batch in blocks of four and the one to three left over one by one, in another order of additions: the
// last bits of a logit depend on how many rows ran beside it. That is of no account but where a seed promises the same draws
// again. So a request with a seed is computed in blocks that do not depend on its neighbours: prompts from multiples of four, in
// batches of their own, and decode rows at most three together. Measured on x86; the price is one more pass over the weights for
// every three such requests.

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

/** What must not depend on who runs beside it. */
export interface Row {
  isReproducible: boolean;
  isPrompt: boolean;
}

export const blockRows = 4;

/** The step as batches: all that may run together in one, and what a seed keeps apart in batches of its own. */
export function toBatches<T extends Row>(step: readonly T[]): T[][] {
  const together: T[] = [];
  const apart: T[][] = [];
  let decoding: T[] = [];
  for (const row of step) {
    if (!row.isReproducible) together.push(row);
    else if (row.isPrompt) apart.push([row]);
    else {
      decoding.push(row);
      if (decoding.length === blockRows - 1) {
        apart.push(decoding);
        decoding = [];
      }
    }
  }
  return [together, ...apart, decoding].filter((batch) => batch.length > 0);
}
