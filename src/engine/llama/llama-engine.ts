// The engine for every machine without a usable NVIDIA GPU: llama.cpp through node-llama-cpp, on the CPU or on Metal. llama.cpp
// computes and samples; planning is ours: one loop, one step over all running sequences, decode tokens first and then as much of
// the waiting prompts as fits the step's time. It knows nothing of processes or HTTP.
import os from "node:os";
import { AppError, toAppError } from "../../base/errors.ts";
import { findNumber, readGguf } from "../../models/gguf.ts";
import { modelFactsOf } from "../../models/inspect-model.ts";
import { openTokenizer, type Tokenizer } from "../../models/tokenizer.ts";
import type { ActiveRequest } from "../active-request.ts";
import type { Engine, EngineStatus, GenerateRequest, ModelInfo, Prompt, PromptIds, TokenLogprob } from "../contract.ts";
import { Intake } from "../intake.ts";
import type { EngineOptions } from "../open.ts";
import { SpeedMeter } from "../speed-meter.ts";
import { gbnfOf } from "./grammar.ts";
import { defaultThreads, type Native, openNative } from "./native.ts";
import { type Slot, Slots } from "./slots.ts";
import { blockRows, promptBudget, type Row, shareBudget, toBatches } from "./step-plan.ts";
import { TokenSampler } from "./token-sampler.ts";

const stepTokens = 512;

/** Loads the model and warms it up. Throws AppError: `unreadable` or `not_found` for the file, `unsupported`, `device`. */
export async function openLlamaEngine(options: EngineOptions): Promise<Engine> {
  // All checks come before native code sees the file: llama.cpp trusts what it maps.
  const gguf = readGguf(options.modelFile);
  const facts = modelFactsOf(gguf);
  const tokenizer = openTokenizer(gguf.metadata);
  const model: ModelInfo = { ...facts, id: options.modelId, isDemonstration: options.isDemonstration };
  const kvType = options.kvType === "int8" ? "int8" : "f16";
  const kvTokenBytes = kvBytesPerToken((key) => findNumber(gguf, `${model.architecture}.${key}`), kvType);
  const contextTokens = chosenContext(options, { model, kvTokenBytes });
  const threads = options.threads || defaultThreads();
  const native = await openNative({
    modelFile: options.modelFile,
    contextTokens,
    sequences: options.parallel,
    stepTokens,
    threads,
    kvType,
    log: options.log,
    onProgress: (loaded) => options.onProgress?.(loaded),
  });
  const engine = new LlamaEngine(options, { native, model, tokenizer, contextTokens, kvType, kvTokenBytes });
  await engine.warmUp();
  return engine;
}

interface Parts {
  native: Native;
  model: ModelInfo;
  tokenizer: Tokenizer;
  contextTokens: number;
  kvType: "f16" | "int8";
  kvTokenBytes: number;
}

interface Sequence {
  active: ActiveRequest;
  slot: Slot;
  sampler: TokenSampler;
  isReproducible: boolean;
  /** The last sampled token, still to be computed; absent while the prompt is. */
  pending: number | undefined;
}

interface Sampled {
  id: number;
  logprob?: TokenLogprob;
}

interface StepEntry extends Row {
  sequence: Sequence;
  tokens: Uint32Array;
  wantsToken: boolean;
}

class LlamaEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #parts: Parts;
  readonly #intake: Intake;
  readonly #slots: Slots;
  readonly #promptSpeed = new SpeedMeter();
  readonly #decodeSpeed = new SpeedMeter();
  #running: Sequence[] = [];
  #wake: (() => void) | undefined;
  #state: EngineStatus["state"] = "loading";
  #memory: { at: number; value: EngineStatus["memory"] } | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: EngineOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#slots = new Slots(options.parallel);
    this.#intake = new Intake({
      parallel: options.parallel,
      queueLimit: options.queueLimit,
      // Each sequence has its own stretch of KV memory, as long as the context: a free sequence is all a request can need.
      kvTokens: options.parallel * parts.contextTokens,
      contextTokens: parts.contextTokens,
      vocabularyTokens: parts.model.vocabularyTokens,
      eosTokenIds: parts.model.eosTokenIds,
      wake: () => this.#wake?.(),
    });
  }

  /** Touches all weights and both kernels (many tokens, one token), so that the first request is as fast as the tenth. */
  async warmUp(): Promise<void> {
    const { context } = this.#parts.native;
    for (const tokens of [32, 1, 256, 1]) {
      const before = performance.now();
      context.initBatch(tokens);
      context.addToBatch(0, 0, new Uint32Array(tokens), Uint32Array.of(tokens - 1));
      await context.decodeBatch();
      context.disposeSequence(0);
      const tookMs = performance.now() - before;
      if (tokens === 32 && tookMs > 500) break; // a slow machine: 256 tokens would cost seconds and warm nothing more
      if (tokens > 32) this.#promptSpeed.record(tokens, tookMs, performance.now());
    }
    this.#state = "ready";
    this.#loop = this.#run();
  }

  generate(request: GenerateRequest, { signal }: { signal?: AbortSignal } = {}) {
    return this.#intake.generate(request, {
      signal,
      promptIds: () => {
        refuseCombinations(request);
        return this.#idsOf(request.prompt);
      },
    });
  }

  async tokenize(text: string, { special = false }: { special?: boolean } = {}): Promise<number[]> {
    return Array.from(this.#parts.tokenizer.encode(text, { special }));
  }

  async detokenize(ids: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    const { vocabularyTokens } = this.#parts.model;
    const stranger = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularyTokens);
    if (stranger !== undefined) throw new AppError("bad_request", `${stranger} is not a token id.`, { param: "ids" });
    return this.#parts.tokenizer.decode(ids, { special });
  }

  status(): EngineStatus {
    const { model, contextTokens, kvType, native } = this.#parts;
    return {
      engine: "llama",
      ...(this.#options.reason === undefined ? {} : { reason: this.#options.reason }),
      device: native.device,
      state: this.#state,
      model,
      contextTokens,
      kvType,
      kv: { totalTokens: contextTokens * this.#options.parallel, ...this.#slots.counts() },
      memory: this.#memoryNow(),
      speed: {
        promptTokensPerSecond: this.#promptSpeed.tokensPerSecond,
        decodeTokensPerSecond: this.#decodeSpeed.tokensPerSecond,
      },
      restarts: 0,
      ...this.#intake.status(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "stopped") return;
    this.#state = "stopped";
    this.#intake.close(new AppError("busy", "The engine is stopping.", { details: { retryAfterSeconds: 5 } }));
    this.#wake?.();
    await this.#loop;
    for (const { sampler } of this.#running) sampler.dispose();
    await this.#parts.native[Symbol.asyncDispose]();
  }

  /** The engine's life: let go of those who left, take in who may start, compute one step, hand out the tokens. */
  async #run(): Promise<void> {
    try {
      while (this.#state === "ready") {
        for (const sequence of this.#running) if (sequence.active.isLeaving) this.#end(sequence, "aborted");
        for (const active of this.#intake.take()) this.#start(active);
        const step = this.#plan();
        for (const batch of toBatches(step)) await this.#compute(batch);
        if (step.length === 0 && !this.#intake.hasNews) await this.#sleep();
      }
    } catch (error) {
      // A decode that failed leaves the context in no known state: nothing more can be computed here.
      this.#state = "failed";
      const known = toAppError(error);
      this.#intake.close(new AppError("device", `llama.cpp failed: ${known.message}`, { cause: error }));
    }
  }

  #start(active: ActiveRequest): void {
    const { native } = this.#parts;
    const { request, promptIds } = active;
    let sampler: TokenSampler;
    try {
      const gbnf = request.grammar ? gbnfOf(request.grammar) : undefined;
      const endTokenIds = [
        ...(request.ignoreEos ? [] : this.#parts.model.eosTokenIds),
        ...(request.stopTokenIds ?? []),
      ];
      sampler = new TokenSampler({ native, request, promptIds, endTokenIds, gbnf });
    } catch (error) {
      this.#intake.fail(active, error);
      return;
    }
    const taken = this.#slots.take(promptIds);
    if (!taken) throw new AppError("internal", "A request was admitted but every sequence runs.");
    const { slot } = taken;
    let { cachedTokens } = taken;
    const isReproducible = request.sampling.seed !== undefined && request.sampling.temperature > 0;
    if (isReproducible) cachedTokens -= cachedTokens % blockRows;
    if (slot.tokens.length > cachedTokens) {
      const { context } = native;
      if (!context.removeTokenCellsFromSequence(slot.sequence, cachedTokens, -1)) {
        context.disposeSequence(slot.sequence);
        cachedTokens = 0;
      }
      slot.tokens.length = cachedTokens;
    }
    active.start(cachedTokens, this.#intake.now());
    this.#running.push({ active, slot, sampler, isReproducible, pending: undefined });
  }

  /** What the next step computes: the pending token of every sequence that has one, and stretches of the others' prompts. */
  #plan(): StepEntry[] {
    const step: StepEntry[] = [];
    const inPrompt: Sequence[] = [];
    for (const sequence of this.#running) {
      if (sequence.pending === undefined) inPrompt.push(sequence);
      else step.push(entry(sequence, Uint32Array.of(sequence.pending), { isPrompt: false, wantsToken: true }));
    }
    if (inPrompt.length === 0) return step;
    const budget = promptBudget({
      limitTokens: stepTokens,
      promptTokensPerSecond: this.#promptSpeed.tokensPerSecond,
      decoding: step.length,
    });
    const remaining = inPrompt.map(({ active, slot }) => active.promptIds.length - slot.tokens.length);
    for (const [place, share] of shareBudget(budget, remaining).entries()) {
      const sequence = inPrompt[place];
      if (!sequence) continue;
      const isLast = share === remaining[place];
      const done = sequence.slot.tokens.length;
      const count = isLast || !sequence.isReproducible ? share : share - (share % blockRows);
      if (count === 0) continue;
      const tokens = Uint32Array.from(sequence.active.promptIds.slice(done, done + count));
      step.push(entry(sequence, tokens, { isPrompt: true, wantsToken: isLast && sequence.active.maxTokens > 0 }));
    }
    return step;
  }

  /** Runs one batch on llama.cpp, samples where a token is wanted, and moves its sequences on. */
  async #compute(step: readonly StepEntry[]): Promise<void> {
    const { context } = this.#parts.native;
    const before = performance.now();
    let total = 0;
    let decoding = 0;
    for (const { tokens, isPrompt } of step) {
      total += tokens.length;
      if (!isPrompt) decoding++;
    }
    context.initBatch(total);
    const logitPlaces = step.map(({ sequence: { slot }, tokens, wantsToken }) => {
      const wanted = wantsToken ? Uint32Array.of(tokens.length - 1) : noTokens;
      return context.addToBatch(slot.sequence, slot.tokens.length, tokens, wanted)[0];
    });
    await context.decodeBatch();
    const sampled = await Promise.all(
      step.map(async ({ sequence }, place) => {
        const logits = logitPlaces[place];
        // One sequence's sampling may fail (a grammar led nowhere); the others' step is good all the same.
        return logits === undefined ? undefined : sequence.sampler.next(logits).catch(toAppError);
      }),
    );
    const now = performance.now();
    for (const [place, { sequence, tokens, isPrompt, wantsToken }] of step.entries()) {
      for (const id of tokens) sequence.slot.tokens.push(id);
      if (isPrompt) sequence.active.prefilled(sequence.slot.tokens.length);
      if (wantsToken) this.#handOut(sequence, sampled[place], now);
      else if (sequence.slot.tokens.length === sequence.active.promptIds.length) this.#end(sequence, "length");
    }
    this.#promptSpeed.record(total - decoding, now - before, now);
    this.#decodeSpeed.record(decoding, now - before, now);
  }

  /** Gives a sequence's next token to its reader and ends it if that was the last. */
  #handOut(sequence: Sequence, next: Sampled | AppError | undefined, now: number): void {
    const { active } = sequence;
    if (next === undefined || next instanceof AppError) {
      if (next) this.#fail(sequence, next);
      else this.#end(sequence, "stop");
      return;
    }
    sequence.pending = next.id;
    const { tokenizer, native } = this.#parts;
    const finish = active.take(next.id, tokenizer.tokenBytes(next.id), { logprob: next.logprob, now });
    if (finish) this.#end(sequence, finish.reason, finish.stopText);
    // A completed grammar allows any of the model's end tokens, some of which end nothing elsewhere.
    else if (active.request.grammar && native.model.isEogToken(next.id)) this.#end(sequence, "stop");
  }

  #end(sequence: Sequence, reason: "stop" | "length" | "aborted", stopText?: string): void {
    this.#letGo(sequence);
    this.#intake.finish(sequence.active, reason, stopText);
  }

  #fail(sequence: Sequence, error: AppError): void {
    this.#letGo(sequence);
    this.#intake.fail(sequence.active, error);
  }

  #letGo(sequence: Sequence): void {
    this.#running = this.#running.filter((other) => other !== sequence);
    this.#slots.release(sequence.slot);
    sequence.sampler.dispose();
  }

  #idsOf(prompt: Prompt): PromptIds {
    if (prompt.kind === "tokens") return prompt.ids;
    const { tokenizer } = this.#parts;
    return prompt.pieces.flatMap((piece) => Array.from(tokenizer.encode(piece, { special: true })));
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Asked of the system once a second at most: status() is called far more often. */
  #memoryNow(): EngineStatus["memory"] {
    const at = performance.now();
    if (this.#memory && at - this.#memory.at < 1000) return this.#memory.value;
    const { native, contextTokens, kvTokenBytes } = this.#parts;
    const kvBytes = contextTokens * this.#options.parallel * kvTokenBytes;
    const [weights, context] = [native.model, native.context].map((part) => {
      const { cpuRam, gpuVram } = part.getMemoryBreakdown();
      return cpuRam + gpuVram;
    });
    const value = {
      weightBytes: weights ?? 0,
      kvBytes,
      otherBytes: Math.max(0, (context ?? 0) - kvBytes),
      freeBytes: process.availableMemory(),
      totalBytes: os.totalmem(),
    };
    this.#memory = { at, value };
    return value;
  }
}

