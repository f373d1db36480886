// Opens the native engine: GPU, kernels, memory plan, weights, graphs, then the scheduler over them. Everything that can be refused is refused
// before the weights are read; everything slow happens before the engine says it is ready.
import { AppError, toAppError } from "../../base/errors.ts";
import { readGguf } from "../../models/gguf.ts";
import { modelFactsOf } from "../../models/inspect-model.ts";
import { type Qwen3Shape, qwen3ShapeOf } from "../../models/qwen3-shape.ts";
import { openTokenizer } from "../../models/tokenizer.ts";
import type { Engine } from "../contract.ts";
import type { CudaSupport, EngineOptions } from "../open.ts";
import { queryBlockTokens } from "./attention-plan.ts";
import { openEngineOverRunner } from "./cuda-engine.ts";
import { Device, type DeviceFacts } from "./device.ts";
import { openGrammars } from "./grammar.ts";
import {
  hasWgmma,
  type KernelShape,
  kernelFiles,
  kernelShapeOf,
  leastCapability,
  maxBatch,
  pageTokens,
} from "./kernels.ts";
import { type KvType, planMemory } from "./memory-plan.ts";
import { CudaRunner } from "./runner.ts";
import { loadWeights, weightBytesOf } from "./weights.ts";
import { workspaceBytes } from "./workspace.ts";

/**
 * Prompt tokens of one step: large enough to fill the GPU, small enough that others' tokens wait for a tenth of a second at most. On Hopper blocks of
 * attention for eight KV heads fill the multiprocessors six times, without a rest.
 */
function stepTokensOf({ capability, multiprocessors }: DeviceFacts): number {
  if (!hasWgmma(capability)) return capability >= 90 ? 4096 : 2048;
  return Math.floor((6 * multiprocessors) / 8) * queryBlockTokens;
}

function refuseOldGpu({ name, capability }: DeviceFacts): void {
  if (capability >= leastCapability) return;
  const version = (value: number): string => `${Math.floor(value / 10)}.${value % 10}`;
  throw new AppError(
    "unsupported",
    `${name} has compute capability ${version(capability)}; the native engine needs ${version(leastCapability)} or newer.`,
    { hint: "Start with --engine llama." },
  );
}

/** Whether the native engine can run this file here, and if not, why. */
export async function cudaSupport(modelFile: string): Promise<CudaSupport> {
  let facts: DeviceFacts;
  try {
    facts = Device.inspect();
  } catch (error) {
    const { code, message } = toAppError(error);
    return { ok: false, reason: message, gpuPresent: code === "device" };
  }
  try {
    refuseOldGpu(facts);
    kernelFiles(kernelShapeOf(qwen3ShapeOf(readGguf(modelFile))), facts.capability);
    return { ok: true, device: facts.name };
  } catch (error) {
    return { ok: false, reason: toAppError(error).message, gpuPresent: true };
  }
}

export interface OpenedRunner {
  runner: CudaRunner;
  device: Device;
  shape: Qwen3Shape;
  kernels: KernelShape;
}

export interface RunnerOptions {
  modelFile: string;
  contextTokens: number;
  parallel: number;
  /** int8 where it is left out. */
  kvType?: KvType;
  onProgress?: ((loaded: number) => void) | undefined;
  /** Leaves at most so many bytes of the GPU to the engine: to show what a smaller card holds. */
  memoryBytes?: number;
  /** Takes the GPU for one of this compute capability: to try the portable kernels on a newer one. */
  capability?: number;
  /** false: the first steps make what they need, as tests of single kernels want it. */
  isWarmedUp?: boolean;
}

/** Everything up to the scheduler: also what bench and GPU tests stand on. The runner owns the device. */
export async function openCudaRunner(options: RunnerOptions): Promise<OpenedRunner> {
  const gguf = readGguf(options.modelFile);
  const shape = qwen3ShapeOf(gguf);
  const kernels = kernelShapeOf(shape);
  const device = Device.open({ capability: options.capability });
  try {
    refuseOldGpu(device.facts);
    for (const file of kernelFiles(kernels, device.facts.capability)) device.loadKernels(file);
    const stepTokens = stepTokensOf(device.facts);
    const slots = Math.min(maxBatch, Math.max(1, options.parallel));
    const contextTokens = options.contextTokens || shape.contextTokens;
    const { kvType = "int8" } = options;
    const size = { slots, stepTokens, layers: shape.layers, ropeBase: shape.ropeBase, kvType };
    const used = device.facts.totalBytes - device.facts.freeBytes;
    const freeBytes = options.memoryBytes
      ? Math.min(device.facts.freeBytes, options.memoryBytes - used)
      : device.facts.freeBytes;
    const plan = planMemory({
      ...{ shape, kvType, pageTokens, freeBytes, parallel: slots, contextTokens: options.contextTokens },
      weightBytes: weightBytesOf(shape),
      scratchBytes: workspaceBytes(kernels, { ...size, contextTokens }) + 4 * 32 * 1024 * 1024,
    });
    const { onProgress } = options;
    const weights = await loadWeights(device, { file: options.modelFile, shape, onProgress });
    const runner = new CudaRunner({
      ...{ device, shape: kernels, weights, ...size, epsilon: shape.rmsEpsilon },
      ...{ contextTokens: plan.contextTokens, pages: plan.pages },
    });
    if (options.isWarmedUp !== false) await runner.warmUp();
    return { runner, device, shape, kernels };
  } catch (error) {
    device[Symbol.dispose]();
    throw error;
  }
}

/** Opens the native engine. Throws AppError `unsupported`, `device`, `unreadable`, `not_found`. */
export async function openCudaEngine(options: EngineOptions): Promise<Engine> {
  const { modelFile, contextTokens, parallel, queueLimit, log, onProgress } = options;
  const kvType = options.kvType === "auto" ? "int8" : options.kvType;
  const started = performance.now();
  const gguf = readGguf(modelFile);
  const tokenizer = openTokenizer(gguf.metadata);
  const opened = await openCudaRunner({ modelFile, contextTokens, parallel, kvType, onProgress });
  const facts = modelFactsOf(gguf);
  log.info("native engine ready", {
    device: opened.device.facts.name,
    seconds: (performance.now() - started) / 1000,
    kvType,
    pages: opened.runner.limits.pages,
    contextTokens: opened.runner.limits.contextTokens,
  });
  return openEngineOverRunner({
    runner: opened.runner,
    tokenizer,
    model: { ...facts, id: options.modelId, isDemonstration: options.isDemonstration },
    grammars: openGrammars({ tokenizer, stopTokenIds: facts.eosTokenIds, isWarm: true, log }),
    ...{ parallel, queueLimit, log, reason: options.reason },
  });
}
