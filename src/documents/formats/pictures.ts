// Pictures inside Office files: recognised where they stand, a bounded number of them, each at most once; what was not read is said.
import { toAppError } from "../../base/errors.ts";
import type { DraftSegment } from "../layout/runs.ts";
import type { ReadContext } from "../reader.ts";
import { pictureSegments } from "./image.ts";

/** Recognition takes seconds a picture; a document of hundreds is better made into a PDF and read in parts. */
const mostPictures = 60;

export class Pictures {
  readonly #context: ReadContext;
  #read = 0;
  #unread = 0;

  constructor(context: ReadContext) {
    this.#context = context;
  }

  async segmentsOf(bytes: Uint8Array | undefined, page: number): Promise<DraftSegment[]> {
    const { recognise, signal, progress } = this.#context;
    if (!recognise || bytes === undefined || this.#read >= mostPictures) {
      this.#unread++;
      return [];
    }
    this.#read++;
    progress({ page, pages: page, step: "recognising" });
    try {
      return await pictureSegments(bytes, { page, context: this.#context, recognise });
    } catch (error) {
      signal.throwIfAborted();
      // Drawings in Windows formats, mostly: counted and said below.
      if (toAppError(error).code === "internal") throw error;
      this.#unread++;
      return [];
    }
  }

  /** To be called at the end. */
  warn(): void {
    const { name, warn } = this.#context;
    if (this.#unread > 0)
      warn({
        code: "left_out",
        message: `${name} contains ${this.#unread} picture(s) that were not looked at; text inside them is missing.`,
      });
  }
}
