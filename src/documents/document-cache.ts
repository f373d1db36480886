// Documents read once are kept: the result under the hash of the bytes and of everything that changes it (options, reader version), page
// images beside it. The same file given twice, under any name, costs one hash. Entries are plain files; a broken one counts as absent.
import { createHash } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import type { Document } from "./document.ts";
import { documentJson } from "./document-json.ts";
import type { ReadWorkers, WorkerReadOptions } from "./read-in-worker.ts";

/** Raised whenever readers give other results for the same bytes. */
const readerVersion = 2;

export interface CachedRead {
  /** SHA-256 of the bytes, hexadecimal. */
  hash: string;
  document: Document;
  isFromCache: boolean;
}

export class DocumentCache {
  readonly #folder: string;
  readonly #workers: ReadWorkers;
  /** Two requests for one file at one time read it once. */
  readonly #running = new Map<string, Promise<Document>>();

  constructor({ folder, workers }: { folder: string; workers: ReadWorkers }) {
    this.#folder = folder;
    this.#workers = workers;
  }

  /** Reads the document, or takes it from the folder. The password is never stored; what it opened is. */
  async read(bytes: Uint8Array, options: WorkerReadOptions & { name: string }): Promise<CachedRead> {
    const hash = createHash("sha256").update(bytes).digest("hex");
    const key = this.#keyOf(hash, options);
    const kept = await this.#load(key);
    if (kept) return { hash, document: { ...kept, name: options.name }, isFromCache: true };
    let running = this.#running.get(key);
    const isFirst = running === undefined;
    if (running === undefined) {
      running = this.#workers.read({ bytes }, options).then(async (document) => {
        await this.#store(key, document);
        return document;
      });
      this.#running.set(key, running);
      const forget = (): void => void this.#running.delete(key);
      running.then(forget, forget);
    }
    try {
      return { hash, document: await running, isFromCache: !isFirst };
    } catch (error) {
      // The first reader's cancel must not fail the one who waited along.
      if (!isFirst && options.signal?.aborted !== true && !(error instanceof AppError))
        return this.read(bytes, options);
      throw error;
    }
  }

  /** A page as PNG, rendered once. */
  async pageImage(
    bytes: Uint8Array,
    request: { name: string; page: number; pixels: number; password?: string; turnedBy?: number; levelledBy?: number },
  ): Promise<Uint8Array> {
    const hash = createHash("sha256").update(bytes).digest("hex");
    const file = path.join(
      this.#folder,
      hash.slice(0, 2),
      `${hash}-${request.page}-${request.pixels}-${request.turnedBy ?? 0}-${request.levelledBy ?? 0}${secretOf(hash, request.password).slice(0, 16)}.png`,
    );
    const kept = await readFile(file).catch(absent);
    if (kept) return kept;
    const png = await this.#workers.renderPage({ bytes }, request);
    await write(file, png);
    return png;
  }

  /** Keeps a person's corrections in place of what was read. */
  async replace(hash: string, options: WorkerReadOptions, document: Document): Promise<void> {
    await this.#store(this.#keyOf(hash, options), document);
  }

  #keyOf(hash: string, { ocr = true, clean = true, limits = {}, password, name = "" }: WorkerReadOptions): string {
    // The name's ending decides between kinds of text, and an encrypted file opens only for those who know its password.
    const secret = secretOf(hash, password);
    const made = JSON.stringify([readerVersion, ocr, clean, limits, path.extname(name).toLowerCase(), secret]);
    return `${hash}-${createHash("sha256").update(made).digest("hex").slice(0, 16)}`;
  }

  #fileOf(key: string): string {
    return path.join(this.#folder, key.slice(0, 2), `${key}.json`);
  }

  async #load(key: string): Promise<Document | undefined> {
    const text = await readFile(this.#fileOf(key), "utf8").catch(absent);
    if (text === undefined) return undefined;
    try {
      const value: unknown = JSON.parse(text);
      return isDocument(value) ? value : undefined;
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  #store(key: string, document: Document): Promise<void> {
    return write(this.#fileOf(key), documentJson(document));
  }
}

function isDocument(value: unknown): value is Document {
  return (
    typeof value === "object" &&
    value !== null &&
    "text" in value &&
    typeof value.text === "string" &&
    "pages" in value &&
    Array.isArray(value.pages)
  );
}

function absent(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw new AppError("storage", "A kept document cannot be opened.", { cause: error });
}

/** Through a temporary file, so that a crash leaves no half entry. */
async function write(file: string, data: Uint8Array | Iterable<string>): Promise<void> {
  const temporary = `${file}.${process.pid}.${Date.now()}`;
  try {
    makeFolder(path.dirname(file));
    await writeFile(temporary, data);
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new AppError("storage", "A document that was read cannot be kept.", {
      hint: "Check the space and rights of the data folder.",
      cause,
    });
  }
}

/** Stands in the name of what an encrypted file gave, so that only who knows the password finds it. */
function secretOf(hash: string, password: string | undefined): string {
  return password === undefined ? "" : createHash("sha256").update(`${hash}:${password}`).digest("hex");
}
