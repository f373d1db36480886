// The one place that talks to the server. Every failure becomes an ApiError with a code, so that the page can say what
// happened in the reader's language; the server's own sentence and hint come along.
import type { ChatChunk, ErrorBody, StatusBody, UsageBody } from "../src/server/api-types.ts";
import { apiKey } from "./api-key.ts";
import type { ApiMessage } from "./prompt.ts";
import { readEvents } from "./sse.ts";

export type EngineStatus = StatusBody["engine"];

export interface ChatRequest {
  model: string;
  messages: readonly ApiMessage[];
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  seed?: number;
  max_tokens?: number;
}

export type FinishReason = "stop" | "length";

export type ChatEvent =
  | { type: "queued"; position: number; waitMs?: number }
  | { type: "prefill"; processedTokens: number; totalTokens: number; cachedTokens: number }
  | { type: "text"; text: string }
  | { type: "done"; reason: FinishReason; usage?: Usage; tokensPerSecond?: number };

export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** A stream's chunk; it comes from outside, so nothing in it is taken for granted. */
type Chunk = Partial<ChatChunk> & { error?: Failure };
type Failure = Partial<Pick<ErrorBody["error"], "message" | "code" | "hint">>;

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

export async function fetchStatus(signal: AbortSignal): Promise<StatusBody> {
  return (await (await request("/status", { signal })).json()) as StatusBody;
}

/** Tokens of a text as the loaded model counts them. */
export async function countTokens(text: string, signal: AbortSignal): Promise<number> {
  const response = await request("/tokenize", { ...jsonBody({ prompt: text, parse_special: false }), signal });
  const answer = (await response.json()) as { tokens?: unknown[]; count?: number };
  return answer.count ?? answer.tokens?.length ?? 0;
}

/**
 * Streams one answer. Ends after one `done`, or throws: an ApiError, or the signal's own reason when it was aborted. Leaving
 * the loop closes the connection, and the engine stops within a step.
 */
export async function* streamChat(chat: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
  const response = await request("/v1/chat/completions", {
    ...jsonBody({
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
      return_progress: true,
    }),
    signal,
  });
  if (response.body === null) throw new ApiError("cut", "The answer had no body.");
  let reason: FinishReason | undefined;
  let usage: Usage | undefined;
  let tokensPerSecond: number | undefined;
  try {
    for await (const data of readEvents(response.body)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error !== undefined) throw errorFrom(chunk.error, 500);
      yield* progressOf(chunk);
      const choice = chunk.choices?.[0];
      if (choice?.delta?.content) yield { type: "text", text: choice.delta.content };
      if (choice?.finish_reason) reason = choice.finish_reason === "length" ? "length" : "stop";
      if (chunk.usage) usage = usageFrom(chunk.usage);
      tokensPerSecond = chunk.timings?.predicted_per_second ?? tokensPerSecond;
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new ApiError("cut", "The connection broke in mid-answer.", { cause: error });
  }
  signal.throwIfAborted();
  if (reason === undefined) throw new ApiError("cut", "The answer ended without saying why.");
  yield {
    type: "done",
    reason,
    ...(usage === undefined ? {} : { usage }),
    ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
  };
}

function* progressOf({ queue, prompt_progress: progress }: Chunk): Generator<ChatEvent> {
  if (queue?.position !== undefined) {
    const waitMs = queue.estimated_wait_ms ?? undefined;
    yield { type: "queued", position: queue.position, ...(waitMs === undefined ? {} : { waitMs }) };
  }
  if (progress?.total !== undefined) {
    const { total, processed = 0, cache = 0 } = progress;
    yield { type: "prefill", processedTokens: processed, totalTokens: total, cachedTokens: cache };
  }
}

function usageFrom(usage: Partial<UsageBody>): Usage {
  return {
    promptTokens: usage.prompt_tokens ?? 0,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens ?? 0,
  };
}

const jsonBody = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

async function request(path: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  let response: Response;
  try {
    const key = apiKey();
    const headers = { ...init.headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) };
    response = await fetch(path, { ...init, headers, cache: "no-store" });
  } catch (error) {
    if (init.signal.aborted) throw error;
    throw new ApiError("unreachable", "Quern does not answer.", { cause: error });
  }
  if (response.ok) return response;
  const body = (await response.json().catch(() => undefined)) as { error?: Failure } | undefined;
  throw errorFrom(body?.error ?? {}, response.status);
}

function errorFrom(body: Failure, status: number): ApiError {
  const options = body.hint === undefined ? {} : { hint: body.hint };
  return new ApiError(
    body.code ?? `http_${status}`,
    body.message ?? `The server answered with status ${status}.`,
    options,
  );
}
