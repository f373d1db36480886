// What the GPU tests share: whether there is a GPU, the bundled model on it, and a plain float64 Qwen3 to hold results against.
import { closeSync, openSync, readSync } from "node:fs";
import path from "node:path";
import { toAppError } from "../../base/errors.ts";
import { type GgufTensor, readGguf } from "../../models/gguf.ts";
import { type Qwen3Shape, qwen3ShapeOf } from "../../models/qwen3-shape.ts";
import type { Sampling } from "../contract.ts";
import { Device } from "./device.ts";
import { headDim, pageBytes } from "./kernels.ts";
import type { KvType } from "./memory-plan.ts";
import { type BlockType, dequantize, fromHalf, toHalf } from "./reference-quant.ts";
import type { SlotSettings } from "./runner-contract.ts";

export const miniFile = path.join(import.meta.dirname, "../../../models/quern-mini/quern-mini-q4_k_m.gguf");

/** Why GPU tests cannot run here; false when they can. */
export function gpuMissing(): string | false {
  try {
    const { capability, name } = Device.inspect();
    return capability >= 80 ? false : `${name} is too old (compute capability ${capability / 10})`;
  } catch (error) {
    return `no usable NVIDIA GPU: ${toAppError(error).message}`;
  }
}

export const greedy: Sampling = {
  ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
  ...{ penaltyTokens: 0, logitBias: new Map() },
};

export function slotSettings(changes: Partial<SlotSettings> = {}): SlotSettings {
  return { sampling: greedy, seed: 1, drawn: 0, recentTokens: new Int32Array(0), ...changes };
}

/** Seeded uniform numbers in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 13), 0xc2b2ae35) >>> 0;
    z = (z ^ (z >>> 16)) >>> 0;
    return z / 2 ** 32;
  };
}

export function floatsOf(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** What the cache keeps of a token's keys or values, one head after another. */
export function asCached(kvType: KvType, x: Float64Array): Float64Array {
  if (kvType === "f16") return x.map((value) => fromHalf(toHalf(value)));
  const kept = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += headDim) {
    const head = x.subarray(at, at + headDim);
    const scale = fromHalf(toHalf(head.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / 127));
    kept.set(
      head.map((value) => Math.max(-127, Math.min(127, Math.round(value / scale))) * scale),
      at,
    );
  }
  return kept;
}

export interface KeyAndValue {
  key: Float64Array;
  value: Float64Array;
}

/**
 * One page of one KV head, as kernels/kv.cuh and kv_f16.cuh lay it out. A new one is full of what must not matter: scales, and in f16 keys and
 * values, are NaN.
 */
