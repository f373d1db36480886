// How much context a GPU holds: weights and scratch first, then as many KV pages as fit. Decided before anything is loaded, so that a
// model that does not fit is refused at once, with the numbers and with what would fit.
//
// KV grows linearly with the tokens: two vectors (key, value) per layer and KV head. For Qwen3-4B that is 36 x 8 x 2 x 128 values a
// token: 147,456 bytes in f16, 74,880 in int8 with one f16 scale per vector. 262,144 tokens take 19.6 GB in int8.
import { AppError } from "../../base/errors.ts";
import type { Qwen3Shape } from "../../models/qwen3-shape.ts";

export type KvType = "int8" | "f16";
type KvShape = Pick<Qwen3Shape, "layers" | "kvHeads" | "headDim">;
type ScratchShape = Pick<Qwen3Shape, "hidden" | "feedForward" | "heads" | "kvHeads" | "headDim" | "vocabularyTokens">;

export interface MemoryNeeds {
  shape: KvShape & Pick<Qwen3Shape, "contextTokens">;
  kvType: KvType;
  pageTokens: number;
  /** On the device, repacked. */
  weightBytes: number;
  /** Everything else that is allocated: activations, logits, page tables. */
  scratchBytes: number;
  /** What the driver says is free, with its context already made. */
  freeBytes: number;
  /** Tokens one sequence may hold; 0 takes what the model was trained for, or what fits. */
  contextTokens: number;
  /** Sequences that may run together. Twice the pages of all their contexts are taken at most: as much again for prefixes to keep. */
  parallel: number;
  /** Left free for the driver: modules it loads late, fragmentation, a desktop. */
  reserveBytes?: number;
}

export interface MemoryPlan {
  pages: number;
  contextTokens: number;
  kvBytes: number;
  pageBytes: number;
}

const leastContextTokens = 256;
const usualReserveBytes = 256 * 1024 ** 2;

export function kvBytesPerToken({ layers, kvHeads, headDim }: KvShape, kvType: KvType): number {
  const vectorBytes = kvType === "f16" ? 2 * headDim : headDim + 2;
  return 2 * layers * kvHeads * vectorBytes;
}

/** Pages and context for this memory. Throws AppError `device` with bytes needed and free, and the largest context that would fit. */
export function planMemory(needs: MemoryNeeds): MemoryPlan {
  const { shape, pageTokens, weightBytes, scratchBytes, freeBytes, parallel, reserveBytes = usualReserveBytes } = needs;
  const pageBytes = pageTokens * kvBytesPerToken(shape, needs.kvType);
  const fixedBytes = weightBytes + scratchBytes + reserveBytes;
  const fittingPages = Math.max(0, Math.floor((freeBytes - fixedBytes) / pageBytes));
  const fittingTokens = Math.min(fittingPages * pageTokens, shape.contextTokens);
  const wantedTokens = needs.contextTokens || Math.max(leastContextTokens, fittingTokens);
  if (wantedTokens > shape.contextTokens) {
    throw new AppError(
      "bad_request",
      `A context of ${wantedTokens} tokens is beyond the ${shape.contextTokens} of the model.`,
      {
        param: "context",
        details: { largestContextTokens: fittingTokens },
      },
    );
  }
  const contextPages = Math.ceil(wantedTokens / pageTokens);
  if (contextPages > fittingPages) {
    throw refusal({ wantedTokens, fittingTokens, freeBytes, neededBytes: fixedBytes + contextPages * pageBytes });
  }
  const pages = Math.min(fittingPages, 2 * contextPages * Math.max(1, parallel));
  return { pages, contextTokens: wantedTokens, kvBytes: pages * pageBytes, pageBytes };
}

interface Shortage {
  wantedTokens: number;
  fittingTokens: number;
  neededBytes: number;
  freeBytes: number;
}

function refusal({ wantedTokens, fittingTokens, neededBytes, freeBytes }: Shortage): AppError {
  const fits = fittingTokens >= leastContextTokens;
  return new AppError(
    "device",
    `The GPU has ${gigabytes(freeBytes)} free; the model with a context of ${wantedTokens} tokens needs ${gigabytes(neededBytes)}.`,
    {
      hint: fits
        ? `Start with --context ${fittingTokens} or less, or close what else uses the GPU.`
        : "Close what else uses the GPU, or start with --engine llama.",
      details: { neededBytes, freeBytes, largestContextTokens: fits ? fittingTokens : 0 },
    },
  );
}

/** An upper estimate of what a runner allocates besides weights and KV, for plans made before there is a runner. */
export function estimatedScratchBytes(
  shape: ScratchShape,
  {
    stepTokens,
    slots,
    contextTokens,
    pageTokens,
  }: { stepTokens: number; slots: number; contextTokens: number; pageTokens: number },
): number {
  const { hidden, feedForward, heads, kvHeads, headDim, vocabularyTokens } = shape;
  // Of each position of a step, in f32: the residual twice, Q, K, V and the attention's output, gate and up; and int8 copies of the inputs.
  const activationBytes =
    stepTokens * (4 * (2 * hidden + (2 * heads + 2 * kvHeads) * headDim + 2 * feedForward) + 2 * feedForward);
  const logitBytes = slots * vocabularyTokens * 4 * 2;
  const pageTableBytes = slots * Math.ceil(contextTokens / pageTokens) * 4;
  // Partial results of attention split over the context: at most 64 parts of each head.
  const partialBytes = slots * heads * 64 * (headDim + 2) * 4;
  return activationBytes + logitBytes + pageTableBytes + partialBytes;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
