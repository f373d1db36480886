// GGUF weights to the GPU: the file streams through a few pinned buffers, and a kernel reorders each piece into tiles (kernels/tiles.cuh) while
// the next ones are read and copied. Nothing of the file is held on the host. Norm gains stay f32.
import { type FileHandle, open } from "node:fs/promises";
import type { GgufTensor } from "../../models/gguf.ts";
import type { Qwen3Shape } from "../../models/qwen3-shape.ts";
import type { Handle } from "./bindings.ts";
import type { Device } from "./device.ts";
import { type Quantisation, unitBytes } from "./kernels.ts";
import { i32, struct } from "./launch.ts";

export interface LayerWeights {
  attentionNorm: Handle;
  queryNorm: Handle;
  keyNorm: Handle;
  feedForwardNorm: Handle;
  /** Query, key, value rows; values follow in their own type. */
  qkv: Handle;
  value: Handle;
  valueType: Quantisation;
  attentionOutput: Handle;
  gateUp: Handle;
  down: Handle;
  downType: Quantisation;
}

export interface Weights {
  bytes: number;
  /** Embedding and LM head. */
  embedding: Handle;
  outputNorm: Handle;
  layers: readonly LayerWeights[];
}

const slotBytes = 32 * 1024 * 1024;
const slotCount = 4;
const readBytes = 8 * 1024 * 1024;

export const quantisationOf = (tensor: GgufTensor): Quantisation => (tensor.type === "Q6_K" ? "q6" : "q4");
const blockBytes = { q4: 144, q6: 210 } as const;

export function tiledBytes(tensor: GgufTensor): number {
  const [inputs = 0, rows = 0] = tensor.dimensions;
  return ((rows * inputs) / 4096) * unitBytes[quantisationOf(tensor)];
}

/** Bytes that the weights of a model take on the device. */
export function weightBytesOf({ tensors }: Qwen3Shape): number {
  const matrices = tensors.layers.flatMap((layer) => [
    ...[layer.query, layer.key, layer.value, layer.attentionOutput, layer.gate, layer.up, layer.down],
  ]);
  const norms = tensors.layers.flatMap((layer) => [
    ...[layer.attentionNorm, layer.queryNorm, layer.keyNorm, layer.feedForwardNorm],
  ]);
  return (
    [...matrices, tensors.embedding].reduce((sum, tensor) => sum + tiledBytes(tensor), 0) +
    [...norms, tensors.outputNorm].reduce((sum, tensor) => sum + tensor.byteLength, 0)
  );
}

/** Rows [row, row + rows) of one matrix, or of two that interleave by eight, on their way into tiles. */
interface Piece {
  sources: readonly { offset: number; bytes: number }[];
  target: Handle;
  type: Quantisation;
  inputs: number;
  firstTile: number;
  tiles: number;
}

function piecesOf(target: Handle, tensors: readonly GgufTensor[], firstTile = 0): Piece[] {
  const [first] = tensors;
  if (!first) return [];
  const [inputs = 0, rows = 0] = first.dimensions;
  const type = quantisationOf(first);
  const rowBytes = (inputs / 256) * blockBytes[type];
  const rowsPerTile = 16 / tensors.length;
  const tilesPerPiece = Math.floor(slotBytes / (rowBytes * 16));
  const tiles = rows / rowsPerTile;
  return Array.from({ length: Math.ceil(tiles / tilesPerPiece) }, (_, index) => {
    const from = index * tilesPerPiece;
    const count = Math.min(tilesPerPiece, tiles - from);
    const sources = tensors.map((tensor) => ({
      offset: tensor.offset + from * rowsPerTile * rowBytes,
      bytes: count * rowsPerTile * rowBytes,
    }));
    return { sources, target, type, inputs, firstTile: firstTile + from, tiles: count };
  });
}

