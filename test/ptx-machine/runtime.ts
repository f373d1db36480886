// What compiled PTX calls: memory with its bounds, and the arithmetic that JavaScript has no operator for.
import type { Warp } from "./machine.ts";

/** The upper half of addresses of a launch's parameters. */
export const parameterSpace = 0x1f_ff01;

/** Memory that is addressed as a whole: an allocation, a block's shared memory, a launch's parameters. */
export class Memory {
  readonly about: string;
  readonly bytes: number;
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly i8: Int8Array<ArrayBuffer>;
  readonly u16: Uint16Array<ArrayBuffer>;
  readonly i16: Int16Array<ArrayBuffer>;
  readonly i32: Int32Array<ArrayBuffer>;
  readonly f32: Float32Array<ArrayBuffer>;
  readonly f64: Float64Array<ArrayBuffer>;

  constructor(bytes: number, about: string) {
    const buffer = new ArrayBuffer(Math.ceil(bytes / 16) * 16);
    this.about = about;
    this.bytes = bytes;
    this.u8 = new Uint8Array(buffer);
    this.i8 = new Int8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i16 = new Int16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}

/** Allocations by the upper half of their addresses; 0 is none. */
export const allocations: (Memory | undefined)[] = [undefined];

const word = new Int32Array(1);
const wordAsFloat = new Float32Array(word.buffer);
const halfWord = new Uint16Array(1);
const halfFloat = new Float16Array(halfWord.buffer);

export class MemoryFault extends Error {}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
function halfOf(value: number): number {
  halfFloat[0] = value;
  return halfWord[0] ?? 0;
}
/** The value of each f16. */
export const halves = new Float32Array(65_536);
for (let bits = 0; bits < 65_536; bits++) {
  halfWord[0] = bits;
  halves[bits] = halfFloat[0] ?? 0;
}
const ofHalf = (bits: number): number => halves[bits & 0xffff] ?? 0;
function mulHigh(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const [low, left, right] = [al * bl, al * bh, ah * bl];
  const middle = (low >>> 16) + (left & 0xffff) + (right & 0xffff);
  return (ah * bh + (left >>> 16) + (right >>> 16) + (middle >>> 16)) | 0;
}
function bigOf(low: number, high: number, isSigned: boolean): bigint {
  const value = (BigInt(high) << 32n) | BigInt(low >>> 0);
  return isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
}
const pairOf = (value: bigint): [number, number] => [
  Number(BigInt.asIntN(32, value)),
  Number(BigInt.asIntN(32, value >> 32n)),
];
const greatest = (a: number, b: number): number => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.max(a, b));
const least = (a: number, b: number): number => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.min(a, b));
/** The two f16 of a word. */
const pairOfHalves = (low: number, high: number): number => halfOf(low) | (halfOf(high) << 16);

