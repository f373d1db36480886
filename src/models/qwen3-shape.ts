// What a Qwen3 GGUF file holds, in the words of the model: sizes, and each tensor by its role. The native engine builds its graph
// from this and the memory estimates compute with it, so it refuses everything that would make such a graph compute something else
// than the file's author meant: another architecture, a tensor that is missing, misshapen or has no role, scaled RoPE.
import path from "node:path";
import { AppError } from "../base/errors.ts";
import {
  findNumber,
  findString,
  findStrings,
  type Gguf,
  type GgufTensor,
  needCount,
  needNumber,
  needString,
  unusable,
} from "./gguf.ts";

export interface Qwen3Layer {
  attentionNorm: GgufTensor; // [hidden]
  query: GgufTensor; // [hidden, heads * headDim]
  key: GgufTensor; // [hidden, kvHeads * headDim]
  value: GgufTensor; // [hidden, kvHeads * headDim]
  queryNorm: GgufTensor; // [headDim]
  keyNorm: GgufTensor; // [headDim]
  attentionOutput: GgufTensor; // [heads * headDim, hidden]
  feedForwardNorm: GgufTensor; // [hidden]
  gate: GgufTensor; // [hidden, feedForward]
  up: GgufTensor; // [hidden, feedForward]
  down: GgufTensor; // [feedForward, hidden]
}

export interface Qwen3Tensors {
  embedding: GgufTensor; // [hidden, vocabularyTokens]
  outputNorm: GgufTensor; // [hidden]
  /** The embedding itself when the file ties the two. */
  output: GgufTensor; // [hidden, vocabularyTokens]
  layers: readonly Qwen3Layer[];
}

export interface Qwen3Shape {
  layers: number;
  hidden: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  ropeBase: number;
  rmsEpsilon: number;
  /** What the model was trained for. */
  contextTokens: number;
  vocabularyTokens: number;
  isOutputTied: boolean;
  tensors: Qwen3Tensors;
}

/** Throws AppError: `unsupported` for a model of another kind, `unreadable` for a Qwen3 file that contradicts itself. */
export function qwen3ShapeOf(gguf: Gguf): Qwen3Shape {
  refuseOthers(gguf);
  const embedding = tensorNamed(gguf, "token_embd.weight");
  const hidden = needCount(gguf, "qwen3.embedding_length");
  const heads = needCount(gguf, "qwen3.attention.head_count");
  const kvHeads = needCount(gguf, "qwen3.attention.head_count_kv");
  const headDim = findNumber(gguf, "qwen3.attention.key_length") ?? hidden / heads;
  const valueDim = findNumber(gguf, "qwen3.attention.value_length") ?? headDim;
  const sizes = {
    layers: needCount(gguf, "qwen3.block_count"),
    hidden,
    feedForward: needCount(gguf, "qwen3.feed_forward_length"),
    heads,
    kvHeads,
    headDim,
    ropeBase: needNumber(gguf, "qwen3.rope.freq_base"),
    rmsEpsilon: needNumber(gguf, "qwen3.attention.layer_norm_rms_epsilon"),
    contextTokens: needCount(gguf, "qwen3.context_length"),
    vocabularyTokens: embedding.dimensions[1] ?? 0,
  };
  if (heads % kvHeads !== 0) throw unusable(gguf, `${heads} query heads cannot share ${kvHeads} key/value heads`);
  if (!Number.isSafeInteger(headDim) || headDim < 2 || headDim % 2 !== 0)
    throw unusable(gguf, `the head size ${headDim} is no even number`);
  if (valueDim !== headDim) throw unusable(gguf, `keys have ${headDim} values a head, but values have ${valueDim}`);
  if (!(sizes.ropeBase > 1)) throw unusable(gguf, `the RoPE base is ${sizes.ropeBase}`);
  if (!(sizes.rmsEpsilon > 0 && sizes.rmsEpsilon < 1)) throw unusable(gguf, `the RMS epsilon is ${sizes.rmsEpsilon}`);
  const vocabulary = findStrings(gguf, "tokenizer.ggml.tokens");
  if (vocabulary && vocabulary.length !== sizes.vocabularyTokens)
    throw unusable(
      gguf,
      `the tokenizer has ${vocabulary.length} tokens, but the embedding has ${sizes.vocabularyTokens}`,
    );
  const { tensors, isOutputTied } = tensorsByRole(gguf, { ...sizes, embedding });
  return { ...sizes, isOutputTied, tensors };
}

