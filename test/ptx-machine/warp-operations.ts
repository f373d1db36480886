// What the lanes of a warp do together: shuffles, votes, matrices loaded and multiplied. Layouts of fragments are PTX's.
import type { Segment, Slot } from "./compile.ts";
import type { Warp } from "./machine.ts";
import { halves, runtime } from "./runtime.ts";

type Together = Extract<Segment, { kind: "together" }>;

type Operation = (warp: Warp, mask: number, instruction: Together) => void;

const operations: Readonly<Record<string, Operation>> = {
  shfl: shuffle,
  vote,
  ldmatrix: (warp, _mask, { slots }) => loadMatrices(warp, slots),
  mma: multiply,
  wgmma: (warp, _mask, { slots }) => multiplyTile(warp, slots),
  activemask: (warp, mask, { slots }) => each(mask, (lane) => write(warp, slots[0]?.[0], lane, mask)),
  redux(warp, mask, { instruction: { parts }, slots }) {
    if (parts[2] !== "add" && parts.slice(2).join(".") !== "max.u32") throw new Error(`not known: ${parts.join(".")}`);
    let all = 0;
    each(mask, (lane) => {
      const one = read(warp, slots[1]?.[0], lane);
      all = parts[2] === "add" ? (all + one) | 0 : Math.max(all >>> 0, one >>> 0) | 0;
    });
    each(mask, (lane) => write(warp, slots[0]?.[0], lane, all));
  },
  cp(warp, _mask, { instruction, slots }) {
    if (instruction.parts[2] === "commit_group") warp.commitCopies();
    else warp.waitForCopies(slots[0]?.[0]?.at ?? 0);
  },
};

export function doTogether(warp: Warp, mask: number, segment: Together): void {
  const operation = operations[segment.instruction.parts[0] ?? ""];
  if (!operation) throw new Error(`not known: ${segment.instruction.parts.join(".")}`);
  operation(warp, mask, segment);
}

function each(mask: number, action: (lane: number) => void): void {
  for (let lane = 0; lane < 32; lane++) if ((mask >>> lane) & 1) action(lane);
}
function read(warp: Warp, slot: Slot | undefined, lane: number): number {
  if (!slot) throw new Error("an operand is missing");
  if (slot.kind === "constant") return slot.at;
  return (slot.kind === "f" ? warp.floats : warp.ints)[slot.at * 32 + lane] ?? 0;
}
function write(warp: Warp, slot: Slot | undefined, lane: number, value: number): void {
  if (!slot || slot.kind === "constant") throw new Error("a result is missing");
  (slot.kind === "f" ? warp.floats : warp.ints)[slot.at * 32 + lane] = value;
}

const before = new Float64Array(32);
function shuffle(warp: Warp, mask: number, { instruction, slots }: Together): void {
  const how = instruction.parts[2];
  const [to, third] = slots;
  const hasPredicate = slots.length === 6;
  const [from, by, clamp] = hasPredicate ? slots.slice(2) : [third, slots[2], slots[3]];
  gather(warp, from?.[0], before);
  for (let lane = 0; lane < 32; lane++) {
    if (((mask >>> lane) & 1) === 0) continue;
    const b = read(warp, by?.[0], lane) & 31;
    const c = read(warp, clamp?.[0], lane);
    const segment = (c >> 8) & 31;
    const most = (lane & segment) | (c & 31 & ~segment);
    let source = lane;
    let isInside = true;
    if (how === "up") {
      source = lane - b;
      isInside = source >= most;
    } else if (how === "down") {
      source = lane + b;
      isInside = source <= most;
    } else {
      source = how === "bfly" ? lane ^ b : (lane & segment) | (b & ~segment);
      isInside = source <= most;
    }
    if (isInside && ((mask >>> source) & 1) === 0) throw new Error(`a shuffle from lane ${source}, which is not there`);
    write(warp, to?.[0], lane, before[isInside ? source : lane] ?? 0);
    if (hasPredicate) write(warp, third?.[0], lane, isInside ? 1 : 0);
  }
}

/** An operand of all lanes. */
function gather(warp: Warp, slot: Slot | undefined, into: Float64Array | Int32Array): void {
  if (!slot) throw new Error("an operand is missing");
  if (slot.kind === "constant") into.fill(slot.at);
  else {
    const from = slot.kind === "f" ? warp.floats : warp.ints;
    const base = slot.at * 32;
    for (let lane = 0; lane < 32; lane++) into[lane] = from[base + lane] as number;
  }
}

function vote(warp: Warp, mask: number, { instruction, slots: [to, from] }: Together): void {
  const how = instruction.parts[2];
  let yes = 0;
  each(mask, (lane) => {
    if (read(warp, from?.[0], lane) !== 0) yes |= 1 << lane;
  });
  const result = how === "ballot" ? yes : how === "any" ? (yes !== 0 ? 1 : 0) : yes === mask ? 1 : 0;
  each(mask, (lane) => write(warp, to?.[0], lane, result));
}

