// Where the engine's logic and the device meet: the scheduler plans steps, the runner executes them. The scheduler knows slots, pages
// and positions and nothing of CUDA; the runner knows kernels and nothing of requests. A simulated runner stands in for tests.
//
// A slot is the device-side state of one running sequence: last sampled token, position, page table row, sampling settings, random
// state, penalty counts. Steps are submitted in order and execute in order on one stream, so a step may be submitted before the result
// of the one before is known: a decode entry takes its input token from the slot, on the device. What the host cannot know yet (that
// the token was the end of turn) costs at most the steps already submitted, whose tokens are then dropped.
//
// Pages are handed on in the same order: the scheduler gives a page to another sequence while steps that still write to it for the
// old one are in flight, and only later steps read it. A page shared by a prefix is full and never written again; a prompt that
// leaves a shared page in its middle has the tail (at most pageTokens - 1 tokens) computed anew in a page of its own, so the runner
// needs no copy. Entries of one step never read one another's positions. A slot is refilled without being emptied first: fillSlot,
// then setPages from page 0, then its first chunk.
import type { EngineStatus, Sampling } from "../contract.ts";
import type { KvType } from "./memory-plan.ts";

export interface RunnerLimits {
  /** Sequences that can be resident together. */
  slots: number;
  /** Tokens per KV page. */
  pageTokens: number;
  /** Pages in the pool; page ids are 0..pages-1. */
  pages: number;
  /** Positions one step may compute, prompt chunks and decode tokens together. */
  stepTokens: number;
  /** Tokens one sequence may hold. */
  contextTokens: number;
  vocabularyTokens: number;
  /** Logit biases one sequence may have; absent: any number. */
  biases?: number;
  /** Tokens back to which penalties may look; absent: any number. */
  penaltyTokens?: number;
}

/** Sequences that two decode steps may be submitted of at once: more make longer steps, which cost the host less of their time. */
export const mostTogether = 4;

/** One sequence's part of a step. */
export interface StepEntry {
  slot: number;
  /** First position computed. KV of all earlier positions is already in the slot's pages. */
  startPosition: number;
  /** Prompt tokens to compute; absent means one decode token: the slot's last sampled one. */
  tokens?: Int32Array;
  /** Sample a token after the last position: true for decode and for the last chunk of a prompt. */
  sample: boolean;
  /** Tokens allowed next, a bit per id (1 allowed; id i is bit i & 31 of word i >> 5), ceil(vocabularyTokens / 32) words. May be
   * overwritten by the caller once launch() has returned. A grammar's sequence never runs ahead; a fixed mask (minTokens) may. */
  mask?: Int32Array;
}

export interface SampledToken {
  slot: number;
  id: number;
  /** Present when the slot asked for them. Natural logarithms, before any sampling setting. */
  logprob?: number;
  top?: readonly { id: number; logprob: number }[];
}

export interface SlotSettings {
  sampling: Sampling;
  /** Resolved by the scheduler, so that a sequence's draws do not depend on its batch. Draw i uses (seed, i). */
  seed: number;
  /** Draws made before this slot was (re)filled: a pre-empted sequence goes on where it was. */
  drawn: number;
  /** The sequence's last tokens before the first sampled one, for the penalties. */
  recentTokens: Int32Array;
  /** Absent: no log-probabilities. 0: the sampled token's own. 1..20: that many alternatives too, most likely first. */
  topLogprobs?: number;
}

export interface Runner extends AsyncDisposable {
  readonly limits: RunnerLimits;
  /** "NVIDIA H200", for the status. */
  readonly device: string;
  readonly kvType: KvType;
  /** Cheap; never waits for a step. */
  memory(): EngineStatus["memory"];
  /** Prepares a slot for a new (or resumed) sequence. Ordered with steps. */
  fillSlot(slot: number, settings: SlotSettings): void;
  /** Sets entries of the slot's page table from `firstPage` on. Ordered with steps. */
  setPages(slot: number, firstPage: number, pages: Int32Array): void;
  /**
   * Puts a step on the stream, without waiting for the ones before; at most one entry per slot. Throws AppError `device`, after which
   * the runner is unusable and the engine must be opened anew.
   *
   * `steps`: so many decode steps of these entries, each a position further, in one launch with one result: the first step's tokens,
   * then the next one's. More than one only of `mostTogether` sequences at most, without masks.
   */
  launch(plan: readonly StepEntry[], steps?: 1 | 2): Launched;
}

/** A step on the stream, or two. */
export interface Launched {
  /**
   * Resolves when the stream has passed it and so all launched before it, in a later turn of the event loop: a busy engine must not
   * starve its process. Rejects as launch() throws. To be asked for at most once, and only of the launches to be woken for.
   */
  passed(): Promise<void>;
  /** Once it or a later one has passed: a token for each entry that samples, in the plan's order. */
  sampled(): SampledToken[];
}
