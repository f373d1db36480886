// Deterministic random weights as Q4_K and Q6_K blocks, made of random bits rather than by quantising floats: 2.5 GB in seconds.
// Values have mean 0 and the standard deviation asked for, so that a model of them computes something of the usual size.
import { fromHalf, toHalf } from "../src/engine/cuda/reference-quant.ts";

/** xorshift32; the state is never 0. */
export class RandomBits {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b) >>> 0 || 1;
  }

  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** From 0 up to, not including, 1. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  fill(words: Uint32Array): void {
    let state = this.#state;
    for (let index = 0; index < words.length; index++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[index] = state;
    }
    this.#state = state;
  }
}

// Standard deviations of the quants: whole numbers spread evenly over 0..15 and -32..31.
const q4Deviation = Math.sqrt((16 ** 2 - 1) / 12);
const q6Deviation = Math.sqrt((64 ** 2 - 1) / 12);
const headers = 1024;

/** Overwrites `bytes` (whole blocks, on a 4-byte border) with Q4_K blocks. */
export function fillQ4K(bytes: Uint8Array, { bits, deviation }: { bits: RandomBits; deviation: number }): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  bits.fill(words);
  // Scales are 32..63, so on average 47.5; minima lie about the scale, and dmin is 7.5 d: the values centre on 0.
  const d = fromHalf(toHalf(deviation / (47.5 * q4Deviation)));
  const pool = new Uint8Array(16 * headers);
  const view = new DataView(pool.buffer);
  for (let at = 0; at < pool.length; at += 16) {
    view.setUint16(at, toHalf(d), true);
    view.setUint16(at + 2, toHalf(7.5 * d), true);
    const scales = Array.from({ length: 8 }, () => 32 + (bits.next() >>> 27));
    const minima = scales.map((scale) =>
      Math.min(63, Math.max(0, scale + (bits.next() >>> 30) - (bits.next() >>> 30))),
    );
    for (let sub = 0; sub < 4; sub++) {
      const [scale = 0, minimum = 0, laterScale = 0, laterMinimum = 0] = [
        scales[sub],
        minima[sub],
        scales[sub + 4],
        minima[sub + 4],
      ];
      pool[at + 4 + sub] = scale | ((laterScale >> 4) << 6);
      pool[at + 8 + sub] = minimum | ((laterMinimum >> 4) << 6);
      pool[at + 12 + sub] = (laterScale & 15) | ((laterMinimum & 15) << 4);
    }
  }
  const heads = new Uint32Array(pool.buffer);
  for (let at = 0; at < words.length; at += 36) {
    // The block's own random bits pick its header.
    const head = 4 * ((words[at] ?? 0) % headers);
    for (let index = 0; index < 4; index++) words[at + index] = heads[head + index] ?? 0;
  }
}

/** Overwrites `bytes` (whole blocks, a multiple of 4 bytes, on a 4-byte border) with Q6_K blocks. */
export function fillQ6K(bytes: Uint8Array, { bits, deviation }: { bits: RandomBits; deviation: number }): void {
  bits.fill(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
  // Scales are 64..127 with a random sign: a root mean square of about 97.
  const half = toHalf(deviation / (97.3 * q6Deviation));
  for (let at = 0; at < bytes.length; at += 210) {
    for (let index = at + 192; index < at + 208; index++) {
      const byte = bytes[index] ?? 0;
      const scale = 64 + (byte & 63);
      bytes[index] = byte & 64 ? scale : 256 - scale;
    }
    bytes[at + 208] = half & 255;
    bytes[at + 209] = half >> 8;
  }
}
