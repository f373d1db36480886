// Reads the head of a GGUF file: metadata and the list of tensors, not the tensors themselves. It is strict, because what comes
// after it is native code that trusts the file: every count, length, type, dimension, offset and block size is checked against the
// file's real size first, and nothing is ever allocated because a number in the file asks for it.
//
// Version 3 (and 2, which differs in nothing that matters here), little-endian. One decision a reader may question: it is
// synchronous. The head of a 4B model is 6 MB and takes well under a second, once, in a process that has nothing else to do.
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { FileCursor, FormatFault } from "./gguf-cursor.ts";
import { type TensorType, tensorLayouts, tensorTypeById, valueTypes } from "./gguf-types.ts";

export type GgufArray =
  | readonly string[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** 64-bit integers are numbers when they are exact as numbers, else bigints. Arrays of booleans are Uint8Arrays of 0 and 1. */
export type GgufValue = string | number | bigint | boolean | GgufArray;

export interface GgufTensor {
  name: string;
  type: TensorType;
  /** Fastest first, as in the file: a matrix that maps `in` to `out` values is [in, out]. */
  dimensions: readonly number[];
  /** From the start of the file, in bytes. */
  offset: number;
  byteLength: number;
}

export interface Gguf {
  file: string;
  fileBytes: number;
  version: number;
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: readonly GgufTensor[];
  alignment: number;
  /** Where tensor data begins, in bytes from the start of the file. */
  dataOffset: number;
}

// Far above every real model, far below what would hurt: they bound what a hostile file can make us hold.
const limits = {
  keys: 65_536,
  tensors: 65_536,
  keyBytes: 65_535, // by the specification
  nameBytes: 64, // ggml's own limit
  stringBytes: 16 * 1024 ** 2,
  arrayStrings: 4_000_000, // in all arrays of a file together
  arrayBytes: 256 * 1024 ** 2,
  dimensions: 4,
  alignment: 1024 ** 2,
} as const;

/** Reads and checks the head of a GGUF file. Throws AppError: `not_found`, or `unreadable` saying what is wrong and at which byte. */
export function readGguf(file: string): Gguf {
  const fd = opened(file);
  try {
    return parseGguf(file, new FileCursor(fd, fstatSync(fd).size));
  } catch (error) {
    if (!(error instanceof FormatFault)) throw error;
    throw new AppError(
      "unreadable",
      `${path.basename(file)} is not a readable GGUF file: ${error.message} (byte ${error.byte}).`,
      {
        hint: "The file may be cut off or not a model at all. Fetch it again, for example with `npx quern models pull`.",
        details: { file, byte: error.byte },
        cause: error,
      },
    );
  } finally {
    closeSync(fd);
  }
}

function opened(file: string): number {
  try {
    // Asked before opening: to open a named pipe would wait for its writer.
    if (statSync(file).isFile()) return openSync(file, "r");
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new AppError(
      isMissing ? "not_found" : "unreadable",
      `Cannot open ${file}: ${isMissing ? "there is no such file" : (cause as Error).message}.`,
      { details: { file }, cause },
    );
  }
  throw new AppError("unreadable", `${file} is not a file.`, {
    hint: "Name the .gguf file itself.",
    details: { file },
  });
}

function parseGguf(file: string, cursor: FileCursor): Gguf {
  const version = readVersion(cursor);
  const tensorCount = cursor.count("the number of tensors");
  // A tensor takes at least 8 + 1 + 4 + 8 + 4 + 8 bytes in the list, a key at least 8 + 1 + 4 + 1.
  bound(cursor, { count: tensorCount, what: "tensors", limit: limits.tensors, leastBytes: 33 });
  const keyCount = cursor.count("the number of metadata keys");
  bound(cursor, { count: keyCount, what: "metadata keys", limit: limits.keys, leastBytes: 14 });

  const metadata = new Map<string, GgufValue>();
  const budget = { arrayStrings: limits.arrayStrings, arrayBytes: limits.arrayBytes };
  for (let index = 0; index < keyCount; index++) {
    const startsAt = cursor.position;
    const key = cursor.string(`the name of key ${index + 1}`, limits.keyBytes);
    if (key === "") cursor.fail(`the name of key ${index + 1} is empty`, startsAt);
    if (metadata.has(key)) cursor.fail(`the key ${shown(key)} is there twice`, startsAt);
    metadata.set(key, readValue(cursor, { key, budget }));
  }

  const alignment = alignmentOf(metadata, cursor);
  const listed = Array.from({ length: tensorCount }, (_, index) => readTensor(cursor, { index, alignment }));
  const dataOffset = Math.ceil(cursor.position / alignment) * alignment;
  return {
    file,
    fileBytes: cursor.fileBytes,
    version,
    metadata,
    tensors: placed(listed, { cursor, dataOffset }),
    alignment,
    dataOffset,
  };
}

function readVersion(cursor: FileCursor): number {
  if (cursor.fileBytes === 0) cursor.fail("it is empty");
  const start = Buffer.from(cursor.bytes(Math.min(4, cursor.fileBytes), "the magic"));
  if (start.toString("latin1") !== "GGUF") {
    const looksLikeText = start.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127));
    const seen = looksLikeText ? JSON.stringify(start.toString("latin1")) : `0x${start.toString("hex")}`;
    const guess = /^\s*</.test(start.toString("latin1")) ? "; it looks like a web page" : "";
    cursor.fail(`it begins with ${seen} instead of "GGUF"${guess}`, 0);
  }
  const version = cursor.uint32("the version");
  if (version === 2 || version === 3) return version;
  if (version === 0x0200_0000 || version === 0x0300_0000) cursor.fail("it is a big-endian file", 4);
  return cursor.fail(`its version is ${version}; versions 2 and 3 are known`, 4);
}

