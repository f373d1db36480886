// A runner without a device, for tests: what it "computes" for a position is a hash of all tokens up to there, written into pages as
// a kernel would write KV and read back from them through the slot's page table. The next token is a function of that hash, so an
// answer depends on nothing but its own tokens and draws. A page given to the wrong sequence, written twice, read before it was
// written or reused too early breaks the chain of hashes and is reported with slot, position and page.
import assert from "node:assert/strict";
import { AppError } from "../../base/errors.ts";
import type { EngineStatus } from "../contract.ts";
import type { KvType } from "./memory-plan.ts";
import {
  type Launched,
  mostTogether,
  type Runner,
  type RunnerLimits,
  type SampledToken,
  type SlotSettings,
  type StepEntry,
} from "./runner-contract.ts";

export interface SimulationOptions {
  limits: RunnerLimits;
  /** Picks the token to sample from the hash of the sequence and of the draw, counted from 0; default: anything in the vocabulary. */
  pick?: (hash: number, draw: number) => number;
  /** Awaited before a step's result is handed out; default: one turn of the event loop. */
  delay?: () => Promise<void>;
  /** The step (counted from 1) whose submission fails as a lost device does. */
  failingStep?: number;
  /** What it says it keeps; int8 where it is left out. */
  kvType?: KvType;
}

interface Slot {
  settings: SlotSettings;
  drawn: number;
  lastToken: number | undefined;
  pages: Int32Array;
}

/** The token that follows `tokens` in the simulation: what any schedule must come to. `draw` counts the answer's tokens from 0. */
export function simulatedToken(
  tokens: ArrayLike<number>,
  {
    seed,
    draw,
    vocabularyTokens,
    pick,
  }: { seed: number; draw: number; vocabularyTokens: number; pick?: (hash: number, draw: number) => number },
): number {
  let chain = 0;
  for (let position = 0; position < tokens.length; position++) chain = mix(chain, tokens[position] ?? 0);
  const hash = drawHash(chain, seed, draw);
  return pick ? pick(hash, draw) : hash % vocabularyTokens;
}

