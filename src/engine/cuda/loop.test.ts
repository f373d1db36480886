import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { AppError } from "../../base/errors.ts";
import { plainSampling } from "../contract.ts";
import { News, runLoop } from "./loop.ts";
import type { Launched, SampledToken, StepEntry } from "./runner-contract.ts";
import { Scheduler } from "./scheduler.ts";
import { Sequence, type SequenceOptions, type SequenceReader } from "./sequence.ts";
import { SimulatedRunner, simulatedToken } from "./simulated-runner.ts";

const limits = { slots: 8, pageTokens: 4, pages: 64, stepTokens: 16, contextTokens: 64, vocabularyTokens: 64 };

/** Executes at once, but hands a result out only when told to. */
class HeldRunner extends SimulatedRunner {
  readonly held: (() => void)[] = [];
  /** Of each launch, the sequences in it and how many steps it was. */
  readonly launches: { sequences: number; promptTokens: number; steps: number }[] = [];

  override launch(plan: readonly StepEntry[], steps: 1 | 2 = 1): Launched {
    const promptTokens = plan.reduce((sum, { tokens }) => sum + (tokens?.length ?? 0), 0);
    this.launches.push({ sequences: plan.length, promptTokens, steps });
    const sampled = this.execute(plan, steps);
    const passed = (): Promise<void> => new Promise((resolve) => this.held.push(resolve));
    return { passed, sampled: () => sampled };
  }

  /** How many steps each launch was since the last call. */
  takeSteps(): number[] {
    return this.launches.splice(0).map(({ steps }) => steps);
  }

