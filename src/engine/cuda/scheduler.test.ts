// The scheduler against the simulated runner, without promises: steps are planned, executed and committed by hand, in any
// interleaving an engine could come to. Every answer is compared with what the simulation says its own tokens alone lead to, so
// batching, run-ahead, shared beginnings and pre-emption are proven not to change it.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { AppError } from "../../base/errors.ts";
import { type FinishReason, type Priority, plainSampling } from "../contract.ts";
import type { RunnerLimits, SampledToken } from "./runner-contract.ts";
import { Scheduler } from "./scheduler.ts";
import { Sequence } from "./sequence.ts";
import { SimulatedRunner, simulatedToken } from "./simulated-runner.ts";
import type { Step } from "./step.ts";

const vocabularyTokens = 96;
const endToken = 7;
// One token in 24 ends the answer.
const pick = (hash: number): number => (hash % 24 === 0 ? endToken : 8 + (hash % (vocabularyTokens - 8)));
const small: RunnerLimits = { slots: 4, pageTokens: 4, pages: 20, stepTokens: 14, contextTokens: 64, vocabularyTokens };

interface Arrival {
  promptIds: number[];
  maxTokens?: number;
  priority?: Priority;
  seed?: number;
  /** The answer does not end before so many tokens. */
  minTokens?: number;
  /** Only even ids, by a mask that is there on the second question after each token. */
  isConstrained?: boolean;
}

/** A request in a test: what its reader saw. */
class Asked {
  readonly sequence: Sequence;
  readonly answer: number[] = [];
  readonly ends: (FinishReason | Error)[] = [];
  readonly positions: number[] = [];
  startedAs = -1;
  processedTokens = 0;
  readonly #arrival: Arrival;

  constructor(arrival: Arrival, onStart: () => number) {
    this.#arrival = arrival;
    const { promptIds, maxTokens = 16, priority = "interactive", seed = 1, isConstrained = false } = arrival;
    const minTokens = isConstrained ? 0 : (arrival.minTokens ?? 0);
    const earlyMask = new Int32Array(Math.ceil(vocabularyTokens / 32)).fill(-1);
    earlyMask[endToken >> 5] = ~(1 << (endToken & 31));
    let hasAsked = false;
    const even = new Int32Array(Math.ceil(vocabularyTokens / 32)).fill(0x55555555);
    this.sequence = new Sequence({
      promptIds,
      priority,
      maxTokens,
      minTokens,
      earlyMask,
      settings: { sampling: plainSampling, seed },
      ...(isConstrained
        ? {
            constraint: {
              mask: () => {
                const isReady = hasAsked;
                hasAsked = true;
                return isReady ? even : undefined;
              },
            },
          }
        : {}),
      reader: {
        waits: (position) => this.positions.push(position),
        started: () => {
          assert.equal(this.startedAs, -1, "started twice");
          this.startedAs = onStart();
        },
        prefilled: ({ processedTokens, cachedTokens }) => {
          assert.ok(cachedTokens <= processedTokens && processedTokens <= promptIds.length);
          this.processedTokens = processedTokens;
        },
        take: (token) => {
          hasAsked = false;
          this.answer.push(token.id);
          if (token.id === endToken) return { reason: "stop" };
          return this.answer.length >= maxTokens ? { reason: "length" } : undefined;
        },
        finished: (reason) => this.ends.push(reason),
        failed: (error) => this.ends.push(error as Error),
      },
    });
  }

  /** The answer this request has when it is alone in the world. */
  get expected(): number[] {
    const { promptIds, maxTokens = 16, seed = 1, isConstrained, minTokens = 0 } = this.#arrival;
    const tokens = [...promptIds];
    for (let draw = 0; draw < maxTokens; draw++) {
      let id = simulatedToken(tokens, { seed, draw, vocabularyTokens, pick });
      if (isConstrained && id % 2 === 1) id = (id + 1) % vocabularyTokens;
      if (!isConstrained && id === endToken && draw < minTokens) id++;
      tokens.push(id);
      if (id === endToken) break;
    }
    return tokens.slice(promptIds.length);
  }
}

class Bench {
  readonly runner: SimulatedRunner;
  readonly scheduler: Scheduler;
  readonly asked: Asked[] = [];
  readonly #inFlight: { step: Step; sampled: SampledToken[] }[] = [];
  #started = 0;

  constructor(limits: RunnerLimits, { queueLimit = 1000 }: { queueLimit?: number } = {}) {
    this.runner = new SimulatedRunner({ limits, pick });
    this.scheduler = new Scheduler({ limits, parallel: limits.slots, queueLimit });
  }

