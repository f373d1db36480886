// Which kernels serve which model, how much shared memory each asks for, and how a matrix's work is dealt over the GPU. The sizes here mirror
// kernels/*.cu; a kernel that disagrees fails its test.
import { existsSync } from "node:fs";
import path from "node:path";
import { AppError } from "../../base/errors.ts";
import type { Qwen3Shape } from "../../models/qwen3-shape.ts";
import type { KvType } from "./memory-plan.ts";

/** What specialises the kernels: a pair of PTX files each, prompts' kernels and all others. */
export interface KernelShape {
  name: string;
  hidden: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  vocabularyTokens: number;
}

export const kernelShapes: readonly KernelShape[] = [
  { name: "quern-mini", hidden: 512, feedForward: 1536, heads: 4, kvHeads: 1, vocabularyTokens: 14_336 },
  { name: "qwen3-4b", hidden: 2560, feedForward: 9728, heads: 32, kvHeads: 8, vocabularyTokens: 151_936 },
];

export const headDim = 128;
export const pageTokens = 64;
/** One page of one KV head in one layer: keys, values and, in int8, their scales. */
export const pageBytes: Readonly<Record<KvType, number>> = { int8: 16_640, f16: 32_768 };
export const maxBatch = 32;
export const sampleSlices = 128;
export const recentTokens = 4096;
export const maxBiases = 1024;
export const settingsBytes = 64;
export const resultBytes = 176;
export const maxSplits = 16;
/** Threads of gemv_w4a8 and of the norms that must round like it. */
export const gemvThreads = 512;

/** Batch sizes that have a graph, with the columns of their matrix products. */
export const buckets = [
  { batch: 1, columns: 1, tiles: 0 },
  { batch: 2, columns: 8, tiles: 1 },
  { batch: 4, columns: 8, tiles: 1 },
  { batch: 8, columns: 8, tiles: 1 },
  { batch: 16, columns: 16, tiles: 2 },
  { batch: 32, columns: 32, tiles: 4 },
] as const;
export type Bucket = (typeof buckets)[number];

export const leastCapability = 80;

/** The kernels' shape for a model. Throws AppError `unsupported` that says what is supported. */
export function kernelShapeOf(model: Qwen3Shape): KernelShape {
  const found = kernelShapes.find(
    (shape) =>
      shape.hidden === model.hidden &&
      shape.feedForward === model.feedForward &&
      shape.heads === model.heads &&
      shape.kvHeads === model.kvHeads &&
      shape.vocabularyTokens === model.vocabularyTokens &&
      model.headDim === headDim,
  );
  const refuse = (problem: string): never => {
    throw new AppError("unsupported", `The native engine cannot run this model: ${problem}.`, {
      hint: "It runs Q4_K_M files of Qwen3-4B (such as Qwen3-4B-Instruct-2507) and of quern-mini; --engine llama runs others.",
    });
  };
  if (!found) {
    return refuse(
      `hidden ${model.hidden}, feed-forward ${model.feedForward}, ${model.heads}/${model.kvHeads} heads of ${model.headDim}, ${model.vocabularyTokens} tokens is not a shape it was built for`,
    );
  }
  const { tensors } = model;
  if (!model.isOutputTied) refuse("its output matrix is not the embedding");
  const wants = (name: string, type: string, ...allowed: string[]): void => {
    if (!allowed.includes(type)) refuse(`${name} is ${type} where ${allowed.join(" or ")} is needed (Q4_K_M)`);
  };
  wants(tensors.embedding.name, tensors.embedding.type, "Q6_K");
  wants(tensors.outputNorm.name, tensors.outputNorm.type, "F32");
  for (const layer of tensors.layers) {
    for (const tensor of [layer.query, layer.key, layer.attentionOutput, layer.gate, layer.up]) {
      wants(tensor.name, tensor.type, "Q4_K");
    }
    for (const tensor of [layer.value, layer.down]) wants(tensor.name, tensor.type, "Q4_K", "Q6_K");
    for (const tensor of [layer.attentionNorm, layer.feedForwardNorm, layer.queryNorm, layer.keyNorm]) {
      wants(tensor.name, tensor.type, "F32");
    }
  }
  return found;
}

