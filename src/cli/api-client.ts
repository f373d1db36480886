// The command line as one more client of the HTTP API: chat and run speak to a running server, or to one that connect.ts starts for
// them, and never to the engine directly, so there is one path to keep right.
import { AppError, type ErrorData } from "../base/errors.ts";
import type { FileProgress } from "../documents/file-progress.ts";
import type { ContentPart, FileOverflow, QuernBody } from "../server/api-types.ts";

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string | ContentPart[];
}

/** A server to talk to; `key` is "" where none is needed. */
export interface ServerAddress {
  url: string;
  key: string;
}

export interface ChatOptions {
  temperature?: number;
  seed?: number;
  maxTokens?: number;
  json?: boolean;
  /** What to do with files that do not fit. */
  fileOverflow?: FileOverflow;
  signal: AbortSignal;
  onProgress?: (processed: number, total: number) => void;
  onFileProgress?: (progress: FileProgress) => void;
}

export interface ChatEnd {
  reason: string;
  completionTokens: number;
  tokensPerSecond: number;
  /** What became of the files. */
  files?: QuernBody;
}

/** Streams an answer's text; returns how it ended. Throws the server's error as an AppError. */
export async function* streamChat(
  server: ServerAddress,
  messages: readonly ChatMessage[],
  { temperature, seed, maxTokens, json, fileOverflow, signal, onProgress, onFileProgress }: ChatOptions,
): AsyncGenerator<string, ChatEnd> {
  const response = await reach(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...keyHeader(server) },
    body: JSON.stringify({
      messages,
      stream: true,
      stream_options: { include_usage: true },
      return_progress: true,
      ...(temperature === undefined ? {} : { temperature }),
      ...(seed === undefined ? {} : { seed }),
      ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
      ...(fileOverflow === undefined ? {} : { file_overflow: fileOverflow }),
      ...(json ? { response_format: { type: "json_object" } } : {}),
    }),
    signal,
  });
  if (!response.ok || !response.body) throw await toError(response);
  const end: ChatEnd = { reason: "stop", completionTokens: 0, tokensPerSecond: 0 };
  for await (const data of eventsOf(response.body, signal)) {
    if (data === "[DONE]") return end;
    const chunk = JSON.parse(data) as StreamChunk;
    if (chunk.error) throw fromWire(chunk.error);
    if (chunk.prompt_progress) onProgress?.(chunk.prompt_progress.processed, chunk.prompt_progress.total);
    if (chunk.file_progress) onFileProgress?.(chunk.file_progress);
    if (chunk.quern) end.files = chunk.quern;
    const [choice] = chunk.choices ?? [];
    if (choice?.delta?.content) yield choice.delta.content;
    if (choice?.finish_reason) end.reason = choice.finish_reason;
    if (chunk.usage) end.completionTokens = chunk.usage.completion_tokens;
    if (chunk.timings) end.tokensPerSecond = chunk.timings.predicted_per_second;
  }
  throw brokenOff();
}

/** Hands each piece of an answer's text to `onText`; returns how it ended. */
export async function follow(answer: ReturnType<typeof streamChat>, onText: (text: string) => void): Promise<ChatEnd> {
  for (;;) {
    const next = await answer.next();
    if (next.done) return next.value;
    onText(next.value);
  }
}

/** GET of a JSON document of the API. */
export async function getJson<T>(server: ServerAddress, path: string, signal?: AbortSignal): Promise<T> {
  const response = await reach(server.url + path, { headers: keyHeader(server), ...(signal ? { signal } : {}) });
  if (!response.ok) throw await toError(response);
  return (await response.json()) as T;
}

interface WireError {
  message: string;
  code?: string | null;
  hint?: string;
  param?: string | null;
}

interface StreamChunk {
  error?: WireError;
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { completion_tokens: number } | null;
  timings?: { predicted_per_second: number };
  prompt_progress?: { processed: number; total: number };
  file_progress?: FileProgress;
  quern?: QuernBody;
}

/** fetch, whose own failure says nothing but "fetch failed". */
async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    const { code } = ((cause as Error).cause ?? {}) as { code?: unknown };
    const why = typeof code === "string" ? ` (${code})` : "";
    throw new AppError("upstream", `Nothing answers at ${new URL(url).origin}${why}.`, {
      details: { reason: String(code) },
      hint: "Check --host and --port, or start Quern with `quern serve`.",
      cause,
    });
  }
}

/** The `data:` payloads of a server-sent event stream; comments (pings) are dropped. */
async function* eventsOf(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<string> {
  let pending = "";
  const texts = body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  for (;;) {
    const next = await texts.next().catch((cause: unknown) => {
      throw signal.aborted ? cause : brokenOff(cause);
    });
    if (next.done) return;
    pending += next.value;
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}

function brokenOff(cause?: unknown): AppError {
  return new AppError("upstream", "The connection broke off in mid-answer; the text above is not whole.", {
    hint: "Send it again. If it happens again, look at what the server wrote, or ask `quern doctor`.",
    cause,
  });
}

async function toError(response: Response): Promise<AppError> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error?: WireError };
    if (error) return fromWire(error);
  } catch {
    return new AppError("upstream", `The server answered ${response.status}: ${text.slice(0, 200)}`);
  }
  return new AppError("upstream", `The server answered ${response.status}.`);
}

/** Wire codes are the protocol's, not ours: the sentence and the hint are what a person needs here. */
function fromWire({ message, hint }: WireError): AppError {
  const data: ErrorData = { code: "upstream", message, ...(hint === undefined ? {} : { hint }) };
  return AppError.fromData(data);
}

function keyHeader({ key }: ServerAddress): Record<string, string> {
  return key === "" ? {} : { authorization: `Bearer ${key}` };
}
