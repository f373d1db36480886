import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { AppError } from "../base/errors.ts";
import { findNumber, findString, findStrings, needCount, needNumber, needString, readGguf } from "./gguf.ts";
import {
  text,
  texts,
  uint32,
  type WrittenGguf,
  type WrittenTensor,
  type WrittenValue,
  writeGguf,
} from "./gguf-writer.ts";
import { tinyQwen3, tinyShape } from "./tiny-qwen3.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "quern-gguf-"));
after(() => rmSync(folder, { recursive: true }));
const quernMini = path.join(import.meta.dirname, "../../models/quern-mini/quern-mini-q4_k_m.gguf");
const minHeadBytes = 529_088;

function readBytes(bytes: Uint8Array, name = "case.gguf") {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return readGguf(file);
}

/** Reads bytes that must be refused, and returns the error. */
function refusal(bytes: Uint8Array, name?: string): AppError {
  try {
    readBytes(bytes, name);
  } catch (error) {
    assert.ok(error instanceof AppError, `a plain ${String(error)} instead of an AppError`);
    assert.equal(error.code, "unreadable");
    return error;
  }
  return assert.fail("the file was accepted");
}

const vector = (overrides: Partial<WrittenTensor> = {}): WrittenTensor => ({
  name: "a",
  type: "F32",
  dimensions: [4],
  ...overrides,
});
const withTensors = (...tensors: WrittenTensor[]): WrittenGguf => ({ metadata: new Map(), tensors });
const withMetadata = (...pairs: [string, WrittenValue][]): WrittenGguf => ({ metadata: new Map(pairs), tensors: [] });

/** The file with 8 bytes replaced behind the first place where `marker` stands; `skip` bytes are left between. */
function patched(bytes: Buffer, { marker, skip, value }: { marker: string; skip: number; value: bigint }): Buffer {
  const at = bytes.indexOf(marker) + marker.length + skip;
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64LE(value, at);
  return copy;
}

test("quern-mini is read with its metadata, and its tensors lie inside the file", () => {
  const gguf = readGguf(quernMini);
  assert.equal(gguf.version, 3);
  assert.equal(needString(gguf, "general.architecture"), "qwen3");
  assert.equal(needCount(gguf, "qwen3.block_count"), 8);
  assert.equal(findStrings(gguf, "tokenizer.ggml.tokens")?.[14_329], "<|im_end|>");
  assert.equal(findString(gguf, "no.such.key"), undefined);
  assert.equal(gguf.dataOffset, minHeadBytes);
  assert.equal(gguf.tensors.length, 90);
  const embedding = gguf.tensors.find(({ name }) => name === "token_embd.weight");
  assert.deepEqual(embedding, {
    name: "token_embd.weight",
    type: "Q6_K",
    dimensions: [512, 14_336],
    offset: minHeadBytes + 2048,
    byteLength: ((512 * 14_336) / 256) * 210,
  });
});

test("every kind of value comes back as it was written, in versions 2 and 3", () => {
  const metadata = new Map<string, WrittenValue>([
    ["uint8", { kind: "uint8", value: 255 }],
    ["int8", { kind: "int8", value: -128 }],
    ["uint16", { kind: "uint16", value: 65_535 }],
    ["int16", { kind: "int16", value: -32_768 }],
    ["int32", { kind: "int32", value: -2_147_483_648 }],
    ["float32", { kind: "float32", value: 0.5 }],
    ["float64", { kind: "float64", value: Math.PI }],
    ["exact uint64", { kind: "uint64", value: 9_007_199_254_740_991 }],
    ["big uint64", { kind: "uint64", value: 2n ** 64n - 1n }],
    ["int64", { kind: "int64", value: -5 }],
    ["bool", { kind: "bool", value: true }],
    ["text", text("你好 🙂 \uFFFD")],
    ["texts", texts(["", "a", "é"])],
    ["empty", texts([])],
    ["bools", { kind: "array", of: "bool", values: [true, false] }],
    ["int16s", { kind: "array", of: "int16", values: [-1, 2] }],
    ["uint64s", { kind: "array", of: "uint64", values: [2n ** 60n] }],
  ]);
  for (const version of [2, 3]) {
    const gguf = readBytes(writeGguf({ metadata, tensors: [vector()], version }));
    assert.equal(gguf.version, version);
    for (const [key, written] of metadata) {
      const value = gguf.metadata.get(key);
      if (key === "big uint64") assert.equal(value, 2n ** 64n - 1n);
      else if (key === "bools") assert.deepEqual(value, Uint8Array.of(1, 0));
      else if (key === "int16s") assert.deepEqual(value, Int16Array.of(-1, 2));
      else if (key === "uint64s") assert.deepEqual(value, BigUint64Array.of(2n ** 60n));
      else assert.deepEqual(value, written.kind === "array" ? written.values : written.value, key);
    }
  }
});

