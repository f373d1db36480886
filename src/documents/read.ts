// The one way from a file to a Document, in this process: kind by content, the reader for it, headings, cleaning, offsets. Servers use
// read-in-worker.ts, which calls this in a process of its own with a memory cap and a time limit.
import { open, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { AppError, toAppError } from "../base/errors.ts";
import { cleanPages } from "./clean.ts";
import { assemble, type Document, lowConfidence, type Segment, type Warning } from "./document.ts";
import { readDoc } from "./formats/doc.ts";
import { readDocx } from "./formats/docx.ts";
import { readEmail } from "./formats/email.ts";
import { readHtml } from "./formats/html.ts";
import { readImage } from "./formats/image.ts";
import { readCode, readCsv, readJson, readMarkdown, readText } from "./formats/plain.ts";
import { readPpt } from "./formats/ppt.ts";
import { readPptx } from "./formats/pptx.ts";
import { readRtf } from "./formats/rtf.ts";
import { readXlsFile, readXlsxFile } from "./formats/sheet.ts";
import { safeName } from "./formats/zip.ts";
import { extensionOf, type FileKind, kindByContent, kindByName } from "./kind.ts";
import type { DraftSegment } from "./layout/runs.ts";
import { readPdf } from "./pdf.ts";
import {
  type DraftPage,
  defaultLimits,
  type ReadContext,
  type Reader,
  type ReadLimits,
  type ReadProgress,
} from "./reader.ts";

export type { ReadLimits, ReadProgress } from "./reader.ts";

export interface ReadOptions {
  /** The file's name as the person knows it; required with bytes. */
  name?: string;
  password?: string;
  /** Recognise text in images and scans. Default true. */
  ocr?: boolean;
  /** Take out running headers, page numbers and the like, join broken lines. Default true. */
  clean?: boolean;
  signal?: AbortSignal;
  onProgress?: (progress: ReadProgress) => void;
  limits?: Partial<ReadLimits>;
}

export type ReadSource = { path: string } | { bytes: Uint8Array };

const readers: Readonly<Record<FileKind, Reader>> = {
  pdf: readPdf,
  docx: readDocx,
  doc: readDoc,
  rtf: readRtf,
  ppt: readPpt,
  pptx: readPptx,
  xlsx: readXlsxFile,
  xls: readXlsFile,
  image: readImage,
  email: readEmail,
  html: readHtml,
  csv: readCsv,
  json: readJson,
  markdown: readMarkdown,
  code: readCode,
  text: readText,
};

/**
 * Reads a file whole. Throws AppError: `unreadable` (damaged), `unsupported` (a kind no reader takes), `too_large`, `unauthorized`
 * (encrypted: needs a password), `forbidden` (wrong password), `not_found`. What could not be read of a readable file, or was left
 * out, stands in `warnings`. An aborted signal rejects with its reason.
 */
export async function readDocument(source: ReadSource, options: ReadOptions = {}): Promise<Document> {
  const limits = { ...defaultLimits, ...options.limits };
  const warnings: Warning[] = [];
  const given = options.name ?? ("path" in source ? path.basename(source.path) : "document");
  const name = safeName(given);
  if (name !== given) warnings.push({ code: "unsafe_name", message: `The file's name was changed to “${name}”.` });
  const bytes = "bytes" in source ? source.bytes : await readBytes(source.path, { name, limit: limits.fileBytes });
  if (bytes.length > limits.fileBytes) throw tooLarge(name, bytes.length, limits.fileBytes);
  if (bytes.length === 0)
    throw new AppError("unreadable", `${name} is empty (0 bytes).`, { hint: "Check the download or export." });
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const kind = kindByContent(bytes, name);
  const named = kindByName(name);
  if (named !== undefined && named !== kind && !(named === "xls" && kind === "xlsx"))
    warnings.push({
      code: "wrong_extension",
      message: `${name} is called .${extensionOf(name)} but is ${sentenceName[kind]}; it was read as that.`,
    });
  const context: ReadContext = {
    name,
    limits,
    signal,
    progress: forwardOnly(options.onProgress),
    warn: (warning) => warnings.push(warning),
    ...(options.password === undefined ? {} : { password: options.password }),
  };
  if (options.ocr !== false) {
    // Loaded only when wanted: the recognition library alone takes longer to load than most files to read.
    let recogniser: ReadContext["recognise"];
    context.recognise = async (image) => {
      recogniser ??= (await import("./ocr/recogniser.ts")).openRecogniser({
        threads: Math.min(4, availableParallelism()),
        signal,
      });
      return recogniser(image);
    };
  }
  const draft = await readers[kind](bytes, context).catch((error: unknown) => {
    signal.throwIfAborted();
    if (error instanceof AppError) throw error;
    const cause = toAppError(error);
    throw new AppError("unreadable", `${name} is damaged and cannot be read as ${sentenceName[kind]}.`, {
      hint: "Open it in its own program and save it again.",
      cause,
    });
  });
  const pages = options.clean === false ? draft.pages.map(withNothingRemoved) : cleanPages(draft.pages);
  const document = assemble({ name, kind: draft.kind, pages: pages.map(finishedPage), warnings });
  if (document.text.length > limits.characters)
    throw new AppError(
      "too_large",
      `${name} holds ${document.text.length} characters; the limit is ${limits.characters}.`,
      { hint: "Split the file." },
    );
  for (const page of pages)
    if (page.source === "ocr" && page.confidence < lowConfidence) warnings.push(doubtful(name, page));
  return document;
}

/** Pages are read side by side; who watches sees the count go up only. */
function forwardOnly(report: ReadOptions["onProgress"]): ReadContext["progress"] {
  let furthest = 0;
  return (progress) => {
    if (progress.page < furthest) return;
    furthest = progress.page;
    report?.(progress);
  };
}

const sentenceName: Readonly<Record<FileKind, string>> = {
  pdf: "a PDF",
  docx: "a Word document",
  doc: "an old Word document",
  rtf: "an RTF document",
  ppt: "an old PowerPoint presentation",
  pptx: "a PowerPoint presentation",
  xlsx: "an Excel workbook",
  xls: "an Excel workbook",
  image: "an image",
  email: "a letter (EML)",
  html: "HTML",
  csv: "a table of text (CSV)",
  json: "JSON",
  markdown: "Markdown",
  code: "source code",
  text: "plain text",
};

function doubtful(name: string, page: DraftPage): Warning {
  const percent = Math.round(page.confidence * 100);
  return {
    code: "low_confidence",
    message: `${name}, page ${page.number}: recognised with ${percent} % confidence; check the text.`,
    page: page.number,
  };
}

function withNothingRemoved(page: DraftPage): DraftPage {
  return { ...page, segments: page.segments.map(({ removed: _removed, ...kept }) => kept as DraftSegment) };
}

function finishedPage(page: DraftPage): Document["pages"][number] {
  return { ...page, segments: page.segments.map(finishedSegment) };
}

/** Without what only the readers need. */
function finishedSegment(segment: DraftSegment): Segment {
  const { lines: _lines, size: _size, isBold: _isBold, isSlanted: _isSlanted, ...kept } = segment;
  return { ...kept, start: 0, end: 0 } as Segment;
}

function tooLarge(name: string, bytes: number, limit: number): AppError {
  const mib = (value: number): string => (value / 2 ** 20).toFixed(value < 2 ** 20 ? 2 : 0);
  return new AppError("too_large", `${name} has ${mib(bytes)} MiB; the limit is ${mib(limit)} MiB.`, {
    hint: "Split the file, or raise the limit.",
    details: { bytes, limitBytes: limit },
  });
}

async function readBytes(file: string, { name, limit }: { name: string; limit: number }): Promise<Uint8Array> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new AppError("bad_request", `${name} is not a file.`);
    if (found.size > limit) throw tooLarge(name, found.size, limit);
    await using handle = await open(file, "r");
    return await handle.readFile();
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    if (code === "ENOENT") throw new AppError("not_found", `${name} does not exist.`, { cause });
    throw new AppError("storage", `${name} cannot be opened (${code || "I/O error"}).`, { cause });
  }
}
