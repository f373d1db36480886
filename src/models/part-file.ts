// A download in progress, on disk: the data, at its full length from the beginning, and beside it a record of which chunks are
// good, with the SHA-256 of each as it came over the network. The record is written after the data is on the disk, so that what it
// lists survives a kill or a power cut. It stays when the model is complete: should the file be damaged later, only the chunks
// that no longer match are fetched again.
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { AppError } from "../base/errors.ts";

/** The files beside a model that its download leaves: data so far, the record, and the sign that somebody is at it. */
export function partNames(file: string): { part: string; record: string; lock: string } {
  return { part: `${file}.part`, record: `${file}.chunks.json`, lock: `${file}.lock` };
}

const recordSchema = z.object({
  version: z.literal(1),
  sha256: z.string(),
  fileBytes: z.number().int().positive(),
  chunkBytes: z.number().int().positive(),
  chunks: z.array(z.string().nullable()),
});
type PartRecord = z.infer<typeof recordSchema>;

export interface PartTarget {
  /** Where the model will be. */
  file: string;
  fileBytes: number;
  sha256: string;
  /** For a new download; a resumed one keeps its own. */
  chunkBytes: number;
}

/** How a pass over the whole file is watched and stopped. */
interface Pass {
  onBytes: (count: number) => void;
  signal: AbortSignal;
}

export class PartFile implements AsyncDisposable {
  readonly #target: PartTarget;
  readonly #handle: FileHandle;
  readonly #record: PartRecord;

  private constructor(target: PartTarget, handle: FileHandle, record: PartRecord) {
    this.#target = target;
    this.#handle = handle;
    this.#record = record;
  }

  /** Goes on with what is there of this very file, or begins anew. Throws the file system's errors. */
  static async open(target: PartTarget): Promise<PartFile> {
    const { part, record: recordFile } = partNames(target.file);
    const known = existsSync(part) ? readRecord(recordFile) : undefined;
    const isSame = known?.sha256 === target.sha256 && known.fileBytes === target.fileBytes;
    const chunkBytes = isSame ? known.chunkBytes : target.chunkBytes;
    const chunkCount = Math.ceil(target.fileBytes / chunkBytes);
    const chunks = isSame && known.chunks.length === chunkCount ? known.chunks : Array<null>(chunkCount).fill(null);
    const handle = await open(part, existsSync(part) ? "r+" : "w+");
    await handle.truncate(target.fileBytes);
    const { sha256, fileBytes } = target;
    return new PartFile(target, handle, { version: 1, sha256, fileBytes, chunkBytes, chunks });
  }

  get chunkBytes(): number {
    return this.#record.chunkBytes;
  }

