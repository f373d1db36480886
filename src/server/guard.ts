// What every request passes first: it gets an id, its Host and Origin are checked, and where keys are in force it must show one.
//
// Host: a page of the web may point its own name at 127.0.0.1 and then talk to us as its own server (DNS rebinding); on loopback
// only loopback names are served. Origin: a page may also post to us without asking (text/plain needs no preflight), so a request
// that carries a foreign Origin is refused unless that origin was allowed.
import { randomUUID } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { AppError } from "../base/errors.ts";
import type { ApiContext, ApiEnv } from "./api.ts";
import { isLoopback, type Keys } from "./keys.ts";

export interface GuardOptions {
  keys: Keys | undefined;
  allowOrigins: readonly string[];
  /** Serve only loopback names. */
  checkHost: boolean;
}

const requestIdPattern = /^[\x21-\x7e]{1,128}$/;
const preflightSeconds = "600";

export function guard({ allowOrigins, checkHost }: GuardOptions): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const given = context.req.header("x-request-id");
    const requestId = given !== undefined && requestIdPattern.test(given) ? given : `req-${randomUUID()}`;
    const headers: Record<string, string> = { "x-request-id": requestId, "x-content-type-options": "nosniff" };
    context.set("requestId", requestId);
    context.set("commonHeaders", headers);
    if (checkHost) assertLoopbackHost(context);
    const origin = context.req.header("origin");
    if (origin !== undefined && !isOwnOrigin(origin, context)) {
      if (!allowOrigins.includes(origin) && !allowOrigins.includes("*")) throw foreignOrigin(origin);
      headers["access-control-allow-origin"] = origin;
      headers["access-control-expose-headers"] = "x-request-id, retry-after, server-timing";
      headers.vary = "Origin";
    }
    for (const [name, value] of Object.entries(headers)) context.header(name, value);
    if (context.req.method === "OPTIONS" && context.req.header("access-control-request-method") !== undefined) {
      return context.body(null, 204, {
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": context.req.header("access-control-request-headers") ?? "*",
        "access-control-max-age": preflightSeconds,
      });
    }
    return next();
  };
}

/** Throws `unauthorized` unless a key that we know came as Bearer token or x-api-key. Without keys anybody may. */
export function authorize(context: ApiContext, keys: Keys | undefined): void {
  if (!keys) return;
  const bearer = /^Bearer\s+(\S+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
  const presented = bearer ?? context.req.header("x-api-key");
  const name = presented === undefined ? undefined : keys.nameOf(presented);
  if (name === undefined) {
    throw new AppError(
      "unauthorized",
      presented === undefined ? "This server needs an API key." : "The API key is not known here.",
      {
        hint: "Send it as `Authorization: Bearer …` or `x-api-key: …`; `quern key add NAME` makes one.",
      },
    );
  }
  context.set("keyName", name);
}

function assertLoopbackHost(context: ApiContext): void {
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  if (isLoopback(host.replace(/:\d*$/, ""))) return;
  throw new AppError("forbidden", `This server answers to localhost only, not to "${host.slice(0, 100)}".`, {
    hint: "Open it as http://localhost or http://127.0.0.1; to serve other names, start it with --host and an API key.",
  });
}

function isOwnOrigin(origin: string, context: ApiContext): boolean {
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  // A browser marks requests of the page's own origin; behind a proxy the Host may differ from what the browser saw.
  if (context.req.header("sec-fetch-site") === "same-origin") return true;
  return origin === `http://${host}` || origin === `https://${host}`;
}

function foreignOrigin(origin: string): AppError {
  return new AppError("forbidden", `Pages of ${origin.slice(0, 100)} may not call this server.`, {
    hint: `Start Quern with --allow-origin ${origin.slice(0, 100)} if they should.`,
  });
}
