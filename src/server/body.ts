// Reads a request's body up to a limit, from the Node request when there is one (no copy into web streams), else from the web
// request. The limit holds for what arrives, whatever Content-Length says.
import type { IncomingMessage } from "node:http";
import { AppError } from "../base/errors.ts";
import { refuse, unsupported } from "./errors.ts";
import { Fields } from "./fields.ts";

// JSON.parse recurses natively and is safe; what reads the result (schemas, tool arguments) recurses in our own frames.
const deepestNesting = 200;

export interface BodySource {
  incoming: IncomingMessage | undefined;
  request: () => Request;
  contentLength: string | undefined;
  contentEncoding: string | undefined;
}

export interface BodyLimit {
  bytes: number;
  /** The flag that raises it. */
  setting: string;
}

export async function readBody(source: BodySource, limit: BodyLimit): Promise<Buffer> {
  const { contentEncoding = "identity" } = source;
  if (contentEncoding.toLowerCase() !== "identity") {
    throw unsupported(
      "content-encoding",
      `The body is encoded as ${contentEncoding.slice(0, 40)}.`,
      "Send it as it is: requests are small, and nothing is gained by packing them.",
    );
  }
  const stated = Number(source.contentLength ?? 0);
  if (stated > limit.bytes) throw tooLarge(stated, limit);
  const chunks: Uint8Array[] = [];
  let total = 0;
  const take = (chunk: Uint8Array): void => {
    total += chunk.byteLength;
    if (total > limit.bytes) throw tooLarge(total, limit);
    chunks.push(chunk);
  };
  try {
    if (source.incoming) await readIncoming(source.incoming, take);
    else for await (const chunk of source.request().body ?? []) take(chunk);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("bad_request", "The request's body broke off before its end.", { param: "body", cause });
  }
  const [only] = chunks;
  return chunks.length === 1 && Buffer.isBuffer(only) ? only : Buffer.concat(chunks);
}

/**
 * Hands on all chunks, or throws what `take` throws and reads no further; the connection stays for the answer. By events: the stream's
 * iterator takes several times as long for a body of one chunk, as most are.
 */
async function readIncoming(incoming: IncomingMessage, take: (chunk: Uint8Array) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    try {
      take(chunk);
    } catch (error) {
      reject(error);
      incoming.off("data", onData);
      incoming.pause();
    }
  };
  const onClose = (): void => reject(new Error("The connection was closed."));
  incoming.on("data", onData).once("end", resolve).once("error", reject).once("close", onClose);
  if (incoming.destroyed) onClose();
  try {
    await promise;
  } finally {
    incoming.off("data", onData).off("end", resolve).off("error", reject).off("close", onClose);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The text of a body that must be UTF-8. A byte order mark is dropped. */
export function toText(body: Uint8Array): string {
  try {
    return utf8.decode(body);
  } catch (cause) {
    throw new AppError("bad_request", "The body is not valid UTF-8.", {
      param: "body",
      hint: "Convert it first, for example with `iconv -f gb18030 -t utf-8`.",
      cause,
    });
  }
}

/** The fields of a JSON body. Refuses malformed JSON, what is no object, and nesting that nobody means. */
export function parseJsonFields(body: Uint8Array): Fields {
  if (body.byteLength === 0) throw refuse("body", "The body is empty; a JSON object is expected.");
  const text = toText(body);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/, ?"[\s\S]*$/, "") : "";
    throw new AppError("bad_request", `The body is not valid JSON: ${reason}.`, { param: "body", cause });
  }
  if (hasManyBrackets(body) && nestingOf(value, 0) > deepestNesting) {
    throw refuse("body", `The body nests deeper than ${deepestNesting} levels.`);
  }
  return Fields.of(value);
}

/**
 * Whether the body opens more lists and objects than may stand in each other. Most open fewer, and need no walk through what was parsed: for
 * a prompt of thirty thousand token ids it takes longer than parsing.
 */
function hasManyBrackets(body: Uint8Array): boolean {
  let count = 0;
  for (const bracket of [0x5b, 0x7b]) {
    for (let at = body.indexOf(bracket); at >= 0; at = body.indexOf(bracket, at + 1)) {
      if (++count > deepestNesting) return true;
    }
  }
  return false;
}

/** Depth of a value, counted no further than one past the limit. */
function nestingOf(value: unknown, depth: number): number {
  if (typeof value !== "object" || value === null || depth > deepestNesting) return depth;
  let deepest = depth + 1;
  // A list may hold tens of thousands of numbers: neither a copy of it nor a call for each.
  for (const item of Array.isArray(value) ? value : Object.values(value)) {
    if (typeof item === "object") deepest = Math.max(deepest, nestingOf(item, depth + 1));
  }
  return deepest;
}

function tooLarge(bytes: number, limit: BodyLimit): AppError {
  return new AppError("too_large", `The body has ${bytes} bytes or more; ${limit.bytes} are the most.`, {
    param: "body",
    hint: `Send less at once, or start Quern with a larger ${limit.setting}.`,
    details: { limitBytes: limit.bytes },
  });
}