  ask(arrival: Arrival): Asked {
    const asked = new Asked(arrival, () => this.#started++);
    this.scheduler.enter(asked.sequence);
    this.asked.push(asked);
    return asked;
  }

  /** Plans and executes a step whose result is not looked at yet. */
  launch(): Step | undefined {
    const step = this.scheduler.plan();
    if (!step) return undefined;
    for (const { slot, settings } of step.fills) this.runner.fillSlot(slot, settings);
    for (const { slot, firstPage, pages } of step.pages) this.runner.setPages(slot, firstPage, pages);
    this.#inFlight.push({ step, sampled: this.runner.execute(step.entries) });
    this.check();
    return step;
  }

  land(): boolean {
    const oldest = this.#inFlight.shift();
    if (oldest) this.scheduler.commit(oldest.step, oldest.sampled);
    this.check();
    return oldest !== undefined;
  }

  /** Until nothing is left to do, with `depth` steps in flight. */
  finish(depth = 2): void {
    let idle = 0;
    for (let round = 0; idle < 3; round++) {
      assert.ok(round < 20_000, "the scheduler makes no progress");
      while (this.#inFlight.length < depth && this.launch());
      idle = this.land() ? 0 : idle + 1;
    }
    assert.deepEqual([this.scheduler.runningCount, this.scheduler.waitingCount], [0, 0]);
    assert.equal(this.scheduler.pageCounts.held, 0, "pages are lost");
  }

  /** No page is lost or counted twice, whatever has happened so far. */
  check(): void {
    const { held, cached, free } = this.scheduler.pageCounts;
    assert.equal(held + cached + free, this.runner.limits.pages);
    const owners = new Map<number, number>();
    for (const { sequence } of this.asked)
      for (const page of sequence.pages) owners.set(page, 1 + (owners.get(page) ?? 0));
    assert.equal(owners.size, held, "pages are held by nobody, or held and free");
    const slots = this.asked.map(({ sequence }) => sequence.slot).filter((slot) => slot >= 0);
    assert.equal(new Set(slots).size, slots.length, "a slot has two owners");
  }
}

const ids = (count: number, start = 8): number[] =>
  Array.from({ length: count }, (_, index) => 8 + ((start + index * 5) % (vocabularyTokens - 8)));

/** The arrival with a seed whose answer goes on to its limit. */
function talkative(arrival: Arrival & { maxTokens: number }): Arrival {
  for (let seed = 1; ; seed++) {
    const seeded = { ...arrival, seed };
    if (new Asked(seeded, () => 0).expected.length === arrival.maxTokens) return seeded;
  }
}

test("an answer is what its own tokens lead to, and ends where the reader says", () => {
  const bench = new Bench(small);
  const asked = bench.ask({ promptIds: ids(11), maxTokens: 40 });
  bench.finish();
  assert.deepEqual(asked.answer, asked.expected);
  assert.equal(asked.ends.length, 1);
});

type Event =
  | ({ kind: "arrive"; family: number; shared: number; own: number } & Omit<Arrival, "promptIds">)
  | { kind: "launch" }
  | { kind: "land" }
  | { kind: "leave"; who: number }
  | { kind: "fail"; who: number };

const events = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("arrive" as const),
        family: fc.nat(2),
        shared: fc.nat(30),
        own: fc.nat(8),
        maxTokens: fc.nat(24),
        priority: fc.constantFrom<Priority>("interactive", "batch", "background"),
        minTokens: fc.nat(6),
        seed: fc.nat(5),
        isConstrained: fc.boolean(),
      }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("launch" as const) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("land" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), who: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail" as const), who: fc.nat(20) }) },
  ),
  { minLength: 5, maxLength: 120 },
);

const poolSizes = fc.constantFrom(16, 18, 24, 60);

function play(bench: Bench, script: readonly Event[]): void {
  for (const event of script) {
    if (event.kind === "arrive") {
      const { family, shared, own, ...arrival } = event;
      bench.ask({ ...arrival, promptIds: [...ids(shared + 1, family), ...ids(own, 40 + own)] });
    } else if (event.kind === "launch") bench.launch();
    else if (event.kind === "land") bench.land();
    else {
      const asked = bench.asked[event.who];
      if (!asked) continue;
      if (event.kind === "leave") asked.sequence.isLeaving = true;
      else bench.scheduler.fail(asked.sequence, new Error("broken"));
    }
    bench.check();
  }
}

