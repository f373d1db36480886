// Picks an engine and opens it: the only file that names the engines. `auto` takes cuda where it can run, else llama, and says
// which and why; a GPU that is there but cannot be used is said loudly, never passed over in silence.
import { AppError } from "../base/errors.ts";
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

async function openPicked(options: OpenEngineOptions): Promise<Engine> {
  const { log, modelFile } = options;
  const support = await cudaSupport(modelFile);
  if (support.ok) {
    const { openCudaEngine } = await cuda();
    const reason = `Picked cuda: ${support.device} can run this model natively.`;
    log.info("engine picked", { engine: "cuda", reason });
    return openCudaEngine({ ...options, reason });
  }
  const reason = support.gpuPresent
    ? `Picked llama (slow): there is an NVIDIA GPU, but it cannot be used: ${support.reason}`
    : `Picked llama: ${support.reason}`;
  if (support.gpuPresent) log.warn("GPU not used", { reason: support.reason });
  else log.info("engine picked", { engine: "llama", reason });
  const { openLlamaEngine } = await import("./llama/llama-engine.ts");
  return openLlamaEngine({ ...options, reason });
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
