// The native surface of the llama engine, typed in one file: what we use of node-llama-cpp's addon, below its JavaScript classes.
//
// Why below: its sequence class shifts the context without being asked when it is full, copies the token list at each token, and
// gives each sequence a loop of its own, so that one step over all sequences cannot be planned. Our loop plans steps. The classes
// still do what is long and dull: find the binary for this machine, load the model, size and create the context. Their private
// fields may change with any release; the version is pinned, and opening checks each one used here.
import os from "node:os";
import { getLlama, type LlamaContext, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { AppError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

export interface NativeModel {
  isEogToken(id: number): boolean;
  getMemoryBreakdown(): { cpuRam: number; gpuVram: number };
}

export interface NativeContext {
  /** Begins a batch of exactly this many tokens. */
  initBatch(tokens: number): void;
  /** Adds tokens of a sequence from a position on; returns where in the batch the logits asked for will be. */
  addToBatch(sequence: number, firstPosition: number, tokens: Uint32Array, wantLogitsOf: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  /** -1 when nothing can follow. */
  sampleToken(logits: number, sampler: NativeSampler): Promise<number>;
  /** `list` holds id, probability, id, probability…, most likely first, of the tokens the sampler kept. */
  sampleToken(
    logits: number,
    sampler: NativeSampler,
    wantList: boolean,
    wantConfidence: boolean,
  ): Promise<[id: number, list: number[] | undefined, confidence: number | undefined]>;
  /** False when the cells cannot be taken out. */
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
  disposeSequence(sequence: number): void;
  setThreads(threads: number): void;
  getMemoryBreakdown(): { cpuRam: number; gpuVram: number };
}

/** An absent field is off; an absent temperature is greedy. */
export interface SamplerConfig {
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  /** 32 bits; 0xffffffff would mean "random". */
  seed?: number;
  repeatPenalty?: number;
  repeatPenaltyMaxTokens?: number;
  repeatPenaltyTokens?: Uint32Array;
  repeatPenaltyPresencePenalty?: number;
  repeatPenaltyFrequencyPenalty?: number;
  tokenBiasKeys?: Uint32Array;
  tokenBiasValues?: Float32Array;
  grammarEvaluationState?: NativeGrammarState;
}

export interface NativeSampler {
  applyConfig(config: SamplerConfig): void;
  dispose(): void;
}

export type NativeGrammar = { isTextCompatible(text: string): boolean };
export type NativeGrammarState = object;

interface Bindings {
  AddonSampler: new (model: NativeModel) => NativeSampler;
  AddonGrammar: new (text: string, options: { addonExports: object; rootRuleName: string }) => NativeGrammar;
  AddonGrammarEvaluationState: new (model: NativeModel, grammar: NativeGrammar) => NativeGrammarState;
}

export interface Native extends AsyncDisposable {
  context: NativeContext;
  model: NativeModel;
  device: string;
  openSampler(): NativeSampler;
  /** Throws a plain Error when the text is no grammar. */
  parseGrammar(text: string): NativeGrammar;
  beginGrammar(grammar: NativeGrammar): NativeGrammarState;
}

export interface NativeOptions {
  modelFile: string;
  contextTokens: number;
  sequences: number;
  stepTokens: number;
  threads: number;
  kvType: "f16" | "int8";
  log: Log;
  onProgress: (loaded: number) => void;
}

/** Loads library, model and context. Throws AppError `device` with what llama.cpp said. */
export async function openNative(options: NativeOptions): Promise<Native> {
  const { modelFile, contextTokens, sequences, stepTokens, threads, kvType, log, onProgress } = options;
  const said: string[] = [];
  try {
    const llama = await getLlama({
      gpu: process.platform === "darwin" ? "auto" : false,
      build: "never", // else a missing binary starts a compiler
      progressLogs: false,
      logLevel: LlamaLogLevel.warn,
      logger: (level, message) => {
        said.push(message.trim());
        if (said.length > 5) said.shift();
        log.debug("llama.cpp", { level, message: message.trim() });
      },
      maxThreads: threads,
    });
    const model = await llama.loadModel({ modelPath: modelFile, onLoadProgress: onProgress });
    const context = await model.createContext({
      sequences,
      contextSize: contextTokens,
      batchSize: stepTokens,
      threads,
      flashAttention: true, // less memory, and a quantised V needs it
      failedCreationRemedy: false, // it would shrink the context without being asked
      ...(kvType === "int8" ? { experimentalKvCacheKeyType: "Q8_0", experimentalKvCacheValueType: "Q8_0" } : {}),
    });
    const bindings = privateField<Bindings>(llama, "_bindings", [
      "AddonSampler",
      "AddonGrammar",
      "AddonGrammarEvaluationState",
    ]);
    const nativeModel = privateField<NativeModel>(model, "_model", ["isEogToken", "getMemoryBreakdown"]);
    const nativeContext = privateField<NativeContext>(context, "_ctx", contextMethods);
    nativeContext.setThreads(threads);
    const gpus = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
    return {
      context: nativeContext,
      model: nativeModel,
      device: gpus.length > 0 ? gpus.join(", ") : `CPU, ${threads} ${threads === 1 ? "thread" : "threads"}`,
      openSampler: () => new bindings.AddonSampler(nativeModel),
      parseGrammar: (text) => new bindings.AddonGrammar(text, { addonExports: bindings, rootRuleName: "root" }),
      beginGrammar: (grammar) => new bindings.AddonGrammarEvaluationState(nativeModel, grammar),
      [Symbol.asyncDispose]: () => disposeAll(context, model, llama),
    };
  } catch (error) {
    if (error instanceof AppError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError("device", `llama.cpp could not open the model: ${[why, ...said].join(" | ")}`, {
      hint: "A smaller --context or --parallel needs less memory; `quern doctor` shows what there is.",
      cause: error,
    });
  }
}

/** One core stays free for the server: llama.cpp's threads wait for each other by spinning, and one that is held up holds all. */
export function defaultThreads(): number {
  return Math.max(1, Math.min(os.availableParallelism() - 1, 16));
}

const contextMethods = [
  "initBatch",
  "addToBatch",
  "decodeBatch",
  "sampleToken",
  "removeTokenCellsFromSequence",
  "disposeSequence",
  "setThreads",
  "getMemoryBreakdown",
];

/** A private field of a library object, checked to have what we call. */
function privateField<T>(owner: object, field: string, methods: readonly string[]): T {
  const value: unknown = Reflect.get(owner, field);
  const isUsable =
    typeof value === "object" &&
    value !== null &&
    methods.every((method) => typeof Reflect.get(value, method) === "function");
  if (isUsable) return value as T;
  throw new AppError("internal", `node-llama-cpp has changed inside: ${field} is not what the llama engine uses.`, {
    hint: "Install the version that package-lock.json names: run `npm ci`.",
  });
}

async function disposeAll(
  context: LlamaContext,
  model: LlamaModel,
  llama: AsyncDisposable | { dispose(): Promise<void> },
) {
  await context.dispose();
  await model.dispose();
  if ("dispose" in llama) await llama.dispose();
}
