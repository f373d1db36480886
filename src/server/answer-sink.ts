// Where an answer is written as it comes into being. On a real connection it is Node's response, written directly: web streams
// cost five times as much per chunk. Without a connection (tests through app.request) it is a web Response with the same bytes.
//
// The sink owns the connection's fate: `signal` aborts when the client has gone or the server stops, a write waits while the
// client reads slowly (so memory stays bounded by `highWaterBytes`), and a client that takes nothing at all for a while is cut.
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";

export interface AnswerSink {
  /** Sends status and headers now. */
  open(status: number, headers: Record<string, string>): void;
  readonly isOpen: boolean;
  /** Takes a chunk; a promise when the client is behind, to be awaited before the next. */
  write(chunk: string | Uint8Array): Promise<void> | undefined;
  /** A normal end. Trailers go only to clients of HTTP/1.1. */
  end(trailers?: Record<string, string>): void;
  /** Cuts the connection without the terminating chunk, so that the client can tell it from a normal end. */
  cut(): void;
  /** Why the answer should stop: the client has gone, or the server is stopping (then the reason is an AppError). */
  readonly signal: AbortSignal;
  /** Lets go of listeners. */
  close(): void;
}

/**
 * Runs `produce` over a sink and returns what a Hono handler returns. A failure before the sink was opened is thrown, for the
 * caller to answer with a status; afterwards `produce` must have dealt with it, and the connection is cut if it did not.
 */
export async function answerWith(
  { outgoing, request, ...options }: SinkOptions & { outgoing: ServerResponse | undefined; request: () => Request },
  produce: (sink: AnswerSink) => Promise<Response | undefined>,
): Promise<Response> {
  if (outgoing) {
    const sink = openNodeSink(outgoing, options);
    try {
      return (await produce(sink)) ?? RESPONSE_ALREADY_SENT;
    } catch (error) {
      if (!sink.isOpen) throw error;
      sink.cut();
      return RESPONSE_ALREADY_SENT;
    } finally {
      sink.close();
    }
  }
  const opened = Promise.withResolvers<Response>();
  const sink = openWebSink(request().signal, options, opened.resolve);
  const produced = produce(sink).catch((error: unknown) => {
    if (!sink.isOpen) throw error;
    sink.cut();
    return undefined;
  });
  void produced.then(sink.close, sink.close);
  return Promise.race([opened.promise, produced.then((response) => response ?? opened.promise)]);
}

const highWaterBytes = 256 * 1024;
const clientGone = "client gone";

export interface SinkOptions {
  /** Aborts with an AppError as reason when running answers must end. */
  stopping: AbortSignal | undefined;
  /** A client that accepts no byte for this long is cut. */
  idleMs: number;
  /**
   * Several choices of an answer write in one turn of the event loop. Their framing is left to Node, which gathers what a turn brings
   * into one call of the system. What one choice writes is framed here and goes to the socket in one piece: Node's way hands over
   * four and costs about 6 µs more a token.
   */
  gathersTurn?: boolean;
}

