// The built page, served from its folder. Vite names assets by their content, so these never change and may be kept for ever;
// everything else is asked for again and answered by its ETag. The page may load nothing from elsewhere, whatever a model writes.
// Text goes out compressed to a third of its size: once for each file and encoding, off the event loop, then kept in memory.
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
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
  hash: string;
  /** The body in each encoding that was asked for so far. */
  encoded: Map<Encoding, Promise<Buffer<ArrayBuffer>>>;
}

type Encoding = keyof typeof encoders;

/** In the order of preference. Brotli's highest quality takes seconds for a megabyte and saves a tenth more than this one. */
const encoders = {
  br: (body: Buffer) => promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 7 } }),
  gzip: (body: Buffer) => promisify(gzip)(body),
};

const worthEncoding = /\.(html|js|mjs|css|json|map|webmanifest|svg|txt|ttf|wasm)$/;
/** Less fits one packet as it is. */
const leastEncodedBytes = 1024;

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
    };
    const mayEncode = worthEncoding.test(file) && found.body.length >= leastEncodedBytes;
    const encoding = mayEncode ? preferredEncoding(context.req.header("accept-encoding") ?? "") : undefined;
    // Each encoding is a thing of its own to a cache.
    const etag = `"${found.hash}${encoding === undefined ? "" : `-${encoding}`}"`;
    headers.etag = etag;
    if (mayEncode) context.header("vary", "accept-encoding", { append: true });
    if (namesTag(context.req.header("if-none-match") ?? "", etag)) return context.body(null, 304, headers);
    if (encoding === undefined) return context.body(found.body, 200, headers);
    headers["content-encoding"] = encoding;
    return context.body(await encodedBody(found, encoding), 200, headers);
  };
}

/** Views of the page have addresses without a dot, outside what belongs to the API. */
function isPageView(asked: string): boolean {
  return !/^\/(v1|api|assets|health|status|metrics|tokenize|detokenize)(\/|$)/.test(asked);
}

/** The best of our encodings that the header names and does not refuse with a weight of 0. */
function preferredEncoding(accepted: string): Encoding | undefined {
  const offered = new Set<string>();
  for (const part of accepted.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((word) => word.trim());
    if (!parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) offered.add(name);
  }
  return (Object.keys(encoders) as Encoding[]).find((encoding) => offered.has(encoding));
}

/** Whether an If-None-Match header names the tag. A proxy may have weakened it. */
function namesTag(header: string, etag: string): boolean {
  return header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

function encodedBody(file: CachedFile, encoding: Encoding): Promise<Buffer<ArrayBuffer>> {
  const known = file.encoded.get(encoding);
  if (known) return known;
  const made = encoders[encoding](file.body);
  file.encoded.set(encoding, made);
  return made;
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
  const hash = createHash("sha256").update(body).digest("base64url").slice(0, 22);
  const fresh: CachedFile = { modifiedMs: known.mtimeMs, body, hash, encoded: new Map() };
  cache.set(file, fresh);
  return fresh;
}

export function notFound(context: ApiContext): AppError {
  return new AppError("not_found", `There is nothing at ${context.req.path.slice(0, 200)}.`, {
    hint: "docs/api.md lists the addresses of the API.",
  });
}
