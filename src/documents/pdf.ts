// Reads a PDF page by page. Each page's text layer is judged on its own (pdf-runs.ts): a real one is laid out as it is; a scan, a
// garbled one or somebody's invisible OCR layer is rendered and recognised. A damaged page becomes a warning, never a failed file.
import { setImmediate as turn } from "node:timers/promises";
import { AppError, toAppError } from "../base/errors.ts";
import { segmentsOfPage } from "./layout/blocks.ts";
import { markHeadings } from "./layout/headings.ts";
import { confidenceOf, type DraftSegment, type Run } from "./layout/runs.ts";
import type { PdfPage } from "./pdf-page.ts";
import { judgeTextLayer, runsOf, type TextLayer } from "./pdf-runs.ts";
import { uprightPage } from "./pdf-upright.ts";
import { isVertical, turnedBack, verticalPage } from "./pdf-vertical.ts";
import { openPdf, type PdfFile } from "./pdfium.ts";
import type { Draft, DraftPage, ReadContext, RecognisedPage } from "./reader.ts";
import { scaledRecognition, segmentsOfRecognised } from "./recognised.ts";
import { sideBySide } from "./side-by-side.ts";

/** Resolution for recognition: enough for 8-point Chinese type, a second or two a page. */
const recognitionDpi = 200;
const longestSide = 3600;

export async function readPdf(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const { name, limits, signal, warn } = context;
  using file = await openEvenDamaged(bytes, context);
  const pageCount = file.pageCount;
  if (pageCount === 0) throw new AppError("unreadable", `${name} has no page that can be read.`);
  if (file.hasScripts)
    warn({ code: "active_content_ignored", message: `${name} contains scripts; they were not run.` });
  if (file.attachmentCount > 0)
    warn({
      code: "attachment_listed",
      message: `${name} carries ${file.attachmentCount} attached file(s), which were not read.`,
    });
  const last = Math.min(pageCount, limits.pages);
  if (last < pageCount)
    warn({
      code: "pages_left_out",
      message: `${name} has ${pageCount} pages; the limit is ${limits.pages}. Pages ${last + 1}–${pageCount} were not read.`,
      page: last + 1,
    });
  const read = async (index: number): Promise<DraftPage> => {
    signal.throwIfAborted();
    return readPage(file, index, context);
  };
  const pages = await sideBySide(last, read, {
    after: (index) => {
      context.progress({ page: index + 1, pages: last, step: "reading" });
      // A turn of the loop per page lets a cancel message in.
      return turn();
    },
  });
  // A page that could not even be opened has no size; a scan that nobody recognised has one.
  if (pages.every((page) => page.source === "unreadable" && page.width === 0))
    throw new AppError("unreadable", `None of the ${pageCount} pages of ${name} can be read: the file is damaged.`);
  return { kind: "pdf", pages: withHeadings(pages) };
}

/** A file that was cut off has lost its trailer, and with it the way to its first object: that one is looked for. */
async function openEvenDamaged(bytes: Uint8Array, { name, password, warn }: ReadContext): Promise<PdfFile> {
  const options = { name, ...(password === undefined ? {} : { password }) };
  try {
    return await openPdf(bytes, options);
  } catch (error) {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    const at = text.search(/\/Type\s*\/Catalog/);
    const root = [...text.slice(Math.max(0, at - 2000), at).matchAll(/(\d{1,9}) (\d{1,5}) obj\b/g)].at(-1);
    if (toAppError(error).code !== "unreadable" || at < 0 || !root) throw error;
    const trailer = Buffer.from(`\ntrailer\n<< /Root ${root[1]} ${root[2]} R >>\nstartxref\n0\n%%EOF\n`);
    const file = await openPdf(Buffer.concat([bytes, trailer]), options).catch(() => {
      throw error;
    });
    warn({ code: "part_unreadable", message: `${name} is cut off or damaged; what could be found of it was read.` });
    return file;
  }
}

/** Headings need the whole document's type sizes; recognised pages are judged among themselves. */
export function withHeadings(pages: readonly DraftPage[]): DraftPage[] {
  const marked = markHeadings(pages.flatMap((page) => page.segments));
  let at = 0;
  return pages.map((page) => {
    const segments = marked.slice(at, at + page.segments.length);
    at += page.segments.length;
    return { ...page, segments };
  });
}

