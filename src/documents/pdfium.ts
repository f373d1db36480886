// A PDF opened by PDFium (wasm): its pages' text, drawn lines and pictures, and rendering. PDFium runs no scripts in this build and
// follows no links.
//
// The text page is always loaded, read and closed before anything is rendered, and rendering loads the page anew: rendering first
// and reading text from the same page object afterwards crashes the wasm module.
import { AppError } from "../base/errors.ts";
import { type Mapping, round } from "./pdf-geometry.ts";
import type { PdfPage } from "./pdf-page.ts";
import { discardPdfium, loadPdfium, type Native, nativeCalls, type Pdfium, PdfiumAccess } from "./pdfium-module.ts";
import { readObjects } from "./pdfium-objects.ts";
import { readText } from "./pdfium-text.ts";

export interface RasterImage {
  width: number;
  height: number;
  /** RGB, 3 bytes a pixel. */
  data: Uint8Array;
}

const passwordError = 4;

export async function openPdf(
  bytes: Uint8Array,
  { name, password }: { name: string; password?: string },
): Promise<PdfFile> {
  const module = await loadPdfium();
  const native = nativeCalls(module);
  const data = native("malloc", bytes.length);
  if (data === 0) throw new AppError("too_large", `${name}: not enough memory for a PDF of ${bytes.length} bytes.`);
  module.HEAPU8.set(bytes, data);
  const secret = new TextEncoder().encode(`${password ?? ""}\0`);
  const secretAt = native("malloc", secret.length);
  module.HEAPU8.set(secret, secretAt);
  let handle = 0;
  try {
    handle = native("FPDF_LoadMemDocument", data, bytes.length, password === undefined ? 0 : secretAt);
  } catch (cause) {
    throw new AppError("unreadable", `${name}: the PDF is damaged so badly that it cannot be opened.`, { cause });
  } finally {
    native("free", secretAt);
  }
  if (handle === 0) {
    const reason = native("FPDF_GetLastError");
    native("free", data);
    if (reason === passwordError)
      throw new AppError(
        password === undefined ? "unauthorized" : "forbidden",
        password === undefined ? `${name} is encrypted.` : `${name}: the password is wrong.`,
        { hint: "Give the password that opens the file.", param: "password", details: { needsPassword: true } },
      );
    throw new AppError("unreadable", `${name} is not a PDF that can be opened: its structure is damaged.`, {
      hint: "Open it in a PDF viewer and save it again, or print it to a new PDF.",
    });
  }
  return new PdfFile(module, { native, handle, data });
}

export class PdfFile implements Disposable {
  readonly #access: PdfiumAccess;
  readonly #native: Native;
  readonly #handle: number;
  readonly #data: number;

  constructor(module: Pdfium, opened: { native: Native; handle: number; data: number }) {
    this.#access = new PdfiumAccess(module, opened.native);
    this.#native = opened.native;
    this.#handle = opened.handle;
    this.#data = opened.data;
  }

  get pageCount(): number {
    return this.#native("FPDF_GetPageCount", this.#handle);
  }

  get hasScripts(): boolean {
    return this.#native("FPDFDoc_GetJavaScriptActionCount", this.#handle) > 0;
  }

  get attachmentCount(): number {
    return this.#native("FPDFDoc_GetAttachmentCount", this.#handle);
  }

  [Symbol.dispose](): void {
    try {
      this.#access[Symbol.dispose]();
      this.#native("FPDF_CloseDocument", this.#handle);
      this.#native("free", this.#data);
    } catch {
      // The module had trapped before: it is discarded as a whole, with all of its memory.
      discardPdfium();
    }
  }

