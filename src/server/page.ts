// The built page, served from its folder. Vite names assets by their content, so these never change and may be kept for ever;
// everything else is asked for again and answered by its ETag. The page may load nothing from elsewhere, whatever a model writes.
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import type { ApiContext } from "./api.ts";

const contentSecurityPolicy = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "style-src 'self'",
  // Charts and formulas carry inline style attributes; these can style, not load or run.
  "style-src-attr 'unsafe-inline'",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const mediaTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".woff": "font/woff",
  ".ttf": "font/ttf",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

interface CachedFile {
  modifiedMs: number;
  body: Buffer<ArrayBuffer>;
  etag: string;
}

export function servePage(folder: string): (context: ApiContext) => Promise<Response> {
  const root = path.resolve(folder);
  const cache = new Map<string, CachedFile>();
  return async (context) => {
    const asked = pathOf(context.req.path);
    if (asked.includes("\0")) throw notFound(context);
    const isView =
      !path.basename(asked).includes(".") &&
      (context.req.header("accept") ?? "*/*").match(/text\/html|\*\/\*/) !== null;
    const file = path.join(root, asked === "/" || isView ? "index.html" : asked);
    const found = isWithin(root, file) ? await load(file, cache) : undefined;
    if (!found || (isView && asked !== "/" && !isPageView(asked))) throw notFound(context);
    const headers: Record<string, string> = {
      "content-type": mediaTypes[path.extname(file)] ?? "application/octet-stream",
      "content-security-policy": contentSecurityPolicy,
      "referrer-policy": "no-referrer",
      "cache-control": asked.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      etag: found.etag,
    };
    if (context.req.header("if-none-match") === found.etag) return context.body(null, 304, headers);
    return context.body(found.body, 200, headers);
  };
}

/** Views of the page have addresses without a dot, outside what belongs to the API. */
function isPageView(asked: string): boolean {
  return !/^\/(v1|api|assets|health|status|metrics|tokenize|detokenize)(\/|$)/.test(asked);
}

function pathOf(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return "/\0"; // no file has this name
  }
}

function isWithin(root: string, file: string): boolean {
  return file.startsWith(root + path.sep) && !path.basename(file).startsWith(".");
}

async function load(file: string, cache: Map<string, CachedFile>): Promise<CachedFile | undefined> {
  const known = await stat(file).catch(() => undefined);
  if (!known?.isFile()) return undefined;
  const cached = cache.get(file);
  if (cached?.modifiedMs === known.mtimeMs) return cached;
  const body = await readFile(file);
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  const fresh = { modifiedMs: known.mtimeMs, body, etag };
  cache.set(file, fresh);
  return fresh;
}

export function notFound(context: ApiContext): AppError {
  return new AppError("not_found", `There is nothing at ${context.req.path.slice(0, 200)}.`, {
    hint: "docs/api.md lists the addresses of the API.",
  });
}