export class KvPage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #kvType: KvType;
  readonly #view: DataView;

  constructor(kvType: KvType, bytes: Uint8Array<ArrayBuffer> = new Uint8Array(pageBytes[kvType]).fill(0x7f)) {
    this.bytes = bytes;
    this.#kvType = kvType;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Writes a random key and value of token `row`; returns what the page then holds, exactly. */
  plant(row: number, random: () => number): KeyAndValue {
    if (this.#kvType === "f16") {
      for (let k = 0; k < headDim; k++) {
        this.#view.setUint16(keyAtF16(row, k), toHalf((random() - 0.5) * 6), true);
        this.#view.setUint16(valueAtF16(row, k), toHalf((random() - 0.5) * 6), true);
      }
    } else {
      this.#view.setUint16(16_384 + row * 2, toHalf(0.005 + random() * 0.02), true);
      this.#view.setUint16(16_512 + row * 2, toHalf(0.002 + random() * 0.02), true);
      for (let k = 0; k < headDim; k++) {
        this.#view.setInt8(keyAtInt8(row, k), Math.round((random() - 0.5) * 254));
        this.#view.setInt8(valueAtInt8(row, k), Math.round((random() - 0.5) * 254));
      }
    }
    return this.read(row);
  }

  read(row: number): KeyAndValue {
    const half = (at: number): number => fromHalf(this.#view.getUint16(at, true));
    const vector = (of: (k: number) => number): Float64Array => Float64Array.from({ length: headDim }, (_, k) => of(k));
    if (this.#kvType === "f16") {
      return { key: vector((k) => half(keyAtF16(row, k))), value: vector((k) => half(valueAtF16(row, k))) };
    }
    const [keyScale, valueScale] = [half(16_384 + row * 2), half(16_512 + row * 2)];
    return {
      key: vector((k) => this.#view.getInt8(keyAtInt8(row, k)) * keyScale),
      value: vector((k) => this.#view.getInt8(valueAtInt8(row, k)) * valueScale),
    };
  }
}

const keyAtInt8 = (row: number, k: number): number => row * headDim + (k ^ ((row & 1) << 6));
const valueAtInt8 = (row: number, k: number): number => 8192 + k * 64 + row;
const inTile = (row: number, column: number): number =>
  row * 128 + (((column >> 3) ^ (row & 7)) << 4) + (column & 7) * 2;
const keyAtF16 = (row: number, k: number): number => (k >> 6) * 8192 + inTile(row, k & 63);
const valueAtF16 = (row: number, k: number): number => 16_384 + inTile(k, row);

/** The plain model: whole context recomputed in float64 from the file's exact weights. */
export class ReferenceModel {
  readonly shape: Qwen3Shape;
  readonly #file: string;
  readonly #cache = new Map<string, Float32Array>();

  constructor(file: string) {
    this.#file = file;
    this.shape = qwen3ShapeOf(readGguf(file));
  }

  weights(tensor: GgufTensor): Float32Array {
    let values = this.#cache.get(tensor.name);
    if (!values) {
      const bytes = new Uint8Array(tensor.byteLength);
      const fd = openSync(this.#file, "r");
      readSync(fd, bytes, 0, bytes.length, tensor.offset);
      closeSync(fd);
      values = dequantize(tensor.type as BlockType, bytes);
      this.#cache.set(tensor.name, values);
    }
    return values;
  }

  /** Residual rows after `layers` layers (all by default), for all tokens. */
  residual(ids: ArrayLike<number>, layers = this.shape.layers): Float64Array[] {
    const { hidden, heads, kvHeads, headDim, feedForward, ropeBase, rmsEpsilon, tensors } = this.shape;
    const embedding = this.weights(tensors.embedding);
    const x = Array.from(ids as ArrayLike<number>, (id) =>
      Float64Array.from(embedding.subarray(id * hidden, (id + 1) * hidden)),
    );
    for (const layer of tensors.layers.slice(0, layers)) {
      const [keys, values]: [Float64Array[], Float64Array[]] = [[], []];
      const [qGain, kGain] = [this.weights(layer.queryNorm), this.weights(layer.keyNorm)];
      for (const [position, row] of x.entries()) {
        const normed = rmsNorm(row, this.weights(layer.attentionNorm), rmsEpsilon);
        const q = product(this.weights(layer.query), normed);
        const k = product(this.weights(layer.key), normed);
        for (let head = 0; head < heads; head++)
          turn(q, head * headDim, { gain: qGain, position, ropeBase, rmsEpsilon });
        for (let head = 0; head < kvHeads; head++)
          turn(k, head * headDim, { gain: kGain, position, ropeBase, rmsEpsilon });
        keys.push(k);
        values.push(product(this.weights(layer.value), normed));
        const attended = attend(q, keys, values, { heads, kvHeads, headDim });
        add(row, product(this.weights(layer.attentionOutput), attended));
        const inner = rmsNorm(row, this.weights(layer.feedForwardNorm), rmsEpsilon);
        const gate = product(this.weights(layer.gate), inner);
        const up = product(this.weights(layer.up), inner);
        const h = new Float64Array(feedForward);
        for (let index = 0; index < feedForward; index++) {
          const g = gate[index] ?? 0;
          h[index] = (g / (1 + Math.exp(-g))) * (up[index] ?? 0);
        }
        add(row, product(this.weights(layer.down), h));
      }
    }
    return x;
  }

  logits(row: Float64Array): Float64Array {
    const { tensors, rmsEpsilon } = this.shape;
    return product(this.weights(tensors.output), rmsNorm(row, this.weights(tensors.outputNorm), rmsEpsilon));
  }
}

export function product(weights: Float32Array, x: ArrayLike<number>): Float64Array {
  const rows = weights.length / x.length;
  const out = new Float64Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = 0;
    for (let k = 0; k < x.length; k++) sum += (weights[at++] ?? 0) * (x[k] ?? 0);
    out[row] = sum;
  }
  return out;
}

export function rmsNorm(x: ArrayLike<number>, gain: ArrayLike<number>, epsilon: number): Float64Array {
  let squares = 0;
  for (let k = 0; k < x.length; k++) squares += (x[k] ?? 0) ** 2;
  const r = 1 / Math.sqrt(squares / x.length + epsilon);
  return Float64Array.from({ length: x.length }, (_, k) => (x[k] ?? 0) * r * (gain[k] ?? 0));
}

/** Norm and RoPE of one head, in place. */
export function turn(
  x: Float64Array,
  at: number,
  {
    gain,
    position,
    ropeBase,
    rmsEpsilon,
  }: { gain: ArrayLike<number>; position: number; ropeBase: number; rmsEpsilon: number },
): void {
  const dim = gain.length;
  const normed = rmsNorm(x.subarray(at, at + dim), gain, rmsEpsilon);
  for (let k = 0; k < dim / 2; k++) {
    const angle = position * ropeBase ** (-k / (dim / 2));
    const [a, b] = [normed[k] ?? 0, normed[k + dim / 2] ?? 0];
    x[at + k] = a * Math.cos(angle) - b * Math.sin(angle);
    x[at + k + dim / 2] = b * Math.cos(angle) + a * Math.sin(angle);
  }
}

/** Attention of the last token over all keys and values so far. */
export function attend(
  q: ArrayLike<number>,
  keys: readonly ArrayLike<number>[],
  values: readonly ArrayLike<number>[],
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
): Float64Array {
  const out = new Float64Array(heads * headDim);
  for (let head = 0; head < heads; head++) {
    const from = Math.floor(head / (heads / kvHeads)) * headDim;
    const scores = keys.map((key) => {
      let sum = 0;
      for (let k = 0; k < headDim; k++) sum += (q[head * headDim + k] ?? 0) * (key[from + k] ?? 0);
      return sum / Math.sqrt(headDim);
    });
    const top = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const exps = scores.map((score) => Math.exp(score - top));
    const total = exps.reduce((a, b) => a + b, 0);
    for (const [token, value] of values.entries()) {
      const p = (exps[token] ?? 0) / total;
      for (let k = 0; k < headDim; k++)
        out[head * headDim + k] = (out[head * headDim + k] ?? 0) + p * (value[from + k] ?? 0);
    }
  }
  return out;
}

function add(target: Float64Array, other: Float64Array): void {
  for (let k = 0; k < target.length; k++) target[k] = (target[k] ?? 0) + (other[k] ?? 0);
}

/** |a - b| / |b|; NaN never passes a comparison. */
export function relativeError(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [difference, length] = [0, 0];
  for (let k = 0; k < wanted.length; k++) {
    difference += ((actual[k] ?? Number.NaN) - (wanted[k] ?? 0)) ** 2;
    length += (wanted[k] ?? 0) ** 2;
  }
  return Math.sqrt(difference / Math.max(length, 1e-30));
}