  /** Text, lines and pictures of a page (0-based index). Throws AppError `unreadable` when the page is damaged. */
  readPage(index: number): PdfPage {
    const page = this.#open(index);
    try {
      const toPage = this.#mapping(page);
      const width = round(this.#f32("FPDF_GetPageWidthF", page));
      const height = round(this.#f32("FPDF_GetPageHeightF", page));
      const text = readText(this.#access, page, toPage);
      return { width, height, ...text, ...readObjects(this.#access, page, toPage, { width, height }) };
    } catch (error) {
      if (!(error instanceof AppError)) discardPdfium();
      throw error;
    } finally {
      this.#native("FPDF_ClosePage", page);
    }
  }

  pageSize(index: number): { width: number; height: number } {
    const page = this.#open(index);
    try {
      return { width: this.#f32("FPDF_GetPageWidthF", page), height: this.#f32("FPDF_GetPageHeightF", page) };
    } finally {
      this.#native("FPDF_ClosePage", page);
    }
  }

  /** The page as an image; `scale` pixels per point. */
  renderPage(index: number, scale: number): RasterImage {
    const page = this.#open(index);
    const width = Math.max(1, Math.round(this.#f32("FPDF_GetPageWidthF", page) * scale));
    const height = Math.max(1, Math.round(this.#f32("FPDF_GetPageHeightF", page) * scale));
    const bgrx = 3;
    const withAnnotations = 1;
    const bitmap = this.#native("FPDFBitmap_CreateEx", width, height, bgrx, 0, 0);
    try {
      if (bitmap === 0)
        throw new AppError("too_large", `Page ${index + 1} is too large to render (${width} × ${height}).`);
      this.#native("FPDFBitmap_FillRect", bitmap, 0, 0, width, height, 0xffffffff);
      this.#native("FPDF_RenderPageBitmap", bitmap, page, 0, 0, width, height, 0, withAnnotations);
      const stride = this.#native("FPDFBitmap_GetStride", bitmap);
      const pixels = this.#native("FPDFBitmap_GetBuffer", bitmap);
      const heap = this.#access.module.HEAPU8;
      const data = new Uint8Array(width * height * 3);
      for (let y = 0, to = 0; y < height; y++)
        for (let from = pixels + y * stride, x = 0; x < width; x++, from += 4, to += 3) {
          data[to] = heap[from + 2] ?? 0;
          data[to + 1] = heap[from + 1] ?? 0;
          data[to + 2] = heap[from] ?? 0;
        }
      return { width, height, data };
    } finally {
      if (bitmap !== 0) this.#native("FPDFBitmap_Destroy", bitmap);
      this.#native("FPDF_ClosePage", page);
    }
  }

  #open(index: number): number {
    const page = this.#native("FPDF_LoadPage", this.#handle, index);
    if (page === 0) throw new AppError("unreadable", `Page ${index + 1} is damaged and cannot be read.`);
    return page;
  }

  /** Calls that return a float come back as they are. */
  #f32(call: string, page: number): number {
    return this.#native(call, page);
  }

  /** PDF coordinates to the upright page (rotation and crop box applied), y downwards. */
  #mapping(page: number): Mapping {
    const width = this.#f32("FPDF_GetPageWidthF", page);
    const height = this.#f32("FPDF_GetPageHeightF", page);
    const fine = 1000; // device units per point: the mapping comes in whole device units
    const at = (x: number, y: number): [number, number] => {
      this.#native(
        "FPDF_PageToDevice",
        page,
        0,
        0,
        Math.round(width * fine),
        Math.round(height * fine),
        0,
        x,
        y,
        this.#access.scratch,
        this.#access.scratch + 4,
      );
      const view = this.#access.view();
      return [view.getInt32(this.#access.scratch, true) / fine, view.getInt32(this.#access.scratch + 4, true) / fine];
    };
    const [x0, y0] = at(0, 0);
    const [x1, y1] = at(100, 0);
    const [x2, y2] = at(0, 100);
    return { a: (x1 - x0) / 100, b: (y1 - y0) / 100, c: (x2 - x0) / 100, d: (y2 - y0) / 100, x: x0, y: y0 };
  }
}