export class SimulatedRunner implements Runner {
  readonly limits: RunnerLimits;
  readonly device = "simulated";
  readonly kvType: KvType;
  /** Steps executed, and the tokens in each: for tests of what was planned. */
  readonly executed: { promptTokens: number; decodeTokens: number }[] = [];
  readonly #options: SimulationOptions;
  /** Of each position of each page: its token and the hash of all tokens up to it. 0 is never written. */
  readonly #tokens: Int32Array;
  readonly #chains: Uint32Array;
  readonly #slots = new Map<number, Slot>();
  #isLost = false;
  #isClosed = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.kvType = options.kvType ?? "int8";
    const positions = options.limits.pages * options.limits.pageTokens;
    this.#tokens = new Int32Array(positions).fill(-1);
    this.#chains = new Uint32Array(positions);
  }

  memory(): EngineStatus["memory"] {
    return { weightBytes: 0, kvBytes: this.#tokens.byteLength + this.#chains.byteLength, otherBytes: 0 };
  }

  fillSlot(slot: number, settings: SlotSettings): void {
    assert.ok(slot >= 0 && slot < this.limits.slots, `there is no slot ${slot}`);
    assert.ok(Number.isSafeInteger(settings.seed), "a slot needs a seed");
    const pages = new Int32Array(Math.ceil(this.limits.contextTokens / this.limits.pageTokens)).fill(-1);
    this.#slots.set(slot, { settings, drawn: settings.drawn, lastToken: undefined, pages });
  }

  setPages(slot: number, firstPage: number, pages: Int32Array): void {
    for (const page of pages) assert.ok(page >= 0 && page < this.limits.pages, `there is no page ${page}`);
    this.#slotOf(slot).pages.set(pages, firstPage);
  }

  launch(plan: readonly StepEntry[], steps: 1 | 2 = 1): Launched {
    const { delay = nextTurn } = this.#options;
    const sampled = this.execute(plan, steps);
    return { passed: delay, sampled: () => sampled };
  }

  /** Steps, at once: the stream's order is the order of calls. */
  execute(plan: readonly StepEntry[], steps: 1 | 2 = 1): SampledToken[] {
    if (steps === 1) return this.#step(plan);
    assert.ok(plan.length <= mostTogether, `${plan.length} sequences are too many for two steps at once`);
    assert.ok(
      plan.every(({ tokens, sample, mask }) => !tokens && sample && !mask),
      "two steps at once only decode, without masks",
    );
    const next = plan.map((entry) => ({ ...entry, startPosition: entry.startPosition + 1 }));
    return [...this.#step(plan), ...this.#step(next)];
  }

  #step(plan: readonly StepEntry[]): SampledToken[] {
    if (this.#isLost || this.executed.length + 1 === this.#options.failingStep) {
      this.#isLost = true;
      throw new AppError("device", "The simulated device was lost.");
    }
    assert.ok(!this.#isClosed, "the runner is closed");
    assert.ok(plan.length > 0, "a step needs an entry");
    assert.equal(new Set(plan.map(({ slot }) => slot)).size, plan.length, "one entry per slot");
    const promptTokens = plan.reduce((sum, { tokens }) => sum + (tokens?.length ?? 0), 0);
    const decodeTokens = plan.filter(({ tokens }) => !tokens).length;
    assert.ok(promptTokens + decodeTokens <= this.limits.stepTokens, "a step must fit the runner's limit");
    this.executed.push({ promptTokens, decodeTokens });
    // All reads of earlier positions come before any write of the step: entries of one step do not see one another.
    const chains = plan.map((entry) => this.#verifiedChain(entry));
    return plan.flatMap((entry, index) => {
      const chain = this.#write(entry, chains[index] ?? 0);
      return entry.sample ? [this.#sample(entry, chain)] : [];
    });
  }

  /** Reads all positions before the entry, as attention does; returns the hash of the last. */
  #verifiedChain({ slot, startPosition }: StepEntry): number {
    let chain = 0;
    for (let position = 0; position < startPosition; position++) {
      const place = this.#placeOf(slot, position);
      chain = mix(chain, this.#tokens[place] ?? -1);
      const page = Math.floor(place / this.limits.pageTokens);
      assert.equal(
        this.#chains[place],
        chain,
        `slot ${slot} reads position ${position} in page ${page}, which holds another's`,
      );
    }
    return chain;
  }

  #write({ slot, startPosition, tokens }: StepEntry, chainBefore: number): number {
    const { lastToken } = this.#slotOf(slot);
    assert.ok(tokens ?? lastToken !== undefined, `slot ${slot} decodes before it has sampled`);
    const inputs = tokens ?? Int32Array.of(lastToken ?? 0);
    assert.ok(inputs.length > 0, `slot ${slot} has an empty chunk`);
    let chain = chainBefore;
    inputs.forEach((token, index) => {
      assert.ok(token >= 0 && token < this.limits.vocabularyTokens, `${token} is no token id`);
      const place = this.#placeOf(slot, startPosition + index);
      chain = mix(chain, token);
      this.#tokens[place] = token;
      this.#chains[place] = chain;
    });
    return chain;
  }

  #sample({ slot, mask }: StepEntry, chain: number): SampledToken {
    const state = this.#slotOf(slot);
    const draw = state.drawn++;
    const hash = drawHash(chain, state.settings.seed, draw);
    const { pick } = this.#options;
    const wanted = pick ? pick(hash, draw) : hash % this.limits.vocabularyTokens;
    const id = allowed(wanted, mask, this.limits.vocabularyTokens);
    state.lastToken = id;
    const { topLogprobs } = state.settings;
    if (topLogprobs === undefined) return { slot, id };
    const top = Array.from({ length: topLogprobs }, (_, index) => ({
      id: (id + index) % this.limits.vocabularyTokens,
      logprob: -1 - index,
    }));
    return { slot, id, logprob: -1, top };
  }

  #placeOf(slot: number, position: number): number {
    assert.ok(position < this.limits.contextTokens, `position ${position} is beyond the context`);
    const page = this.#slotOf(slot).pages[Math.floor(position / this.limits.pageTokens)] ?? -1;
    assert.ok(page >= 0, `slot ${slot} has no page for position ${position}`);
    return page * this.limits.pageTokens + (position % this.limits.pageTokens);
  }

  #slotOf(slot: number): Slot {
    const state = this.#slots.get(slot);
    assert.ok(state, `slot ${slot} was never filled`);
    return state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
  }
}

/** The token itself, or the next id (around the end) that the mask allows. */
function allowed(id: number, mask: Int32Array | undefined, vocabularyTokens: number): number {
  if (!mask) return id;
  assert.equal(mask.length, Math.ceil(vocabularyTokens / 32), "a mask must cover the vocabulary");
  for (let step = 0; step < vocabularyTokens; step++) {
    const candidate = (id + step) % vocabularyTokens;
    if (((mask[candidate >> 5] ?? 0) >>> (candidate & 31)) & 1) return candidate;
  }
  assert.fail("the mask allows no token");
}

/** All 53 bits of the seed count. */
function drawHash(chain: number, seed: number, draw: number): number {
  return mix(mix(mix(chain, seed >>> 0), Math.floor(seed / 2 ** 32)), draw);
}

function mix(chain: number, value: number): number {
  let hash = Math.imul(chain ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(value + 1, 0xc2b2ae35);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x27d4eb2f);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
