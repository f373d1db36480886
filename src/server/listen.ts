// Puts the app on a socket and takes it off again. Times are limited where a client could hold a connection for nothing: to send
// its headers, its body, to sit idle. On close, what is running may finish; what is not done by then is told so, then cut.
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";
import { AppError } from "../base/errors.ts";
import type { ApiEnv } from "./api.ts";
import { stoppingLimit, toHttpFailure } from "./errors.ts";

export interface ListenOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  headerTimeoutMs?: number;
  /** For a whole request to arrive, its body included. */
  requestTimeoutMs?: number;
  keepAliveMs?: number;
}

export interface Listening {
  url: string;
  port: number;
  /** Ends gracefully: no new requests, running answers have `graceMs` to finish, the rest are told and then cut. */
  close(options?: { graceMs?: number }): Promise<void>;
}

const largestHeaderBytes = 64 * 1024; // instruct's options, a system prompt among them, stand in the query
const toldMs = 1000;
const lingerMs = 120_000;

export async function listen(app: Hono<ApiEnv>, options: ListenOptions): Promise<Listening> {
  const { host, port, headerTimeoutMs = 20_000, requestTimeoutMs = 300_000, keepAliveMs = 75_000 } = options;
  const stopping = new AbortController();
  let isClosing = false;
  // Node's own closeIdleConnections spares a connection that has sent nothing yet, as browsers keep them in advance.
  const openRequests = new Map<Socket, number>();
  const closeIdle = (): void => {
    for (const [socket, count] of openRequests) if (count === 0) socket.destroy();
  };
  const listener = getRequestListener(
    (request, env) =>
      isClosing
        ? refusal(stopped())
        : app.fetch(request, { ...(env as ApiEnv["Bindings"]), stopping: stopping.signal }),
    {
      errorHandler: (error) =>
        refusal(new AppError("bad_request", "The request's address or Host header is malformed.", { cause: error })),
    },
  );
  const server = createServer(
    {
      maxHeaderSize: largestHeaderBytes,
      headersTimeout: headerTimeoutMs,
      requestTimeout: Math.max(requestTimeoutMs, headerTimeoutMs),
      connectionsCheckingInterval: Math.max(20, Math.min(5000, headerTimeoutMs / 4)),
      keepAliveTimeout: keepAliveMs,
      // A request without Host reaches the app, which words the refusal.
      requireHostHeader: false,
      noDelay: true,
    },
    (incoming, outgoing) => {
      const { socket } = incoming;
      openRequests.set(socket, (openRequests.get(socket) ?? 0) + 1);
      outgoing.once("close", () => {
        const count = openRequests.get(socket);
        if (count !== undefined) openRequests.set(socket, count - 1);
        if (isClosing) closeIdle();
      });
      // An answer that is complete may still wait for its reader; one that takes nothing for this long is let go.
      outgoing.once("prefinish", () => outgoing.setTimeout(lingerMs));
      if (isClosing) outgoing.shouldKeepAlive = false;
      void listener(incoming, outgoing);
    },
  );
  server.on("connection", (socket: Socket) => {
    openRequests.set(socket, 0);
    socket.once("close", () => openRequests.delete(socket));
  });
  server.on("clientError", refuseConnection);
  await bound(server, host, port);
  const { address, port: taken, family } = server.address() as AddressInfo;
  const close = async ({ graceMs = 10_000 }: { graceMs?: number } = {}): Promise<void> => {
    if (isClosing) return;
    isClosing = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    closeIdle();
    const tell = setTimeout(() => stopping.abort(stopped()), graceMs);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs + toldMs);
    await closed;
    clearTimeout(tell);
    clearTimeout(cut);
  };
  return { url: `http://${family === "IPv6" ? `[${address}]` : address}:${taken}`, port: taken, close };
}

function bound(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(bindingFailure(cause, host, port)));
    server.listen(port, host.replace(/^\[|\]$/g, ""), resolve);
  });
}

function bindingFailure(cause: NodeJS.ErrnoException, host: string, port: number): AppError {
  const at = `${host}:${port}`;
  if (cause.code === "EADDRINUSE") {
    return new AppError("conflict", `Port ${port} on ${host} is taken.`, {
      param: "--port",
      hint: "Another Quern may be running; stop it, or start with another --port.",
      cause,
    });
  }
  if (cause.code === "EACCES") {
    return new AppError("forbidden", `This user may not listen on ${at}.`, {
      param: "--port",
      hint: "Take a port above 1023.",
      cause,
    });
  }
  return new AppError("bad_request", `Quern cannot listen on ${at}: ${cause.message}.`, { param: "--host", cause });
}

/** Answers what is no HTTP request, with the one error shape, and hangs up. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: ServerResponse }): void {
  // A response under way must not get a second head in the middle of its body.
  if (!socket.writable || socket._httpMessage?.headersSent || error.code === "ECONNRESET") {
    socket.destroy(error);
    return;
  }
  const failure =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? { line: "408 Request Timeout", error: new AppError("timeout", "The request took too long to arrive.") }
      : error.code === "HPE_HEADER_OVERFLOW"
        ? {
            line: "431 Request Header Fields Too Large",
            error: new AppError("too_large", `The headers exceed ${largestHeaderBytes} bytes.`),
          }
        : {
            line: "400 Bad Request",
            error: new AppError("bad_request", "This is not an HTTP request that can be read."),
          };
  const body = JSON.stringify({ error: toHttpFailure(failure.error).error });
  socket.end(
    `HTTP/1.1 ${failure.line}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const stopped = (): AppError =>
  new AppError("busy", "Quern is stopping.", {
    hint: "Send the request again when it is back.",
    details: { limit: stoppingLimit, retryAfterSeconds: 5 },
  });

function refusal(error: AppError): Response {
  const failure = toHttpFailure(error);
  return Response.json({ error: failure.error }, { status: failure.status, headers: failure.headers });
}
