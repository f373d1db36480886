// The engine's life: plan a step, launch it, hand out the tokens of the oldest one in flight. A step or two are in flight while the
// next is planned, so the device never waits for this process; what the host did not know when it planned costs at most those steps.
import { AppError } from "../../base/errors.ts";
import type { Runner, SampledToken } from "./runner-contract.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Step } from "./step.ts";

/** Tells the sleeping loop that something has changed. Remembers one call that came while nobody slept. */
export class News {
  #isThere = false;
  #wake: (() => void) | undefined;

  tell(): void {
    this.#isThere = true;
    this.#wake?.();
  }

  async wait(): Promise<void> {
    if (!this.#isThere) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#isThere = false;
  }
}

export interface LoopOptions {
  scheduler: Scheduler;
  runner: Runner;
  news: News;
  /** Ends the loop before its next step; tell the news too. */
  stop: AbortSignal;
  /** Steps in flight while another is planned. */
  stepsAhead?: number;
  /** After each step. */
  onStep?: (step: Step) => void;
  /** The runner has failed; called before any sequence hears of it. */
  onLost?: (error: unknown) => void;
}

/** Runs until stopped, or until the runner fails: then every sequence has failed with its error, which is thrown. */
export async function runLoop(options: LoopOptions): Promise<void> {
  const { scheduler, runner, news, stop, stepsAhead = 2, onStep, onLost } = options;
  const inFlight: { step: Step; sampled: Promise<readonly SampledToken[]> }[] = [];
  try {
    while (!stop.aborted) {
      while (inFlight.length <= stepsAhead && promptTokensIn(inFlight) <= runner.limits.stepTokens) {
        const step = scheduler.plan();
        if (!step) break;
        inFlight.push({ step, sampled: launch(step, runner) });
      }
      const oldest = inFlight.shift();
      if (oldest) {
        scheduler.commit(oldest.step, await oldest.sampled); // the only await that touches the device
        onStep?.(oldest.step);
      } else {
        await news.wait();
      }
    }
    scheduler.failAll(new AppError("busy", "The engine is stopping."));
  } catch (error) {
    onLost?.(error);
    scheduler.failAll(error); // whatever broke, nobody is left waiting
    throw error;
  } finally {
    // The runner may be closed only when nothing of it is in flight.
    await Promise.allSettled(inFlight.map(({ sampled }) => sampled));
  }
}

/**
 * Decode steps are short and run ahead in numbers; of steps full of prompt tokens one runs and one waits, no more: whoever comes or
 * leaves meanwhile takes effect only behind them.
 */
function promptTokensIn(inFlight: readonly { step: Step }[]): number {
  let tokens = 0;
  for (const { step } of inFlight) tokens += step.promptTokens;
  return tokens;
}

function launch(step: Step, runner: Runner): Promise<readonly SampledToken[]> {
  for (const { slot, settings } of step.fills) runner.fillSlot(slot, settings);
  for (const { slot, firstPage, pages } of step.pages) runner.setPages(slot, firstPage, pages);
  const sampled = runner.submit(step.entries);
  // A later step fails with the first one; it is the first that is awaited and reported.
  sampled.catch(ignore);
  return sampled;
}

const ignore = (): void => undefined;