test("an array longer than the reader's window keeps its order", () => {
  const numbers = Array.from({ length: 200_000 }, (_, index) => index);
  const words = numbers.slice(0, 60_000).map((index) => `token ${index}`);
  const gguf = readBytes(
    writeGguf(withMetadata(["numbers", { kind: "array", of: "uint32", values: numbers }], ["words", texts(words)])),
  );
  assert.deepEqual(gguf.metadata.get("numbers"), Uint32Array.from(numbers));
  assert.deepEqual(gguf.metadata.get("words"), words);
});

test("a missing file, a folder and a device are refused", () => {
  assert.throws(() => readGguf(path.join(folder, "none.gguf")), { code: "not_found", message: /no such file/ });
  assert.throws(() => readGguf(folder), { code: "unreadable", message: /is not a file/ });
  assert.throws(() => readGguf("/dev/null"), { code: /unreadable|not_found/ });
});

test("an empty file, a web page and another format are named for what they are", () => {
  assert.match(refusal(Buffer.alloc(0)).message, /it is empty \(byte 0\)/);
  assert.match(refusal(Buffer.from("<!DOCTYPE html><html>")).message, /begins with "<!DO".*looks like a web page/);
  assert.match(refusal(Buffer.from("PK\u0003\u0004rest")).message, /instead of "GGUF"/);
  assert.match(refusal(Buffer.from("GG")).message, /begins with "GG"/);
  const swapped = writeGguf(withTensors(vector()));
  swapped.writeUInt32BE(3, 4);
  assert.match(refusal(swapped).message, /big-endian.*byte 4/);
  assert.match(refusal(writeGguf({ ...withTensors(vector()), version: 1 })).message, /version is 1/);
});

test("counts that the file cannot hold are refused before anything is read for them", () => {
  const bytes = writeGguf(withMetadata(["k", texts(["a", "b"])]));
  const tensors = Buffer.from(bytes);
  tensors.writeBigUInt64LE(2n ** 40n, 8);
  assert.match(refusal(tensors).message, /claims 1099511627776 tensors; its size has room for \d+ at most \(byte 8\)/);
  const keys = Buffer.from(bytes);
  keys.writeBigUInt64LE(2n ** 63n, 16);
  assert.match(refusal(keys).message, /metadata keys is 9223372036854775808, which no file can hold \(byte 16\)/);
  // The key "k" stands before: value type (4), element type (4), then the count.
  const array = patched(bytes, { marker: "k", skip: 8, value: 2n ** 32n });
  assert.match(refusal(array).message, /claims 4294967296 strings in the array "k"; its size has room for \d+/);
  const string = patched(bytes, { marker: "k", skip: 16, value: 1_000_000n });
  assert.match(refusal(string).message, /string 0 of the array "k" should have 1000000 bytes, but the file ends/);
});

test("a huge file of zeros that claims millions of empty strings is refused by count", () => {
  const count = 4_000_001;
  const head = writeGguf(withMetadata(["k", texts([])]));
  const bytes = Buffer.concat([head, Buffer.alloc(count * 8)]);
  const claimed = patched(bytes, { marker: "k", skip: 8, value: BigInt(count) });
  assert.match(refusal(claimed).message, /at most 4000000 are accepted/);
});

test("names must be there, be text, be short and be there once", () => {
  assert.match(refusal(writeGguf(withMetadata(["", uint32(1)]))).message, /name of key 1 is empty/);
  const twice = writeGguf(withMetadata(["ab", uint32(1)], ["ac", uint32(2)]));
  twice.write("ab", twice.indexOf("ac"));
  assert.match(refusal(twice).message, /key "ab" is there twice/);
  const bad = writeGguf(withMetadata(["ab", uint32(1)]));
  bad[bad.indexOf("ab")] = 0xff;
  assert.match(refusal(bad).message, /name of key 1 is not valid UTF-8/);
  assert.match(refusal(writeGguf(withTensors(vector({ name: "" })))).message, /name of tensor 1 is empty/);
  assert.match(refusal(writeGguf(withTensors(vector(), vector()))).message, /two tensors "a"/);
  assert.match(refusal(writeGguf(withTensors(vector({ name: "x".repeat(65) })))).message, /65 bytes; at most 64/);
});

test("dimensions that are missing, zero, huge or overflowing are refused", () => {
  assert.match(refusal(writeGguf(withTensors(vector({ dimensions: [] })))).message, /has 0 dimensions/);
  assert.match(refusal(writeGguf(withTensors(vector({ dimensions: [1, 1, 1, 1, 1] })))).message, /has 5 dimensions/);
  assert.match(refusal(writeGguf(withTensors(vector({ dimensions: [4, 0] })))).message, /dimension 2 .* is zero/);
  const bytes = writeGguf(withTensors(vector({ name: "tensor", dimensions: [4, 4] })));
  const huge = patched(bytes, { marker: "tensor", skip: 4, value: 2n ** 50n });
  assert.match(refusal(huge).message, /needs \d+ bytes; the whole file has/);
  const overflow = patched(huge, { marker: "tensor", skip: 12, value: 2n ** 50n });
  assert.match(refusal(overflow).message, /overflow/);
});

