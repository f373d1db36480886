// The border to PDFium (wasm): opens a file, reads a page's characters with their positions, its drawn lines and pictures, renders a
// page. Everything that knows a pointer stays in this file. PDFium runs no scripts in this build and follows no links.
//
// The text page is always loaded, read and closed before anything is rendered, and rendering loads the page anew: rendering first
// and reading text from the same page object afterwards crashes the wasm module.
import { PDFiumModule } from "@hyzyla/pdfium";
import { AppError } from "../base/errors.ts";
import type { Ruling } from "./layout/runs.ts";
import {
  addRuling,
  apply,
  bordersOf,
  bounds,
  clip,
  isDot,
  type Mapping,
  type PageBox,
  round,
  shortest,
  then,
  thinnest,
} from "./pdf-geometry.ts";

/** One character of a page, in points, y downwards, in the upright page. */
export interface Character {
  text: string;
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** Where the pen starts, on the baseline. */
  originX: number;
  baseline: number;
  style: Style;
}

/** What the characters of one text object share. */
export interface Style {
  size: number;
  isBold: boolean;
  /** All letters of one width, as in program text. */
  isMonospaced: boolean;
  isInvisible: boolean;
  /** 0 = upright; degrees clockwise as seen on the page, -180..180. */
  angle: number;
}

export interface PdfPage {
  width: number;
  height: number;
  characters: Character[];
  /** Characters whose code the font does not map to text. */
  unmapped: number;
  rulings: Ruling[];
  images: PageBox[];
  /** Small round or square shapes: bullets, when they stand before a line. */
  dots: PageBox[];
  /** Filled or stroked paths; text turned into outlines makes thousands. */
  pathCount: number;
}

export interface RasterImage {
  width: number;
  height: number;
  /** RGB, 3 bytes a pixel. */
  data: Uint8Array;
}

type Call = (...values: number[]) => number;

/** The parts of the wasm module used here; the package types only a few of the functions that it exports. */
interface Pdfium {
  HEAPU8: Uint8Array;
  wasmExports: Record<string, Call>;
}

let loading: Promise<Pdfium> | undefined;

async function loadPdfium(): Promise<Pdfium> {
  loading ??= (PDFiumModule as unknown as (options: object) => Promise<Pdfium>)({}).then((module) => {
    module.wasmExports.FPDF_InitLibrary?.();
    return module;
  });
  return loading;
}

