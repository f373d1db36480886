// What every engine is to the rest of Quern: one method that generates, and three that tell. Server, command line and bench stand
// on this file alone; cuda, llama, remote and scripted implement it without knowing one another (open.ts picks one).
//
// The promise: each accepted request ends in exactly one `done` event or one thrown AppError. Leaving the `for await` early, or
// aborting the signal, stops the computation within one step and frees the request's KV memory; an aborted stream that is still
// read ends in `done` with reason "aborted". Chat templates are not the engine's business: it takes text or token ids.
import type { ModelFacts } from "../models/model-facts.ts";

/** Of a prompt, which may be long: as one block of memory they are copied and sent in microseconds. */
export type PromptIds = readonly number[] | Int32Array;

/** A prompt, ready for the model. */
export type Prompt =
  /** Token ids as they are. */
  | { kind: "tokens"; ids: PromptIds }
  /** Pieces of text, each tokenised on its own with special tokens recognised, then joined. A cut inside what looks like a special
   * token keeps text from a user from becoming one: models/chat-template.ts makes such cuts. */
  | { kind: "text"; pieces: readonly string[] };

export interface Sampling {
  /** 0 means greedy. */
  temperature: number;
  /** 0 means all tokens. */
  topK: number;
  topP: number;
  minP: number;
  /** Divides (or multiplies, if negative) the logit of tokens already present; 1 is off. */
  repeatPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  /** How many of the last tokens (prompt and answer) the three penalties look at. */
  penaltyTokens: number;
  /** Added to the logit of a token id, -100..100. */
  logitBias: ReadonlyMap<number, number>;
  /** Same seed, settings and prompt give the same text. */
  seed?: number;
}

/** What the answer must look like; enforced while sampling. */
export type Grammar =
  | { kind: "json" }
  | { kind: "json_schema"; schema: unknown }
  | { kind: "gbnf"; text: string }
  | { kind: "choice"; options: readonly string[] };

/** Who goes first when not all can run: a person waiting, a batch, or work nobody asked for yet (titles, drafts). */
export type Priority = "interactive" | "batch" | "background";

export interface GenerateRequest {
  /** Unique while the request lives; appears in logs and events. */
  id: string;
  prompt: Prompt;
  sampling: Sampling;
  /** Tokens to generate at most; absent means what the context leaves. 0 prefills the prompt (and keeps it as a prefix) only. */
  maxTokens?: number;
  minTokens?: number;
  /** Texts that end the answer; not part of it unless `includeStop`. */
  stop?: readonly string[];
  stopTokenIds?: readonly number[];
  includeStop?: boolean;
  /** Go on after the model's end-of-turn token. */
  ignoreEos?: boolean;
  /** Report the log-probability of each token, and of this many alternatives (0..20). The model's own, before sampling settings. */
  topLogprobs?: number;
  grammar?: Grammar;
  priority?: Priority;
}

export interface TokenLogprob {
  id: number;
  /** Natural logarithm of the model's probability, before temperature, penalties, bias and grammar. */
  logprob: number;
  top: readonly { id: number; logprob: number }[];
}

export type FinishReason = "stop" | "length" | "aborted";

export interface Usage {
  promptTokens: number;
  /** Prompt tokens whose KV was taken from an earlier request. */
  cachedTokens: number;
  completionTokens: number;
}

export interface Timings {
  /** From acceptance to admission. */
  queueMs: number;
  /** From admission to the first sampled token. */
  prefillMs: number;
  /** From the first sampled token to the last. */
  decodeMs: number;
}

export type GenerateEvent =
  /** Waits for KV memory or a free sequence: 1 is next. Repeated when the position changes. */
  | { type: "queued"; position: number; estimatedWaitMs?: number }
  /** Admitted, or another chunk of the prompt is in: `processedTokens` of `promptTokens`, `cachedTokens` of them reused. */
  | { type: "prefill"; promptTokens: number; cachedTokens: number; processedTokens: number }
  /** One step's tokens, or several steps' for a slow reader. `text` holds whole characters only and may be "" while one, or a
   * possible stop text, is incomplete. Every token counted in `usage` is here once, the one that ended the turn included (its
   * text is ""); text held back to the end of an aborted answer comes with no ids. */
  | { type: "tokens"; ids: readonly number[]; text: string; logprobs?: readonly TokenLogprob[] }
  | { type: "done"; reason: FinishReason; stopText?: string; usage: Usage; timings: Timings };

export interface ModelInfo extends ModelFacts {
  /** As in `/v1/models`: the catalogue's id, or the file's name. */
  id: string;
  /** True for the bundled model: good for trying Quern, not for work. */
  isDemonstration: boolean;
}

export type EngineName = "cuda" | "llama" | "remote" | "scripted";

export interface EngineStatus {
  engine: EngineName;
  /** Why this engine, in one sentence, when it was picked by `auto`. */
  reason?: string;
  /** "NVIDIA H200", "CPU, 2 threads". */
  device: string;
  state: "loading" | "ready" | "restarting" | "failed" | "stopped";
  /** 0..1 while loading. */
  loadProgress?: number;
  model: ModelInfo;
  /** Tokens that one sequence may hold, prompt and answer together. */
  contextTokens: number;
  /** Sequences that may run together. */
  parallel: number;
  kvType: string;
  /** Tokens of KV memory: all there is, held by running sequences, kept as reusable prefixes. */
  kv: { totalTokens: number; usedTokens: number; cachedTokens: number };
  memory: { weightBytes: number; kvBytes: number; otherBytes: number; freeBytes?: number; totalBytes?: number };
  runningRequests: number;
  queuedRequests: number;
  queueLimit: number;
  /** Over the last minute of work; 0 before any. */
  speed: { promptTokensPerSecond: number; decodeTokensPerSecond: number };
  totals: {
    requests: number;
    promptTokens: number;
    cachedTokens: number;
    completionTokens: number;
    failures: number;
    aborts: number;
  };
  /** How often the engine process had to be started again, and why the last time. */
  restarts: number;
  lastFailure?: string;
}

export interface Engine extends AsyncDisposable {
  /**
   * Generates from a prompt. Throws AppError: `context_overflow` when the prompt leaves no room, `busy` when the queue is full,
   * `bad_request` or `unsupported` for what the engine cannot do, `device`, `engine_lost`.
   */
  generate(request: GenerateRequest, options?: { signal?: AbortSignal }): AsyncIterable<GenerateEvent>;
  /** Token ids of a text. `special`: recognise special tokens in it (default false). */
  tokenize(text: string, options?: { special?: boolean }): Promise<number[]>;
  /** The text of token ids; special tokens appear only when asked for. Incomplete characters become U+FFFD. */
  detokenize(ids: readonly number[], options?: { special?: boolean }): Promise<string>;
  /** Cheap and current; never waits for a step. */
  status(): EngineStatus;
}

/** Texts as vectors of length 1, and what that took. */
export interface Embeddings {
  model: { id: string; dimensions: number; contextTokens: number };
  vectors: readonly Float32Array[];
  /** Of each text. */
  tokens: readonly number[];
}

/** A second, smaller model beside the engine's own, which tells how near texts are in meaning: the dot product of their vectors. */
export interface Embedder {
  /** Throws AppError: `context_overflow` naming the text, `unsupported` when no such model was loaded, `device`, `engine_lost`. */
  embed(texts: readonly string[]): Promise<Embeddings>;
}

/** Nothing changed by the caller: plain sampling at temperature 1. Engines take full settings; defaults belong to the edges. */
export const plainSampling: Sampling = Object.freeze({
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  penaltyTokens: 64,
  logitBias: new Map(),
});