interface Bound {
  count: number;
  what: string;
  limit: number;
  /** What one entry takes in the file at least. */
  leastBytes: number;
}

function bound(cursor: FileCursor, { count, what, limit, leastBytes }: Bound): void {
  const fits = Math.floor(cursor.remainingBytes / leastBytes);
  if (count > fits)
    cursor.fail(`it claims ${count} ${what}; its size has room for ${fits} at most`, cursor.position - 8);
  if (count > limit) cursor.fail(`it claims ${count} ${what}; at most ${limit} are accepted`, cursor.position - 8);
}

interface ValueContext {
  key: string;
  /** What all arrays of the file may still take. */
  budget: { arrayStrings: number; arrayBytes: number };
}

function readValue(cursor: FileCursor, { key, budget }: ValueContext): GgufValue {
  const what = `the value of ${shown(key)}`;
  const type = cursor.uint32(`the type of ${shown(key)}`);
  switch (type) {
    case valueTypes.uint8:
      return cursor.uint8(what);
    case valueTypes.int8:
      return cursor.int8(what);
    case valueTypes.uint16:
      return cursor.uint16(what);
    case valueTypes.int16:
      return cursor.int16(what);
    case valueTypes.uint32:
      return cursor.uint32(what);
    case valueTypes.int32:
      return cursor.int32(what);
    case valueTypes.float32:
      return cursor.float32(what);
    case valueTypes.float64:
      return cursor.float64(what);
    case valueTypes.uint64:
      return exact(cursor.uint64(what));
    case valueTypes.int64:
      return exact(cursor.int64(what));
    case valueTypes.string:
      return cursor.string(what, limits.stringBytes);
    case valueTypes.bool: {
      const byte = cursor.uint8(what);
      if (byte > 1) cursor.fail(`${what} is the truth value ${byte}, which is neither 0 nor 1`, cursor.position - 1);
      return byte === 1;
    }
    case valueTypes.array:
      return readArray(cursor, { key, budget });
    default:
      return cursor.fail(`${what} has the unknown type ${type}`, cursor.position - 4);
  }
}

// How the elements of a numeric array become a typed array: the bytes are little-endian, as every machine Quern runs on.
const arrayKinds = new Map<
  number,
  { bytes: number; view: (buffer: ArrayBuffer) => Exclude<GgufArray, readonly string[]> }
>([
  [valueTypes.uint8, { bytes: 1, view: (buffer) => new Uint8Array(buffer) }],
  [valueTypes.int8, { bytes: 1, view: (buffer) => new Int8Array(buffer) }],
  [valueTypes.bool, { bytes: 1, view: (buffer) => new Uint8Array(buffer) }],
  [valueTypes.uint16, { bytes: 2, view: (buffer) => new Uint16Array(buffer) }],
  [valueTypes.int16, { bytes: 2, view: (buffer) => new Int16Array(buffer) }],
  [valueTypes.uint32, { bytes: 4, view: (buffer) => new Uint32Array(buffer) }],
  [valueTypes.int32, { bytes: 4, view: (buffer) => new Int32Array(buffer) }],
  [valueTypes.float32, { bytes: 4, view: (buffer) => new Float32Array(buffer) }],
  [valueTypes.float64, { bytes: 8, view: (buffer) => new Float64Array(buffer) }],
  [valueTypes.uint64, { bytes: 8, view: (buffer) => new BigUint64Array(buffer) }],
  [valueTypes.int64, { bytes: 8, view: (buffer) => new BigInt64Array(buffer) }],
]);