const noTokens = new Uint32Array(0);

function entry(sequence: Sequence, tokens: Uint32Array, kind: { isPrompt: boolean; wantsToken: boolean }): StepEntry {
  return { sequence, tokens, isReproducible: sequence.isReproducible, ...kind };
}

/** Bytes of KV for one token of one sequence: keys and values of every layer; int8 is blocks of 32 with a 16-bit scale. */
function kvBytesPerToken(find: (key: string) => number | undefined, kvType: "f16" | "int8"): number {
  const heads = find("attention.head_count") ?? 1;
  const headSize = find("attention.key_length") ?? (find("embedding_length") ?? 0) / heads;
  const values = 2 * (find("block_count") ?? 0) * (find("attention.head_count_kv") ?? heads) * headSize;
  return kvType === "int8" ? (values * 34) / 32 : values * 2;
}

/** The context asked for, if memory allows; else what the model was made for, within a third of the memory that is free. */
function chosenContext(options: EngineOptions, { model, kvTokenBytes }: Pick<Parts, "model" | "kvTokenBytes">): number {
  const { contextTokens: asked, parallel, log } = options;
  const freeBytes = process.availableMemory();
  const trained = model.trainedContextTokens || 4096;
  if (asked > 0) {
    const neededBytes = asked * parallel * kvTokenBytes + model.fileBytes;
    if (neededBytes > freeBytes) {
      throw new AppError(
        "device",
        `${parallel} sequences of ${asked} tokens and the model need ${gib(neededBytes)} GiB; ${gib(freeBytes)} GiB are free.`,
        {
          param: "context",
          hint: "Use a smaller --context or --parallel, or --kv-type int8.",
          details: { neededBytes, freeBytes },
        },
      );
    }
    if (asked > trained) log.warn("context beyond training", { contextTokens: asked, trainedContextTokens: trained });
    return asked;
  }
  const fitting = Math.floor(freeBytes / 3 / (parallel * kvTokenBytes) / 256) * 256;
  return Math.max(1024, Math.min(trained, 32_768, fitting));
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function refuseCombinations({ grammar, minTokens, ignoreEos }: GenerateRequest): void {
  if (!grammar) return;
  const param = minTokens ? "minTokens" : ignoreEos ? "ignoreEos" : undefined;
  if (!param) return;
  throw new AppError(
    "unsupported",
    `${param} cannot be combined with a grammar: only the grammar says when it is over.`,
    {
      param,
    },
  );
}