/** Loads a model's weights. `onProgress` hears 0..1. Throws AppError `device`, or the file system's error. */
export async function loadWeights(
  device: Device,
  { file, shape, onProgress }: { file: string; shape: Qwen3Shape; onProgress?: ((loaded: number) => void) | undefined },
): Promise<Weights> {
  const { tensors } = shape;
  await using handle = await open(file, "r");
  const pieces: Piece[] = [];
  const matrix = (about: string, ...parts: GgufTensor[]): Handle => {
    const address = device.alloc(
      parts.reduce((sum, tensor) => sum + tiledBytes(tensor), 0),
      about,
    );
    return address;
  };
  const norm = async (tensor: GgufTensor): Promise<Handle> => {
    const bytes = new Uint8Array(tensor.byteLength);
    await handle.read(bytes, 0, bytes.length, tensor.offset);
    return device.upload(bytes, tensor.name);
  };
  const embedding = matrix("embedding", tensors.embedding);
  pieces.push(...piecesOf(embedding, [tensors.embedding]));
  const layers: LayerWeights[] = [];
  for (const [index, layer] of tensors.layers.entries()) {
    const qkv = matrix(`layer ${index} qkv`, layer.query, layer.key, layer.value);
    const queryTiles = (layer.query.dimensions[1] ?? 0) / 16;
    const value = qkv + tiledBytes(layer.query) + tiledBytes(layer.key);
    const attentionOutput = matrix(`layer ${index} output`, layer.attentionOutput);
    const gateUp = matrix(`layer ${index} gate and up`, layer.gate, layer.up);
    const down = matrix(`layer ${index} down`, layer.down);
    pieces.push(
      ...piecesOf(qkv, [layer.query]),
      ...piecesOf(qkv, [layer.key], queryTiles),
      ...piecesOf(value, [layer.value]),
      ...piecesOf(attentionOutput, [layer.attentionOutput]),
      ...piecesOf(gateUp, [layer.gate, layer.up]),
      ...piecesOf(down, [layer.down]),
    );
    layers.push({
      attentionNorm: await norm(layer.attentionNorm),
      queryNorm: await norm(layer.queryNorm),
      keyNorm: await norm(layer.keyNorm),
      feedForwardNorm: await norm(layer.feedForwardNorm),
      qkv,
      value,
      valueType: quantisationOf(layer.value),
      attentionOutput,
      gateUp,
      down,
      downType: quantisationOf(layer.down),
    });
  }
  const outputNorm = await norm(tensors.outputNorm);
  await stream(device, handle, pieces, onProgress);
  return { bytes: weightBytesOf(shape), embedding, outputNorm, layers };
}

/** Reads, copies and reorders the pieces; `slotCount` of them are on their way at a time. */
async function stream(
  device: Device,
  handle: FileHandle,
  pieces: readonly Piece[],
  onProgress: ((loaded: number) => void) | undefined,
): Promise<void> {
  const totalBytes = pieces.reduce((sum, { sources }) => sum + sources.reduce((all, { bytes }) => all + bytes, 0), 0);
  let doneBytes = 0;
  let next = 0;
  const work = async (): Promise<void> => {
    const host = device.host(slotBytes, "reading weights");
    const staging = device.alloc(slotBytes, "reading weights");
    for (let piece = pieces[next++]; piece; piece = pieces[next++]) {
      let at = 0;
      for (const source of piece.sources) {
        await readAll(handle, host.bytes.subarray(at, at + source.bytes), source.offset);
        at += source.bytes;
      }
      device.toDevice(staging, host.address, at);
      repack(device, piece, staging);
      await device.passed(device.mark());
      doneBytes += at;
      onProgress?.(doneBytes / totalBytes);
    }
    device.free(staging);
    device.freeHost(host);
  };
  await Promise.all(Array.from({ length: slotCount }, work));
}

async function readAll(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  const parts = Array.from({ length: Math.ceil(bytes.length / readBytes) }, (_, index) => index * readBytes);
  await Promise.all(
    parts.map(async (from) => {
      const to = Math.min(bytes.length, from + readBytes);
      for (let at = from; at < to; ) {
        const { bytesRead } = await handle.read(bytes, at, to - at, offset + at);
        if (bytesRead === 0) throw new Error("The weight file ended early.");
        at += bytesRead;
      }
    }),
  );
}

function repack(device: Device, piece: Piece, staging: Handle): void {
  const units = piece.inputs / 256;
  const isPair = piece.sources.length === 2;
  const rowBytes = units * blockBytes[piece.type];
  const second = isPair ? staging + (piece.sources[0]?.bytes ?? 0) : staging + 8 * rowBytes;
  device
    .kernel(`repack_${piece.type}`)
    .launch({ grid: [piece.tiles * units], block: 256 }, [
      struct([staging, second, piece.target], [i32(units), i32(isPair ? 8 : 16), i32(piece.firstTile)]),
    ]);
}