function readArray(cursor: FileCursor, { key, budget }: ValueContext): GgufArray {
  const what = `the array ${shown(key)}`;
  const type = cursor.uint32(`the element type of ${shown(key)}`);
  const count = cursor.count(`the length of ${what}`);
  if (type === valueTypes.array) cursor.fail(`${what} holds arrays, which no known model does`, cursor.position - 12);
  if (type === valueTypes.string) {
    bound(cursor, { count, what: `strings in ${what}`, limit: budget.arrayStrings, leastBytes: 8 });
    budget.arrayStrings -= count;
    // Grown by what is read, not by what is claimed.
    const strings: string[] = [];
    for (let index = 0; index < count; index++)
      strings.push(cursor.string(`string ${index} of ${what}`, limits.stringBytes));
    return strings;
  }
  const kind = arrayKinds.get(type);
  if (!kind) return cursor.fail(`${what} has elements of the unknown type ${type}`, cursor.position - 12);
  const fitting = Math.floor(budget.arrayBytes / kind.bytes);
  bound(cursor, { count, what: `numbers in ${what}`, limit: fitting, leastBytes: kind.bytes });
  budget.arrayBytes -= count * kind.bytes;
  const startsAt = cursor.position;
  const values = kind.view(cursor.bytes(count * kind.bytes, what).buffer);
  if (type === valueTypes.bool) {
    const bad = (values as Uint8Array).findIndex((value) => value > 1);
    if (bad >= 0) cursor.fail(`${what} has a truth value that is neither 0 nor 1`, startsAt + bad);
  }
  return values;
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, cursor: FileCursor): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  const isPowerOfTwo = typeof alignment === "number" && alignment >= 1 && Number.isInteger(Math.log2(alignment));
  if (isPowerOfTwo && alignment <= limits.alignment) return alignment;
  return cursor.fail(
    `general.alignment is ${shownValue(alignment)}; it must be a power of two up to ${limits.alignment}`,
  );
}

/** A tensor with its offset still counted from where tensor data begins, and where in the file it is described. */
interface ListedTensor extends GgufTensor {
  describedAt: number;
}

function readTensor(cursor: FileCursor, { index, alignment }: { index: number; alignment: number }): ListedTensor {
  const describedAt = cursor.position;
  const name = cursor.string(`the name of tensor ${index + 1}`, limits.nameBytes);
  if (name === "") cursor.fail(`the name of tensor ${index + 1} is empty`, describedAt);
  const what = `tensor ${shown(name)}`;

  const dimensionCount = cursor.uint32(`the number of dimensions of ${what}`);
  if (dimensionCount < 1 || dimensionCount > limits.dimensions)
    cursor.fail(
      `${what} has ${dimensionCount} dimensions; 1 to ${limits.dimensions} are possible`,
      cursor.position - 4,
    );
  const dimensions: number[] = [];
  let values = 1;
  for (let axis = 0; axis < dimensionCount; axis++) {
    const size = cursor.count(`dimension ${axis + 1} of ${what}`);
    if (size === 0) cursor.fail(`dimension ${axis + 1} of ${what} is zero`, cursor.position - 8);
    values *= size;
    if (values > Number.MAX_SAFE_INTEGER) cursor.fail(`the dimensions of ${what} overflow`, cursor.position - 8);
    dimensions.push(size);
  }

  const typeId = cursor.uint32(`the type of ${what}`);
  const type = tensorTypeById.get(typeId);
  if (!type) return cursor.fail(`${what} has the unknown type ${typeId}`, cursor.position - 4);
  const { blockValues, blockBytes } = tensorLayouts[type];
  const rowValues = dimensions[0] ?? 0;
  if (rowValues % blockValues !== 0)
    cursor.fail(`${what} has rows of ${rowValues} values, but ${type} stores blocks of ${blockValues}`, describedAt);
  const byteLength = (values / blockValues) * blockBytes;
  if (byteLength > cursor.fileBytes)
    cursor.fail(`${what} needs ${byteLength} bytes; the whole file has ${cursor.fileBytes}`, describedAt);

  const offset = cursor.count(`the offset of ${what}`);
  if (offset % alignment !== 0)
    cursor.fail(`the offset ${offset} of ${what} is no multiple of the alignment ${alignment}`, cursor.position - 8);
  return { name, type, dimensions, offset, byteLength, describedAt };
}