function loadMatrices(warp: Warp, [to = [], from = []]: Together["slots"]): void {
  const { shared } = warp.block;
  const offset = from.at(-1)?.at ?? 0;
  const rows = Array.from({ length: 32 }, (_, lane) =>
    runtime.within(shared, read(warp, from[0], lane) + offset, 16, 16),
  );
  for (const row of rows) warp.use("read", row, 16);
  for (const [matrix, slot] of to.entries()) {
    for (let lane = 0; lane < 32; lane++) {
      const row = rows[matrix * 8 + (lane >> 2)] ?? 0;
      write(warp, slot, lane, shared.i32[(row >> 2) + (lane & 3)] ?? 0);
    }
  }
}

function multiply(warp: Warp, _mask: number, { instruction: { parts }, slots }: Together): void {
  if (parts.includes("m16n8k32")) multiplyInt8(warp, slots, parts.at(-3) === "u8");
  else if (parts.includes("m16n8k16")) multiplyHalf(warp, slots);
  else throw new Error(`not known: ${parts.join(".")}`);
}

const words = new Int32Array(32);
const sums = new Float64Array(32);
const left = new Int32Array(16 * 32);
const right = new Int32Array(8 * 32);

/** D[16 x 8] = A[16 x 32] B[32 x 8] + C of bytes. */
function multiplyInt8(warp: Warp, [d = [], a = [], b = [], c = []]: Together["slots"], isUnsigned: boolean): void {
  for (let part = 0; part < 4; part++) {
    gather(warp, a[part], words);
    for (let lane = 0; lane < 32; lane++) {
      const word = words[lane] as number;
      const at = ((lane >> 2) + (part & 1) * 8) * 32 + (part >> 1) * 16 + (lane & 3) * 4;
      if (isUnsigned) for (let byte = 0; byte < 4; byte++) left[at + byte] = (word >>> (8 * byte)) & 255;
      else for (let byte = 0; byte < 4; byte++) left[at + byte] = (word << (24 - 8 * byte)) >> 24;
    }
  }
  for (let part = 0; part < 2; part++) {
    gather(warp, b[part], words);
    for (let lane = 0; lane < 32; lane++) {
      const word = words[lane] as number;
      const at = (lane >> 2) * 32 + part * 16 + (lane & 3) * 4;
      for (let byte = 0; byte < 4; byte++) right[at + byte] = (word << (24 - 8 * byte)) >> 24;
    }
  }
  for (let part = 0; part < 4; part++) {
    gather(warp, c[part], words);
    const base = (d[part]?.at ?? 0) * 32;
    for (let lane = 0; lane < 32; lane++) {
      const row = ((lane >> 2) + (part >> 1) * 8) * 32;
      const column = ((lane & 3) * 2 + (part & 1)) * 32;
      let sum = words[lane] as number;
      for (let k = 0; k < 32; k += 4) {
        sum =
          (sum +
            Math.imul(left[row + k] as number, right[column + k] as number) +
            Math.imul(left[row + k + 1] as number, right[column + k + 1] as number) +
            Math.imul(left[row + k + 2] as number, right[column + k + 2] as number) +
            Math.imul(left[row + k + 3] as number, right[column + k + 3] as number)) |
          0;
      }
      warp.ints[base + lane] = sum;
    }
  }
}

const leftHalf = new Float64Array(16 * 16);
const rightHalf = new Float64Array(8 * 16);

