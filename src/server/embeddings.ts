// POST /v1/embeddings in OpenAI's shape, by the model of --embedding-model: texts in, vectors of length 1 out, in the order of the texts.
import { AppError } from "../base/errors.ts";
import type { Embeddings } from "../engine/contract.ts";
import { embedAll } from "../engine/embed-all.ts";
import { answerWith } from "./answer-sink.ts";
import { type Api, type ApiContext, anyModel, beginRequest, bodyOf } from "./api.ts";
import { parseJsonFields } from "./body.ts";
import { refuse, unsupported } from "./errors.ts";
import type { Fields } from "./fields.ts";
import { sinkOf } from "./serve-answer.ts";

/** As OpenAI's. */
const mostTexts = 2048;

export async function embeddings(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  const { embedder } = api;
  if (!embedder) {
    throw unsupported("model", "This server has no embedding model.", "Start Quern with --embedding-model FILE.gguf.");
  }
  const texts = textsOf(body);
  const isBase64 = body.choice("encoding_format", ["float", "base64"]) === "base64";
  return answerWith(sinkOf(context, api), async ({ signal }) => {
    using entry = beginRequest(context, api, "embeddings");
    try {
      assertKnown(body, (await embedder.embed([])).model);
      const { model, vectors, tokens } = await embedAll(embedder, texts, { signal });
      const promptTokens = tokens.reduce((sum, count) => sum + count, 0);
      entry.done("stop", { promptTokens, cachedTokens: 0, completionTokens: 0 });
      return context.json({
        object: "list",
        data: vectors.map((vector, index) => ({
          object: "embedding",
          index,
          embedding: isBase64 ? toBase64(vector) : [...vector],
        })),
        model: model.id,
        usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
      });
    } catch (error) {
      entry.failed(error);
      throw named(error);
    }
  });
}

function textsOf(body: Fields): string[] {
  const input = body.raw("input");
  const list = typeof input === "string" ? [input] : body.required("input", body.list("input", mostTexts));
  if (list.length === 0) throw refuse("input", "input is an empty list.");
  return list.map((text, index) => {
    const path = typeof input === "string" ? "input" : `input[${index}]`;
    if (typeof text === "number" || Array.isArray(text)) {
      throw unsupported(
        path,
        "Token ids of another model's tokenizer would mean other words here.",
        "Send texts (in LangChain: check_embedding_ctx_length=False).",
      );
    }
    if (typeof text !== "string") throw refuse(path, `${path} must be a text.`);
    if (text.trim() === "") throw refuse(path, `${path} is empty.`);
    return text;
  });
}

function assertKnown(body: Fields, { id, dimensions }: Embeddings["model"]): void {
  const wanted = body.string("model");
  if (wanted !== undefined && !anyModel.has(wanted) && wanted !== id && wanted !== `${id}.gguf`) {
    throw new AppError(
      "not_found",
      `The embedding model "${wanted.slice(0, 100)}" is not loaded; this server runs ${id}.`,
      {
        param: "model",
        hint: `Send "model": "${id}", or leave the field out.`,
      },
    );
  }
  const asked = body.integer("dimensions", 1, 1_000_000);
  if (asked !== undefined && asked !== dimensions) {
    throw unsupported(
      "dimensions",
      `${id} gives ${dimensions} dimensions; what a part of them is worth, its file does not say.`,
      "Leave the field out.",
    );
  }
}

/** Little-endian float32, as OpenAI has it. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

function named(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== "context_overflow") return error;
  return new AppError(error.code, error.message, { ...error.toData(), param: "input", cause: error });
}