/** Whether a GPU runs the kernels that only Hopper has: wgmma is gone from what came later. */
export const hasWgmma = (capability: number): boolean => capability === 90;

/** The PTX for a shape on a GPU: Hopper's own where it fits, else the portable one. */
export function kernelFiles(shape: KernelShape, capability: number): string[] {
  const wanted = [capability >= 90 ? "sm_90" : "sm_80", hasWgmma(capability) ? "prefill.sm_90a" : "prefill.sm_80"];
  return wanted.map((name) => {
    const file = path.join(import.meta.dirname, "../../../kernels/ptx", `${shape.name}.${name}.ptx`);
    if (existsSync(file)) return file;
    throw new AppError("unsupported", `The kernels for ${shape.name} (${name}) are not built.`, {
      hint: "Run `npm run kernels` (it needs nvcc), or start with --engine llama.",
    });
  });
}

/** Machine code of a PTX file, gzipped: a quarter of it. */
export const compiledName = (ptx: string): string => ptx.replace(/\.ptx$/, ".cubin.gz");

export type Quantisation = "q4" | "q6";
export const unitBytes = { q4: 2304, q6: 3360 } as const;
const segmentUnits = 2;

/** A matrix as the kernels see it: row tiles of 16, part a of one type and perhaps a part b of another. */
export interface MatrixPlan {
  inputs: number;
  tilesA: number;
  typeA: Quantisation;
  tilesB: number;
  typeB: Quantisation;
}

export const segmentsOf = ({ inputs }: Pick<MatrixPlan, "inputs">): number => inputs / 256 / segmentUnits;

/** Per block of gemv_w4a8, segments [from, to) of part a and of part b; per row tile, the segment where its second plane begins. */
export interface Deal {
  ranges: Int32Array<ArrayBuffer>;
  splits: Uint8Array<ArrayBuffer>;
  blocks: number;
  /** The most segments a block has: its results take 64 bytes each of shared memory. */
  mostSegments: number;
}

/**
 * Deals a matrix's segments over blocks so that all read about the same bytes. Part b goes by whole tiles; part a by segments, so a tile may
 * end in the next block (never in a third), or, with `whole`, by whole tiles. The first `busy` blocks have three fifths of a share, if there is no part b.
 */
export function dealSegments(
  plan: MatrixPlan,
  { blocks, whole, busy = 0 }: { blocks: number; whole: boolean; busy?: number },
): Deal {
  const segments = segmentsOf(plan);
  const tiles = plan.tilesA + plan.tilesB;
  const bytesA = plan.tilesA * segments * unitBytes[plan.typeA];
  const bytesB = plan.tilesB * segments * unitBytes[plan.typeB];
  const share = (bytesA + bytesB) / blocks;
  const ranges = new Int32Array(blocks * 4);
  const splits = new Uint8Array(tiles).fill(segments);
  const tilesOfB = (block: number): number => Math.floor((block * plan.tilesB) / blocks);
  const sharesBefore = (block: number): number => block - 0.4 * Math.min(block, busy);
  const room = Array.from({ length: blocks }, (_, block) => {
    const count = tilesOfB(block + 1) - tilesOfB(block);
    return Math.max(0, share - count * segments * unitBytes[plan.typeB]);
  });
  const allRoom = room.reduce((sum, value) => sum + value, 0);
  let before = 0;
  let from = 0;
  let mostSegments = 0;
  for (let block = 0; block < blocks; block++) {
    before += room[block] ?? 0;
    const grain = whole ? segments : 1;
    const last = block === blocks - 1;
    // Without a part b the types do not matter, and must not: matrices of both write the same planes.
    const done = plan.tilesB === 0 ? sharesBefore(block + 1) / sharesBefore(blocks) : before / allRoom;
    const to = last
      ? plan.tilesA * segments
      : Math.min(plan.tilesA * segments, Math.round((done * plan.tilesA * segments) / grain) * grain);
    // A tile that began in the block before must end here, else it would need a third plane.
    const until = Math.max(
      from,
      !last && from % segments !== 0 ? Math.max(to, Math.ceil(from / segments) * segments) : to,
    );
    const fromB = tilesOfB(block) * segments;
    const toB = tilesOfB(block + 1) * segments;
    ranges.set([from, until, fromB, toB], block * 4);
    mostSegments = Math.max(mostSegments, until - from + toB - fromB);
    if (until % segments !== 0) splits[Math.floor(until / segments)] = until % segments;
    from = until;
  }
  return { ranges, splits, blocks, mostSegments };
}