async function readPage(file: PdfFile, index: number, context: ReadContext): Promise<DraftPage> {
  const number = index + 1;
  const { name, warn } = context;
  const empty = { number, width: 0, height: 0, unit: "pt" as const, confidence: 0, segments: [] };
  let page: PdfPage;
  try {
    page = file.readPage(index);
  } catch (error) {
    const failure = toAppError(error);
    warn({
      code: "page_unreadable",
      message: `${name}, page ${number}: cannot be read (${failure.message})`,
      page: number,
    });
    return { ...empty, source: "unreadable" };
  }
  const base = { ...empty, width: page.width, height: page.height };
  const layer = judgeTextLayer(page);
  const isInColumns = isVertical(page);
  const upright = isInColumns ? verticalPage(page) : uprightPage(page);
  if (layer.verdict === "blank") return { ...base, source: "blank", confidence: 1 };
  if (layer.verdict === "real") {
    const runs = runsOf(upright);
    const pictures = await readPictures(file, page, {
      number,
      runs: isInColumns ? runsOf(page) : runs,
      context,
      isTurned: upright.turnedBy !== 0,
    });
    const laid = laidOut(upright, number, runs);
    const segments = isInColumns ? laid.map((segment) => turnedBack(segment, page)) : laid;
    return {
      ...base,
      ...turned(upright),
      source: pictures.length > 0 ? "mixed" : "text",
      confidence: 1,
      segments: [...segments, ...pictures],
    };
  }
  const recognised = await recognisePage(file, page, { number, context, verdict: layer.verdict });
  if (recognised) {
    if (layer.verdict !== "scan")
      warn({
        code: "text_layer_replaced",
        message: `${name}, page ${number}: ${layer.verdict === "garbage" ? "the text layer is garbled" : "the text layer is an invisible one from an earlier recognition"}; the page was recognised anew.`,
        page: number,
      });
    const segments = segmentsOfRecognised(recognised, number);
    return {
      ...base,
      width: recognised.width,
      height: recognised.height,
      ...(recognised.turnedBy === 0 ? {} : { turnedBy: recognised.turnedBy }),
      ...(recognised.levelledBy === 0 ? {} : { levelledBy: recognised.levelledBy }),
      source: segments.length > 0 ? "ocr" : "blank",
      confidence: confidenceOf(recognised.runs) ?? 1,
      segments,
    };
  }
  // Without recognition: what the layer holds is better than nothing, and is said to be doubtful.
  const segments = laidOut(upright, number, runsOf(upright, { withInvisible: true }));
  return {
    ...base,
    ...turned(upright),
    source: segments.length > 0 ? "text" : "unreadable",
    confidence: segments.length > 0 ? 0.5 : 0,
    segments,
  };
}

function laidOut({ width, height, rulings }: PdfPage, page: number, runs: readonly Run[]): DraftSegment[] {
  return segmentsOfPage({ page, width, height, runs, rulings, tolerance: 2 });
}

function turned({ turnedBy, width, height }: PdfPage & { turnedBy: number }) {
  return turnedBy === 0 ? {} : { turnedBy, width, height };
}

async function recognisePage(
  file: PdfFile,
  page: PdfPage,
  { number, context, verdict }: { number: number; context: ReadContext; verdict: TextLayer["verdict"] },
): Promise<RecognisedPage | undefined> {
  const { name, recognise, warn } = context;
  const problem = verdict === "scan" ? "is a picture without text" : "has a text layer that cannot be trusted";
  if (!recognise) {
    warn({
      code: "no_ocr",
      message: `${name}, page ${number}: ${problem}, and text recognition is off.`,
      page: number,
    });
    return undefined;
  }
  context.progress({ page: number, pages: file.pageCount, step: "recognising" });
  try {
    const scale = Math.min(recognitionDpi / 72, longestSide / Math.max(page.width, page.height));
    return scaledRecognition(await recognise(file.renderPage(number - 1, scale)), scale);
  } catch (error) {
    context.signal.throwIfAborted();
    const message = `${name}, page ${number}: ${problem}, and recognising it failed (${toAppError(error).message}).`;
    warn({ code: "page_unreadable", message, page: number });
    return undefined;
  }
}

/** Share of the page a picture must have before its text is looked for. */
const pictureShare = 0.06;

/** Text inside the pictures of a page that has a text layer of its own. */
async function readPictures(
  file: PdfFile,
  page: PdfPage,
  {
    number,
    runs,
    context,
    isTurned,
  }: { number: number; runs: readonly Run[]; context: ReadContext; isTurned: boolean },
) {
  const { recognise, signal, name, warn } = context;
  const large = page.images.filter((box) => {
    const [width, height] = [box.right - box.left, box.bottom - box.top];
    const written = runs.filter(
      (run) => run.left > box.left && run.right < box.right && run.top > box.top && run.bottom < box.bottom,
    );
    // A picture with text set over it is a background.
    return width > 90 && height > 40 && width * height > page.width * page.height * pictureShare && written.length < 5;
  });
  if (large.length === 0 || !recognise) return [];
  if (isTurned) {
    const message = `${name}, page ${number}: ${large.length} picture(s) on a page that lies on its side were not read.`;
    warn({ code: "part_unreadable", message, page: number });
    return [];
  }
  context.progress({ page: number, pages: file.pageCount, step: "recognising" });
  try {
    const scale = Math.min(recognitionDpi / 72, longestSide / Math.max(page.width, page.height));
    const image = file.renderPage(number - 1, scale);
    const segments = [];
    for (const box of large) {
      signal.throwIfAborted();
      const cut = cropOf(image, {
        left: box.left * scale,
        top: box.top * scale,
        right: box.right * scale,
        bottom: box.bottom * scale,
      });
      const found = scaledRecognition(await recognise(cut), scale);
      segments.push(...segmentsOfRecognised(found, number, { left: box.left, top: box.top }));
    }
    return segments;
  } catch (error) {
    signal.throwIfAborted();
    warn({
      code: "part_unreadable",
      message: `${name}, page ${number}: a picture could not be read (${toAppError(error).message}).`,
      page: number,
    });
    return [];
  }
}

function cropOf(
  image: { width: number; height: number; data: Uint8Array },
  box: { left: number; top: number; right: number; bottom: number },
): { width: number; height: number; data: Uint8Array } {
  const [left, top] = [Math.max(0, Math.floor(box.left)), Math.max(0, Math.floor(box.top))];
  const width = Math.max(1, Math.min(image.width, Math.ceil(box.right)) - left);
  const height = Math.max(1, Math.min(image.height, Math.ceil(box.bottom)) - top);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}
