// What a model takes of memory with a context and with requests together, from its file alone: for choosing before anything is opened. The
// engines decide by themselves what fits; a test holds these numbers to theirs.
import { findNumber, findString, type Gguf } from "../models/gguf.ts";
import type { EngineName } from "./contract.ts";

export type KvType = "f16" | "int8";

export interface MemoryNeeds {
  /** About as many as the file has. */
  weightBytes: number;
  /** Of one token, for each type that the engine can keep. */
  kvTokenBytes: { readonly [Type in KvType]?: number };
  /** What `auto` comes to; absent where no type is kept. */
  autoKvType?: KvType;
  /** The engine sets aside a whole context for each of the requests together; else they share what there is, and one must fit. */
  isForEach: boolean;
}

// KV grows linearly with the tokens: a key and a value for each layer and KV head.
export function memoryNeeds(engine: EngineName, gguf: Gguf): MemoryNeeds {
  const architecture = findString(gguf, "general.architecture") ?? "";
  const find = (key: string): number | undefined => findNumber(gguf, `${architecture}.${key}`);
  const heads = find("attention.head_count") ?? 1;
  const headSize = find("attention.key_length") ?? (find("embedding_length") ?? 0) / heads;
  const vectors = 2 * (find("block_count") ?? 0) * (find("attention.head_count_kv") ?? heads);
  const weightBytes = gguf.fileBytes;
  switch (engine) {
    case "llama": {
      // llama.cpp's Q8_0: one f16 scale for 32 values.
      const kvTokenBytes = { f16: vectors * headSize * 2, int8: (vectors * headSize * 34) / 32 };
      return { weightBytes, kvTokenBytes, autoKvType: "f16", isForEach: true };
    }
    case "cuda": {
      // int8 with one f16 scale for each vector.
      const kvTokenBytes = { f16: vectors * headSize * 2, int8: vectors * (headSize + 2) };
      return { weightBytes, kvTokenBytes, autoKvType: "int8", isForEach: false };
    }
    default:
      return { weightBytes: 0, kvTokenBytes: {}, isForEach: false };
  }
}
