// Files on their way into a draft: stored on the server, read there page by page, then an attachment. Source code and data need none of
// this: the page reads them itself.
import type { AttachedDocument } from "../../src/server/api-types.ts";
import { ApiError, fetchStatus } from "../api.ts";
import { Signal } from "../signal.ts";
import { keepPassword } from "./file-passwords.ts";
import { readFile, uploadFile } from "./office-api.ts";
import { lowConfidence } from "./office-view.ts";

export type UploadState =
  | { phase: "uploading" }
  | { phase: "reading"; page?: number; pages?: number; isRecognising: boolean }
  /** Encrypted: waits for its password. */
  | { phase: "locked"; isWrong: boolean };

export interface UploadedDocument {
  id: string;
  name: string;
  document: AttachedDocument;
  /** Recognised with little confidence. */
  pagesToCheck: readonly number[];
}

const documentNames =
  /\.(?:txt|md|markdown|html?|xhtml|pdf|docx|docm|pptx|pptm|xlsx|xlsm|xlsb|xls|ods|et|csv|tsv|png|jpe?g|webp|tiff?|gif|bmp|avif|eml|doc|ppt|rtf)$/i;

/** Whether the server has to read it; by its name, or by bytes that no text holds. */
export async function isDocumentFile(file: File): Promise<boolean> {
  if (documentNames.test(file.name) || /^image\/|^application\/pdf$/.test(file.type)) return true;
  return new Uint8Array(await file.slice(0, 8192).arrayBuffer()).includes(0);
}

export class FileTooLarge extends ApiError {
  readonly limitBytes: number;

  constructor(limitBytes: number) {
    super("too_large", `More than ${limitBytes} bytes.`);
    this.limitBytes = limitBytes;
  }
}

let nextUpload = 1;

export class Upload {
  readonly key = nextUpload++;
  readonly name: string;
  readonly state = new Signal<UploadState>({ phase: "uploading" });
  readonly #file: File;
  readonly #abort = new AbortController();
  #password: PromiseWithResolvers<string> | undefined;

  constructor(file: File) {
    this.#file = file;
    // A pasted picture comes as image.png, every time.
    this.name = file.name === "" ? "image.png" : file.name;
  }

  cancel(): void {
    this.#abort.abort();
    this.#password?.reject(this.#abort.signal.reason);
  }

  get isCancelled(): boolean {
    return this.#abort.signal.aborted;
  }

  unlock(password: string): void {
    this.#password?.resolve(password);
  }

  /** Throws an ApiError when the file cannot be read, the signal's reason when it was cancelled. */
  async run(): Promise<UploadedDocument> {
    const { signal } = this.#abort;
    // Said before it is sent: a server that refuses in mid-upload looks like one that has gone.
    const { limits } = await fetchStatus(signal);
    if (this.#file.size > limits.upload_bytes) throw new FileTooLarge(limits.upload_bytes);
    const { id, filename } = await uploadFile(this.#file, signal);
    let password: string | undefined;
    for (;;) {
      this.state.value = { phase: "reading", isRecognising: false };
      try {
        const { document, tokens } = await readFile(id, password === undefined ? {} : { password }, {
          signal,
          onProgress: ({ page, pages, step }) => {
            this.state.value = { phase: "reading", page, pages, isRecognising: step === "recognising" };
          },
        });
        if (password !== undefined) keepPassword(id, password);
        return {
          id,
          name: filename,
          document: {
            kind: document.kind,
            pages: document.pages.length,
            tokens,
            ...(password === undefined ? {} : { password }),
          },
          pagesToCheck: document.pages
            .filter(({ confidence }) => confidence < lowConfidence)
            .map((page) => page.number),
        };
      } catch (error) {
        const isLocked = error instanceof ApiError && (error.needsPassword || error.code === "forbidden");
        if (!isLocked) throw error;
        this.#password = Promise.withResolvers();
        this.state.value = { phase: "locked", isWrong: password !== undefined };
        password = await this.#password.promise;
      }
    }
  }
}