test("a quantised row must hold whole blocks", () => {
  const row = vector({ type: "Q4_K", dimensions: [128, 2], data: new Uint8Array(144) });
  assert.match(refusal(writeGguf(withTensors(row))).message, /rows of 128 values, but Q4_K stores blocks of 256/);
  const gguf = readBytes(writeGguf(withTensors(vector({ type: "Q4_K", dimensions: [512, 3] }))));
  assert.equal(gguf.tensors[0]?.byteLength, 6 * 144);
});

test("tensors must be aligned, inside the file and apart from each other", () => {
  const bytes = writeGguf(withTensors(vector({ name: "first" }), vector({ name: "other" })));
  // Behind a name: dimension count (4), one dimension (8), type (4), then the offset.
  assert.match(
    refusal(patched(bytes, { marker: "other", skip: 16, value: 8n })).message,
    /no multiple of the alignment/,
  );
  assert.match(
    refusal(patched(bytes, { marker: "other", skip: 16, value: 0n })).message,
    /"first" and "other" overlap/,
  );
  assert.match(refusal(patched(bytes, { marker: "other", skip: 16, value: 2n ** 40n })).message, /ends at byte/);
  const unknown = Buffer.from(bytes);
  unknown.writeUInt32LE(4, bytes.indexOf("other") + 5 + 12);
  assert.match(refusal(unknown).message, /unknown type 4/);
});

test("alignment is what the file says, if that makes sense", () => {
  const gguf = readBytes(writeGguf({ ...withTensors(vector(), vector({ name: "b" })), alignment: 4096 }));
  assert.equal(gguf.alignment, 4096);
  assert.deepEqual(
    gguf.tensors.map(({ offset }) => offset),
    [4096, 8192],
  );
  for (const value of [0, 3, 2 ** 21])
    assert.match(refusal(writeGguf(withMetadata(["general.alignment", uint32(value)]))).message, /power of two/);
  assert.match(refusal(writeGguf(withMetadata(["general.alignment", text("32")]))).message, /power of two/);
});

test("getters refuse a value of the wrong kind and name it", () => {
  const gguf = readBytes(writeGguf(withMetadata(["t", text("x")], ["n", uint32(0)])));
  assert.throws(() => findNumber(gguf, "t"), { code: "unreadable", message: /t is the text "x"; a number is needed/ });
  assert.throws(() => findString(gguf, "n"), { code: "unreadable", message: /a text is needed/ });
  assert.throws(() => needNumber(gguf, "none"), { code: "unreadable", message: /has no none/ });
  assert.throws(() => needCount(gguf, "n"), { code: "unreadable", message: /at least 1 is needed/ });
});

test("a file cut anywhere is refused, never misread", () => {
  const bytes = writeGguf(tinyQwen3());
  const dataOffset = readBytes(bytes).dataOffset;
  for (let length = 0; length < dataOffset; length += 7) refusal(bytes.subarray(0, length));
  refusal(bytes.subarray(0, bytes.length - 32));
});

test("the head of quern-mini, cut every few kilobytes, is refused with the place", () => {
  const head = readFileSync(quernMini).subarray(0, minHeadBytes);
  for (let length = 0; length <= head.length; length += 8209) {
    const error = refusal(head.subarray(0, length), "cut.gguf");
    assert.ok(Number(error.details?.byte) <= length);
  }
});

test("flipped bits and spliced bytes give a refusal or a file whose tensors lie inside it", () => {
  const bytes = writeGguf(tinyQwen3({ ...tinyShape, layers: 1, kvHeads: 1, vocabularyTokens: 8 }));
  const headBytes = readBytes(bytes).dataOffset;
  const random = seeded(20_261_122);
  let refused = 0;
  const rounds = 600;
  for (let round = 0; round < rounds; round++) {
    const broken = damaged(bytes, { headBytes, random });
    try {
      const gguf = readBytes(broken, "fuzz.gguf");
      for (const { offset, byteLength } of gguf.tensors) assert.ok(offset + byteLength <= gguf.fileBytes);
    } catch (error) {
      assert.ok(error instanceof AppError && error.code === "unreadable", `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > rounds / 3, `only ${refused} of ${rounds} damaged files were refused`);
});

function damaged(
  bytes: Buffer,
  { headBytes, random }: { headBytes: number; random: (below: number) => number },
): Buffer {
  const copy = Buffer.from(bytes);
  const at = random(headBytes);
  switch (random(4)) {
    case 0: // one to four flipped bits
      for (let flips = random(4); flips >= 0; flips--) {
        const place = random(headBytes);
        copy[place] = (copy[place] ?? 0) ^ (1 << random(8));
      }
      return copy;
    case 1: // a number of the kind that overflows
      copy.writeBigUInt64LE([0n, 2n ** 31n, 2n ** 53n, 2n ** 64n - 1n][random(4)] ?? 0n, Math.min(at, headBytes - 8));
      return copy;
    case 2: // a stretch of the file put in at another place
      return Buffer.concat([copy.subarray(0, at), copy.subarray(random(headBytes), headBytes), copy.subarray(at)]);
    default: // a stretch left out
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + random(64))]);
  }
}

/** A small linear congruential generator: the same damage in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
