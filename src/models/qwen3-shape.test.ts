import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { readGguf } from "./gguf.ts";
import { text, uint32, type WrittenGguf, type WrittenTensor, type WrittenValue, writeGguf } from "./gguf-writer.ts";
import { inspectModel, specialTokensOf } from "./inspect-model.ts";
import { kvValuesPerToken, qwen3ShapeOf } from "./qwen3-shape.ts";
import { tinyQwen3 } from "./tiny-qwen3.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "quern-shape-"));
after(() => rmSync(folder, { recursive: true }));
const quernMini = path.join(import.meta.dirname, "../../models/quern-mini/quern-mini-q4_k_m.gguf");

function written(gguf: WrittenGguf): string {
  const file = path.join(folder, "model.gguf");
  writeFileSync(file, writeGguf(gguf));
  return file;
}

const shapeOf = (gguf: WrittenGguf) => qwen3ShapeOf(readGguf(written(gguf)));

function withKey(key: string, value: WrittenValue | undefined): WrittenGguf {
  const tiny = tinyQwen3();
  const metadata = new Map(tiny.metadata);
  if (value) metadata.set(key, value);
  else metadata.delete(key);
  return { ...tiny, metadata };
}

function withTensors(change: (tensors: readonly WrittenTensor[]) => readonly WrittenTensor[]): WrittenGguf {
  const tiny = tinyQwen3();
  return { ...tiny, tensors: change(tiny.tensors) };
}

test("the shape of quern-mini is what its README says", () => {
  const { tensors, ...sizes } = qwen3ShapeOf(readGguf(quernMini));
  assert.deepEqual(
    { ...sizes, rmsEpsilon: Number(sizes.rmsEpsilon.toPrecision(6)) },
    {
      layers: 8,
      hidden: 512,
      feedForward: 1536,
      heads: 4,
      kvHeads: 1,
      headDim: 128,
      ropeBase: 5_000_000,
      rmsEpsilon: 1e-6,
      contextTokens: 16_384,
      vocabularyTokens: 14_336,
      isOutputTied: true,
    },
  );
  assert.equal(tensors.output, tensors.embedding);
  assert.equal(tensors.layers.length, 8);
  assert.deepEqual(tensors.layers[7]?.down.dimensions, [1536, 512]);
});

test("the KV cache of Qwen3-4B holds 73,728 values a token", () => {
  assert.equal(kvValuesPerToken({ layers: 36, kvHeads: 8, headDim: 128 }), 73_728);
});

test("a model with an output matrix of its own is not tied", () => {
  const output: WrittenTensor = { name: "output.weight", type: "Q6_K", dimensions: [256, 64] };
  const shape = shapeOf(withTensors((tensors) => [...tensors, output]));
  assert.equal(shape.isOutputTied, false);
  assert.equal(shape.tensors.output.name, "output.weight");
});

test("another architecture, a split model and scaled RoPE are refused with what is supported", () => {
  assert.throws(() => shapeOf(withKey("general.architecture", text("llama"))), {
    code: "unsupported",
    message: /architecture "llama"; only dense Qwen3 models/,
  });
  assert.throws(() => shapeOf(withKey("split.count", uint32(3))), { code: "unsupported", message: /in 3 files/ });
  assert.throws(() => shapeOf(withKey("qwen3.rope.scaling.type", text("yarn"))), {
    code: "unsupported",
    message: /yarn/,
  });
});

test("sizes that are missing, zero or contradict each other are refused by name", () => {
  const refused = (key: string, value: WrittenValue | undefined, message: RegExp) =>
    assert.throws(() => shapeOf(withKey(key, value)), { code: "unreadable", message });
  refused("qwen3.block_count", undefined, /has no qwen3\.block_count/);
  refused("qwen3.block_count", uint32(0), /qwen3\.block_count is 0/);
  refused("qwen3.block_count", uint32(4_000_000_000), /4000000000 layers cannot be made of/);
  refused("qwen3.attention.head_count_kv", uint32(3), /cannot share 3/);
  refused("qwen3.attention.value_length", uint32(32), /values have 32/);
  refused("qwen3.embedding_length", uint32(512), /token_embd\.weight is \[256, 64\] instead of \[512, 64\]/);
  refused("qwen3.attention.layer_norm_rms_epsilon", { kind: "float32", value: 0 }, /epsilon is 0/);
});

test("a tensor that is missing, misshapen or has no role is refused by name", () => {
  const without = withTensors((tensors) => tensors.filter(({ name }) => name !== "blk.1.ffn_up.weight"));
  assert.throws(() => shapeOf(without), { code: "unreadable", message: /blk\.1\.ffn_up\.weight is missing/ });
  const misshapen = withTensors((tensors) =>
    tensors.map((tensor) => (tensor.name === "blk.0.attn_q_norm.weight" ? { ...norm, name: tensor.name } : tensor)),
  );
  assert.throws(() => shapeOf(misshapen), {
    code: "unreadable",
    message: /attn_q_norm\.weight is \[32\] instead of \[64\]/,
  });
  const stranger = withTensors((tensors) => [...tensors, { ...norm, name: "blk.0.attn_q.bias" }]);
  assert.throws(() => shapeOf(stranger), { code: "unsupported", message: /attn_q\.bias, which has no place/ });
});

test("the facts of quern-mini name both ends of Qwen3", () => {
  const { chatTemplate, ...facts } = inspectModel(quernMini);
  assert.match(chatTemplate ?? "", /im_start/);
  assert.deepEqual(facts, {
    file: path.resolve(quernMini),
    fileBytes: 21_037_760,
    architecture: "qwen3",
    quantisation: "Q4_K_M",
    parameters: 31_468_032,
    layers: 8,
    vocabularyTokens: 14_336,
    trainedContextTokens: 16_384,
    bosTokenId: 14_327,
    eosTokenIds: [14_329, 14_327],
  });
});

test("a file that does not say its quantisation has that of most of its bytes", () => {
  const norms = withTensors((tensors) => tensors.filter(({ type }) => type !== "Q6_K"));
  const metadata = new Map(norms.metadata);
  metadata.delete("general.file_type");
  assert.equal(inspectModel(written({ ...norms, metadata })).quantisation, "Q4_K");
});

test("special tokens come with their kind", () => {
  const special = specialTokensOf(readGguf(quernMini));
  assert.deepEqual(
    special.find((token) => token.text === "<|im_start|>"),
    { id: 14_328, text: "<|im_start|>", isControl: true },
  );
  assert.ok(special.some((token) => token.text === "<tool_call>"));
});

const norm: WrittenTensor = { name: "norm", type: "F32", dimensions: [32] };
