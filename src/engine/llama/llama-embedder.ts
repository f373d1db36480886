// Embeddings by llama.cpp, on the CPU (or Metal), beside whichever engine generates. node-llama-cpp's own embedding context does the work:
// pooling is the model's (mean, first or last token); a model that names none gives its last token's state. One text after another, so
// a text's vector does not depend on what came with it.
import path from "node:path";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import { AppError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { findNumber, findString, readGguf } from "../../models/gguf.ts";
import type { Embedder, Embeddings } from "../contract.ts";
import { defaultThreads } from "./native.ts";

/** Longer texts are refused; few embedding models were trained for more, and the KV of each token is held. */
const mostTokens = 4096;

/** Throws AppError: `not_found` or `unreadable` for the file, `device` with what llama.cpp said. */
export async function openLlamaEmbedder({
  file,
  threads: wanted,
  log,
}: {
  file: string;
  /** 0 picks by the machine. */
  threads: number;
  log: Log;
}): Promise<Embedder & AsyncDisposable> {
  const threads = wanted || defaultThreads();
  const gguf = readGguf(file); // before native code sees it
  const architecture = findString(gguf, "general.architecture") ?? "";
  const contextTokens = Math.min(mostTokens, findNumber(gguf, `${architecture}.context_length`) || 512);
  try {
    const llama = await getLlama({
      gpu: process.platform === "darwin" ? "auto" : false,
      build: "never",
      progressLogs: false,
      logLevel: LlamaLogLevel.warn,
      logger: (level, message) => log.debug("llama.cpp", { level, message: message.trim() }),
      maxThreads: threads,
    });
    const model = await llama.loadModel({ modelPath: file });
    // A batch as long as the context: a pooled vector has to come out of one batch.
    const context = await model.createEmbeddingContext({
      contextSize: contextTokens,
      batchSize: contextTokens,
      threads,
    });
    const facts = {
      id: path.basename(file).replace(/\.gguf$/i, ""),
      dimensions: model.embeddingVectorSize,
      contextTokens,
    };
    log.info("embedding model loaded", { ...facts, file });
    return {
      embed: (texts) => embed(texts, { context, model: facts }),
      [Symbol.asyncDispose]: async () => {
        await context.dispose();
        await model.dispose();
        await llama.dispose();
      },
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("device", `llama.cpp could not open ${path.basename(file)} for embeddings: ${why}`, {
      hint: "Check --embedding-model, or leave it out.",
      cause,
    });
  }
}

interface Opened {
  context: {
    calculateInputLength(text: string): number;
    getEmbeddingFor(text: string): Promise<{ vector: readonly number[] }>;
  };
  model: Embeddings["model"];
}

async function embed(texts: readonly string[], { context, model }: Opened): Promise<Embeddings> {
  const tokens = texts.map((text) => context.calculateInputLength(text));
  const long = tokens.findIndex((count) => count >= model.contextTokens);
  if (long >= 0) {
    const [promptTokens = 0, limitTokens] = [tokens[long], model.contextTokens - 1];
    throw new AppError(
      "context_overflow",
      `Text ${long} has ${promptTokens} tokens; ${model.id} takes ${limitTokens}.`,
      {
        hint: "Cut it into shorter texts.",
        details: { promptTokens, limitTokens, overflowTokens: promptTokens - limitTokens },
      },
    );
  }
  const vectors: Float32Array[] = [];
  for (const text of texts) {
    const { vector } = await context.getEmbeddingFor(text);
    const length = Math.hypot(...vector) || 1;
    vectors.push(Float32Array.from(vector, (value) => value / length));
  }
  return { model, vectors, tokens };
}