  async land(): Promise<void> {
    this.held.shift()?.();
    await turn();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Asked {
  sequence: Sequence;
  answer: number[];
  ends: unknown[];
}

interface Run extends Disposable {
  scheduler: Scheduler;
  ask: (request?: Partial<SequenceOptions>, lastToken?: number) => Asked;
  done: Promise<void>;
}

function start(
  runner: SimulatedRunner,
  { parallel = 8, together }: { parallel?: number; together?: number } = {},
): Run {
  const scheduler = new Scheduler({ limits: runner.limits, parallel, queueLimit: 100 });
  const [news, stop] = [new News(), new AbortController()];
  /** The answer ends at its limit, or with its token number `lastToken`, which only its reader knows. */
  const ask = (request: Partial<SequenceOptions> = {}, lastToken = Number.POSITIVE_INFINITY): Asked => {
    const { maxTokens = 30 } = request;
    const [answer, ends]: [number[], unknown[]] = [[], []];
    const reader: SequenceReader = {
      waits: () => undefined,
      started: () => undefined,
      prefilled: () => undefined,
      take: ({ id }) => {
        answer.push(id);
        if (answer.length === lastToken) return { reason: "stop" };
        return answer.length === maxTokens ? { reason: "length" } : undefined;
      },
      finished: (reason) => ends.push(reason),
      failed: (error) => ends.push(error),
    };
    const settings = { sampling: plainSampling, seed: 1 };
    const plain = { promptIds: [1, 2, 3], priority: "interactive" as const, maxTokens, settings };
    const sequence = new Sequence({ ...plain, ...request, reader });
    scheduler.enter(sequence);
    news.tell();
    return { sequence, answer, ends };
  };
  const done = runLoop({ scheduler, runner, news, stop: stop.signal, together });
  const halt = (): void => {
    stop.abort();
    news.tell();
  };
  return { scheduler, ask, done, [Symbol.dispose]: halt };
}

/** What the simulation answers to a prompt that runs alone. */
function expected({ promptIds, seed, count }: { promptIds: readonly number[]; seed: number; count: number }): number[] {
  const tokens = [...promptIds];
  const { vocabularyTokens } = limits;
  for (let draw = 0; draw < count; draw++) tokens.push(simulatedToken(tokens, { seed, draw, vocabularyTokens }));
  return tokens.slice(promptIds.length);
}

test("two steps are in flight behind the one whose result is awaited, and no more", async () => {
  const runner = new HeldRunner({ limits });
  const run = start(runner, { together: 0 });
  const { ends } = run.ask();
  await turn();
  assert.deepEqual(runner.takeSteps(), [1, 1, 1]);
  await runner.land();
  assert.deepEqual(runner.takeSteps(), [1]);
  run[Symbol.dispose]();
  while (runner.held.length > 0) await runner.land();
  await run.done;
  assert.ok(ends[0] instanceof AppError && ends[0].code === "busy");
});

test("few sequences decode two steps at a time: two run, four wait, and four tokens are there at once", async () => {
  const runner = new HeldRunner({ limits });
  using run = start(runner);
  const asked = [run.ask(), run.ask({ maxTokens: 29 }), run.ask(), run.ask()];
  await turn();
  assert.deepEqual(runner.takeSteps(), [1, 2, 2], "the prompts, and four steps behind them");
  await runner.land();
  assert.deepEqual(runner.takeSteps(), [2]);
  assert.deepEqual(lengths(asked), [1, 1, 1, 1], "the first token waits for no other");
  await runner.land();
  assert.deepEqual(runner.takeSteps(), [2, 2]);
  assert.deepEqual(lengths(asked), [5, 5, 5, 5]);
  assert.equal(runner.held.length, 1, "the loop is woken once for both");
  while (runner.held.length > 0) await runner.land();
  assert.deepEqual(lengths(asked), [30, 29, 30, 30]);
  for (const { answer } of asked) {
    assert.deepEqual(answer, expected({ promptIds: [1, 2, 3], seed: 1, count: answer.length }));
  }
});

const lengths = (asked: readonly Asked[]): number[] => asked.map(({ answer }) => answer.length);

const every = new Int32Array(limits.vocabularyTokens / 32).fill(-1);
const alone: Record<string, (run: Run) => void> = {
  "five decode": (run) => {
    for (let count = 0; count < 5; count++) run.ask();
  },
  "a token is sampled under a mask": (run) => {
    run.ask();
    run.ask({ minTokens: 30, earlyMask: every });
  },
  "one follows a grammar": (run) => {
    run.ask();
    run.ask({ constraint: { mask: () => every } });
  },
  "one waits for its grammar": (run) => {
    run.ask();
    run.ask({ constraint: { mask: () => undefined } });
  },
};
for (const [why, ask] of Object.entries(alone)) {
  test(`steps are launched one at a time while ${why}`, async () => {
    const runner = new HeldRunner({ limits });
    using run = start(runner);
    ask(run);
    for (let round = 0; round < 20; round++) {
      await turn();
      await runner.land();
    }
    const steps = runner.takeSteps();
    assert.ok(steps.length > 15 && steps.every((count) => count === 1), steps.join());
    run[Symbol.dispose]();
    while (runner.held.length > 0) await runner.land();
  });
}

test("steps are launched one at a time while somebody waits for a place, and two again afterwards", async () => {
  const runner = new HeldRunner({ limits });
  using run = start(runner, { parallel: 1 });
  const [first, second] = [run.ask({ maxTokens: 8 }), run.ask({ maxTokens: 8 })];
  await turn();
  while (first.answer.length < 6) await runner.land();
  assert.deepEqual(runner.takeSteps(), [1, 1, 1, 1, 1, 1, 1, 1]);
  while (second.ends.length === 0) await runner.land();
  assert.ok(runner.takeSteps().includes(2));
});

test("a step with prompt tokens in it is one step", async () => {
  const runner = new HeldRunner({ limits });
  using run = start(runner);
  run.ask({ maxTokens: 40 });
  await turn();
  await runner.land();
  const late = run.ask({ promptIds: Array.from({ length: 50 }, (_, index) => index), maxTokens: 6 });
  runner.launches.length = 0;
  while (late.ends.length === 0) await runner.land();
  const prompts = runner.launches.filter(({ promptTokens }) => promptTokens > 0);
  assert.ok(prompts.length >= 4 && prompts.every(({ steps }) => steps === 1));
  assert.ok(runner.launches.some(({ sequences, steps }) => sequences === 2 && steps === 2));
});

test("a newcomer is computed behind the steps in flight, which are six at most", async () => {
  const runner = new HeldRunner({ limits });
  using run = start(runner);
  run.ask();
  await turn();
  await runner.land();
  assert.deepEqual(runner.takeSteps(), [1, 2, 2, 2]);
  const late = run.ask({ maxTokens: 1 });
  await runner.land();
  assert.deepEqual(runner.launches, [{ sequences: 2, promptTokens: 3, steps: 1 }], "two steps run, nothing more waits");
  await runner.land();
  await runner.land();
  assert.deepEqual(late.ends, ["length"]);
});

test("who leaves while pairs of steps run is told nothing more, and is in no later step", async () => {
  const runner = new HeldRunner({ limits });
  using run = start(runner);
  const { sequence, answer, ends } = run.ask();
  await turn();
  await runner.land();
  await runner.land();
  assert.equal(answer.length, 5);
  runner.takeSteps();
  sequence.isLeaving = true;
  while (runner.held.length > 0) await runner.land();
  assert.deepEqual([answer.length, ends, runner.takeSteps()], [5, ["aborted"], []]);
  assert.equal(run.scheduler.pageCounts.held, 0);
});

test("an answer that ends with the first of two tokens, or with the second, has no token more", async () => {
  for (let lastToken = 1; lastToken <= 8; lastToken++) {
    const runner = new SimulatedRunner({ limits });
    using run = start(runner);
    const asked = [run.ask({}, lastToken), run.ask({ promptIds: [4, 5] }), run.ask({ maxTokens: lastToken })];
    while (asked.some(({ ends }) => ends.length === 0)) await turn();
    assert.deepEqual(
      asked.map(({ ends }) => ends),
      [["stop"], ["length"], ["length"]],
    );
    assert.deepEqual(lengths(asked), [lastToken, 30, lastToken]);
    assert.deepEqual(asked[1]?.answer, expected({ promptIds: [4, 5], seed: 1, count: 30 }));
  }
});

const requests = fc.array(
  fc.record({
    promptIds: fc.array(fc.nat(limits.vocabularyTokens - 1), { minLength: 1, maxLength: 20 }),
    maxTokens: fc.integer({ min: 1, max: 30 }),
    lastToken: fc.integer({ min: 1, max: 40 }),
    seed: fc.nat(5),
    /** Turns of the event loop before it arrives, and after which it leaves. */
    arrives: fc.nat(40),
    leaves: fc.option(fc.nat(40), { nil: undefined }),
    isMasked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 7 },
);

test("whoever comes and goes, and even when pages run out, answers are the same whether steps are launched alone or two at a time", async () => {
  let together = 0;
  const play = async (
    script: readonly (typeof requests extends fc.Arbitrary<(infer T)[]> ? T : never)[],
    most: number,
  ) => {
    class Counted extends SimulatedRunner {
      override execute(plan: readonly StepEntry[], steps: 1 | 2 = 1): SampledToken[] {
        if (steps === 2) together++;
        return super.execute(plan, steps);
      }
    }
    const runner = new Counted({ limits: { ...limits, pages: 18 } });
    using run = start(runner, { together: most });
    const asked: { at: number; one: Asked; wanted: number[]; leaves: number | undefined }[] = [];
    for (let at = 0; asked.length < script.length || asked.some(({ one }) => one.ends.length === 0); at++) {
      for (const { promptIds, maxTokens, lastToken, seed, arrives, leaves, isMasked } of script) {
        if (arrives !== at) continue;
        const settings = { sampling: plainSampling, seed };
        const masked = isMasked ? { minTokens: maxTokens >> 1, earlyMask: every } : {};
        const one = run.ask({ promptIds, maxTokens, settings, ...masked }, lastToken);
        const wanted = expected({ promptIds, seed, count: Math.min(maxTokens, lastToken) });
        asked.push({ at, one, wanted, leaves });
      }
      for (const { at: arrived, one, leaves } of asked) if (leaves === at - arrived) one.sequence.isLeaving = true;
      await turn();
      assert.ok(at < 2000, "the loop makes no progress");
    }
    for (const { one, wanted } of asked) {
      const isWhole = one.ends[0] !== "aborted";
      assert.deepEqual(one.answer, isWhole ? wanted : wanted.slice(0, one.answer.length));
      assert.equal(one.ends.length, 1);
    }
    assert.equal(run.scheduler.pageCounts.held, 0);
    run[Symbol.dispose]();
    await run.done;
  };
  await fc.assert(
    fc.asyncProperty(requests, async (script) => {
      for (const most of [0, 4]) await play(script, most);
    }),
    { seed: 44, numRuns: 150 },
  );
  assert.ok(together > 1000, `only ${together} launches were of two steps`);
});

test("a second step that turns out to be another is launched behind the first", async () => {
  // The pages run out in the second step, which throws one of the two out.
  const runner = new HeldRunner({ limits: { ...limits, pages: 5, contextTokens: 20 } });
  using run = start(runner);
  const asked = [run.ask({ promptIds: [1, 2, 3], maxTokens: 16 }), run.ask({ promptIds: [4, 5, 6, 7], maxTokens: 16 })];
  await turn();
  while (runner.launches.length < 5) await runner.land();
  assert.deepEqual(
    runner.launches.map(({ sequences, steps }) => [sequences, steps]),
    [
      [2, 1],
      [2, 2],
      [2, 2],
      [2, 1],
      [1, 1],
    ],
  );
  while (runner.held.length > 0) await runner.land();
  assert.deepEqual(lengths(asked), [16, 16]);
  assert.deepEqual(asked[0]?.answer, expected({ promptIds: [1, 2, 3], seed: 1, count: 16 }));
  assert.deepEqual(asked[1]?.answer, expected({ promptIds: [4, 5, 6, 7], seed: 1, count: 16 }));
});

test("of steps full of prompt tokens one runs and one waits, so that a newcomer is not behind three", async () => {
  const runner = new HeldRunner({ limits });
  const run = start(runner);
  const { ends } = run.ask({ promptIds: Array.from({ length: 60 }, (_, index) => index), maxTokens: 1 });
  await turn();
  assert.deepEqual(runner.takeSteps(), [1, 1]);
  while (ends.length === 0) await runner.land();
  assert.deepEqual(ends, ["length"]);
  run[Symbol.dispose]();
  await run.done;
});

test("steps planned past the end of an answer are waited for and their tokens dropped", async () => {
  const runner = new SimulatedRunner({ limits });
  using run = start(runner);
  const { ends } = run.ask({ maxTokens: 5 });
  for (let step = 0; step < 20 && ends.length === 0; step++) await turn();
  assert.deepEqual(ends, ["length"]);
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
  const { ends } = run.ask();
  await assert.rejects(run.done, /out of memory/);
  assert.equal((ends[0] as AppError).code, "device");
});

test("news that come while nobody waits are not lost", async () => {
  const news = new News();
  news.tell();
  await news.wait();
  const waiting = news.wait();
  news.tell();
  await waiting;
});
