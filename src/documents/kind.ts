// What a file is, by its content; its name only decides among kinds of text, and a name that says otherwise is worth a warning.
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { unmarkedUtf16 } from "./encoding.ts";

/** The readers there are. */
export type FileKind =
  | "pdf"
  | "docx"
  | "doc"
  | "rtf"
  | "ppt"
  | "pptx"
  | "xlsx"
  | "xls"
  | "image"
  | "email"
  | "html"
  | "csv"
  | "json"
  | "markdown"
  | "code"
  | "text";

const byExtension: Readonly<Record<string, FileKind>> = {
  pdf: "pdf",
  docx: "docx",
  docm: "docx",
  doc: "doc",
  dot: "doc",
  wps: "doc",
  rtf: "rtf",
  ppt: "ppt",
  pps: "ppt",
  dps: "ppt",
  pptx: "pptx",
  pptm: "pptx",
  xlsx: "xlsx",
  xlsm: "xlsx",
  xlsb: "xls",
  xls: "xls",
  ods: "xls",
  et: "xls",
  png: "image",
  jpg: "image",
  jpeg: "image",
  webp: "image",
  tif: "image",
  tiff: "image",
  gif: "image",
  bmp: "image",
  avif: "image",
  eml: "email",
  html: "html",
  htm: "html",
  xhtml: "html",
  csv: "csv",
  tsv: "csv",
  json: "json",
  jsonl: "text",
  md: "markdown",
  markdown: "markdown",
  txt: "text",
  log: "text",
  text: "text",
};

const codeExtensions = new Set(
  "ts tsx js jsx mjs cjs py java c h cc cpp hpp cs go rs rb php swift kt scala sh bash ps1 sql r lua pl css scss less vue svelte yaml yml toml ini cfg conf xml cu cuh proto tf gradle dockerfile makefile".split(
    " ",
  ),
);

export function extensionOf(name: string): string {
  return path.extname(name).slice(1).toLowerCase();
}

export function kindByName(name: string): FileKind | undefined {
  const extension = extensionOf(name);
  return byExtension[extension] ?? (codeExtensions.has(extension) ? "code" : undefined);
}

const readable =
  "Readable: PDF, DOCX, DOC, RTF, PPTX, PPT, XLSX, XLS, CSV, JSON, HTML, Markdown, text, EML and images.";

/** The kind by content. Throws `unsupported` for what no reader takes, naming what it seems to be. */
export function kindByContent(bytes: Uint8Array, name: string): FileKind {
  const starts = (...signature: number[]): boolean => signature.every((byte, index) => bytes[index] === byte);
  const head = latin1(bytes, 0, 1024);
  // The signature may stand behind a printer's or a mail program's head; a text that only speaks of it is text.
  const isPdf =
    /^[\s\xef\xbb\xbf]*%PDF-/.test(head) ||
    (head.includes("%PDF-") && (extensionOf(name) === "pdf" || isBinary(bytes)));
  if (isPdf) return "pdf";
  if (starts(0x50, 0x4b, 3, 4) || starts(0x50, 0x4b, 5, 6)) return kindOfZip(bytes, name);
  if (starts(0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1)) return kindOfCompound(bytes, name);
  if (isImage(bytes, head)) return "image";
  const executable = starts(0x7f, 0x45, 0x4c, 0x46) || starts(0x4d, 0x5a) ? "a program" : undefined;
  const archive = starts(0x1f, 0x8b)
    ? "a gzip archive"
    : starts(0x52, 0x61, 0x72, 0x21)
      ? "a RAR archive"
      : starts(0x37, 0x7a, 0xbc, 0xaf)
        ? "a 7z archive"
        : undefined;
  const media =
    head.startsWith("ID3") || head.slice(4, 8) === "ftyp" || head.startsWith("RIFF") ? "sound or video" : undefined;
  if (head.startsWith("{\\rtf")) return "rtf";
  const seen = executable ?? archive ?? media;
  if (seen) throw new AppError("unsupported", `${name} is ${seen}, which Quern does not read.`, { hint: readable });
  return kindOfText(bytes, { head, name });
}

