// One request as the scheduler sees it: its tokens, how many of them have been submitted for computation, the pages that hold their
// KV, and the reader that is told. Knows neither the device nor what tokens mean; whether the answer has ended is the reader's word.
import assert from "node:assert/strict";
import type { FinishReason, Priority } from "../contract.ts";
import type { PrefixNode } from "./prefix-tree.ts";
import type { SampledToken, SlotSettings } from "./runner-contract.ts";

/** Who is told what happens to a sequence. Exactly one call of `finished` or `failed` ends it. */
export interface SequenceReader {
  /** Place in the queue, 1 is next; only when it changed. */
  waits(position: number): void;
  /** It has a slot and its pages; `cachedTokens` of the prompt need not be computed. */
  started(cachedTokens: number): void;
  /** So much of the prompt is computed. `cachedTokens` may have grown: another sequence computed a shared beginning meanwhile. */
  prefilled(progress: { processedTokens: number; cachedTokens: number }): void;
  /** The next token. Says when (and how) the answer ends with it; the token is then its last. */
  take(token: SampledToken): { reason: FinishReason; stopText?: string } | undefined;
  finished(reason: FinishReason, stopText?: string): void;
  failed(error: unknown): void;
}

/** What the next token may be. Follows the tokens the reader took; until it has, there is no mask and the sequence waits. */
export interface Constraint {
  mask(): Int32Array | undefined;
}

export interface SequenceOptions {
  promptIds: ArrayLike<number>;
  priority: Priority;
  /** Tokens to generate at most, at least 0; the prompt and these fit the context. */
  maxTokens: number;
  /** The first so many tokens are sampled under `earlyMask`, so that the answer cannot end before. Not with a constraint. */
  minTokens?: number;
  earlyMask?: Int32Array;
  settings: Omit<SlotSettings, "drawn" | "recentTokens">;
  constraint?: Constraint;
  reader: SequenceReader;
}

type SamplingMask = { isReady: boolean; mask?: Int32Array };
const anyToken: SamplingMask = { isReady: true };
const notYet: SamplingMask = { isReady: false };

export class Sequence {
  readonly priority: Priority;
  readonly promptTokens: number;
  readonly maxTokens: number;
  readonly reader: SequenceReader;
  readonly constraint: Constraint | undefined;
  readonly #options: SequenceOptions;
  #tokens: Int32Array;
  #tokenCount: number;

  /** Set by the engine when the reader left; the scheduler lets go of the sequence before its next step. */
  isLeaving = false;
  state: "new" | "waiting" | "prefilling" | "decoding" | "ended" = "new";
  /** Order of arrival, given once: a pre-empted sequence keeps its place. */
  arrival = 0;
  toldPosition = 0;
  /** Counts fillings of a slot: a step's result belongs to the sequence only if it has not been pre-empted since. */
  epoch = 0;
  slot = -1;
  pages: number[] = [];
  /** Entries of the slot's page table that the runner has been told. */
  pagesTold = 0;
  /** Deepest node of the prefix tree on this sequence's path: it stands for pages[0..nodePages). */
  node: PrefixNode | undefined;
  nodePages = 0;
  /** Positions computed or submitted to be: the next step starts here. */
  submittedTokens = 0;
  /** Tokens known when the slot was filled: the sequence decodes once all are submitted. */
  prefillTokens = 0;
  /** Samples submitted, those of earlier fillings included. */
  submittedSamples = 0;
  cachedTokens = 0;
  wasStarted = false;
  /** Epoch in which the runner was told to fill the slot. */
  filledEpoch = -1;

  constructor(options: SequenceOptions) {
    this.#options = options;
    this.priority = options.priority;
    this.promptTokens = options.promptIds.length;
    this.maxTokens = options.maxTokens;
    this.reader = options.reader;
    this.constraint = options.constraint;
    assert.ok(this.promptTokens > 0, "a sequence needs a prompt");
    this.#tokens = new Int32Array(this.promptTokens + Math.min(options.maxTokens, 1024));
    this.#tokens.set(options.promptIds);
    this.#tokenCount = this.promptTokens;
  }

  /** Prompt and the tokens the reader has taken. A view: it is not kept. */
  get tokens(): Int32Array {
    return this.#tokens.subarray(0, this.#tokenCount);
  }

  get tokenCount(): number {
    return this.#tokenCount;
  }

  get generatedTokens(): number {
    return this.#tokenCount - this.promptTokens;
  }

  /** Tokens it may come to hold. */
  get worstCaseTokens(): number {
    return this.promptTokens + this.maxTokens;
  }

  push(id: number): void {
    if (this.#tokenCount === this.#tokens.length) {
      const larger = new Int32Array(Math.min(2 * this.#tokens.length, this.worstCaseTokens));
      larger.set(this.#tokens);
      this.#tokens = larger;
    }
    this.#tokens[this.#tokenCount++] = id;
  }

  /** Settings to (re)fill a slot with: the draws go on where the taken tokens end. */
  slotSettings(): SlotSettings {
    const { sampling } = this.#options.settings;
    const recent = Math.min(this.#tokenCount, sampling.penaltyTokens);
    return {
      ...this.#options.settings,
      drawn: this.generatedTokens,
      recentTokens: this.#tokens.slice(this.#tokenCount - recent, this.#tokenCount),
    };
  }

  /** Whether a token may be sampled now; if so, under which mask. The constraint's mask follows the last token taken, so it waits for it. */
  samplingMask(): SamplingMask {
    if (!this.constraint) {
      const { minTokens = 0, earlyMask } = this.#options;
      return earlyMask && this.submittedSamples < minTokens ? { isReady: true, mask: earlyMask } : anyToken;
    }
    if (this.submittedSamples > this.generatedTokens) return notYet;
    const mask = this.constraint.mask();
    return mask ? { isReady: true, mask } : notYet;
  }
}
