// How near each passage is in meaning to a question, by the embedding model. The vectors of passages are kept for the next question: a
// document's passages are the same for each, and computing them is most of the work.
import { createHash } from "node:crypto";
import { AppError } from "../../base/errors.ts";
import type { Embedder } from "../../engine/contract.ts";
import { embedAll } from "../../engine/embed-all.ts";

const mostKept = 20_000;
const kept = new WeakMap<Embedder, Map<string, Float32Array>>();

export async function similarities(
  embedder: Embedder,
  { passages, question }: { passages: readonly string[]; question: string },
  { signal, onProgress }: { signal: AbortSignal; onProgress?: (done: number, all: number) => void },
): Promise<Map<string, number>> {
  const known = kept.get(embedder) ?? new Map<string, Float32Array>();
  kept.set(embedder, known);
  const byKey = new Map(passages.map((text) => [createHash("sha1").update(text).digest("base64"), text]));
  const missing = [...byKey].filter(([key]) => !known.has(key));
  const before = byKey.size - missing.length;
  const { model } = await embedder.embed([]);
  const whole = beginnings(embedder, model.contextTokens);
  const { vectors } = await embedAll(
    whole,
    missing.map(([, text]) => text),
    { signal, onProgress: (done) => onProgress?.(before + done, byKey.size) },
  );
  for (const [index, [key]] of missing.entries()) {
    const vector = vectors[index];
    if (vector) known.set(key, vector);
  }
  const [asked] = (await embedAll(whole, [question], { signal })).vectors;
  const near = new Map<string, number>();
  for (const [key, text] of byKey) near.set(text, asked ? dot(asked, known.get(key) ?? asked) : 0);
  for (const key of known.keys()) {
    if (known.size <= mostKept) break;
    known.delete(key);
  }
  return near;
}

/** Small embedding models take 512 tokens: of a longer passage the beginning is compared. What the model reads of it stays whole. */
function beginnings(embedder: Embedder, contextTokens: number): Embedder {
  return {
    async embed(texts) {
      for (let most = contextTokens; ; most = Math.floor(most / 2)) {
        try {
          return await embedder.embed(texts.map((text) => text.slice(0, most)));
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== "context_overflow" || most < 32) throw error;
        }
      }
    },
  };
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index++) sum += (left[index] ?? 0) * (right[index] ?? 0);
  return sum;
}
