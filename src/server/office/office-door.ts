// Files, documents and analyses behind HTTP, as one thing to open and close: the stored files, the processes that read them, the cache of
// what was read, and the workbooks that are open for further questions.
import path from "node:path";
import type { OpenWorkbook, WorkbookInput } from "../../analysis/analyse.ts";
import { openTables } from "../../analysis/open-tables.ts";
import { type CachedRead, DocumentCache } from "../../documents/document-cache.ts";
import { ReadWorkers } from "../../documents/read-in-worker.ts";
import type { ReadProgress } from "../../documents/reader.ts";
import type { Files, StoredFile } from "../../workspace/files.ts";
import type { Api, ApiContext } from "../api.ts";

export interface ReadRequest {
  password?: string;
  ocr?: boolean;
  clean?: boolean;
  signal: AbortSignal;
  onProgress?: (progress: ReadProgress) => void;
}

export class OfficeDoor implements AsyncDisposable {
  readonly files: Files;
  readonly #workers: ReadWorkers;
  readonly #documents: DocumentCache;
  /** By content, name and what was overruled, the latest used last. Each holds its rows in memory, so only a few stay; one that is in use outlives its place. */
  readonly #workbooks = new Map<string, KeptWorkbook>();
  readonly #mostWorkbooks: number;

  constructor({ files, dataFolder, mostWorkbooks = 4 }: { files: Files; dataFolder: string; mostWorkbooks?: number }) {
    this.files = files;
    // Two: a short file, or the picture of a page, does not wait until a long scan has been recognised.
    this.#workers = new ReadWorkers({ parallel: 2 });
    this.#documents = new DocumentCache({ folder: path.join(dataFolder, "documents"), workers: this.#workers });
    this.#mostWorkbooks = mostWorkbooks;
  }

  read(file: { bytes: Uint8Array; name: string }, request: ReadRequest): Promise<CachedRead> {
    return this.#documents.read(file.bytes, { ...request, name: file.name });
  }

  pageImage(
    file: StoredFile,
    request: { page: number; pixels: number; password?: string; turnedBy?: number; levelledBy?: number },
  ): Promise<Uint8Array> {
    return this.#documents.pageImage(this.files.read(file.id), { ...request, name: file.name });
  }

  /** A stored workbook, kept open: the next question about it need not read it again. Give it back when done. */
  async workbook(file: StoredFile, request: WorkbookRequest = {}): Promise<BorrowedWorkbook> {
    const key = JSON.stringify([file.sha256, file.name, request.overrides ?? {}]);
    const kept = this.#workbooks.get(key) ?? this.#open(file, key, request);
    this.#workbooks.delete(key);
    this.#workbooks.set(key, kept);
    kept.users++;
    const giveBack = (): void => {
      kept.users--;
      closeUnused(kept);
    };
    for (const [hash, old] of [...this.#workbooks].slice(0, -this.#mostWorkbooks)) {
      this.#workbooks.delete(hash);
      old.isDropped = true;
      closeUnused(old);
    }
    try {
      return { opened: await kept.opening, [Symbol.dispose]: giveBack };
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** A file that came with its request: tables of it, for this request alone. */
  tables(
    file: { name: string; bytes: Uint8Array },
    request: WorkbookRequest & { signal: AbortSignal },
  ): Promise<OpenWorkbook> {
    return openTables(file, {
      ...request,
      readDocument: async () => (await this.read(file, { signal: request.signal })).document,
    });
  }

  #open(file: StoredFile, key: string, request: WorkbookRequest): KeptWorkbook {
    // Others may wait for the same workbook, so the one who asked first does not cancel it by leaving.
    const opening = this.tables(
      { name: file.name, bytes: this.files.read(file.id) },
      { ...request, signal: AbortSignal.timeout(longestReadMs) },
    );
    opening.catch(() => this.#workbooks.delete(key));
    return { opening, users: 0, isDropped: false };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const kept of this.#workbooks.values()) {
      kept.isDropped = true;
      closeUnused(kept);
    }
    this.#workbooks.clear();
    await this.#workers[Symbol.asyncDispose]();
  }
}

/** Hundreds of scanned pages take minutes. */
const longestReadMs = 15 * 60_000;

export type WorkbookRequest = Pick<WorkbookInput, "overrides" | "onProgress">;

export interface BorrowedWorkbook extends Disposable {
  opened: OpenWorkbook;
}

interface KeptWorkbook {
  opening: Promise<OpenWorkbook>;
  users: number;
  /** Has lost its place: the last user closes it. */
  isDropped: boolean;
}

function closeUnused({ opening, users, isDropped }: KeptWorkbook): void {
  if (users > 0 || !isDropped) return;
  opening.then(
    (workbook) => workbook[Symbol.dispose](),
    () => undefined, // one that failed to open has nothing to close
  );
}

export type OfficeHandler = (context: ApiContext, api: Api, office: OfficeDoor) => Response | Promise<Response>;