test("after any order of arrivals, steps, departures and failures each request has ended once, rightly, and no page is lost", () => {
  fc.assert(
    fc.property(events, poolSizes, fc.integer({ min: 1, max: 3 }), (script, pages, depth) => {
      const bench = new Bench({ ...small, pages });
      play(bench, script);
      bench.finish(depth);
      for (const asked of bench.asked) {
        assert.equal(asked.ends.length, 1);
        const isWhole = asked.ends[0] === "stop" || asked.ends[0] === "length";
        assert.deepEqual(asked.answer, isWhole ? asked.expected : asked.expected.slice(0, asked.answer.length));
        if (isWhole) assert.equal(asked.processedTokens, asked.sequence.promptTokens);
      }
    }),
    { seed: 1122, numRuns: 600 },
  );
});

test("within a priority, requests start in the order in which they came", () => {
  const quiet = events.map((script) => script.filter(({ kind }) => kind !== "leave" && kind !== "fail"));
  fc.assert(
    fc.property(quiet, poolSizes, (script, pages) => {
      const bench = new Bench({ ...small, pages });
      play(bench, script);
      bench.finish();
      for (const priority of ["interactive", "batch", "background"]) {
        const starts = bench.asked
          .filter(({ sequence }) => sequence.priority === priority)
          .map(({ startedAs }) => startedAs);
        assert.deepEqual(
          starts,
          starts.toSorted((a, b) => a - b),
        );
      }
    }),
    { seed: 2211, numRuns: 200 },
  );
});

test("a device failure in mid-run ends everyone once and leaves no page held", () => {
  fc.assert(
    fc.property(events, (script) => {
      const bench = new Bench(small);
      play(bench, script);
      bench.scheduler.failAll(new AppError("device", "lost"));
      for (const asked of bench.asked) assert.equal(asked.ends.length, 1);
      assert.equal(bench.scheduler.pageCounts.held, 0);
    }),
    { seed: 33, numRuns: 100 },
  );
});

test("a long prompt never keeps others' tokens from a step", () => {
  const bench = new Bench({ ...small, pages: 40 });
  const short = bench.ask(talkative({ promptIds: ids(3, 1), maxTokens: 30 }));
  bench.launch();
  bench.land();
  bench.ask({ promptIds: ids(50), maxTokens: 1 });
  const before = bench.runner.executed.length;
  bench.finish(1);
  const steps = bench.runner.executed.slice(before, before + 4);
  assert.deepEqual(
    steps.map(({ decodeTokens }) => decodeTokens),
    [1, 1, 1, 1],
  );
  assert.ok(steps.every(({ promptTokens }) => promptTokens > 0 && promptTokens < small.stepTokens));
  assert.deepEqual(short.answer, short.expected);
});

test("a short question does not wait for a long prompt before it", () => {
  const bench = new Bench({ ...small, pages: 40 });
  bench.ask({ promptIds: ids(60), maxTokens: 1 });
  const short = bench.ask({ promptIds: ids(5, 3), maxTokens: 1 });
  bench.launch();
  bench.land();
  assert.equal(short.ends.length, 1);
});

test("what is less important does not make a step longer that somebody more important waits for", () => {
  const bench = new Bench({ ...small, pages: 200, pageTokens: 4, stepTokens: 64, contextTokens: 512 });
  const draft = bench.ask({ promptIds: ids(300), priority: "background", maxTokens: 0 });
  const person = bench.ask({ promptIds: ids(100, 2), maxTokens: 40, minTokens: 40 });
  const promptTokens = (): [number, number] => {
    bench.launch();
    bench.land();
    return [draft.processedTokens, person.processedTokens];
  };
  assert.deepEqual(promptTokens(), [0, 64], "the person's prompt has the step for itself");
  assert.deepEqual(promptTokens(), [0, 100]);
  // While the answer is written, an eighth of a step.
  assert.deepEqual(promptTokens(), [8, 100]);
  assert.deepEqual(promptTokens(), [16, 100]);
  bench.finish();
  assert.deepEqual([draft.processedTokens, person.answer.length], [300, 40]);
});

test("requests with the same beginning that arrive together compute it once", () => {
  const bench = new Bench({ ...small, pages: 100 });
  const shared = ids(40);
  for (let own = 0; own < 4; own++) bench.ask({ promptIds: [...shared, 20 + own, 21], maxTokens: 3, seed: own });
  bench.finish();
  const computed = bench.runner.executed.reduce((sum, { promptTokens }) => sum + promptTokens, 0);
  assert.equal(computed, 40 + 4 * 2);
  assert.deepEqual(
    bench.asked.map(({ sequence }) => sequence.cachedTokens),
    [0, 40, 40, 40],
  );
  for (const asked of bench.asked) assert.deepEqual(asked.answer, asked.expected);
});