/** After a trap the module's memory is in an unknown state; the next file gets a new one. */
function discardPdfium(): void {
  loading = undefined;
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

type Native = (call: string, ...values: number[]) => number;

function nativeCalls(module: Pdfium): Native {
  return (name, ...values) => {
    const call = module.wasmExports[name];
    if (!call) throw new AppError("internal", `PDFium lacks ${name}.`);
    try {
      return call(...values);
    } catch (error) {
      discardPdfium();
      throw error;
    }
  };
}

export class PdfFile implements Disposable {
  readonly #module: Pdfium;
  readonly #native: Native;
  readonly #handle: number;
  readonly #data: number;
  readonly #scratch: number;
  #memory: DataView | undefined;

  constructor(module: Pdfium, opened: { native: Native; handle: number; data: number }) {
    this.#module = module;
    this.#native = opened.native;
    this.#handle = opened.handle;
    this.#data = opened.data;
    this.#scratch = opened.native("malloc", 512);
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
      this.#native("free", this.#scratch);
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
      const text = this.#readText(page, toPage);
      return { width, height, ...text, ...this.#readObjects(page, toPage, { width, height }) };
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
      const heap = this.#module.HEAPU8;
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
        this.#scratch,
        this.#scratch + 4,
      );
      const view = this.#view();
      return [view.getInt32(this.#scratch, true) / fine, view.getInt32(this.#scratch + 4, true) / fine];
    };
    const [x0, y0] = at(0, 0);
    const [x1, y1] = at(100, 0);
    const [x2, y2] = at(0, 100);
    return { a: (x1 - x0) / 100, b: (y1 - y0) / 100, c: (x2 - x0) / 100, d: (y2 - y0) / 100, x: x0, y: y0 };
  }

  /** The module's memory; a new view only when it has grown. */
  #view(): DataView {
    const { buffer } = this.#module.HEAPU8;
    if (this.#memory?.buffer !== buffer) this.#memory = new DataView(buffer);
    return this.#memory;
  }

  #readText(page: number, toPage: Mapping): Pick<PdfPage, "characters" | "unmapped"> {
    const native = this.#native;
    const textPage = native("FPDFText_LoadPage", page);
    if (textPage === 0) return { characters: [], unmapped: 0 };
    const characters: Character[] = [];
    let unmapped = 0;
    const styles = new Map<number, { style: Style; isMapped: boolean; baseline: number | undefined }>();
    const {
      FPDFText_GetUnicode: unicode,
      FPDFText_GetTextObject: textObject,
      FPDFText_GetCharOrigin: origin,
      FPDFText_GetLooseCharBox: looseBox,
      FPDFText_HasUnicodeMapError: mapError,
    } = this.#module.wasmExports;
    if (!unicode || !textObject || !origin || !looseBox || !mapError)
      throw new AppError("internal", "PDFium lacks its text functions.");
    try {
      const count = native("FPDFText_CountChars", textPage);
      const at = this.#scratch;
      for (let index = 0; index < count; index++) {
        const code = unicode(textPage, index);
        if (code === 13 || code === 10) continue;
        if (code === 0) {
          unmapped++;
          continue;
        }
        const object = textObject(textPage, index);
        let shared = styles.get(object);
        if (!shared) {
          const style = this.#styleOf(textPage, index, object, toPage);
          shared = { style, isMapped: mapError(textPage, index) !== 1, baseline: undefined };
          if (object !== 0) styles.set(object, shared);
        }
        if (!shared.isMapped && mapError(textPage, index) === 1) unmapped++;
        // PDFium writes U+0002 for a hyphen that it takes for the end of a broken word.
        const text = code === 2 ? "-" : code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code);
        const isBoxed = looseBox(textPage, index, at) !== 0;
        let view = this.#view();
        const box = isBoxed
          ? bounds(toPage, {
              left: view.getFloat32(at, true),
              top: view.getFloat32(at + 4, true),
              right: view.getFloat32(at + 8, true),
              bottom: view.getFloat32(at + 12, true),
            })
          : { left: 0, top: 0, right: 0, bottom: 0 };
        // Upright letters of one object stand on one line: its place is asked for once.
        let { baseline } = shared;
        let originX = box.left;
        if (baseline === undefined) {
          origin(textPage, index, at + 16, at + 24);
          view = this.#view();
          const start = apply(toPage, view.getFloat64(at + 16, true), view.getFloat64(at + 24, true));
          baseline = start.y;
          originX = start.x;
          if (shared.style.angle === 0 && object !== 0) shared.baseline = baseline;
        }
        characters.push({ text, ...box, originX, baseline, style: shared.style });
      }
    } finally {
      native("FPDFText_ClosePage", textPage);
    }
    return { characters, unmapped };
  }

  #styleOf(textPage: number, index: number, object: number, toPage: Mapping): Style {
    const native = this.#native;
    const at = this.#scratch + 64;
    const fontSize = native("FPDFText_GetFontSize", textPage, index);
    native("FPDFText_GetMatrix", textPage, index, at);
    let view = this.#view();
    const matrix = [0, 1, 2, 3].map((part) => view.getFloat32(at + part * 4, true)) as [number, number, number, number];
    const [a, b, c, d] = matrix;
    const nameBytes = native("FPDFText_GetFontInfo", textPage, index, at, 200, at + 204);
    const fontName = latin1.decode(this.#module.HEAPU8.subarray(at, at + Math.max(0, Math.min(200, nameBytes) - 1)));
    const weight = native("FPDFText_GetFontWeight", textPage, index);
    const mode = object === 0 ? 0 : native("FPDFTextObj_GetTextRenderMode", object);
    const isFilled = native("FPDFText_GetFillColor", textPage, index, at, at + 4, at + 8, at + 12) !== 0;
    view = this.#view();
    const alpha = isFilled ? view.getUint32(at + 12, true) : 255;
    // Direction of the baseline on the upright page.
    const along = { x: a * toPage.a + b * toPage.c, y: a * toPage.b + b * toPage.d };
    return {
      size: fontSize * (Math.hypot(c, d) || 1),
      isBold: weight >= 600 || /bold|black|heavy|semibold|demi/i.test(fontName) || mode === 2,
      isMonospaced: /mono|courier|consol|cmtt|typewriter|menlo|fixed/i.test(fontName),
      isInvisible: mode === 3 || mode === 7 || alpha === 0,
      angle: Math.round((Math.atan2(along.y, along.x) * 180) / Math.PI),
    };
  }

  #readObjects(
    page: number,
    toPage: Mapping,
    size: { width: number; height: number },
  ): Pick<PdfPage, "rulings" | "images" | "dots" | "pathCount"> {
    const rulings: Ruling[] = [];
    const images: PdfPage["images"] = [];
    const dots: PdfPage["dots"] = [];
    let pathCount = 0;
    const visit = (object: number, mapping: Mapping, depth: number): void => {
      const type = this.#native("FPDFPageObj_GetType", object);
      if (type === 2) {
        pathCount++;
        if (pathCount > 20_000) return;
        const box = this.#boundsOf(object, mapping);
        if (box && isDot(box)) dots.push(box);
        else if (box) this.#rulingsOf(object, { box, mapping, into: rulings });
      } else if (type === 3) {
        const box = this.#boundsOf(object, mapping);
        if (box) images.push(clip(box, size));
      } else if (type === 5 && depth < 4) {
        const inner = then(this.#matrixOf(object), mapping);
        const count = Math.min(20_000, this.#native("FPDFFormObj_CountObjects", object));
        for (let index = 0; index < count; index++)
          visit(this.#native("FPDFFormObj_GetObject", object, index), inner, depth + 1);
      }
    };
    const count = Math.min(50_000, this.#native("FPDFPage_CountObjects", page));
    for (let index = 0; index < count; index++) visit(this.#native("FPDFPage_GetObject", page, index), toPage, 0);
    return { rulings, images, dots, pathCount };
  }

  #boundsOf(object: number, mapping: Mapping): PageBox | undefined {
    const at = this.#scratch;
    if (this.#native("FPDFPageObj_GetBounds", object, at, at + 4, at + 8, at + 12) === 0) return undefined;
    const view = this.#view();
    return bounds(mapping, {
      left: view.getFloat32(at, true),
      bottom: view.getFloat32(at + 4, true),
      right: view.getFloat32(at + 8, true),
      top: view.getFloat32(at + 12, true),
    });
  }

  #matrixOf(object: number): Mapping {
    const at = this.#scratch;
    if (this.#native("FPDFPageObj_GetMatrix", object, at) === 0) return { a: 1, b: 0, c: 0, d: 1, x: 0, y: 0 };
    const view = this.#view();
    const [a = 1, b = 0, c = 0, d = 1, x = 0, y = 0] = [0, 1, 2, 3, 4, 5].map((part) =>
      view.getFloat32(at + part * 4, true),
    );
    return { a, b, c, d, x, y };
  }

  /** Thin filled boxes and the straight lines of stroked paths. */
  #rulingsOf(path: number, { box, mapping, into }: { box: PageBox; mapping: Mapping; into: Ruling[] }): void {
    const [width, height] = [box.right - box.left, box.bottom - box.top];
    if (height <= thinnest && width > shortest) {
      into.push({ isHorizontal: true, at: (box.top + box.bottom) / 2, from: box.left, to: box.right });
      return;
    }
    if (width <= thinnest && height > shortest) {
      into.push({ isHorizontal: false, at: (box.left + box.right) / 2, from: box.top, to: box.bottom });
      return;
    }
    if (width <= shortest && height <= shortest) return;
    this.#native("FPDFPath_GetDrawMode", path, this.#scratch, this.#scratch + 4);
    const isStroked = this.#view().getInt32(this.#scratch + 4, true) !== 0;
    const segments = this.#native("FPDFPath_CountSegments", path);
    if (segments > 4000) return;
    const toPage = then(this.#matrixOf(path), mapping);
    const curve = 1;
    const move = 2;
    let before: { x: number; y: number } | undefined;
    let start: { x: number; y: number } | undefined;
    const found: Ruling[] = [];
    for (let index = 0; index < segments; index++) {
      const segment = this.#native("FPDFPath_GetPathSegment", path, index);
      this.#native("FPDFPathSegment_GetPoint", segment, this.#scratch, this.#scratch + 4);
      const view = this.#view();
      const point = apply(toPage, view.getFloat32(this.#scratch, true), view.getFloat32(this.#scratch + 4, true));
      const type = this.#native("FPDFPathSegment_GetType", segment);
      if (type === curve) return;
      if (type === move) start = point;
      else if (before) addRuling(before, point, found);
      before = point;
      if (start && this.#native("FPDFPathSegment_GetClose", segment) !== 0) addRuling(point, start, found);
    }
    if (isStroked) into.push(...found);
    else into.push(...bordersOf(found));
  }
}

const latin1 = new TextDecoder("latin1");