/** Numbers that the KV cache holds for one token: keys and values of every layer. */
export function kvValuesPerToken({
  layers,
  kvHeads,
  headDim,
}: Pick<Qwen3Shape, "layers" | "kvHeads" | "headDim">): number {
  return 2 * layers * kvHeads * headDim;
}

function refuseOthers(gguf: Gguf): void {
  const refuse = (problem: string, hint: string): never => {
    throw new AppError("unsupported", `${path.basename(gguf.file)} ${problem}.`, {
      hint,
      details: { file: gguf.file },
    });
  };
  const architecture = needString(gguf, "general.architecture");
  if (architecture !== "qwen3")
    refuse(
      `is a model of the architecture "${architecture}"; only dense Qwen3 models ("qwen3") are supported here`,
      "Take qwen3-4b-instruct-2507, or start with --engine llama, which runs other architectures.",
    );
  const parts = findNumber(gguf, "split.count") ?? 1;
  if (parts > 1)
    refuse(
      `is one part of a model in ${parts} files`,
      "Join the parts with llama.cpp's `llama-gguf-split --merge`, or take a model in one file.",
    );
  const scaling = findString(gguf, "qwen3.rope.scaling.type") ?? "none";
  if (scaling !== "none")
    refuse(`uses RoPE scaling (${scaling})`, "Take a conversion without it, or start with --engine llama.");
}

function tensorNamed(gguf: Gguf, name: string): GgufTensor {
  const tensor = gguf.tensors.find((candidate) => candidate.name === name);
  if (tensor) return tensor;
  throw unusable(gguf, `the tensor ${name} is missing`);
}

type Sizes = Pick<
  Qwen3Shape,
  "layers" | "hidden" | "feedForward" | "heads" | "kvHeads" | "headDim" | "vocabularyTokens"
>;

function tensorsByRole(
  gguf: Gguf,
  sizes: Sizes & { embedding: GgufTensor },
): { tensors: Qwen3Tensors; isOutputTied: boolean } {
  const { layers, hidden, feedForward, heads, kvHeads, headDim, vocabularyTokens, embedding } = sizes;
  if (layers > gguf.tensors.length)
    throw unusable(gguf, `${layers} layers cannot be made of ${gguf.tensors.length} tensors`);
  const left = new Map(gguf.tensors.map((tensor) => [tensor.name, tensor]));
  const taken = (name: string, ...dimensions: number[]): GgufTensor => {
    const tensor = left.get(name);
    if (!tensor) throw unusable(gguf, `the tensor ${name} is missing`);
    left.delete(name);
    if (tensor.dimensions.join() === dimensions.join()) return tensor;
    throw unusable(
      gguf,
      `the tensor ${name} is [${tensor.dimensions.join(", ")}] instead of [${dimensions.join(", ")}]`,
    );
  };
  const isOutputTied = !left.has("output.weight");
  taken("token_embd.weight", hidden, vocabularyTokens);
  const tensors: Qwen3Tensors = {
    embedding,
    outputNorm: taken("output_norm.weight", hidden),
    output: isOutputTied ? embedding : taken("output.weight", hidden, vocabularyTokens),
    layers: Array.from({ length: layers }, (_, index) => ({
      attentionNorm: taken(`blk.${index}.attn_norm.weight`, hidden),
      query: taken(`blk.${index}.attn_q.weight`, hidden, heads * headDim),
      key: taken(`blk.${index}.attn_k.weight`, hidden, kvHeads * headDim),
      value: taken(`blk.${index}.attn_v.weight`, hidden, kvHeads * headDim),
      queryNorm: taken(`blk.${index}.attn_q_norm.weight`, headDim),
      keyNorm: taken(`blk.${index}.attn_k_norm.weight`, headDim),
      attentionOutput: taken(`blk.${index}.attn_output.weight`, heads * headDim, hidden),
      feedForwardNorm: taken(`blk.${index}.ffn_norm.weight`, hidden),
      gate: taken(`blk.${index}.ffn_gate.weight`, hidden, feedForward),
      up: taken(`blk.${index}.ffn_up.weight`, hidden, feedForward),
      down: taken(`blk.${index}.ffn_down.weight`, feedForward, hidden),
    })),
  };
  const [stranger] = left.keys();
  if (stranger !== undefined)
    throw new AppError(
      "unsupported",
      `${path.basename(gguf.file)} has the tensor ${stranger}, which has no place in a Qwen3 model.`,
      { hint: "Its result would be left out in silence. Start with --engine llama, or take another conversion." },
    );
  return { tensors, isOutputTied };
}