test("a conversation's next turn finds the last one, answer included, but for the open page", () => {
  const bench = new Bench(small);
  const first = bench.ask(talkative({ promptIds: ids(10), maxTokens: 12 }));
  bench.finish();
  const promptIds = [...ids(10), ...first.answer, 50, 51];
  const second = bench.ask({ promptIds, maxTokens: 2 });
  bench.finish();
  const known = 10 + first.answer.length - 1;
  assert.equal(second.sequence.cachedTokens, known - (known % small.pageTokens));
});

test("an interactive request takes the place of a batch's, which goes on later where it was", () => {
  const bench = new Bench({ ...small, slots: 1 });
  const batch = bench.ask(talkative({ promptIds: ids(9), maxTokens: 20, priority: "batch" }));
  for (let step = 0; step < 4; step++) {
    bench.launch();
    bench.land();
  }
  const taken = batch.answer.length;
  assert.ok(taken > 0 && batch.ends.length === 0);
  const urgent = bench.ask({ promptIds: ids(5, 2), maxTokens: 3 });
  assert.equal(urgent.startedAs, 1);
  assert.deepEqual(batch.positions, [1]);
  bench.finish();
  assert.deepEqual(urgent.answer, urgent.expected);
  assert.deepEqual(batch.answer, batch.expected);
});

test("a request that leaves is out of the next step, and its pages are free", () => {
  const bench = new Bench(small);
  const asked = bench.ask(talkative({ promptIds: ids(9), maxTokens: 40 }));
  bench.launch();
  bench.launch();
  asked.sequence.isLeaving = true;
  assert.equal(bench.launch(), undefined);
  assert.deepEqual(asked.ends, ["aborted"]);
  assert.equal(bench.scheduler.pageCounts.held, 0);
  bench.finish();
  assert.deepEqual(asked.ends, ["aborted"]);
});

test("a full queue refuses with the number that wait and the time to come back; those who wait know their places", () => {
  const bench = new Bench({ ...small, slots: 1 }, { queueLimit: 2 });
  bench.ask(talkative({ promptIds: ids(4), maxTokens: 30 }));
  const second = bench.ask({ promptIds: ids(4), maxTokens: 1 });
  const third = bench.ask({ promptIds: ids(4), maxTokens: 1 });
  assert.throws(
    () => bench.ask({ promptIds: ids(4) }),
    (error) => error instanceof AppError && error.code === "busy" && error.details?.queuedRequests === 2,
  );
  assert.deepEqual([second.positions, third.positions], [[1], [2]]);
  bench.finish();
  assert.deepEqual(third.positions, [2, 1]);
});

test("who leaves while waiting gives the place to the next who comes", () => {
  const bench = new Bench({ ...small, slots: 1 }, { queueLimit: 1 });
  bench.ask(talkative({ promptIds: ids(4), maxTokens: 30 }));
  bench.ask({ promptIds: ids(4) }).sequence.isLeaving = true;
  assert.deepEqual(bench.ask({ promptIds: ids(4) }).positions, [1]);
});

test("two steps of decode are planned before the first one's result is known; a constrained sequence waits", () => {
  const bench = new Bench(small);
  bench.ask(talkative({ promptIds: ids(3), maxTokens: 20 }));
  assert.deepEqual(
    [bench.launch(), bench.launch(), bench.launch()].map((step) => step?.decodeTokens),
    [0, 1, 1],
  );
  const other = new Bench(small);
  const masked = other.ask({ promptIds: ids(3), maxTokens: 3, seed: 3, isConstrained: true });
  other.finish(3);
  assert.deepEqual(masked.answer, masked.expected);
});

test("a prompt that asks for no token ends when it is computed, and serves as a prefix", () => {
  const bench = new Bench(small);
  const asked = bench.ask({ promptIds: ids(21), maxTokens: 0 });
  bench.finish();
  assert.deepEqual([asked.ends, asked.answer], [["length"], []]);
  const next = bench.ask({ promptIds: [...ids(21), 9], maxTokens: 1 });
  bench.finish();
  assert.equal(next.sequence.cachedTokens, 20);
});

test("one sequence may fill the whole pool", () => {
  const bench = new Bench({ ...small, pages: 16 });
  const asked = bench.ask(talkative({ promptIds: ids(2), maxTokens: 62 }));
  const other = bench.ask(talkative({ promptIds: ids(30, 2), maxTokens: 34 }));
  bench.finish();
  assert.deepEqual([asked.answer, other.answer], [asked.expected, other.expected]);
});
