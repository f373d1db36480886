// Files, documents and analyses behind HTTP, as one thing to open and close: the stored files, the processes that read them, the cache of
// what was read, and the workbooks that are open for further questions.
import path from "node:path";
import { OpenWorkbook } from "../../analysis/analyse.ts";
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
  /** By content hash, the latest used last. Each holds its rows in memory, so only a few stay. */
  readonly #workbooks = new Map<string, Promise<OpenWorkbook>>();
  readonly #mostWorkbooks: number;

  constructor({ files, dataFolder, mostWorkbooks = 4 }: { files: Files; dataFolder: string; mostWorkbooks?: number }) {
    this.files = files;
    this.#workers = new ReadWorkers();
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

  /** A stored workbook, kept open: the next question about it need not read it again. */
  workbook(file: StoredFile): Promise<OpenWorkbook> {
    const known = this.#workbooks.get(file.sha256);
    const workbook = known ?? OpenWorkbook.open({ name: file.name, bytes: this.files.read(file.id) });
    this.#workbooks.delete(file.sha256);
    this.#workbooks.set(file.sha256, workbook);
    if (!known) {
      workbook.catch(() => this.#workbooks.delete(file.sha256));
      for (const [hash, opened] of [...this.#workbooks].slice(0, -this.#mostWorkbooks)) {
        this.#workbooks.delete(hash);
        close(opened);
      }
    }
    return workbook;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of this.#workbooks.values()) close(opened);
    this.#workbooks.clear();
    await this.#workers[Symbol.asyncDispose]();
  }
}

/** One that failed to open has nothing to close. */
function close(opened: Promise<OpenWorkbook>): void {
  opened.then(
    (workbook) => workbook[Symbol.dispose](),
    () => undefined,
  );
}

export type OfficeHandler = (context: ApiContext, api: Api, office: OfficeDoor) => Response | Promise<Response>;