/** Tensors in the order of the file's list, with offsets from its start; refuses double names, overlaps and what lies outside. */
function placed(
  listed: readonly ListedTensor[],
  { cursor, dataOffset }: { cursor: FileCursor; dataOffset: number },
): GgufTensor[] {
  const names = new Set<string>();
  for (const { name, offset, byteLength, describedAt } of listed) {
    if (names.has(name)) cursor.fail(`there are two tensors ${shown(name)}`, describedAt);
    names.add(name);
    const end = dataOffset + offset + byteLength;
    if (end > cursor.fileBytes)
      cursor.fail(`tensor ${shown(name)} ends at byte ${end}, but the file has ${cursor.fileBytes} bytes`, describedAt);
  }
  const inOrder = listed.toSorted((a, b) => a.offset - b.offset);
  for (const [index, next] of inOrder.entries()) {
    const previous = inOrder[index - 1];
    if (previous && previous.offset + previous.byteLength > next.offset)
      cursor.fail(`the tensors ${shown(previous.name)} and ${shown(next.name)} overlap`, next.describedAt);
  }
  return listed.map(({ describedAt: _, offset, ...tensor }) => ({ ...tensor, offset: dataOffset + offset }));
}

export const findString = (gguf: Gguf, key: string): string | undefined =>
  found(gguf, { key, kind: "a text", is: isText });
export const findNumber = (gguf: Gguf, key: string): number | undefined =>
  found(gguf, { key, kind: "a number", is: isNumber });
export const findBoolean = (gguf: Gguf, key: string): boolean | undefined =>
  found(gguf, { key, kind: "a truth value", is: isBoolean });
export const findStrings = (gguf: Gguf, key: string): readonly string[] | undefined =>
  found(gguf, { key, kind: "an array of texts", is: isTexts });
export const findNumbers = (gguf: Gguf, key: string): ArrayLike<number> | undefined =>
  found(gguf, { key, kind: "an array of numbers", is: isNumbers });

/** Like their `find…` twins, but an absent key is an AppError `unreadable` too. */
export const needString = (gguf: Gguf, key: string): string => present(gguf, { key, value: findString(gguf, key) });
export const needNumber = (gguf: Gguf, key: string): number => present(gguf, { key, value: findNumber(gguf, key) });
export const needStrings = (gguf: Gguf, key: string): readonly string[] =>
  present(gguf, { key, value: findStrings(gguf, key) });
export const needNumbers = (gguf: Gguf, key: string): ArrayLike<number> =>
  present(gguf, { key, value: findNumbers(gguf, key) });

/** A whole number of at least `least`, as sizes and counts are. */
export function needCount(gguf: Gguf, key: string, least = 1): number {
  const value = needNumber(gguf, key);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw unusable(gguf, `${key} is ${value}; a whole number of at least ${least} is needed`);
}

const isText = (value: GgufValue): value is string => typeof value === "string";
const isNumber = (value: GgufValue): value is number => typeof value === "number";
const isBoolean = (value: GgufValue): value is boolean => typeof value === "boolean";
const isTexts = (value: GgufValue): value is readonly string[] => Array.isArray(value);
const isNumbers = (value: GgufValue): value is Exclude<GgufArray, readonly string[] | BigUint64Array | BigInt64Array> =>
  ArrayBuffer.isView(value) && !(value instanceof BigUint64Array) && !(value instanceof BigInt64Array);

function found<T extends GgufValue>(
  gguf: Gguf,
  { key, kind, is }: { key: string; kind: string; is: (value: GgufValue) => value is T },
): T | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined) return undefined;
  if (is(value)) return value;
  throw unusable(gguf, `${key} is ${shownValue(value)}; ${kind} is needed`);
}

function present<T>(gguf: Gguf, { key, value }: { key: string; value: T | undefined }): T {
  if (value !== undefined) return value;
  throw unusable(gguf, `the metadata has no ${key}`);
}

/** The error for a file that reads well but lacks or contradicts what is needed of it. */
export function unusable(gguf: Gguf, problem: string): AppError {
  return new AppError("unreadable", `${path.basename(gguf.file)} cannot be used: ${problem}.`, {
    hint: "The file is not complete. Fetch it again, or take another conversion of this model.",
    details: { file: gguf.file },
  });
}

function exact(value: bigint): number | bigint {
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

/** A name from the file, fit for a message: quoted, short, control characters escaped. */
function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function shownValue(value: GgufValue): string {
  if (typeof value === "string") return `the text ${shown(value)}`;
  return typeof value === "object" ? `an array of ${value.length}` : String(value);
}
