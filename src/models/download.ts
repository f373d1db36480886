// Fetches a model of the catalogue, so that in the end there is the right file or the reason why not, and never half of one.
//
// The life of a download: lock the name, ask the hub what it offers, check the disk, fetch the missing chunks over a few
// connections, read everything back, rename. A kill at any point loses at most the chunks under way; pulling again goes on.
//
// When the SHA-256 of the whole does not match, what is bad is found in two steps. First the disk: a chunk that reads back other
// than it came over the network was damaged here. If all chunks read back as they came, the network or the hub delivered wrong
// bytes; the hub states no hash of parts, so chunks are fetched a second time, those that had trouble first, and one that now comes
// differently replaces the first. After each replacement the whole is checked again. If nothing differs, the hub itself has another
// file: everything is thrown away and the hub is named. A file whose hash does not match is never put under the model's name.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { rename, statfs } from "node:fs/promises";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { type CatalogueEntry, fileOf } from "./catalogue.ts";
import { openProgress, type Progress, type PullProgress } from "./download-progress.ts";
import { findOffer, type Hub, hubNamed, type OfferedFile } from "./hub.ts";
import { lockDownload, PartFile, partBytes, partNames } from "./part-file.ts";
import { fetchStretch, type Patience, TransferFault, withRetries } from "./transfer.ts";

export interface PullOptions {
  entry: CatalogueEntry;
  /** huggingface, modelscope, or the address of a mirror. */
  hub: string;
  dataFolder: string;
  onProgress?: (progress: PullProgress) => void;
  signal?: AbortSignal;
  tuning?: Partial<PullTuning>;
}

export interface PullTuning extends Patience {
  connections: number;
  chunkBytes: number;
  /** Bytes that a program of ours may still take in a folder's file system. */
  freeBytes: (folder: string) => Promise<number>;
}

/** `cancelled` leaves what has come so far; the next pull goes on with it. */
export type PullResult = { outcome: "downloaded" | "present" | "cancelled"; file: string };

