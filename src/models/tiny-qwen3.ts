// A Qwen3 model of a few kilobytes, complete in form and random in content: what tests and the bench load when only the shape of a
// file matters. The real small model is quern-mini.
import {
  float32,
  int32s,
  tensorBytes,
  text,
  texts,
  uint32,
  type WrittenGguf,
  type WrittenTensor,
} from "./gguf-writer.ts";

export interface TinyShape {
  layers: number;
  hidden: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  vocabularyTokens: number;
}

export const tinyShape: TinyShape = {
  layers: 2,
  hidden: 256,
  feedForward: 256,
  heads: 4,
  kvHeads: 2,
  headDim: 64,
  vocabularyTokens: 64,
};

/** Matrices are Q4_K but for Q6_K where Q4_K_M has it, norms are F32 ones; matrices hold zeros unless `fill` says otherwise. */
export function tinyQwen3(
  shape: TinyShape = tinyShape,
  { fill = () => undefined }: { fill?: (name: string, byteLength: number) => Uint8Array | undefined } = {},
): WrittenGguf {
  const { layers, hidden, feedForward, heads, kvHeads, headDim, vocabularyTokens } = shape;
  const matrix = (name: string, type: "Q4_K" | "Q6_K", ...dimensions: number[]): WrittenTensor => {
    const data = fill(name, tensorBytes(type, dimensions));
    return { name, type, dimensions, ...(data ? { data } : {}) };
  };
  const norm = (name: string, size: number): WrittenTensor => ({
    name,
    type: "F32",
    dimensions: [size],
    data: new Uint8Array(new Float32Array(size).fill(1).buffer),
  });
  const special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
  const plain = vocabularyTokens - special.length;
  return {
    metadata: new Map([
      ["general.architecture", text("qwen3")],
      ["general.name", text("tiny")],
      ["general.file_type", uint32(15)],
      ["qwen3.block_count", uint32(layers)],
      ["qwen3.context_length", uint32(512)],
      ["qwen3.embedding_length", uint32(hidden)],
      ["qwen3.feed_forward_length", uint32(feedForward)],
      ["qwen3.attention.head_count", uint32(heads)],
      ["qwen3.attention.head_count_kv", uint32(kvHeads)],
      ["qwen3.attention.key_length", uint32(headDim)],
      ["qwen3.attention.value_length", uint32(headDim)],
      ["qwen3.rope.freq_base", float32(5e6)],
      ["qwen3.attention.layer_norm_rms_epsilon", float32(1e-6)],
      ["tokenizer.ggml.model", text("gpt2")],
      ["tokenizer.ggml.pre", text("qwen2")],
      // Printable characters from "!" on: a byte-level vocabulary with no merges.
      [
        "tokenizer.ggml.tokens",
        texts([...Array.from({ length: plain }, (_, id) => String.fromCharCode(33 + id)), ...special]),
      ],
      ["tokenizer.ggml.token_type", int32s([...Array<number>(plain).fill(1), 3, 3, 3])],
      ["tokenizer.ggml.merges", texts([])],
      ["tokenizer.ggml.eos_token_id", uint32(vocabularyTokens - 1)],
      ["tokenizer.ggml.bos_token_id", uint32(plain)],
    ]),
    tensors: [
      norm("output_norm.weight", hidden),
      matrix("token_embd.weight", "Q6_K", hidden, vocabularyTokens),
      ...Array.from({ length: layers }, (_, index) => [
        matrix(`blk.${index}.attn_k.weight`, "Q4_K", hidden, kvHeads * headDim),
        norm(`blk.${index}.attn_k_norm.weight`, headDim),
        norm(`blk.${index}.attn_norm.weight`, hidden),
        matrix(`blk.${index}.attn_output.weight`, "Q4_K", heads * headDim, hidden),
        matrix(`blk.${index}.attn_q.weight`, "Q4_K", hidden, heads * headDim),
        norm(`blk.${index}.attn_q_norm.weight`, headDim),
        matrix(`blk.${index}.attn_v.weight`, "Q6_K", hidden, kvHeads * headDim),
        matrix(`blk.${index}.ffn_down.weight`, "Q6_K", feedForward, hidden),
        matrix(`blk.${index}.ffn_gate.weight`, "Q4_K", hidden, feedForward),
        norm(`blk.${index}.ffn_norm.weight`, hidden),
        matrix(`blk.${index}.ffn_up.weight`, "Q4_K", hidden, feedForward),
      ]).flat(),
    ],
  };
}