/** Offset of the local names in a ZIP tells Office formats apart without unpacking anything. */
function kindOfZip(bytes: Uint8Array, name: string): FileKind {
  const tail = latin1(bytes, Math.max(0, bytes.length - 256 * 1024), bytes.length);
  const text = latin1(bytes, 0, 64 * 1024) + tail;
  if (text.includes("word/document")) return "docx";
  if (text.includes("ppt/presentation")) return "pptx";
  if (text.includes("xl/workbook.bin")) return "xls";
  if (text.includes("xl/workbook")) return "xlsx";
  if (text.includes("opendocument.spreadsheet")) return "xls";
  // Damaged Office files lose their list of contents: the name says what was meant.
  const named = kindByName(name);
  if (named === "docx" || named === "pptx" || named === "xlsx") return named;
  if (text.includes("opendocument.") || /^od[tp]$/.test(extensionOf(name)))
    throw new AppError("unsupported", `${name} is an OpenDocument text or presentation, which Quern does not read.`, {
      hint: "Save it as DOCX, PPTX or PDF.",
    });
  throw new AppError("unsupported", `${name} is a ZIP archive, not an Office document.`, {
    hint: "Unpack it and give the files inside.",
  });
}

/** The old Office container: an encrypted new format hides in it too. */
function kindOfCompound(bytes: Uint8Array, name: string): FileKind {
  const wide = (text: string): string => [...text].map((letter) => `${letter}\0`).join("");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The names of its streams stand in its directory, which may lie anywhere; its header says where it begins.
  const directory =
    bytes.length < 512 ? 0 : (view.getUint32(0x30, true) + 1) * 2 ** Math.min(16, view.getUint16(0x1e, true));
  const text = latin1(bytes, 0, Math.min(bytes.length, 4 * 2 ** 20)) + latin1(bytes, directory, directory + 64 * 1024);
  if (text.includes(wide("EncryptedPackage"))) {
    const named = kindByName(name);
    if (named === "xlsx" || named === "xls") return "xlsx";
    throw new AppError("unsupported", `${name} is an encrypted Office document.`, {
      hint: "Open it with its password and save it without one.",
      details: { needsPassword: true },
    });
  }
  if (text.includes(wide("Workbook")) || text.includes(wide("Book"))) return "xls";
  if (text.includes(wide("WordDocument"))) return "doc";
  if (text.includes(wide("PowerPoint Document"))) return "ppt";
  throw new AppError(
    "unsupported",
    `${name} is an Outlook message or another old Office file, which Quern does not read.`,
    {
      hint: "Save it as DOCX, PPTX, EML or PDF.",
    },
  );
}

function isImage(bytes: Uint8Array, head: string): boolean {
  const isBitmap =
    head.startsWith("BM") &&
    bytes.length > 26 &&
    (bytes[14] === 40 || bytes[14] === 124 || bytes[14] === 108 || bytes[14] === 12);
  if (isBitmap || head.startsWith("\x89PNG") || head.startsWith("\xff\xd8\xff") || head.startsWith("GIF8")) return true;
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return true;
  return head.startsWith("II*\0") || head.startsWith("MM\0*") || /^....ftyp(?:avif|avis)/s.test(head.slice(0, 16));
}

function kindOfText(bytes: Uint8Array, { head, name }: { head: string; name: string }): FileKind {
  const named = kindByName(name);
  if (isBinary(bytes))
    throw new AppError("unsupported", `${name} is not text and not a format that Quern reads.`, {
      hint: readable,
    });
  const start = head
    .replace(/^\xef\xbb\xbf/, "")
    .trimStart()
    .slice(0, 300);
  if (named === "code" || named === "markdown" || named === "csv" || named === "email") return named;
  if (/^<!doctype html|^<html[\s>]/i.test(start)) return "html";
  if (named === "html" || named === "json" || named === "text") return named;
  if (
    /^(?:(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID|From|Date|Subject): .*\r?\n[\s\S]*)/i.test(
      start,
    ) &&
    /^(?:from|subject|message-id|received):/im.test(start) &&
    /\n(?:[\w-]+): /.test(start)
  )
    return "email";
  return "text";
}

/** Zero bytes that are not UTF-16, or many control characters. */
function isBinary(bytes: Uint8Array): boolean {
  const sample = bytes.subarray(0, 8192);
  const isMarked = (sample[0] === 0xff && sample[1] === 0xfe) || (sample[0] === 0xfe && sample[1] === 0xff);
  if (isMarked || unmarkedUtf16(sample)) return false;
  let control = 0;
  for (const byte of sample) {
    if (byte === 0) return true;
    if (byte < 32 && byte !== 9 && byte !== 10 && byte !== 13 && byte !== 12 && byte !== 27) control++;
  }
  return control > sample.length * 0.1;
}

/** A stretch of the bytes, as far as it lies within them. */
function latin1(bytes: Uint8Array, from: number, to: number): string {
  const part = bytes.subarray(Math.min(from, bytes.length), Math.min(to, bytes.length));
  return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString("latin1");
}
