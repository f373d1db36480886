// How an answer is to be streamed: `stream`, `stream_options`, and llama.cpp's extras.
import { refuse, unsupported } from "./errors.ts";
import type { Fields } from "./fields.ts";

export interface StreamOptions {
  includeUsage: boolean;
  returnProgress: boolean;
  timingsPerToken: boolean;
  /** Milliseconds of silence before a comment; 0 for none; absent: the server's. */
  pingMs?: number;
}

// X-Accel-Buffering: nginx would otherwise collect the stream.
export const sseHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

const shortestPingMs = 10;

/** Undefined when the answer is to come whole. Options of streaming are checked either way. */
export function parseStreamOptions(body: Fields): StreamOptions | undefined {
  const isStream = body.boolean("stream") ?? false;
  const options = body.object("stream_options");
  if (options && !isStream) throw refuse("stream_options", "stream_options needs stream: true.");
  const includeUsage = options?.boolean("include_usage") ?? false;
  if (options?.boolean("continuous_usage_stats")) {
    throw unsupported(
      options.path("continuous_usage_stats"),
      "Usage comes in one chunk at the end.",
      "timings_per_token tells the counts so far in each chunk.",
    );
  }
  const returnProgress = body.boolean("return_progress") ?? false;
  const timingsPerToken = body.boolean("timings_per_token") ?? false;
  const pingSeconds = body.number("sse_ping_interval", -1, 86_400);
  if (!isStream) return undefined;
  return {
    includeUsage,
    returnProgress,
    timingsPerToken,
    ...(pingSeconds === undefined
      ? {}
      : { pingMs: pingSeconds <= 0 ? 0 : Math.max(shortestPingMs, pingSeconds * 1000) }),
  };
}