function fillLeftHalf(warp: Warp, a: readonly Slot[]): void {
  for (let part = 0; part < 4; part++) {
    gather(warp, a[part], words);
    for (let lane = 0; lane < 32; lane++) {
      const word = words[lane] as number;
      const at = ((lane >> 2) + (part & 1) * 8) * 16 + (part >> 1) * 8 + (lane & 3) * 2;
      leftHalf[at] = halves[word & 0xffff] as number;
      leftHalf[at + 1] = halves[word >>> 16] as number;
    }
  }
}
/** Adds the products of eight columns: d[from + 0..3] hold rows g and g + 8 by columns 2t and 2t + 1. */
function addProducts(warp: Warp, d: readonly Slot[], from: number, c: readonly Slot[] | undefined): void {
  const { floats } = warp;
  for (let part = 0; part < 4; part++) {
    const base = (d[from + part]?.at ?? 0) * 32;
    if (!c) floats.fill(0, base, base + 32);
    else if (c !== d) {
      gather(warp, c[from + part], sums);
      floats.set(sums, base);
    }
  }
  const base0 = (d[from]?.at ?? 0) * 32;
  const base1 = (d[from + 1]?.at ?? 0) * 32;
  const base2 = (d[from + 2]?.at ?? 0) * 32;
  const base3 = (d[from + 3]?.at ?? 0) * 32;
  for (let row = 0; row < 16; row++) {
    const even = (row < 8 ? base0 : base2) + (row & 7) * 4;
    const odd = (row < 8 ? base1 : base3) + (row & 7) * 4;
    addRow(floats, row * 16, even, odd);
  }
}
function addRow(floats: Float32Array, at: number, even: number, odd: number): void {
  const a0 = leftHalf[at + 0] as number;
  const a1 = leftHalf[at + 1] as number;
  const a2 = leftHalf[at + 2] as number;
  const a3 = leftHalf[at + 3] as number;
  const a4 = leftHalf[at + 4] as number;
  const a5 = leftHalf[at + 5] as number;
  const a6 = leftHalf[at + 6] as number;
  const a7 = leftHalf[at + 7] as number;
  const a8 = leftHalf[at + 8] as number;
  const a9 = leftHalf[at + 9] as number;
  const a10 = leftHalf[at + 10] as number;
  const a11 = leftHalf[at + 11] as number;
  const a12 = leftHalf[at + 12] as number;
  const a13 = leftHalf[at + 13] as number;
  const a14 = leftHalf[at + 14] as number;
  const a15 = leftHalf[at + 15] as number;
  for (let column = 0; column < 8; column++) {
    const b = column * 16;
    const place = ((column & 1) === 0 ? even : odd) + (column >> 1);
    floats[place] =
      (floats[place] as number) +
      a0 * (rightHalf[b + 0] as number) +
      a1 * (rightHalf[b + 1] as number) +
      a2 * (rightHalf[b + 2] as number) +
      a3 * (rightHalf[b + 3] as number) +
      a4 * (rightHalf[b + 4] as number) +
      a5 * (rightHalf[b + 5] as number) +
      a6 * (rightHalf[b + 6] as number) +
      a7 * (rightHalf[b + 7] as number) +
      a8 * (rightHalf[b + 8] as number) +
      a9 * (rightHalf[b + 9] as number) +
      a10 * (rightHalf[b + 10] as number) +
      a11 * (rightHalf[b + 11] as number) +
      a12 * (rightHalf[b + 12] as number) +
      a13 * (rightHalf[b + 13] as number) +
      a14 * (rightHalf[b + 14] as number) +
      a15 * (rightHalf[b + 15] as number);
  }
}

/** D[16 x 8] = A[16 x 16] B[16 x 8] + C of f16, summed in f32. */
function multiplyHalf(warp: Warp, [d = [], a = [], b = [], c = []]: Together["slots"]): void {
  fillLeftHalf(warp, a);
  for (let part = 0; part < 2; part++) {
    gather(warp, b[part], words);
    for (let lane = 0; lane < 32; lane++) {
      const word = words[lane] as number;
      const at = (lane >> 2) * 16 + part * 8 + (lane & 3) * 2;
      rightHalf[at] = halves[word & 0xffff] as number;
      rightHalf[at + 1] = halves[word >>> 16] as number;
    }
  }
  addProducts(warp, d, 0, c);
}

/**
 * This warp's 16 of the 64 rows of D = A B + (add ? D : 0): A in registers, B in shared memory by a descriptor: rows of 128 bytes, one a column,
 * whose 16-byte pieces are xored with the low three bits of the row.
 */
function multiplyTile(warp: Warp, [d = [], a = [], descriptor = [], add = []]: Together["slots"]): void {
  const { shared } = warp.block;
  const low = read(warp, descriptor[0], 0);
  const high = read(warp, descriptor[1], 0);
  const stride = (high & 0x3fff) * 16;
  if (high >>> 30 !== 1) throw new Error("a descriptor without 128-byte swizzle");
  const start = (low & 0x3fff) * 16;
  const isAdded = read(warp, add[0], 0) !== 0;
  runtime.within(shared, start, (d.length / 4 - 1) * stride + 1024 - (start & 1023), 32);
  fillLeftHalf(warp, a);
  const { u16 } = shared;
  for (let column = 0; column < d.length * 2; column += 8) {
    for (let n = 0; n < 8; n++) {
      const row = start + (column >> 3) * stride + n * 128;
      const swizzle = ((row >> 7) & 7) << 4;
      warp.use("read", row & ~127, 128);
      for (let piece = 0; piece < 32; piece += 16) {
        const at = ((row + piece) ^ swizzle) >> 1;
        for (let k = 0; k < 8; k++) rightHalf[n * 16 + (piece >> 1) + k] = halves[u16[at + k] as number] as number;
      }
    }
    addProducts(warp, d, column / 2, isAdded ? d : undefined);
  }
}
