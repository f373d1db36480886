// GGUF's block formats in plain arithmetic: what the repacking kernels and matrix products are held to, never used on the way to an
// answer. Each value is computed as ggml computes it, in float32, in its order; for Q4_K, Q8_0 and Q6_K all products are exact in
// float32 (11 bits of half precision times at most 6 + 4, 8, or 8 + 5 bits), so that only Q4_K's last subtraction rounds.
//
// The quantisers make test files: they round to the nearest step of a scale that spans the values, without llama.cpp's search for a
// better scale.
import { AppError } from "../../base/errors.ts";

/** Values and bytes of one block. A row of a tensor is a whole number of blocks, rows are stored one after the other. */
export const blockShapes = {
  F32: { values: 1, bytes: 4 },
  F16: { values: 1, bytes: 2 },
  Q8_0: { values: 32, bytes: 34 },
  Q4_K: { values: 256, bytes: 144 },
  Q6_K: { values: 256, bytes: 210 },
} as const;

export type BlockType = keyof typeof blockShapes;

/** float32 values of a stretch of whole blocks. Throws AppError `unreadable` when the bytes are no whole number of blocks. */
export function dequantize(type: BlockType, bytes: Uint8Array): Float32Array {
  const shape = blockShapes[type];
  const blocks = bytes.length / shape.bytes;
  if (!Number.isInteger(blocks)) {
    throw new AppError(
      "unreadable",
      `${bytes.length} bytes are no whole number of ${type} blocks of ${shape.bytes} bytes.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const out = new Float32Array(blocks * shape.values);
  for (let block = 0; block < blocks; block++) {
    readers[type](view, block * shape.bytes, out.subarray(block * shape.values, (block + 1) * shape.values));
  }
  return out;
}

type Reader = (view: DataView, at: number, out: Float32Array) => void;

const readers: Record<BlockType, Reader> = {
  F32: (view, at, out) => {
    out[0] = view.getFloat32(at, true);
  },
  F16: (view, at, out) => {
    out[0] = fromHalf(view.getUint16(at, true));
  },
  Q8_0: (view, at, out) => {
    const scale = fromHalf(view.getUint16(at, true));
    for (let index = 0; index < 32; index++) out[index] = Math.fround(scale * view.getInt8(at + 2 + index));
  },
  Q4_K: readQ4K,
  Q6_K: readQ6K,
};

/** d, dmin: half; 12 bytes of 6-bit scales and minima; 128 bytes of quants. x = d * scale * q - dmin * min. */
function readQ4K(view: DataView, at: number, out: Float32Array): void {
  const d = fromHalf(view.getUint16(at, true));
  const dmin = fromHalf(view.getUint16(at + 2, true));
  for (let sub = 0; sub < 8; sub++) {
    const [scale, minimum] = scaleOfQ4K(view, at + 4, sub);
    const step = Math.fround(d * scale);
    const offset = Math.fround(dmin * minimum);
    // 32 bytes carry two sub-blocks: the even one in the low halves, the odd one in the high halves.
    const quants = at + 16 + 32 * (sub >> 1);
    for (let index = 0; index < 32; index++) {
      const byte = view.getUint8(quants + index);
      const quant = sub % 2 === 0 ? byte & 15 : byte >> 4;
      out[32 * sub + index] = Math.fround(Math.fround(step * quant) - offset);
    }
  }
}

/** Six bits each: the first four pairs are the low bits of bytes 0..3 and 4..7, the last four share bytes 8..11 and the tops of 0..7. */
function scaleOfQ4K(view: DataView, scales: number, sub: number): [scale: number, minimum: number] {
  const byte = (index: number): number => view.getUint8(scales + index);
  if (sub < 4) return [byte(sub) & 63, byte(sub + 4) & 63];
  return [(byte(sub + 4) & 15) | ((byte(sub - 4) >> 6) << 4), (byte(sub + 4) >> 4) | ((byte(sub) >> 6) << 4)];
}

/** 128 bytes of low four bits, 64 of high two bits, 16 signed scales (one per 16 values), d: half. x = d * scale * (q - 32). */
function readQ6K(view: DataView, at: number, out: Float32Array): void {
  const d = fromHalf(view.getUint16(at + 208, true));
  for (let index = 0; index < 256; index++) {
    const { low, lowShift, high, highShift } = placeInQ6K(index);
    const quant = ((view.getUint8(at + low) >> lowShift) & 15) | (((view.getUint8(at + high) >> highShift) & 3) << 4);
    const step = Math.fround(d * view.getInt8(at + 192 + (index >> 4)));
    out[index] = Math.fround(step * (quant - 32));
  }
}

/**
 * Where value `index` of a Q6_K block keeps its bits. Each half of 128 values has 64 low bytes and 32 high bytes; its four runs of
 * 32 values take (low half, bytes 0..31), (low half, 32..63), (high half, 0..31), (high half, 32..63), and bits 0, 2, 4, 6 of the high bytes.
 */
function placeInQ6K(index: number): { low: number; lowShift: number; high: number; highShift: number } {
  const half = index >> 7;
  const run = (index >> 5) & 3;
  const lane = index & 31;
  return {
    low: 64 * half + 32 * (run & 1) + lane,
    lowShift: run < 2 ? 0 : 4,
    high: 128 + 32 * half + lane,
    highShift: 2 * run,
  };
}

/** Blocks of the type that come close to the values. Throws AppError `bad_request` when the values fill no whole number of blocks. */
export function quantize(type: BlockType, values: Float32Array): Uint8Array<ArrayBuffer> {
  const shape = blockShapes[type];
  const blocks = values.length / shape.values;
  if (!Number.isInteger(blocks)) {
    throw new AppError(
      "bad_request",
      `${values.length} values fill no whole number of ${type} blocks of ${shape.values}.`,
    );
  }
  const bytes = new Uint8Array(blocks * shape.bytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    writers[type](view, block * shape.bytes, values.subarray(block * shape.values, (block + 1) * shape.values));
  }
  return bytes;
}

type Writer = (view: DataView, at: number, values: Float32Array) => void;

const writers: Record<BlockType, Writer> = {
  F32: (view, at, values) => view.setFloat32(at, values[0] ?? 0, true),
  F16: (view, at, values) => view.setUint16(at, toHalf(values[0] ?? 0), true),
  Q8_0: (view, at, values) => {
    const scale = largest(values) / 127;
    view.setUint16(at, toHalf(scale), true);
    for (let index = 0; index < 32; index++) view.setInt8(at + 2 + index, nearest(values[index], scale, -127, 127));
  },
  Q4_K: writeQ4K,
  Q6_K: writeQ6K,
};

function writeQ4K(view: DataView, at: number, values: Float32Array): void {
  const subs = Array.from({ length: 8 }, (_, sub) => {
    const part = values.subarray(32 * sub, 32 * sub + 32);
    const lowest = Math.min(0, ...part);
    return { part, lowest, step: (Math.max(0, ...part) - lowest) / 15 };
  });
  view.setUint16(at, toHalf(Math.max(...subs.map(({ step }) => step)) / 63), true);
  view.setUint16(at + 2, toHalf(Math.max(...subs.map(({ lowest }) => -lowest)) / 63), true);
  const d = fromHalf(view.getUint16(at, true));
  const dmin = fromHalf(view.getUint16(at + 2, true));
  const scales = subs.map(({ step }) => nearest(step, d, 0, 63));
  const minima = subs.map(({ lowest }) => nearest(-lowest, dmin, 0, 63));
  for (let sub = 0; sub < 4; sub++) {
    const [scale = 0, minimum = 0, laterScale = 0, laterMinimum = 0] = [
      scales[sub],
      minima[sub],
      scales[sub + 4],
      minima[sub + 4],
    ];
    view.setUint8(at + 4 + sub, scale | ((laterScale >> 4) << 6));
    view.setUint8(at + 8 + sub, minimum | ((laterMinimum >> 4) << 6));
    view.setUint8(at + 12 + sub, (laterScale & 15) | ((laterMinimum & 15) << 4));
  }
  subs.forEach(({ part }, sub) => {
    for (let index = 0; index < 32; index++) {
      const quant = nearest((part[index] ?? 0) + dmin * (minima[sub] ?? 0), d * (scales[sub] ?? 0), 0, 15);
      const place = at + 16 + 32 * (sub >> 1) + index;
      view.setUint8(place, view.getUint8(place) | (sub % 2 === 0 ? quant : quant << 4));
    }
  });
}

function writeQ6K(view: DataView, at: number, values: Float32Array): void {
  const steps = Array.from({ length: 16 }, (_, sub) => largest(values.subarray(16 * sub, 16 * sub + 16)) / 31);
  view.setUint16(at + 208, toHalf(Math.max(...steps) / 127), true);
  const d = fromHalf(view.getUint16(at + 208, true));
  steps.forEach((step, sub) => {
    view.setInt8(at + 192 + sub, nearest(step, d, 0, 127));
  });
  for (let index = 0; index < 256; index++) {
    const step = d * view.getInt8(at + 192 + (index >> 4));
    const quant = nearest(values[index], step, -32, 31) + 32;
    const { low, lowShift, high, highShift } = placeInQ6K(index);
    view.setUint8(at + low, view.getUint8(at + low) | ((quant & 15) << lowShift));
    view.setUint8(at + high, view.getUint8(at + high) | ((quant >> 4) << highShift));
  }
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** value / step to the nearest whole number, halves away from zero, within the bounds; 0 for a step of 0. */
function nearest(value = 0, step: number, least: number, most: number): number {
  if (step === 0) return 0;
  const exact = value / step;
  return Math.min(most, Math.max(least, Math.sign(exact) * Math.round(Math.abs(exact))));
}

const bitsView = new DataView(new ArrayBuffer(4));

/** A half-precision number from its 16 bits; exact. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The 16 bits of the nearest half-precision number, ties to even; too large a number becomes infinity. */
export function toHalf(value: number): number {
  bitsView.setFloat32(0, value);
  const bits = bitsView.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const magnitude = Math.abs(bitsView.getFloat32(0));
  if (magnitude >= 65520) return sign | 0x7c00;
  // Spacing of half-precision numbers around the value: 2^-24 below 2^-14, then 2^-10 of the power of two.
  const exponent = Math.max(-14, ((bits >>> 23) & 255) - 127);
  const steps = roundToEven(magnitude * 2 ** (10 - exponent));
  // A carry out of the fraction runs into the exponent, where it belongs.
  return sign | (exponent === -14 && steps < 1024 ? steps : ((exponent + 15) << 10) + (steps - 1024));
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