export const runtime = {
  fround: Math.fround,
  bits(value: number): number {
    wordAsFloat[0] = value;
    return word[0] ?? 0;
  },
  float(bits: number): number {
    word[0] = bits;
    return wordAsFloat[0] ?? 0;
  },
  half: halfOf,
  ofHalf,
  halvesAdd: (a: number, b: number): number => pairOfHalves(ofHalf(a) + ofHalf(b), ofHalf(a >>> 16) + ofHalf(b >>> 16)),
  halvesSub: (a: number, b: number): number => pairOfHalves(ofHalf(a) - ofHalf(b), ofHalf(a >>> 16) - ofHalf(b >>> 16)),
  halvesMul: (a: number, b: number): number => pairOfHalves(ofHalf(a) * ofHalf(b), ofHalf(a >>> 16) * ofHalf(b >>> 16)),
  halvesFma: (a: number, b: number, c: number): number =>
    pairOfHalves(ofHalf(a) * ofHalf(b) + ofHalf(c), ofHalf(a >>> 16) * ofHalf(b >>> 16) + ofHalf(c >>> 16)),
  halvesMin: (a: number, b: number): number =>
    pairOfHalves(least(ofHalf(a), ofHalf(b)), least(ofHalf(a >>> 16), ofHalf(b >>> 16))),
  halvesMax: (a: number, b: number): number =>
    pairOfHalves(greatest(ofHalf(a), ofHalf(b)), greatest(ofHalf(a >>> 16), ofHalf(b >>> 16))),
  halvesEqual: (a: number, b: number): boolean => ofHalf(a) === ofHalf(b) && ofHalf(a >>> 16) === ofHalf(b >>> 16),
  /** Of signed bytes. */
  dp4a(a: number, b: number, c: number): number {
    let sum = c;
    for (let at = 24; at >= 0; at -= 8) sum = (sum + Math.imul((a << at) >> 24, (b << at) >> 24)) | 0;
    return sum;
  },
  memory(high: number, low: number): Memory {
    const found = allocations[high];
    if (found === undefined) throw new MemoryFault(`an access of no allocation, at ${hex(high)}:${hex(low)}`);
    return found;
  },
  anyMemory(warp: Warp, high: number, low: number): Memory {
    return high === parameterSpace ? warp.block.parameters : runtime.memory(high, low);
  },
  /** The offset itself, if `bytes` from it are the memory's and it is a multiple of `align`. */
  within(memory: Memory, offset: number, bytes: number, align: number): number {
    if (offset >>> 0 > memory.bytes - bytes || (offset & (align - 1)) !== 0) {
      const why = (offset & (align - 1)) !== 0 ? `not a multiple of ${align}` : `outside its ${memory.bytes} bytes`;
      throw new MemoryFault(`${bytes} bytes at ${hex(offset)} of ${memory.about}: ${why}`);
    }
    return offset;
  },
  max: greatest,
  min: least,
  mulHigh,
  mulHighSigned: (a: number, b: number): number => (mulHigh(a, b) - (a < 0 ? b : 0) - (b < 0 ? a : 0)) | 0,
  less64(al: number, ah: number, bl: number, bh: number, isSigned: boolean): boolean {
    if (ah === bh) return al >>> 0 < bl >>> 0;
    return isSigned ? ah < bh : ah >>> 0 < bh >>> 0;
  },
  divide64(al: number, ah: number, bl: number, bh: number, isSigned: boolean, isRemainder: boolean): [number, number] {
    const [a, b] = [bigOf(al, ah, isSigned), bigOf(bl, bh, isSigned)];
    return b === 0n ? [-1, -1] : pairOf(isRemainder ? a % b : a / b);
  },
  insert64(...[al, ah, bl, bh, from, length]: number[]): [number, number] {
    const mask = ((1n << BigInt(length ?? 0)) - 1n) << BigInt(from ?? 0);
    const [a, b] = [bigOf(al ?? 0, ah ?? 0, false), bigOf(bl ?? 0, bh ?? 0, false)];
    return pairOf((b & ~mask) | ((a << BigInt(from ?? 0)) & mask));
  },
  insert(a: number, b: number, from: number, length: number): number {
    const at = from & 255;
    const count = length & 255;
    if (at > 31 || count === 0) return b;
    const mask = (count > 31 ? -1 : (1 << count) - 1) << at;
    return (b & ~mask) | ((a << at) & mask);
  },
  extract(a: number, from: number, length: number, isSigned: boolean): number {
    const at = from & 255;
    const count = Math.min(length & 255, 32);
    if (count === 0) return 0;
    const shifted = at > 31 ? (isSigned ? a >> 31 : 0) : isSigned ? a >> at : a >>> at;
    if (count > 31) return shifted | 0;
    return isSigned ? (shifted << (32 - count)) >> (32 - count) : shifted & ((1 << count) - 1);
  },
  shiftLeftLow: (low: number, _high: number, by: number): number => (by >>> 0 > 31 ? 0 : low << by),
  shiftLeftHigh(low: number, high: number, by: number): number {
    if (by >>> 0 > 63) return 0;
    if (by > 31) return low << (by - 32);
    return by === 0 ? high : (high << by) | (low >>> (32 - by));
  },
  shiftRightLow(low: number, high: number, by: number): number {
    if (by >>> 0 > 63) return 0;
    if (by > 31) return (high >>> (by - 32)) | 0;
    return by === 0 ? low : (low >>> by) | (high << (32 - by));
  },
  shiftRightHigh: (_low: number, high: number, by: number): number => (by >>> 0 > 31 ? 0 : (high >>> by) | 0),
  shiftRightSignedLow(low: number, high: number, by: number): number {
    if (by >>> 0 > 63) return high >> 31;
    if (by > 31) return high >> (by - 32);
    return by === 0 ? low : (low >>> by) | (high << (32 - by));
  },
  shiftRightSignedHigh: (_low: number, high: number, by: number): number => (by >>> 0 > 31 ? high >> 31 : high >> by),
  funnelRight: (low: number, high: number, by: number): number =>
    (by & 31) === 0 ? low : (low >>> (by & 31)) | (high << (32 - (by & 31))),
  funnelLeft: (low: number, high: number, by: number): number =>
    (by & 31) === 0 ? high : (high << (by & 31)) | (low >>> (32 - (by & 31))),
  permute(a: number, b: number, selector: number): number {
    let result = 0;
    for (let byte = 0; byte < 4; byte++) {
      const nibble = (selector >>> (4 * byte)) & 15;
      const value = (((nibble & 4) === 0 ? a : b) >>> ((nibble & 3) * 8)) & 255;
      result |= (nibble & 8 ? (value & 128 ? 255 : 0) : value) << (8 * byte);
    }
    return result;
  },
  reverse(value: number): number {
    let result = 0;
    for (let bit = 0; bit < 32; bit++) result = (result << 1) | ((value >>> bit) & 1);
    return result;
  },
  popcount(value: number): number {
    let bits = value;
    let count = 0;
    for (; bits !== 0; bits &= bits - 1) count++;
    return count;
  },
  /** NaN is 0. */
  clamp: (value: number, from: number, to: number): number =>
    Number.isNaN(value) ? 0 : Math.min(Math.max(value, from), to),
  roundEven(value: number): number {
    const floor = Math.floor(value);
    const rest = value - floor;
    if (rest < 0.5) return floor;
    return rest > 0.5 || floor % 2 !== 0 ? floor + 1 : floor;
  },
  wholeOf(value: number, isSigned: boolean): [number, number] {
    if (Number.isNaN(value)) return [0, 0];
    const [from, to] = isSigned ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
    if (!Number.isFinite(value)) return pairOf(value > 0 ? to : from);
    const whole = BigInt(value);
    return pairOf(whole < from ? from : whole > to ? to : whole);
  },
};
