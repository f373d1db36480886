// A server-sent stream of events that come as they come: the updates of an answer, the live panel. Silent times get comments, a slow reader
// holds back only itself, and a server that stops says so in the stream.
import { AppError } from "../../base/errors.ts";
import { answerWith } from "../answer-sink.ts";
import type { Api, ApiContext } from "../api.ts";
import { sinkOf, sseFailure } from "../serve-answer.ts";
import { sseHeaders } from "../stream-options.ts";

export interface StreamEvent {
  /** Where a reader that lost the stream goes on: what it sends back as Last-Event-ID. */
  id?: string | number;
  data: unknown;
}

/** Streams `events` until they end or the client leaves; `events` gets a signal that says so. */
export function streamEvents(
  context: ApiContext,
  api: Api,
  events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
): Promise<Response> {
  return answerWith(sinkOf(context, api), async (sink) => {
    let isQuiet = true;
    sink.open(200, { ...sseHeaders, ...context.var.commonHeaders });
    const ping = setInterval(() => {
      if (isQuiet) void sink.write(": ping\n\n");
      isQuiet = true;
    }, api.pingMs);
    try {
      for await (const { id, data } of events(sink.signal)) {
        isQuiet = false;
        const behind = sink.write(`${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
        if (behind) await behind;
      }
      if (sink.signal.reason instanceof AppError) sink.write(sseFailure(sink.signal.reason));
      sink.end();
    } finally {
      clearInterval(ping);
    }
    return undefined;
  });
}
