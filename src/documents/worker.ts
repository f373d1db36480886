// The reading process: takes one request at a time over IPC, answers with progress and the document. It watches its own memory, wasm
// and native libraries included, and ends itself beyond the cap; read-in-worker.ts makes a sentence of that.

import { readFile } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import sharp from "sharp";
import { AppError, type ErrorData, toAppError } from "../base/errors.ts";
import type { Document } from "./document.ts";
import { decodeImage } from "./formats/image.ts";
import { kindByContent } from "./kind.ts";
import { openPdf, type RasterImage } from "./pdfium.ts";
import { type ReadOptions, type ReadProgress, type ReadSource, readDocument } from "./read.ts";
import { memoryExit } from "./read-in-worker.ts";
import { defaultLimits } from "./reader.ts";

export interface RasterRequest {
  name: string;
  /** 1-based. */
  page: number;
  /** Longest side of the picture. */
  pixels: number;
  password?: string;
  /** As in Page.turnedBy: shows the page as it was read. */
  turnedBy?: number;
  levelledBy?: number;
}

export type WorkerRequest =
  | { type: "read"; source: ReadSource; options: ReadOptions }
  | { type: "render"; source: ReadSource; request: RasterRequest };

export type WorkerReply =
  | { type: "progress"; progress: ReadProgress }
  /** A part of a document's pages: all of a long one in one message would hold up the server that takes it apart. */
  | { type: "pages"; pages: Document["pages"] }
  | { type: "document"; document: Document }
  | { type: "image"; png: Uint8Array }
  | { type: "failed"; error: ErrorData };

const memoryCheckMs = 200;
const pagesAtOnce = 20;

if (process.send !== undefined && process.env.QUERN_READER_MEMORY_BYTES !== undefined) {
  const memoryBytes = Number(process.env.QUERN_READER_MEMORY_BYTES);
  setInterval(() => {
    if (process.memoryUsage.rss() > memoryBytes) process.exit(memoryExit);
  }, memoryCheckMs).unref();
  process.on("message", (message: { id: number } & WorkerRequest) => void answer(message));
  process.on("disconnect", () => process.exit(0));
}

async function answer(message: { id: number } & WorkerRequest): Promise<void> {
  const { id } = message;
  const send = (reply: WorkerReply): void => {
    process.send?.({ id, ...reply });
  };
  try {
    if (message.type === "read") {
      const document = await readDocument(message.source, {
        ...message.options,
        onProgress: (progress) => send({ type: "progress", progress }),
      });
      for (let from = 0; from < document.pages.length; from += pagesAtOnce) {
        send({ type: "pages", pages: document.pages.slice(from, from + pagesAtOnce) });
        await turn();
      }
      send({ type: "document", document: { ...document, pages: [] } });
    } else send({ type: "image", png: await renderPage(message.source, message.request) });
  } catch (error) {
    send({ type: "failed", error: toAppError(error).toData() });
  }
}

/** A page of a PDF, or a frame of an image, as PNG. Throws `unsupported` for formats without page images. */
export async function renderPage(
  source: ReadSource,
  { name, page, pixels, password, turnedBy = 0, levelledBy = 0 }: RasterRequest,
): Promise<Uint8Array> {
  const bytes = "bytes" in source ? source.bytes : await readFile(source.path);
  const kind = kindByContent(bytes, name);
  let image: RasterImage;
  if (kind === "image") image = await decodeImage(bytes, { name, frame: page - 1, pixels: defaultLimits.pixels });
  else if (kind === "pdf") {
    using file = await openPdf(bytes, { name, ...(password === undefined ? {} : { password }) });
    if (page < 1 || page > file.pageCount)
      throw new AppError("not_found", `${name} has no page ${page}; it has ${file.pageCount}.`);
    const { width, height } = file.pageSize(page - 1);
    image = file.renderPage(page - 1, pixels / Math.max(width, height));
  } else throw new AppError("unsupported", `${name} has no page images: they exist for PDF and images.`);
  let picture = sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } });
  if (turnedBy !== 0) picture = sharp(await picture.rotate(turnedBy).png({ compressionLevel: 1 }).toBuffer());
  if (levelledBy !== 0)
    picture = sharp(
      await picture.rotate(levelledBy, { background: "#ffffff" }).png({ compressionLevel: 1 }).toBuffer(),
    );
  return picture.resize(pixels, pixels, { fit: "inside", withoutEnlargement: true }).png().toBuffer();
}
