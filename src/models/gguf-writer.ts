// Writes small GGUF files: for tests (whole, and then broken on purpose) and for the bench. It writes whatever it is told, valid
// or not; gguf.ts judges. Metadata values carry their type, because the format does.
import { type TensorType, tensorLayouts, valueTypes } from "./gguf-types.ts";

export type ScalarKind = Exclude<keyof typeof valueTypes, "array">;
export type WrittenValue =
  | { kind: ScalarKind; value: string | number | bigint | boolean }
  | { kind: "array"; of: ScalarKind; values: readonly (string | number | bigint | boolean)[] };

export interface WrittenTensor {
  name: string;
  type: TensorType;
  dimensions: readonly number[];
  /** Zeros when absent. */
  data?: Uint8Array;
}

export interface WrittenGguf {
  metadata: ReadonlyMap<string, WrittenValue>;
  tensors: readonly WrittenTensor[];
  version?: number;
  alignment?: number;
}

export const text = (value: string): WrittenValue => ({ kind: "string", value });
export const uint32 = (value: number): WrittenValue => ({ kind: "uint32", value });
export const float32 = (value: number): WrittenValue => ({ kind: "float32", value });
export const texts = (values: readonly string[]): WrittenValue => ({ kind: "array", of: "string", values });
export const int32s = (values: readonly number[]): WrittenValue => ({ kind: "array", of: "int32", values });

/** The bytes of a GGUF file. Alignment other than 32 is also written as `general.alignment`. */
export function writeGguf(file: WrittenGguf): Buffer {
  const { tensors, alignment = 32 } = file;
  const bodies = tensors.map(({ type, dimensions, data }) =>
    padded(Buffer.from(data ?? new Uint8Array(tensorBytes(type, dimensions))), alignment),
  );
  return Buffer.concat([writeGgufHead(file), ...bodies]);
}

/** All that stands before the tensors' data, for files too large to hold: the data follows in order, each tensor's padded to the alignment. */
export function writeGgufHead({ metadata, tensors, version = 3, alignment = 32 }: WrittenGguf): Buffer {
  const pairs = new Map(metadata);
  if (alignment !== 32) pairs.set("general.alignment", uint32(alignment));
  const head = [Buffer.from("GGUF"), u32(version), u64(tensors.length), u64(pairs.size)];
  for (const [key, value] of pairs) head.push(string(key), typed(value));
  let offset = 0;
  for (const { name, type, dimensions, data } of tensors) {
    head.push(string(name), u32(dimensions.length), ...dimensions.map(u64), u32(tensorLayouts[type].id), u64(offset));
    const bytes = data?.length ?? tensorBytes(type, dimensions);
    offset += Math.ceil(bytes / alignment) * alignment;
  }
  return padded(Buffer.concat(head), alignment);
}

export function tensorBytes(type: TensorType, dimensions: readonly number[]): number {
  const { blockValues, blockBytes } = tensorLayouts[type];
  return (dimensions.reduce((product, size) => product * size, 1) / blockValues) * blockBytes;
}

function typed(value: WrittenValue): Buffer {
  if (value.kind !== "array") return Buffer.concat([u32(valueTypes[value.kind]), scalar(value.kind, value.value)]);
  const elements = value.values.map((element) => scalar(value.of, element));
  return Buffer.concat([u32(valueTypes.array), u32(valueTypes[value.of]), u64(elements.length), ...elements]);
}

function scalar(kind: ScalarKind, value: string | number | bigint | boolean): Buffer {
  if (kind === "string") return string(String(value));
  const bytes = Buffer.alloc(8);
  switch (kind) {
    case "uint8":
      return bytes.subarray(0, bytes.writeUInt8(Number(value)));
    case "int8":
      return bytes.subarray(0, bytes.writeInt8(Number(value)));
    case "bool":
      return bytes.subarray(0, bytes.writeUInt8(value ? 1 : 0));
    case "uint16":
      return bytes.subarray(0, bytes.writeUInt16LE(Number(value)));
    case "int16":
      return bytes.subarray(0, bytes.writeInt16LE(Number(value)));
    case "uint32":
      return bytes.subarray(0, bytes.writeUInt32LE(Number(value)));
    case "int32":
      return bytes.subarray(0, bytes.writeInt32LE(Number(value)));
    case "float32":
      return bytes.subarray(0, bytes.writeFloatLE(Number(value)));
    case "float64":
      return bytes.subarray(0, bytes.writeDoubleLE(Number(value)));
    case "uint64":
      return bytes.subarray(0, bytes.writeBigUInt64LE(BigInt(value)));
    case "int64":
      return bytes.subarray(0, bytes.writeBigInt64LE(BigInt(value)));
  }
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function padded(bytes: Buffer, alignment: number): Buffer {
  const missing = (alignment - (bytes.length % alignment)) % alignment;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