function openNodeSink(outgoing: ServerResponse, { stopping, idleMs, gathersTurn = false }: SinkOptions): AnswerSink {
  const gone = new AbortController();
  let isOpen = false;
  /** Set when chunks go straight to the socket. */
  let socket: Socket | undefined;
  let isCorked = false;
  const uncork = (): void => {
    if (isCorked) socket?.uncork();
    isCorked = false;
  };
  // One promise for all who write: several items of a batch may wait for the same client.
  let drained: PromiseWithResolvers<void> | undefined;
  const wake = (): void => {
    drained?.resolve();
    drained = undefined;
  };
  const closed = (): void => {
    if (!outgoing.writableFinished) gone.abort(clientGone);
    wake();
  };
  const stop = (): void => gone.abort(stopping?.reason);
  stopping?.addEventListener("abort", stop);
  if (stopping?.aborted) stop();
  outgoing.on("close", closed);
  outgoing.on("drain", wake);
  // A write to a connection that has just been reset is reported here and again by "close".
  outgoing.on("error", closed);
  if (outgoing.destroyed) gone.abort(clientGone);
  return {
    get isOpen() {
      return isOpen;
    },
    open(status, headers) {
      isOpen = true;
      if (outgoing.destroyed) return;
      const { trailer, ...rest } = headers;
      // HTTP/1.0 knows neither chunks nor trailers, and Node refuses to announce what cannot follow.
      const hasTrailers = trailer !== undefined && outgoing.req.httpVersion !== "1.0";
      outgoing.writeHead(status, hasTrailers ? { ...rest, trailer } : rest);
      // Without a socket the response waits behind another of the connection; without chunks (HTTP/1.0) there is nothing to frame.
      if (!gathersTurn && outgoing.socket && outgoing.chunkedEncoding) {
        socket = outgoing.socket;
        socket.on("drain", wake);
        // Head and first chunk leave in one piece: a call of the system less here and a turn less for the client. Without a chunk in this
        // turn the head goes alone.
        socket.cork();
        isCorked = true;
        process.nextTick(uncork);
      }
      outgoing.flushHeaders();
      // Node restarts this timer whenever bytes leave; a slow reader is no idle one.
      outgoing.setTimeout(idleMs, () => outgoing.destroy());
    },
    write(chunk) {
      if (outgoing.destroyed) return undefined;
      if (socket) {
        socket.write(framed(chunk));
        uncork();
      } else outgoing.write(chunk);
      if ((socket ?? outgoing).writableLength < highWaterBytes) return undefined;
      drained ??= Promise.withResolvers();
      return drained.promise;
    },
    end(trailers) {
      if (outgoing.destroyed) return;
      if (trailers) outgoing.addTrailers(trailers);
      outgoing.end();
    },
    cut() {
      outgoing.destroy();
    },
    signal: gone.signal,
    close() {
      stopping?.removeEventListener("abort", stop);
      outgoing.off("close", closed);
      outgoing.off("drain", wake);
      socket?.off("drain", wake);
    },
  };
}

/** A chunk as HTTP/1.1 frames it. An empty one would end the answer. */
function framed(chunk: string | Uint8Array): string | Uint8Array {
  if (chunk.length === 0) return "";
  if (typeof chunk === "string") return `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`;
  return Buffer.concat([Buffer.from(`${chunk.byteLength.toString(16)}\r\n`), chunk, lineEnd]);
}

const lineEnd = Buffer.from("\r\n");

/** The same over a web Response. Trailers have no place there and are dropped. */
function openWebSink(
  request: AbortSignal,
  { stopping }: SinkOptions,
  opened: (response: Response) => void,
): AnswerSink {
  const gone = new AbortController();
  const leave = (): void => {
    gone.abort(clientGone);
    wake();
  };
  const stop = (): void => gone.abort(stopping?.reason);
  request.addEventListener("abort", leave, { once: true });
  stopping?.addEventListener("abort", stop, { once: true });
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let pulled: PromiseWithResolvers<void> | undefined;
  const wake = (): void => {
    pulled?.resolve();
    pulled = undefined;
  };
  let isOpen = false;
  return {
    get isOpen() {
      return isOpen;
    },
    open(status, headers) {
      isOpen = true;
      const body = new ReadableStream<Uint8Array>(
        {
          start: (started) => {
            controller = started;
          },
          pull: wake,
          cancel: leave,
        },
        { highWaterMark: highWaterBytes, size: (chunk) => chunk?.byteLength ?? 0 },
      );
      opened(new Response(body, { status, headers }));
    },
    write(chunk) {
      if (gone.signal.aborted) return undefined;
      controller?.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      if ((controller?.desiredSize ?? 1) > 0) return undefined;
      pulled ??= Promise.withResolvers();
      return pulled.promise;
    },
    end() {
      if (!gone.signal.aborted) controller?.close();
    },
    cut() {
      controller?.error(new Error("The answer was cut."));
    },
    signal: gone.signal,
    close() {
      stopping?.removeEventListener("abort", stop);
      request.removeEventListener("abort", leave);
    },
  };
}
