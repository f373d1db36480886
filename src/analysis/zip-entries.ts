// The table of contents of a ZIP archive, so that single entries can be unpacked by Node's own zlib, five times faster than in
// JavaScript. Reads the plain form only: an archive over 4 GiB, split, or encrypted gives undefined.
import { inflateRawSync } from "node:zlib";

export interface ZipEntry {
  name: string;
  unpackedBytes: number;
  /** Throws RangeError when it unpacks to more than it says. */
  read: () => Uint8Array;
}

export function zipEntries(bytes: Uint8Array): ZipEntry[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.byteLength - 22;
  // The end record is followed by a comment of at most 64 KiB.
  while (end >= 0 && end > bytes.byteLength - 22 - 65_536 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) return undefined;
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count === 0xffff || at === 0xffffffff) return undefined;
  const entries: ZipEntry[] = [];
  for (let index = 0; index < count; index++) {
    if (at + 46 > bytes.byteLength || view.getUint32(at, true) !== 0x02014b50) return undefined;
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const packedBytes = view.getUint32(at + 20, true);
    const unpackedBytes = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const offset = view.getUint32(at + 42, true);
    if (
      (flags & 1) !== 0 ||
      (method !== 0 && method !== 8) ||
      packedBytes === 0xffffffff ||
      offset + 30 > bytes.byteLength
    )
      return undefined;
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    entries.push({
      name,
      unpackedBytes,
      read: () => {
        const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
        const packed = bytes.subarray(start, start + packedBytes);
        return method === 0 ? packed : inflateRawSync(packed, { maxOutputLength: Math.max(1, unpackedBytes) });
      },
    });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}
