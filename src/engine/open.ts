// Picks an engine and opens it: the only file that names the engines. `auto` takes cuda where it can run, else llama, and says
// which and why; a GPU that is there but cannot be used is said loudly, never passed over in silence.
import { AppError, toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Embedder, Engine } from "./contract.ts";

/** What an engine is opened with; plain data, so that it can cross to the engine host. */
export interface EngineSettings {
  engine: "auto" | "cuda" | "llama" | "scripted";
  /** The GGUF file; unused by scripted. */
  modelFile: string;
  /** As it is to appear in `/v1/models`. */
  modelId: string;
  isDemonstration: boolean;
  /** Tokens one sequence may hold; 0 picks what model and memory allow. */
  contextTokens: number;
  parallel: number;
  queueLimit: number;
  kvType: "auto" | "f16" | "int8";
  /** CPU threads; 0 picks by the machine. */
  threads: number;
  /** A GGUF for embeddings, run by llama.cpp beside whichever engine. */
  embeddingFile?: string;
  /** Only for scripted: steps a second, instead of as fast as it goes. */
  scriptedTokensPerSecond?: number;
}

export interface OpenEngineOptions extends EngineSettings {
  log: Log;
  /** 0..1 while the model loads. */
  onProgress?: (loaded: number) => void;
}

/** What every engine's own open function takes. */
export interface EngineOptions extends OpenEngineOptions {
  /** Why this engine was picked. */
  reason?: string;
}

/** Opens the engine asked for. Throws AppError: `unreadable` and `not_found` for the file, `unsupported`, `device`. */
export async function openEngine(options: OpenEngineOptions): Promise<Engine> {
  switch (options.engine) {
    case "scripted": {
      const { openScriptedEngine } = await import("./scripted/scripted-engine.ts");
      const { contextTokens, parallel, queueLimit, modelId, scriptedTokensPerSecond } = options;
      return openScriptedEngine({
        contextTokens: contextTokens || 32_768,
        parallel,
        queueLimit,
        model: { id: modelId || "scripted" },
        ...(scriptedTokensPerSecond === undefined ? {} : { tokensPerSecond: scriptedTokensPerSecond }),
      });
    }
    case "cuda": {
      const { openCudaEngine } = await cuda();
      return openCudaEngine(options);
    }
    case "llama": {
      const { openLlamaEngine } = await import("./llama/llama-engine.ts");
      return openLlamaEngine(options);
    }
    case "auto":
      return openPicked(options);
  }
}

/** What `auto` picks from. */
export interface Choices {
  cudaSupport: (modelFile: string) => Promise<CudaSupport>;
  openCuda: (options: EngineOptions) => Promise<Engine>;
  openLlama: (options: EngineOptions) => Promise<Engine>;
}

const realChoices: Choices = {
  cudaSupport: (modelFile) => cudaSupport(modelFile),
  openCuda: async (options) => (await cuda()).openCudaEngine(options),
  openLlama: async (options) => (await import("./llama/llama-engine.ts")).openLlamaEngine(options),
};

/** `choices` for tests: no machine has every GPU and driver. */
export async function openPicked(options: OpenEngineOptions, choices = realChoices): Promise<Engine> {
  const { log } = options;
  let support = await choices.cudaSupport(options.modelFile);
  if (support.ok) {
    const reason = `Picked cuda: ${support.device} can run this model natively.`;
    try {
      const engine = await choices.openCuda({ ...options, reason });
      log.info("engine picked", { engine: "cuda", reason });
      return engine;
    } catch (error) {
      const { code, param, message } = toAppError(error);
      // Some of what keeps a GPU from being used shows only in trying, such as a driver that cannot take the kernels. A setting that this engine
      // lacks is the user's to change, and too little memory comes with what would fit.
      if (code !== "unsupported" || param !== undefined) throw error;
      support = { ok: false, reason: message, gpuPresent: true };
    }
  }
  const reason = support.gpuPresent
    ? `Picked llama (slow): there is an NVIDIA GPU, but it cannot be used: ${support.reason}`
    : `Picked llama: ${support.reason}`;
  if (support.gpuPresent) log.warn("GPU not used", { reason: support.reason });
  else log.info("engine picked", { engine: "llama", reason });
  return choices.openLlama({ ...options, reason });
}

/** Opens a GGUF for embeddings. Throws AppError: `unreadable` and `not_found` for the file, `device`. */
export async function openEmbedder(options: {
  file: string;
  /** 0 picks by the machine. */
  threads: number;
  log: Log;
}): Promise<Embedder & AsyncDisposable> {
  const { openLlamaEmbedder } = await import("./llama/llama-embedder.ts");
  return openLlamaEmbedder(options);
}

/** Whether the native engine can run this file here, and if not, why. */
export async function cudaSupport(modelFile: string): Promise<CudaSupport> {
  return (await cuda()).cudaSupport(modelFile);
}

export type CudaSupport = { ok: true; device: string } | { ok: false; reason: string; gpuPresent: boolean };

interface CudaEngineFile {
  openCudaEngine(options: EngineOptions): Promise<Engine>;
  cudaSupport(modelFile: string): Promise<CudaSupport>;
}

// The native engine is loaded only where it is asked for: the driver library is not touched otherwise. Its file is named through a
// variable because a build may leave it out.
async function cuda(): Promise<CudaEngineFile> {
  const file = new URL("./cuda/open-cuda.ts", import.meta.url).href;
  try {
    return (await import(file)) as CudaEngineFile;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    const reason = "this build has no native engine.";
    return {
      cudaSupport: async () => ({ ok: false, reason, gpuPresent: false }),
      openCudaEngine: async () => {
        throw new AppError("unsupported", `--engine cuda: ${reason}`, { param: "engine", hint: "Use --engine auto." });
      },
    };
  }
}
