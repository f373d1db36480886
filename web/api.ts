// The one place that talks to the server. Every failure becomes an ApiError with a code, so that the page can say what
// happened in the reader's language; the server's own sentence and hint come along.
import type { ErrorBody, StatusBody } from "../src/server/api-types.ts";
import { apiKey } from "./api-key.ts";
import { readEvents } from "./sse.ts";

export type EngineStatus = StatusBody["engine"];

type Failure = Partial<Pick<ErrorBody["error"], "message" | "code" | "hint">> & { needs_password?: unknown };

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: string;
  readonly hint: string | undefined;
  /** An encrypted file: its password opens it. */
  readonly needsPassword: boolean;

  constructor(
    code: string,
    message: string,
    options: { hint?: string; needsPassword?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.needsPassword = options.needsPassword ?? false;
  }
}

export async function fetchStatus(signal: AbortSignal): Promise<StatusBody> {
  return (await (await request("/status", { signal })).json()) as StatusBody;
}

/** Tokens of a text as the loaded model counts them. */
export async function countTokens(text: string, signal: AbortSignal): Promise<number> {
  const body = jsonBody({ prompt: text, parse_special: false, count_only: true });
  const { count } = (await (await request("/tokenize", { ...body, signal })).json()) as { count: number };
  return count;
}

/** Sends JSON, reads JSON. */
export async function call<T>(
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  { body, signal = AbortSignal.timeout(60_000) }: { body?: unknown; signal?: AbortSignal } = {},
): Promise<T> {
  const response = await request(path, { ...(body === undefined ? {} : jsonBody(body)), method, signal });
  return (await response.json()) as T;
}

/** A file of the server as text. */
export async function readText(path: string): Promise<string> {
  return (await request(path, { signal: AbortSignal.timeout(60_000) })).text();
}

/** The events of a stream until it ends. Throws an ApiError when it breaks, the signal's reason when it was aborted. */
export async function* readStream<T>(path: string, signal: AbortSignal, body?: unknown): AsyncGenerator<T> {
  const response = await request(path, { ...(body === undefined ? {} : jsonBody(body)), signal });
  if (response.body === null) throw new ApiError("cut", "The stream had no body.");
  try {
    for await (const data of readEvents(response.body)) {
      const event: unknown = JSON.parse(data);
      const { error } = event as { error?: Failure };
      if (error !== undefined) throw errorFrom(error, 500);
      yield event as T;
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new ApiError("cut", "The connection broke.", { cause: error });
  }
  signal.throwIfAborted();
}

const jsonBody = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

/** Any call, with the key; a status that is no success becomes an ApiError. */
export async function request(path: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
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
  const options = {
    ...(body.hint === undefined ? {} : { hint: body.hint }),
    needsPassword: body.needs_password === true,
  };
  return new ApiError(
    body.code ?? `http_${status}`,
    body.message ?? `The server answered with status ${status}.`,
    options,
  );
}