  get doneBytes(): number {
    return recordedBytes(this.#record);
  }

  get missingChunks(): number[] {
    return this.#record.chunks.flatMap((hash, index) => (hash === null ? [index] : []));
  }

  get chunkCount(): number {
    return this.#record.chunks.length;
  }

  /** First byte of a chunk, and the byte behind its last. */
  range(index: number): { start: number; end: number } {
    const start = index * this.#record.chunkBytes;
    return { start, end: Math.min(start + this.#record.chunkBytes, this.#record.fileBytes) };
  }

  isDone(index: number): boolean {
    return typeof this.#record.chunks[index] === "string";
  }

  hashOf(index: number): string | undefined {
    return this.#record.chunks[index] ?? undefined;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; )
      done += (await this.#handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }

  /** Records a chunk as good. Its bytes reach the disk before the record says so. */
  async finish(index: number, sha256: string): Promise<void> {
    await this.#handle.datasync();
    this.#record.chunks[index] = sha256;
    this.#save();
  }

  forget(indexes: readonly number[]): void {
    for (const index of indexes) this.#record.chunks[index] = null;
    this.#save();
  }

  /** The SHA-256 of the whole, read back from the disk. */
  async sha256({ onBytes, signal }: Pass): Promise<string> {
    const whole = createHash("sha256");
    for await (const bytes of this.#read(0, this.#record.fileBytes)) {
      signal.throwIfAborted();
      whole.update(bytes);
      onBytes(bytes.length);
    }
    return whole.digest("hex");
  }

  /** The chunks whose bytes on the disk are not those that came over the network. */
  async changedChunks({ onBytes, signal }: Pass): Promise<number[]> {
    const changed: number[] = [];
    for (const [index, recorded] of this.#record.chunks.entries()) {
      const chunk = createHash("sha256");
      const { start, end } = this.range(index);
      for await (const bytes of this.#read(start, end)) {
        signal.throwIfAborted();
        chunk.update(bytes);
        onBytes(bytes.length);
      }
      if (chunk.digest("hex") !== recorded) changed.push(index);
    }
    return changed;
  }

  /** The bytes of a stretch through one window, which the next turn overwrites; fewer if the file has become shorter. */
  async *#read(start: number, end: number): AsyncGenerator<Buffer> {
    const window = Buffer.allocUnsafe(1024 ** 2);
    for (let position = start; position < end; ) {
      const { bytesRead } = await this.#handle.read(window, 0, Math.min(window.length, end - position), position);
      if (bytesRead === 0) return;
      yield window.subarray(0, bytesRead);
      position += bytesRead;
    }
  }

  /** Makes the download the model, in one step: nobody ever sees half a file under the model's name. */
  async complete(): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(partNames(this.#target.file).part, this.#target.file);
  }

  /** Deletes data and record. */
  async discard(): Promise<void> {
    await this.#handle.close();
    const { part, record } = partNames(this.#target.file);
    await Promise.all([rm(part, { force: true }), rm(record, { force: true })]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#handle.fd >= 0) await this.#handle.close();
  }

  #save(): void {
    const { record } = partNames(this.#target.file);
    writeFileSync(`${record}.new`, JSON.stringify(this.#record));
    renameSync(`${record}.new`, record);
  }
}

/** What a download has brought so far, by its record. */
export function partBytes(file: string): number {
  const { part, record: recordFile } = partNames(file);
  const record = existsSync(part) ? readRecord(recordFile) : undefined;
  return record ? recordedBytes(record) : 0;
}

function recordedBytes({ chunks, chunkBytes, fileBytes }: PartRecord): number {
  return chunks.reduce(
    (sum, hash, index) => sum + (hash === null ? 0 : Math.min(chunkBytes, fileBytes - index * chunkBytes)),
    0,
  );
}

/** A record that cannot be read is no record: the download begins anew. */
function readRecord(recordFile: string): PartRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(recordFile, "utf8")));
  } catch {
    return undefined;
  }
}

const lockRefreshMs = 20_000;
const lockStaleMs = 120_000;

/** Keeps a second download of the same file away, in this process and in others. Throws AppError `conflict`. */
export function lockDownload(file: string): Disposable {
  const { lock } = partNames(file);
  const holder = lockHolder(file);
  if (holder !== undefined)
    throw new AppError("conflict", `${path.basename(file)} is being downloaded by process ${holder}.`, {
      hint: `Wait for it or stop it. If there is none, delete ${lock}.`,
    });
  rmSync(lock, { force: true });
  const fd = openSync(lock, "wx");
  writeFileSync(fd, String(process.pid));
  closeSync(fd);
  const refresh = setInterval(() => {
    if (existsSync(lock)) utimesSync(lock, new Date(), new Date());
  }, lockRefreshMs);
  refresh.unref();
  return {
    [Symbol.dispose]() {
      clearInterval(refresh);
      rmSync(lock, { force: true });
    },
  };
}

/** The process that is downloading this file, if there is one: it lives, and has shown itself lately. */
export function lockHolder(file: string): number | undefined {
  const { lock } = partNames(file);
  const facts = statSync(lock, { throwIfNoEntry: false });
  if (!facts) return undefined;
  const pid = Number(readFileSync(lock, "utf8"));
  const isFresh = Date.now() - facts.mtimeMs < lockStaleMs;
  return isFresh && Number.isSafeInteger(pid) && pid > 0 && isAlive(pid) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // there, but somebody else's
  }
}
