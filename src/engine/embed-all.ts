// Many texts through the embedding model, a handful at a time, so that leaving ends the work and whoever waits can be told how far it is.
import type { Embedder, Embeddings } from "./contract.ts";

const atOnce = 16;

export async function embedAll(
  embedder: Embedder,
  texts: readonly string[],
  { signal, onProgress }: { signal: AbortSignal; onProgress?: (done: number) => void },
): Promise<Embeddings> {
  const { model } = await embedder.embed([]);
  const [vectors, tokens]: [Float32Array[], number[]] = [[], []];
  for (let at = 0; at < texts.length; at += atOnce) {
    signal.throwIfAborted();
    const some = await embedder.embed(texts.slice(at, at + atOnce));
    vectors.push(...some.vectors);
    tokens.push(...some.tokens);
    onProgress?.(vectors.length);
  }
  return { model, vectors, tokens };
}
