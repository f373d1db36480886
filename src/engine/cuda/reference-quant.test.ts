// The hashes were made with the gguf package of Python (gguf.quants.dequantize, float32), an independent implementation.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { AppError } from "../../base/errors.ts";
import { type BlockType, blockShapes, dequantize, fromHalf, quantize, toHalf } from "./reference-quant.ts";

const model = path.join(import.meta.dirname, "../../../models/quern-mini/quern-mini-q4_k_m.gguf");

test("tensors of the bundled model dequantise bit for bit as in an independent implementation", () => {
  const rows: [name: string, type: BlockType, offset: number, bytes: number, sha256: string][] = [
    ["blk.0.attn_v", "Q6_K", 6887104, 53760, "62cb4409408b2cc63d5dc612b61fac6008f80cfc75ee53ef0d5ecf938aae9753"],
    ["blk.3.ffn_gate", "Q4_K", 12908224, 442368, "235ab650ecdb4b1d5cb5af7ed41c010d5f5e4f6c470c7213f62abdcf45fa4f69"],
    ["blk.5.attn_q", "Q4_K", 15682752, 147456, "01dde90ebf7b93095c7c1dc0e458dabb2a43741e3bc105bb45ed6e9815333c67"],
    ["blk.7.ffn_down", "Q6_K", 19505856, 645120, "1d4a793bfcc26a3082e93bdcf8b50ba4228658da901558ec2dfbbea272274a6e"],
  ];
  const file = openSync(model, "r");
  for (const [name, type, offset, bytes, sha256] of rows) {
    const blocks = Buffer.alloc(bytes);
    readSync(file, blocks, 0, bytes, offset);
    assert.equal(hashOf(dequantize(type, blocks)), sha256, name);
  }
  closeSync(file);
});

test("blocks of arbitrary bits dequantise bit for bit as in an independent implementation", () => {
  const rows: [type: BlockType, halves: number[], sha256: string][] = [
    ["Q8_0", [0], "64e8437230e74a6e9d3b8ce4d53a253de72c0436f73e4355585c3100d8777b36"],
    ["Q4_K", [0, 2], "a7823ff48d8b57228a15f3837f270b84ceb6712e93c5b5496ba555aa48f12292"],
    ["Q6_K", [208], "7a0886baaa7a5379eaca439f495ce708adf21297db506ccd41b7384f73b8afaf"],
    ["F16", [0], "c01a8fab7524f15a7b6ef2aae581f10f5d49075d2ca3d368aa7a1e269e128640"],
  ];
  for (const [type, halves, sha256] of rows) {
    const bytes = randomBlocks(type, { blocks: 64, halves });
    assert.equal(hashOf(dequantize(type, bytes)), sha256, type);
  }
});

test("F32 blocks are the numbers themselves", () => {
  const values = Float32Array.of(1.5, -0, 1e-40, 3e38);
  assert.deepEqual(dequantize("F32", new Uint8Array(values.buffer)), values);
});

test("quantised values come back within one step of their block", () => {
  const values = Float32Array.from({ length: 4096 }, (_, index) => Math.sin(index * 0.7) * (1 + (index % 97) / 10));
  // One step of a 4-bit sub-block spanning -1..1 times its magnitude, and so on; the scales themselves are rounded too.
  const tolerance: [BlockType, number][] = [
    ["Q4_K", 0.1],
    ["Q6_K", 0.03],
    ["Q8_0", 0.006],
    ["F16", 0.0005],
    ["F32", 0],
  ];
  for (const [type, relative] of tolerance) {
    const back = dequantize(type, quantize(type, values));
    values.forEach((value, index) => {
      const error = Math.abs((back[index] ?? Number.NaN) - value);
      assert.ok(error <= relative * 10.7, `${type}: value ${index}, ${value} became ${back[index]}`);
    });
  }
});

test("zeros quantise to zeros, and half precision holds quarters exactly", () => {
  for (const type of ["Q4_K", "Q6_K", "Q8_0"] as const) {
    assert.deepEqual(dequantize(type, quantize(type, new Float32Array(256))), new Float32Array(256), type);
  }
  const quarters = Float32Array.from({ length: 256 }, (_, index) => ((index % 63) - 31) / 4);
  assert.deepEqual(dequantize("F16", quantize("F16", quarters)), quarters);
});

test("half precision goes both ways exactly for every number, and rounds to even between them", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = fromHalf(bits);
    if (!Number.isNaN(value)) assert.equal(toHalf(value), bits, `${bits.toString(16)} is ${value}`);
  }
  for (let bits = 0; bits < 0x7bff; bits++) {
    const middle = (fromHalf(bits) + fromHalf(bits + 1)) / 2;
    assert.equal(toHalf(middle), bits % 2 === 0 ? bits : bits + 1);
  }
  assert.ok(Number.isNaN(fromHalf(toHalf(Number.NaN))));
  assert.equal(fromHalf(toHalf(65519)), 65504);
  assert.equal(fromHalf(toHalf(65520)), Number.POSITIVE_INFINITY);
});

test("bytes or values that are no whole number of blocks are refused", () => {
  assert.throws(() => dequantize("Q4_K", new Uint8Array(143)), AppError);
  assert.throws(() => quantize("Q6_K", new Float32Array(255)), /fill no whole number/);
});

function hashOf(values: Float32Array): string {
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

/** Bytes of a linear congruential generator, the half-precision fields at `halves` kept finite. */
function randomBlocks(type: BlockType, { blocks, halves }: { blocks: number; halves: number[] }): Uint8Array {
  const blockBytes = blockShapes[type].bytes;
  let state = 17;
  const bytes = Uint8Array.from({ length: blocks * blockBytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  for (let block = 0; block < blocks; block++) {
    for (const half of halves) {
      const high = block * blockBytes + half + 1;
      bytes[high] = (bytes[high] ?? 0) & 0xbf;
    }
  }
  return bytes;
}
