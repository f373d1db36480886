import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../base/errors.ts";
import { plainSampling } from "../contract.ts";
import { News, runLoop } from "./loop.ts";
import type { SampledToken, StepEntry } from "./runner-contract.ts";
import { Scheduler } from "./scheduler.ts";
import { Sequence, type SequenceReader } from "./sequence.ts";
import { SimulatedRunner } from "./simulated-runner.ts";

const limits = { slots: 2, pageTokens: 4, pages: 32, stepTokens: 16, contextTokens: 64, vocabularyTokens: 64 };

/** Executes at once, but hands a result out only when told to. */
class HeldRunner extends SimulatedRunner {
  readonly held: (() => void)[] = [];
  submitted = 0;

  override async submit(plan: readonly StepEntry[]): Promise<readonly SampledToken[]> {
    this.submitted++;
    const sampled = this.execute(plan);
    await new Promise<void>((resolve) => this.held.push(resolve));
    return sampled;
  }
}

interface Run extends Disposable {
  scheduler: Scheduler;
  ends: unknown[];
  done: Promise<void>;
  stop: AbortController;
}

function start(runner: SimulatedRunner, maxTokens = 30, promptIds = [1, 2, 3]): Run {
  const scheduler = new Scheduler({ limits, parallel: 2, queueLimit: 4 });
  const [news, stop, ends] = [new News(), new AbortController(), [] as unknown[]];
  let taken = 0;
  const reader: SequenceReader = {
    waits: (position) => ends.push(position),
    started: () => undefined,
    prefilled: () => undefined,
    take: () => (++taken === maxTokens ? { reason: "length" } : undefined),
    finished: (reason) => ends.push(reason),
    failed: (error) => ends.push(error),
  };
  const settings = { sampling: plainSampling, seed: 1 };
  scheduler.enter(new Sequence({ promptIds, priority: "interactive", maxTokens, settings, reader }));
  const done = runLoop({ scheduler, runner, news, stop: stop.signal });
  const halt = (): void => {
    stop.abort();
    news.tell();
  };
  return { scheduler, ends, done, stop, [Symbol.dispose]: halt };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("two steps are in flight behind the one whose result is awaited, and no more", async () => {
  const runner = new HeldRunner({ limits });
  const run = start(runner);
  await turn();
  assert.equal(runner.submitted, 3);
  runner.held.shift()?.();
  await turn();
  assert.equal(runner.submitted, 4);
  run.stop.abort();
  while (runner.held.length > 0) {
    runner.held.shift()?.();
    await turn();
  }
  await run.done;
  assert.ok(run.ends[0] instanceof AppError && run.ends[0].code === "busy");
});

test("of steps full of prompt tokens one runs and one waits, so that a newcomer is not behind three", async () => {
  const runner = new HeldRunner({ limits });
  const run = start(
    runner,
    1,
    Array.from({ length: 60 }, (_, index) => index),
  );
  await turn();
  assert.equal(runner.submitted, 2);
  while (run.ends.length === 0) {
    runner.held.shift()?.();
    await turn();
  }
  assert.deepEqual(run.ends, ["length"]);
  run[Symbol.dispose]();
  await run.done;
});

test("steps planned past the end of an answer are waited for and their tokens dropped", async () => {
  const runner = new SimulatedRunner({ limits });
  using run = start(runner, 5);
  for (let step = 0; step < 20 && run.ends.length === 0; step++) await turn();
  assert.deepEqual(run.ends, ["length"]);
  assert.equal(run.scheduler.pageCounts.held, 0);
  run[Symbol.dispose]();
  await run.done;
});

test("a runner that throws before it submits fails the sequences as a lost step does", async () => {
  class BrokenRunner extends SimulatedRunner {
    override fillSlot(): void {
      throw new AppError("device", "out of memory");
    }
  }
  const run = start(new BrokenRunner({ limits }));
  await assert.rejects(run.done, /out of memory/);
  assert.equal((run.ends[0] as AppError).code, "device");
});

test("news that come while nobody waits are not lost", async () => {
  const news = new News();
  news.tell();
  await news.wait();
  const waiting = news.wait();
  news.tell();
  await waiting;
});
