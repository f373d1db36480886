// Writes a Q4_K_M file of exactly the shape of Qwen3-4B-Instruct-2507, with random weights: what speed is measured on where the
// real file is not at hand. The same bytes every time, 2.5 GB, in well under a minute:
//   node bench/make-qwen3-4b.ts FILE.gguf
//
// The tensor types are those llama.cpp gives a Q4_K_M file (attn_v and ffn_down are Q6_K in half of the layers, the tied embedding
// is Q6_K). The vocabulary is synthetic: the 256 bytes, pairs and triples of visible characters with their merges, and the special
// tokens at Qwen's ids. Answers are noise, but logits are of the usual size: every matrix keeps the size of what goes through it.
import { closeSync, openSync, renameSync, writeSync } from "node:fs";
import {
  float32,
  int32s,
  tensorBytes,
  text,
  texts,
  uint32,
  type WrittenTensor,
  type WrittenValue,
  writeGgufHead,
} from "../src/models/gguf-writer.ts";
import { qwen3InstructTemplate } from "../src/models/qwen3-template.ts";
import { fillQ4K, fillQ6K, RandomBits } from "./random-blocks.ts";

const shape = {
  layers: 36,
  hidden: 2560,
  feedForward: 9728,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  vocabularyTokens: 151_936,
};
const plainTokens = 151_643;
const specialTokens = [
  ...["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
  ...["<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"],
  ...["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"],
];
const addedTokens = [
  ...[
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
  ],
  ...["<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"],
];

const [file, ...stray] = process.argv.slice(2);
if (!file || stray.length > 0) {
  console.error("Usage: node bench/make-qwen3-4b.ts FILE.gguf");
  process.exit(2);
}
const startedAt = performance.now();
const bytes = write(file, tensorsOfQwen3());
console.log(JSON.stringify({ file, bytes, seconds: Number(((performance.now() - startedAt) / 1000).toFixed(1)) }));

function write(target: string, tensors: readonly WrittenTensor[]): number {
  const partial = `${target}.part`;
  const out = openSync(partial, "w");
  let written = writeSync(out, writeGgufHead({ metadata: metadataOfQwen3(), tensors }));
  // Whole blocks of both kinds, on a 4-byte border, and far below what one write can take.
  const room = new Uint8Array(144 * 210 * 512);
  tensors.forEach(({ type, dimensions, data }, index) => {
    const total = data?.length ?? tensorBytes(type, dimensions);
    const bits = new RandomBits(index + 1);
    // Over a sum of `inputs` terms, values of size 1 stay of size 1.
    const deviation = 1 / Math.sqrt(dimensions[0] ?? 1);
    for (let done = 0; done < total; ) {
      const part = data ?? room.subarray(0, Math.min(room.length, total - done));
      if (type === "Q4_K") fillQ4K(part, { bits, deviation });
      if (type === "Q6_K") fillQ6K(part, { bits, deviation });
      for (let at = 0; at < part.length; ) at += writeSync(out, part, at);
      done += part.length;
    }
    written += total + writeSync(out, new Uint8Array((32 - (total % 32)) % 32));
  });
  closeSync(out);
  renameSync(partial, target);
  return written;
}

function tensorsOfQwen3(): WrittenTensor[] {
  const { layers, hidden, feedForward, heads, kvHeads, headDim, vocabularyTokens } = shape;
  const bits = new RandomBits(0);
  const matrix = (name: string, type: "Q4_K" | "Q6_K", ...dimensions: number[]): WrittenTensor => ({
    name,
    type,
    dimensions,
  });
  // Weights of a norm vary about `size`: a kernel that leaves them out, or takes the wrong layer's, is found out.
  const norm = (name: string, count: number, size = 1): WrittenTensor => {
    const values = Float32Array.from({ length: count }, () => size * (0.8 + 0.4 * bits.fraction()));
    return { name, type: "F32", dimensions: [count], data: new Uint8Array(values.buffer) };
  };
  return [
    matrix("token_embd.weight", "Q6_K", hidden, vocabularyTokens),
    // The last norm sets the spread of the logits: 3, so that the first token stands out from 151,936 as in a real model.
    norm("output_norm.weight", hidden, 3),
    ...Array.from({ length: layers }, (_, layer) => {
      const better = layer < 4 || layer >= 31 || (layer - 4) % 3 === 2 ? "Q6_K" : "Q4_K";
      const name = (part: string): string => `blk.${layer}.${part}.weight`;
      return [
        norm(name("attn_norm"), hidden),
        matrix(name("attn_q"), "Q4_K", hidden, heads * headDim),
        matrix(name("attn_k"), "Q4_K", hidden, kvHeads * headDim),
        matrix(name("attn_v"), better, hidden, kvHeads * headDim),
        matrix(name("attn_output"), "Q4_K", heads * headDim, hidden),
        // 1.5 each: attention that prefers some positions to others.
        norm(name("attn_q_norm"), headDim, 1.5),
        norm(name("attn_k_norm"), headDim, 1.5),
        norm(name("ffn_norm"), hidden),
        matrix(name("ffn_gate"), "Q4_K", hidden, feedForward),
        matrix(name("ffn_up"), "Q4_K", hidden, feedForward),
        matrix(name("ffn_down"), better, feedForward, hidden),
      ];
    }).flat(),
  ];
}

function metadataOfQwen3(): Map<string, WrittenValue> {
  const { tokens, merges } = syntheticVocabulary();
  const types = tokens.map((_, id) => {
    if (id < plainTokens) return 1;
    if (id < plainTokens + specialTokens.length) return 3;
    return id < plainTokens + specialTokens.length + addedTokens.length ? 4 : 5;
  });
  return new Map([
    ["general.architecture", text("qwen3")],
    ["general.name", text("Random weights of the Qwen3-4B shape")],
    ["general.file_type", uint32(15)],
    ["general.quantization_version", uint32(2)],
    ["qwen3.block_count", uint32(shape.layers)],
    ["qwen3.context_length", uint32(262_144)],
    ["qwen3.embedding_length", uint32(shape.hidden)],
    ["qwen3.feed_forward_length", uint32(shape.feedForward)],
    ["qwen3.attention.head_count", uint32(shape.heads)],
    ["qwen3.attention.head_count_kv", uint32(shape.kvHeads)],
    ["qwen3.attention.key_length", uint32(shape.headDim)],
    ["qwen3.attention.value_length", uint32(shape.headDim)],
    ["qwen3.rope.freq_base", float32(5e6)],
    ["qwen3.attention.layer_norm_rms_epsilon", float32(1e-6)],
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("qwen2")],
    ["tokenizer.ggml.tokens", texts(tokens)],
    ["tokenizer.ggml.token_type", int32s(types)],
    ["tokenizer.ggml.merges", texts(merges)],
    ["tokenizer.ggml.eos_token_id", uint32(151_645)],
    ["tokenizer.ggml.bos_token_id", uint32(151_643)],
    ["tokenizer.ggml.padding_token_id", uint32(151_643)],
    ["tokenizer.ggml.add_bos_token", { kind: "bool", value: false }],
    ["tokenizer.chat_template", text(qwen3InstructTemplate)],
  ]);
}

/** The bytes in GPT-2's spelling, then pairs and triples of visible ASCII, each with the merge that makes it. */
function syntheticVocabulary(): { tokens: string[]; merges: string[] } {
  const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
  const latin = Array.from({ length: 94 }, (_, index) => 161 + index + (index >= 12 ? 1 : 0)).map((code) =>
    String.fromCharCode(code),
  );
  const shifted = Array.from({ length: 68 }, (_, index) => String.fromCharCode(0x100 + index));
  const tokens = [...visible, ...latin, ...shifted];
  const merges: string[] = [];
  let level = visible;
  while (tokens.length < plainTokens) {
    const longer: string[] = [];
    for (const left of level) {
      for (const right of visible) {
        if (tokens.length === plainTokens) break;
        tokens.push(left + right);
        merges.push(`${left} ${right}`);
        longer.push(left + right);
      }
    }
    level = longer;
  }
  tokens.push(...specialTokens, ...addedTokens);
  while (tokens.length < shape.vocabularyTokens) tokens.push(`[PAD${tokens.length}]`);
  return { tokens, merges };
}
