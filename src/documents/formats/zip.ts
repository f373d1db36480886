// Office files are ZIP archives. Every entry is unpacked here once, under one limit for all together, before any library sees the
// file: a bomb is refused in milliseconds, whatever its headers claim, and so are XML parts that declare entities (Office writes
// none; they are only used to read other files or to blow up memory).
import { inflateRawSync } from "node:zlib";
import { AppError } from "../../base/errors.ts";

export type ZipEntries = ReadonlyMap<string, Uint8Array>;

interface Entry {
  name: string;
  method: number;
  packedBytes: number;
  offset: number;
  isEncrypted: boolean;
}

export function unpackZip(bytes: Uint8Array, { name, limitBytes }: { name: string; limitBytes: number }): ZipEntries {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = new Map<string, Uint8Array>();
  let left = limitBytes;
  for (const entry of directory(view, name)) {
    if (entry.isEncrypted)
      throw new AppError("unsupported", `${name} is encrypted.`, {
        hint: "Save it without a password.",
        details: { needsPassword: true },
      });
    const data = unpacked(view, { entry, limit: left, name });
    left -= data.length;
    if (left < 0) throw tooLarge(name, limitBytes);
    if (/\.(?:xml|rels|vml)$/i.test(entry.name) && declaresEntities(data))
      throw new AppError(
        "unreadable",
        `${name} declares XML entities in ${safeName(entry.name)}, which no Office program writes; it was not read.`,
      );
    entries.set(entry.name, data);
  }
  return entries;
}

const alwaysBelieved = 64 * 2 ** 20;
const mostTimes = 250;

function unpacked(view: DataView, { entry, limit, name }: { entry: Entry; limit: number; name: string }): Uint8Array {
  const { offset, packedBytes, method } = entry;
  if (offset + 30 > view.byteLength || view.getUint32(offset, true) !== 0x04034b50) throw damaged(name);
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (start + packedBytes > view.byteLength) throw damaged(name);
  const packed = new Uint8Array(view.buffer, view.byteOffset + start, packedBytes);
  if (method === 0) return packed;
  if (method !== 8)
    throw new AppError("unsupported", `${name} is packed with a method that Office does not use (${method}).`);
  // Office's own parts shrink to a tenth or a fiftieth; what goes far beyond is stopped before it has filled the memory.
  const believable = Math.max(alwaysBelieved, packedBytes * mostTimes);
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, Math.min(limit, believable)) });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE")
      throw tooLarge(name, Math.min(limit, believable));
    throw damaged(name, cause);
  }
}

function tooLarge(name: string, limitBytes: number): AppError {
  return new AppError(
    "too_large",
    `${name} unpacks to more than ${Math.floor(limitBytes / 2 ** 20)} MiB; it was not read.`,
    {
      hint: "A small file that unpacks to so much is a ZIP bomb or damaged.",
    },
  );
}

function damaged(name: string, cause?: unknown): AppError {
  return new AppError("unreadable", `${name} is damaged: its ZIP structure is broken or cut off.`, {
    hint: "Download or export the file again.",
    ...(cause === undefined ? {} : { cause }),
  });
}

const mostEntries = 20_000;

function directory(view: DataView, name: string): Entry[] {
  const end = endRecord(view);
  if (end < 0) throw damaged(name);
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count > mostEntries)
    throw new AppError("too_large", `${name} holds ${count} parts; the limit is ${mostEntries}.`);
  const entries: Entry[] = [];
  const decoder = new TextDecoder();
  for (let index = 0; index < count; index++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50) throw damaged(name);
    const nameBytes = view.getUint16(at + 28, true);
    if (at + 46 + nameBytes > view.byteLength) throw damaged(name);
    entries.push({
      name: decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at + 46, nameBytes)),
      method: view.getUint16(at + 10, true),
      packedBytes: view.getUint32(at + 20, true),
      offset: view.getUint32(at + 42, true),
      isEncrypted: (view.getUint16(at + 8, true) & 1) === 1,
    });
    at += 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

function endRecord(view: DataView): number {
  const first = Math.max(0, view.byteLength - 22 - 65_535);
  for (let at = view.byteLength - 22; at >= first; at--) if (view.getUint32(at, true) === 0x06054b50) return at;
  return -1;
}

function declaresEntities(data: Uint8Array): boolean {
  const head = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, 64 * 1024))
    .toString("latin1")
    .replaceAll("\0", "");
  return head.includes("<!DOCTYPE") || head.includes("<!ENTITY");
}

/** A name from inside a file, fit to be shown: no folders, no control characters, not endless. */
export function safeName(name: string): string {
  const last =
    name
      .replaceAll("\\", "/")
      .split("/")
      .findLast((part) => part !== "" && part !== "." && part !== "..") ?? "";
  const shown = [...last]
    .filter((character) => !/[\p{Cc}\p{Cf}:*?"<>|]/u.test(character))
    .join("")
    .slice(0, 200)
    .trim();
  return shown === "" ? "unnamed" : shown;
}
