// The engine's life: plan a step, launch it, hand out the tokens of the oldest one in flight. A step or two are in flight while the
// next is planned, so the device never waits for this process; what the host did not know when it planned costs at most those steps.
//
// While few sequences decode and nobody else wants anything, two steps at a time are launched as one, and the loop sleeps until two such
// pairs are done while a third one runs: being woken costs this process more than what it does then, and whether tokens come one or four
// at a time cannot be seen at a millisecond each.
import { AppError } from "../../base/errors.ts";
import { type Launched, mostTogether, type Runner } from "./runner-contract.ts";
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
  /** Steps in flight while another is planned; behind pairs twice as many. */
  stepsAhead?: number;
  /** Sequences whose decode steps are launched two at a time; at most (and by default) as many as a runner takes. */
  together?: number | undefined;
  /** After each step. */
  onStep?: (step: Step) => void;
  /** The runner has failed; called before any sequence hears of it. */
  onLost?: (error: unknown) => void;
}

/** Runs until stopped, or until the runner fails: then every sequence has failed with its error, which is thrown. */
export async function runLoop(options: LoopOptions): Promise<void> {
  const { scheduler, runner, news, stop, stepsAhead = 2, together = mostTogether, onStep, onLost } = options;
  const inFlight: Launch[] = [];
  try {
    while (!stop.aborted) {
      while (hasRoom(inFlight, stepsAhead) && promptTokensIn(inFlight) <= runner.limits.stepTokens) {
        const planned = planNext(scheduler, together);
        if (planned.length === 0) break;
        for (const steps of planned) inFlight.push(launch(steps, runner));
      }
      const due = takeDue(inFlight, stepsAhead);
      const last = due.at(-1);
      if (last) {
        await last.launched.passed(); // the only await that touches the device
        for (const one of due) handOut(one, scheduler, onStep);
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
    await inFlight.at(-1)?.launched.passed().catch(ignore);
  }
}

/** A step, or two that the runner takes as one. */
type Together = readonly [Step] | readonly [Step, Step];

interface Launch {
  steps: Together;
  launched: Launched;
}

/** What to launch next: a step, two together, or one after the other where the second turned out not to be like the first. */
function planNext(scheduler: Scheduler, together: number): Together[] {
  const step = scheduler.plan();
  if (!step) return [];
  const isSteady =
    step.promptTokens === 0 &&
    step.entries.length <= together &&
    // All that run are in it, so none waits for its mask or its prompt, and nobody waits for a place.
    step.entries.length === scheduler.runningCount &&
    scheduler.waitingCount === 0;
  const next = isSteady ? scheduler.plan() : undefined;
  if (!next) return [[step]];
  return isRepeated(step, next) ? [[step, next]] : [[step], [next]];
}

/** Whether the second step is the first one over again, so that all the device is to be told for it can be told before the first. */
function isRepeated(step: Step, next: Step): boolean {
  if (next.fills.length > 0 || next.promptTokens > 0 || next.entries.length !== step.entries.length) return false;
  for (let index = 0; index < next.entries.length; index++) {
    const [entry, again] = [step.entries[index], next.entries[index]];
    if (entry?.slot !== again?.slot || entry?.mask || again?.mask) return false;
  }
  return true;
}

const isPair = (launch: Launch | undefined): boolean => launch?.steps.length === 2;

function stepsIn(inFlight: readonly Launch[]): number {
  let count = 0;
  for (const { steps } of inFlight) count += steps.length;
  return count;
}

/** Behind pairs there is room for two more, so that there are two to wait for. */
function hasRoom(inFlight: readonly Launch[], stepsAhead: number): boolean {
  return stepsIn(inFlight) <= (isPair(inFlight.at(-1)) ? 2 * stepsAhead : stepsAhead);
}

/** Takes out what to wait for: the oldest launch, and pairs behind a pair as long as `stepsAhead` steps stay in flight. */
function takeDue(inFlight: Launch[], stepsAhead: number): Launch[] {
  const due = inFlight.splice(0, 1);
  while (isPair(due[0]) && isPair(inFlight[0]) && stepsIn(inFlight) - 2 >= stepsAhead)
    due.push(...inFlight.splice(0, 1));
  return due;
}

/**
 * Decode steps are short and run ahead in numbers; of steps full of prompt tokens one runs and one waits, no more: whoever comes or
 * leaves meanwhile takes effect only behind them.
 */
function promptTokensIn(inFlight: readonly Launch[]): number {
  let tokens = 0;
  for (const { steps } of inFlight) tokens += steps[0].promptTokens; // two together have none
  return tokens;
}

function launch(steps: Together, runner: Runner): Launch {
  for (const { fills, pages: entries } of steps) {
    for (const { slot, settings } of fills) runner.fillSlot(slot, settings);
    for (const { slot, firstPage, pages } of entries) runner.setPages(slot, firstPage, pages);
  }
  return { steps, launched: runner.launch(steps[0].entries, steps.length) };
}

function handOut({ steps, launched }: Launch, scheduler: Scheduler, onStep: LoopOptions["onStep"]): void {
  const sampled = launched.sampled();
  const each = sampled.length / steps.length;
  for (const [index, step] of steps.entries()) {
    scheduler.commit(step, sampled.slice(index * each, (index + 1) * each));
    onStep?.(step);
  }
}

const ignore = (): void => undefined;
