// All device memory of the engine besides weights: allocated once, because graphs keep addresses. Sizes follow from the model's shape, the
// number of slots, the tokens of a step and the pages of the pool.
import type { Handle } from "./bindings.ts";
import type { Device } from "./device.ts";
import {
  exchangeBytes,
  headDim,
  type KernelShape,
  maxBatch,
  maxBiases,
  maxSplits,
  pageBytes,
  pageTokens,
  recentTokens,
  sampleSlices,
  settingsBytes,
} from "./kernels.ts";
import type { KvType } from "./memory-plan.ts";

export interface WorkspaceSize {
  slots: number;
  stepTokens: number;
  contextTokens: number;
  pages: number;
  layers: number;
  ropeBase: number;
  kvType: KvType;
}

export type Workspace = ReturnType<typeof allocateWorkspace>;

/** Bytes of the workspace without the pages. */
export function workspaceBytes(shape: KernelShape, size: Omit<WorkspaceSize, "pages">): number {
  let bytes = 0;
  layout(shape, { ...size, pages: 0 }, (amount) => {
    bytes += amount;
    return 0;
  });
  return bytes;
}

export function allocateWorkspace(device: Device, shape: KernelShape, size: WorkspaceSize) {
  const all = layout(shape, size, (bytes, about) => device.zeros(bytes, about));
  // theta^(-i / 64) / 2 pi: turns per position of each pair of dimensions.
  const turns = Float64Array.from({ length: 64 }, (_, index) => size.ropeBase ** (-index / 64) / (2 * Math.PI));
  device.fill(all.exchange, 0xff, 2 * size.layers * exchangeBytes(shape));
  return { ...all, turns: device.upload(turns, "rope") };
}

function layout(shape: KernelShape, size: WorkspaceSize, take: (bytes: number, about: string) => Handle) {
  const { hidden, feedForward, heads, kvHeads, vocabularyTokens } = shape;
  const { slots, stepTokens } = size;
  const queryRows = heads * headDim;
  const qkvRows = queryRows + 2 * kvHeads * headDim;
  const poolLayerBytes = size.pages * kvHeads * pageBytes[size.kvType];
  const tableStride = Math.ceil(size.contextTokens / pageTokens) + 1;
  const q8 = (inputs: number, about: string) => ({
    values: take(maxBatch * inputs, about),
    scales: take((maxBatch * inputs) / 4, about),
  });
  // Hopper's products read whole tiles of up to 128 tokens.
  const tiled = Math.ceil(stepTokens / 128) * 128;
  const planes = (inputs: number, rows: number, about: string): Handle =>
    take((inputs / 512) * maxBatch * rows * 4, about);
  return {
    pool: take(size.layers * poolLayerBytes, "KV pages"),
    poolLayerBytes,
    tableStride,
    pageTable: take(slots * tableStride * 4, "page tables"),
    slotToken: take(slots * 4, "slots"),
    slotPosition: take(slots * 4, "slots"),
    settings: take(slots * settingsBytes, "slots"),
    recent: take(slots * recentTokens * 4, "slots"),
    biasIds: take(slots * maxBiases * 4, "slots"),
    biasValues: take(slots * maxBiases * 4, "slots"),
    // One sequence: residual twice (each kernel that adds writes the other), products in two planes.
    x: [take(maxBatch * hidden * 4, "residual"), take(maxBatch * hidden * 4, "residual")] as const,
    single: {
      qkv: take(2 * qkvRows * 4, "planes"),
      output: take(2 * hidden * 4, "planes"),
      down: take(2 * hidden * 4, "planes"),
      h: take(feedForward * 2, "activations"),
    },
    batch: {
      qkv: planes(hidden, qkvRows, "planes"),
      output: planes(queryRows, hidden, "planes"),
      gateUp: planes(hidden, 2 * feedForward, "planes"),
      down: planes(feedForward, hidden, "planes"),
      normed: q8(hidden, "activations"),
      h: q8(feedForward, "activations"),
    },
    attention: q8(queryRows, "activations"),
    partials: take(maxBatch * kvHeads * maxSplits * (4 * headDim + 8) * 4, "attention"),
    tickets: take(maxBatch * kvHeads * 4, "attention"),
    logits: take(maxBatch * vocabularyTokens * 4, "logits"),
    slices: take(maxBatch * sampleSlices * 16, "logits"),
    masks: take(maxBatch * Math.ceil(vocabularyTokens / 32) * 4, "grammar masks"),
    changed: take(maxBatch * (recentTokens + maxBiases) * 8, "sampling"),
    counter: take(8, "sampling"),
    /** decode_layers: two halves of what blocks tell each other, empty (all ones) at the start, and how many steps there were. */
    exchange: take(2 * size.layers * exchangeBytes(shape), "exchange"),
    steps: take(4, "exchange"),
    /** Of each KV head's splits but the newest: four heads' values, maxima and sums, each float with a tag. */
    told: take(kvHeads * maxSplits * 4 * 8 * (headDim + 2), "exchange"),
    /** Slot and mask flag of each sequence in the decode batch; then the same, and a position, for prompts that sample. */
    batchSlot: take(maxBatch * 4, "batch"),
    batchMask: take(maxBatch * 4, "batch"),
    promptSlot: take(maxBatch * 4, "batch"),
    promptMask: take(maxBatch * 4, "batch"),
    promptPosition: take(maxBatch * 4, "batch"),
    promptRow: take(maxBatch * 4, "batch"),
    prompt: {
      tokens: take(stepTokens * 4, "prompt"),
      slots: take(stepTokens * 4, "prompt"),
      positions: take(stepTokens * 4, "prompt"),
      blocks: take((Math.ceil(stepTokens / 32) + slots) * 16, "prompt"),
      x: take(stepTokens * hidden * 4, "prompt"),
      normed: take(tiled * hidden * 2, "prompt"),
      qkv: take(stepTokens * qkvRows * 4, "prompt"),
      q: take(stepTokens * queryRows * 2, "prompt"),
      attended: take(tiled * queryRows * 2, "prompt"),
      h: take(tiled * feedForward * 2, "prompt"),
      /** What attention keeps of a token's splits until they are added up, per query head: output, maximum, sum. */
      partials: take(stepTokens * heads * (headDim + 4) * 4, "prompt attention"),
      partialTokens: stepTokens,
    },
  };
}