const usualTuning: PullTuning = {
  connections: 4,
  chunkBytes: 8 * 1024 ** 2,
  stallMs: 30_000,
  retryDelayMs: 500,
  retries: 6,
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

/** What stays free for everything else on the disk. */
const spareBytes = 64 * 1024 ** 2;

/**
 * Makes an entry's file be there, whole and checked. A file that is already there is checked too, and mended where it is damaged.
 * Throws AppError: `download` (network, hub), `storage` (disk), `conflict` (somebody else is at it), `bad_request` (no such hub).
 */
export async function pullModel(options: PullOptions): Promise<PullResult> {
  const { entry, dataFolder, signal = new AbortController().signal, onProgress = () => undefined } = options;
  const file = fileOf(entry, dataFolder);
  if (!entry.sources) return { outcome: "present", file };
  const hub = hubNamed(options.hub);
  try {
    makeFolder(path.dirname(file));
    using _lock = lockDownload(file);
    const progress = openProgress(entry.fileBytes, onProgress);
    const tuning = { ...usualTuning, ...options.tuning };
    return await new Pull({ entry, file, hub, tuning, progress, signal }).run();
  } catch (error) {
    if (signal.aborted) return { outcome: "cancelled", file };
    throw explained(error, { entry, hub });
  }
}

interface PullContext {
  entry: CatalogueEntry;
  file: string;
  hub: Hub;
  tuning: PullTuning;
  progress: Progress;
  signal: AbortSignal;
}

class Pull {
  readonly #context: PullContext;
  /** Chunks whose first fetch failed at least once: the first to be doubted. */
  readonly #troubled = new Set<number>();

  constructor(context: PullContext) {
    this.#context = context;
  }

  async run(): Promise<PullResult> {
    const { entry, file, hub, tuning, progress, signal } = this.#context;
    const { fileBytes, sha256 } = entry;
    if (existsSync(file)) {
      if (await this.#isRight()) return { outcome: "present", file };
      // Out of the way: while it is mended it must not be taken for a good one.
      await rename(file, partNames(file).part);
    }
    const target = { file, fileBytes, sha256, chunkBytes: tuning.chunkBytes };
    const presentBytes = partBytes(file);
    if (presentBytes === fileBytes) {
      // Killed between the last chunk and the renaming: no network is needed for that.
      await using finished = await PartFile.open(target);
      if ((await this.#checkedHash(finished)) === sha256) {
        await finished.complete();
        return { outcome: "downloaded", file };
      }
    }
    progress.enter("connecting", presentBytes);
    const offer = await findOffer(entry, { hub, patience: tuning, signal });
    await this.#refuseFullDisk(presentBytes);
    await using part = await PartFile.open(target);
    await this.#fetchMissing(part, offer);
    await this.#mend(part, offer);
    await part.complete();
    return { outcome: "downloaded", file };
  }

  async #isRight(): Promise<boolean> {
    const { entry, file, progress, signal } = this.#context;
    if (statSync(file).size !== entry.fileBytes) return false;
    progress.enter("checking", 0);
    const hash = createHash("sha256");
    for await (const bytes of createReadStream(file, { highWaterMark: 1024 ** 2, signal })) {
      hash.update(bytes);
      progress.add(bytes.length);
    }
    return hash.digest("hex") === entry.sha256;
  }

  async #refuseFullDisk(presentBytes: number): Promise<void> {
    const { entry, file, tuning } = this.#context;
    const neededBytes = entry.fileBytes - presentBytes + spareBytes;
    const freeBytes = await tuning.freeBytes(path.dirname(file));
    if (freeBytes >= neededBytes) return;
    throw new AppError("storage", `${entry.id} needs ${inMib(neededBytes)} more; ${inMib(freeBytes)} are free.`, {
      hint: `Free space in ${path.dirname(file)}, or choose another folder with --data.`,
      details: { neededBytes, freeBytes },
    });
  }

  async #fetchMissing(part: PartFile, offer: OfferedFile): Promise<void> {
    this.#context.progress.enter("downloading", part.doneBytes);
    if (part.missingChunks.length === 0) return;
    if (offer.takesRanges) await this.#fetchChunks(part, offer);
    else await this.#fetchWhole(part, offer);
  }

  /** Several connections take chunk after chunk from one queue; the first that gives up stops the others. */
  async #fetchChunks(part: PartFile, offer: OfferedFile): Promise<void> {
    const { tuning, signal } = this.#context;
    const waiting = part.missingChunks;
    const givenUp = new AbortController();
    const either = AbortSignal.any([signal, givenUp.signal]);
    const connection = async (): Promise<void> => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift())
        await this.#fetchChunk(part, { index, offer, signal: either });
    };
    const connections = Array.from({ length: Math.min(tuning.connections, waiting.length) }, () =>
      connection().catch((error: unknown) => {
        // Only the first reason counts; the others fail because of it.
        if (!givenUp.signal.aborted) givenUp.abort(error);
      }),
    );
    await Promise.all(connections);
    if (givenUp.signal.aborted) throw givenUp.signal.reason;
  }

  async #fetchChunk(
    part: PartFile,
    { index, offer, signal }: { index: number; offer: OfferedFile; signal: AbortSignal },
  ): Promise<void> {
    const { entry, tuning, progress } = this.#context;
    const hash = createHash("sha256");
    const { start, end } = part.range(index);
    let position = start;
    let gainedFrom = start;
    const attempt = () =>
      fetchStretch({
        url: offer.url,
        start: position,
        end,
        totalBytes: entry.fileBytes,
        asRange: true,
        stallMs: tuning.stallMs,
        signal,
        onBytes: async (bytes) => {
          if (position === 0) refuseOtherFormat(bytes, offer.url);
          await part.write(bytes, position);
          hash.update(bytes);
          position += bytes.length;
          progress.add(bytes.length);
        },
      });
    // A good piece of a chunk counts as progress; a byte or two between failures does not.
    const enoughBytes = Math.max(1, Math.floor(part.chunkBytes / 4));
    const hasGained = (): boolean => {
      this.#troubled.add(index);
      const hasEnough = position - gainedFrom >= enoughBytes;
      if (hasEnough) gainedFrom = position;
      return hasEnough;
    };
    await withRetries(attempt, { patience: tuning, signal, hasGained });
    await part.finish(index, hash.digest("hex"));
  }

  /** For a server without ranges: one stream from the first byte, cut into chunks here so that what is done stays done. */
  async #fetchWhole(part: PartFile, offer: OfferedFile): Promise<void> {
    const { entry, tuning, progress, signal } = this.#context;
    let doneBefore = part.missingChunks.length;
    const attempt = async (): Promise<void> => {
      progress.enter("downloading", part.doneBytes);
      let index = 0;
      let position = 0;
      let hash = createHash("sha256");
      const take = async (bytes: Uint8Array): Promise<void> => {
        if (!part.isDone(index)) {
          await part.write(bytes, position);
          hash.update(bytes);
          progress.add(bytes.length);
        }
        position += bytes.length;
        if (position < part.range(index).end) return;
        if (!part.isDone(index)) await part.finish(index, hash.digest("hex"));
        hash = createHash("sha256");
        index++;
      };
      await fetchStretch({
        url: offer.url,
        start: 0,
        end: entry.fileBytes,
        totalBytes: entry.fileBytes,
        asRange: false,
        stallMs: tuning.stallMs,
        signal,
        onBytes: async (bytes) => {
          if (position === 0) refuseOtherFormat(bytes, offer.url);
          for (let rest = bytes; rest.length > 0; ) {
            const step = Math.min(rest.length, part.range(index).end - position);
            await take(rest.subarray(0, step));
            rest = rest.subarray(step);
          }
        },
      });
    };
    const hasGained = (): boolean => {
      const left = part.missingChunks.length;
      const hasMore = left < doneBefore;
      doneBefore = left;
      return hasMore;
    };
    await withRetries(attempt, { patience: tuning, signal, hasGained });
  }

  async #checkedHash(part: PartFile): Promise<string> {
    const { progress, signal } = this.#context;
    progress.enter("checking", 0);
    return part.sha256({ onBytes: (count) => progress.add(count), signal });
  }

  /** See the head of this file. Returns when the whole is right; throws when it cannot be made so. */
  async #mend(part: PartFile, offer: OfferedFile): Promise<void> {
    const { entry, hub, progress, signal } = this.#context;
    let sha256 = await this.#checkedHash(part);
    if (sha256 === entry.sha256) return;
    progress.enter("mending", 0);
    const changed = await part.changedChunks({ onBytes: (count) => progress.add(count), signal });
    if (changed.length > 0) {
      sha256 = await this.#fetchedAgain(part, { indexes: changed, offer });
      if (sha256 === entry.sha256) return;
    }
    const all = Array.from({ length: part.chunkCount }, (_, index) => index);
    sha256 = offer.takesRanges
      ? await this.#doubtChunks(part, { indexes: all, offer, sha256 })
      : await this.#fetchedAgain(part, { indexes: all, offer });
    if (sha256 === entry.sha256) return;
    await part.discard();
    throw new TransferFault(
      `${hub.name} delivered another file than it should: its SHA-256 is ${sha256}, not ${entry.sha256}. It was deleted`,
      { isRetryable: false },
    );
  }

  async #fetchedAgain(
    part: PartFile,
    { indexes, offer }: { indexes: readonly number[]; offer: OfferedFile },
  ): Promise<string> {
    part.forget(indexes);
    await this.#fetchMissing(part, offer);
    return this.#checkedHash(part);
  }

  /** Compares chunks with a second fetch of them until the whole is right; returns the hash of the whole in the end. */
  async #doubtChunks(
    part: PartFile,
    { indexes, offer, sha256 }: { indexes: readonly number[]; offer: OfferedFile; sha256: string },
  ): Promise<string> {
    const { entry, tuning, progress } = this.#context;
    const doubted = indexes.toSorted((a, b) => Number(this.#troubled.has(b)) - Number(this.#troubled.has(a)) || a - b);
    let latest = sha256;
    let comparedBytes = 0;
    progress.enter("mending", 0);
    for (let at = 0; at < doubted.length; at += tuning.connections) {
      const together = doubted.slice(at, at + tuning.connections);
      const replaced = await Promise.all(together.map((index) => this.#replaceIfDifferent(part, { index, offer })));
      comparedBytes += together.reduce((sum, index) => sum + part.range(index).end - part.range(index).start, 0);
      if (!replaced.includes(true)) continue;
      latest = await this.#checkedHash(part);
      if (latest === entry.sha256) return latest;
      progress.enter("mending", comparedBytes);
    }
    return latest;
  }

  async #replaceIfDifferent(part: PartFile, { index, offer }: { index: number; offer: OfferedFile }): Promise<boolean> {
    const { entry, tuning, progress, signal } = this.#context;
    const { start, end } = part.range(index);
    // In memory: the bytes on disk may be the good ones.
    const second = Buffer.alloc(end - start);
    let filled = 0;
    const attempt = () =>
      fetchStretch({
        url: offer.url,
        start: start + filled,
        end,
        totalBytes: entry.fileBytes,
        asRange: true,
        stallMs: tuning.stallMs,
        signal,
        onBytes: async (bytes) => {
          second.set(bytes, filled);
          filled += bytes.length;
          progress.add(bytes.length);
        },
      });
    await withRetries(attempt, { patience: tuning, signal, hasGained: () => false });
    const sha256 = createHash("sha256").update(second).digest("hex");
    if (sha256 === part.hashOf(index)) return false;
    await part.write(second, start);
    await part.finish(index, sha256);
    return true;
  }
}

/** A mirror that answers with something else is found out by the first bytes, not after gigabytes. */
function refuseOtherFormat(bytes: Uint8Array, url: string): void {
  if (bytes.length < 4 || Buffer.from(bytes.subarray(0, 4)).toString("latin1") === "GGUF") return;
  throw new TransferFault(`${new URL(url).host} sent something that is no GGUF file`, { isRetryable: false });
}

function explained(error: unknown, { entry, hub }: { entry: CatalogueEntry; hub: Hub }): unknown {
  if (error instanceof TransferFault)
    return new AppError("download", `${entry.id} could not be fetched: ${error.message}.`, {
      hint: hub.hint,
      ...(error.status === undefined ? {} : { details: { status: error.status } }),
      cause: error,
    });
  const { code, syscall, path: place = "" } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof AppError || !code || !syscall) return error;
  const what =
    {
      ENOSPC: "the disk is full",
      EDQUOT: "the disk quota is used up",
      EACCES: "permission denied",
      EROFS: "the disk is read-only",
    }[code] ?? `${syscall} failed (${code})`;
  return new AppError("storage", `${entry.id} could not be stored: ${what}${place && `, ${place}`}.`, {
    hint: "Free space or check permissions, or choose another folder with --data. What has come so far is kept.",
    cause: error,
  });
}

function inMib(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2).toLocaleString("en")} MiB`;
}
