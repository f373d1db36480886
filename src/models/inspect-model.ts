// The facts about a model file that people and programs ask for before it runs: what `quern models`, `/v1/models` and the engines
// report. Works for any architecture; what an engine can run is the engine's question.
import path from "node:path";
import { findNumber, findNumbers, findString, findStrings, type Gguf, needString, readGguf } from "./gguf.ts";
import { fileTypeById } from "./gguf-types.ts";
import type { ModelFacts } from "./model-facts.ts";

/** A token that stands for itself in text when special tokens are recognised. */
export interface SpecialToken {
  id: number;
  text: string;
  /** True for `<|im_start|>` and its kind; false for marks that a model writes as content, such as `<tool_call>`. */
  isControl: boolean;
}

/** Throws AppError `unreadable` (or `not_found`) as readGguf does. */
export function inspectModel(file: string): ModelFacts {
  return modelFactsOf(readGguf(file));
}

export function modelFactsOf(gguf: Gguf): ModelFacts {
  const architecture = needString(gguf, "general.architecture");
  const chatTemplate = findString(gguf, "tokenizer.chat_template");
  const bosTokenId = findNumber(gguf, "tokenizer.ggml.bos_token_id");
  return {
    file: path.resolve(gguf.file),
    fileBytes: gguf.fileBytes,
    architecture,
    quantisation: quantisationOf(gguf),
    parameters: gguf.tensors.reduce((sum, { dimensions }) => sum + dimensions.reduce((a, b) => a * b, 1), 0),
    layers: findNumber(gguf, `${architecture}.block_count`) ?? 0,
    vocabularyTokens: findStrings(gguf, "tokenizer.ggml.tokens")?.length ?? 0,
    trainedContextTokens: findNumber(gguf, `${architecture}.context_length`) ?? 0,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    eosTokenIds: eosTokenIdsOf(gguf),
  };
}

// Token types of the format: 3 is control, 4 is user-defined. Both are matched in text before it is split into words.
const controlType = 3;
const userDefinedType = 4;

export function specialTokensOf(gguf: Gguf): SpecialToken[] {
  const types = findNumbers(gguf, "tokenizer.ggml.token_type");
  const special: SpecialToken[] = [];
  for (const [id, text] of (findStrings(gguf, "tokenizer.ggml.tokens") ?? []).entries()) {
    const type = types?.[id];
    if (text !== "" && (type === controlType || type === userDefinedType))
      special.push({ id, text, isControl: type === controlType });
  }
  return special;
}

/** What `general.file_type` says; else the type that holds most of the bytes. */
function quantisationOf(gguf: Gguf): string {
  const stated = fileTypeById.get(findNumber(gguf, "general.file_type") ?? -1);
  if (stated) return stated;
  const bytesByType = new Map<string, number>();
  for (const { type, byteLength } of gguf.tensors) bytesByType.set(type, (bytesByType.get(type) ?? 0) + byteLength);
  return [...bytesByType].sort(([, a], [, b]) => b - a)[0]?.[0] ?? "unknown";
}

// Files name one end token, models use several: Qwen3 ends a turn with <|im_end|> and a text with <|endoftext|>.
const endKeys = ["eos_token_id", "eot_token_id", "eom_token_id"];
const endTexts = new Set(["<|im_end|>", "<|endoftext|>"]);

function eosTokenIdsOf(gguf: Gguf): number[] {
  const ids = new Set<number>();
  for (const key of endKeys) {
    const id = findNumber(gguf, `tokenizer.ggml.${key}`);
    if (id !== undefined) ids.add(id);
  }
  for (const { id, text, isControl } of specialTokensOf(gguf)) if (isControl && endTexts.has(text)) ids.add(id);
  return [...ids];
}