/** Shared memory of a gemv_w4a8 kernel. */
export function gemvSharedBytes(plan: MatrixPlan, { mostSegments }: Deal, { isHopper }: { isHopper: boolean }): number {
  const slot = Math.max(unitBytes[plan.typeA], plan.tilesB ? unitBytes[plan.typeB] : 0);
  const depth = isHopper || slot <= 3000 ? 2 : 1;
  const warps = gemvThreads / 32;
  return warps * depth * (slot + 8) + plan.inputs + (plan.inputs / 32) * 8 + warps * 4 + mostSegments * 64;
}

/** Threads of decode_layers: eight warps that compute and one that fetches. */
export const persistentThreads = 288;
export const mostPersistentLayers = 36;

/** Shared memory of decode_layers: five slots of weights a computing warp, activations, the residual stream, attention and tables. */
export const persistentSharedBytes = ({ feedForward, hidden }: KernelShape): number =>
  8 * 5 * 2 * unitBytes.q4 + feedForward + feedForward / 4 + 4 * hidden + 24 * 1024;
/** Segments of a matrix whose results a block of decode_layers has room for; as many as a tile has are left for loose rows. */
export const mostPersistentSegments = 152;

/**
 * The row tile of gate and up from which on decode_layers deals rows, two of h a block: whole tiles rarely come out even, and one that a few blocks have
 * more keeps all others waiting. The number of tiles where so many would be over that a block had more than two rows.
 */
export function firstLooseTile({ tilesA }: Pick<MatrixPlan, "tilesA">, blocks: number): number {
  const even = Math.floor(tilesA / blocks) * blocks;
  return (tilesA - even) * 4 <= blocks ? even : tilesA;
}

/** What the blocks of decode_layers tell each other in one layer. */
export function exchangeBytes({ hidden, feedForward, heads, kvHeads }: KernelShape): number {
  const queryRows = heads * headDim;
  return 4 * (queryRows + 2 * kvHeads * headDim) + queryRows + queryRows / 4 + 16 * hidden + 2 * feedForward;
}

/** Shared memory of a gemm_batch_w4a8 kernel. */
export function batchSharedBytes(plan: MatrixPlan, { tiles }: Bucket, { isHopper }: { isHopper: boolean }): number {
  const slot = segmentUnits * Math.max(unitBytes[plan.typeA], plan.tilesB ? unitBytes[plan.typeB] : 0);
  const hopperDepth = tiles === 1 ? (slot > 5000 ? 1 : 2) : tiles === 4 || slot > 5000 ? 2 : 3;
  const depth = isHopper ? hopperDepth : 1;
  const columns = tiles * 8;
  const scaleBytes = isHopper ? 8 * segmentUnits * 8 * 16 * 8 : 0; // of each warp's segment
  return 8 * depth * slot + 2 * segmentUnits * columns * (256 + 64) + scaleBytes + 8 * depth * 8 + 16;
}

/** The blocks of norm_quantise_cluster that share a sequence, and their threads. */
export const normClusterBlocks = 4;
export const normClusterThreads = ({ hidden }: KernelShape): number => 32 * Math.ceil(hidden / 256 / normClusterBlocks);

/** Of each of four warps a page in int8, or two quarters of a page in f16. */
export const attentionSharedBytes: Readonly<Record<KvType, number>> = {
  int8: 4 * pageBytes.int8,
  f16: 4 * 2 * (pageBytes.f16 / 4),
};
/** A kernel that reads or writes the KV cache, by the cache's type. */
export const kvKernel = (name: string, kvType: KvType): string => (kvType === "f16" ? `${name}_f16` : name);

export const sampleSharedBytes = 46 * 1024;
