// What every reader produces and everything after it works on: a document of pages of segments. A segment is one piece of a page
// (a heading, a paragraph, a table ...) with its page, its box when the format has positions, and its place in `document.text`.
//
// `document.text` is the text a model is given: the Markdown of all kept segments, in reading order, a blank line between two.
// A removed segment (a running header, a page number) stays in the list with its reason and takes no room in the text, so that
// removing can be shown and undone. Offsets count UTF-16 units, as JavaScript strings do.

export type DocumentKind =
  | "text"
  | "code"
  | "markdown"
  | "html"
  | "csv"
  | "json"
  | "pdf"
  | "docx"
  | "pptx"
  | "xlsx"
  | "email"
  | "image";

/** left, top, right, bottom in the page's units, origin at the top left. */
export type Box = readonly [number, number, number, number];

export interface Range {
  start: number;
  end: number;
}

export type RemovalReason = "running_header" | "running_footer" | "page_number" | "watermark" | "repeated_disclaimer";

export interface TableCell {
  /** 0-based. */
  row: number;
  column: number;
  /** Rows and columns covered, when more than one. */
  rowSpan?: number;
  columnSpan?: number;
  text: string;
  /** In a sheet: "B7". */
  address?: string;
  /** In a sheet: the formula without "=". */
  formula?: string;
  /** 0..1, when the text was recognised from an image. */
  confidence?: number;
}

export interface ListItem {
  text: string;
  /** 0 for the outermost. */
  level: number;
  /** As written: "-", "1.", "（一）". */
  marker: string;
}

export type SegmentContent =
  | { kind: "heading"; level: number; text: string }
  | { kind: "paragraph"; text: string; emphasised?: readonly Range[] }
  | { kind: "list"; items: readonly ListItem[] }
  | { kind: "table"; rows: number; columns: number; cells: readonly TableCell[]; title?: string }
  | { kind: "code"; text: string; language?: string }
  | { kind: "formula"; text: string }
  /** A paragraph that stands in bold as a whole. */
  | { kind: "emphasis"; text: string }
  | { kind: "quote"; text: string }
  | { kind: "footnote"; text: string }
  /** A QR or bar code in an image; `format` as "QRCode", "EAN13". */
  | { kind: "barcode"; format: string; text: string };

export type SegmentKind = SegmentContent["kind"];

export interface SegmentPlace {
  /** 1-based. */
  page: number;
  box?: Box;
  /** Place in `document.text`; start === end for a removed segment. */
  start: number;
  end: number;
  /** Place in the document's tokens, once tokenised (see token-offsets.ts). */
  tokenStart?: number;
  tokenEnd?: number;
  /** 0..1, when the text was recognised from an image. */
  confidence?: number;
  removed?: RemovalReason;
  /** The text as it stood, lines and hyphens included, when cleaning joined it. */
  original?: string;
  /** True when a person has corrected the text. */
  corrected?: boolean;
}

export type Segment = SegmentContent & SegmentPlace;

/** Where a page's text came from. "mixed": a text layer, plus recognised text of the pictures in it. */
export type PageSource = "text" | "ocr" | "mixed" | "blank" | "unreadable";

export interface Page {
  /** 1-based. */
  number: number;
  /** The sheet's or slide's name. */
  name?: string;
  width: number;
  height: number;
  /** Points (1/72 inch) or pixels; absent for formats without positions. */
  unit?: "pt" | "px";
  /** Degrees clockwise by which the reader turned the page upright; boxes, width and height are those of the turned page. */
  turnedBy?: number;
  /** Degrees clockwise by which a skewed image was levelled before its boxes were measured. */
  levelledBy?: number;
  source: PageSource;
  /** 0..1: mean of the characters' confidence on recognised pages, 1 for text. */
  confidence: number;
  segments: readonly Segment[];
}

export type WarningCode =
  | "wrong_extension"
  | "encoding_guessed"
  | "page_unreadable"
  | "pages_left_out"
  | "low_confidence"
  | "no_ocr"
  | "text_layer_replaced"
  | "active_content_ignored"
  | "no_cached_values"
  | "attachment_listed"
  | "part_unreadable"
  | "left_out"
  | "hidden_sheet"
  | "unsafe_name";

export interface Warning {
  code: WarningCode;
  message: string;
  page?: number;
}

export interface Document {
  name: string;
  kind: DocumentKind;
  text: string;
  pages: readonly Page[];
  warnings: readonly Warning[];
}

/** Confidence below which a recognised page is marked for a person to look at. */
export const lowConfidence = 0.85;

/** The Markdown of one segment, as it stands in `document.text`. */
export function markdownOf(segment: SegmentContent): string {
  switch (segment.kind) {
    case "heading":
      return `${"#".repeat(Math.min(6, Math.max(1, segment.level)))} ${segment.text}`;
    case "list":
      return segment.items.map((item) => `${"  ".repeat(item.level)}${bulletOf(item.marker)} ${item.text}`).join("\n");
    case "table":
      return (segment.title ? `${segment.title}\n\n` : "") + tableMarkdown(segment);
    case "code":
      return fenced(segment.text, segment.language ?? "");
    case "formula":
      return `$$\n${segment.text}\n$$`;
    case "emphasis":
      return `**${segment.text}**`;
    case "quote":
      return segment.text.replaceAll(/^/gm, "> ");
    case "barcode":
      return `[${segment.format}] ${segment.text}`;
    case "paragraph":
    case "footnote":
      return segment.text;
  }
}

function bulletOf(marker: string): string {
  return /^[•●◦▪■◆–·*+]$/.test(marker) ? "-" : marker;
}

/** The plain words of a segment, without Markdown signs: for search and comparison. */
export function plainTextOf(segment: SegmentContent): string {
  if (segment.kind === "list") return segment.items.map((item) => item.text).join("\n");
  if (segment.kind !== "table") return segment.text;
  const rows: string[][] = Array.from({ length: segment.rows }, () => []);
  for (const cell of segment.cells) rows[cell.row]?.push(cell.text);
  return rows.map((row) => row.join("\t")).join("\n");
}

/** Lays the kept segments out in `document.text` and gives each its offsets. */
export function assemble(draft: Omit<Document, "text">): Document {
  const parts: string[] = [];
  let at = 0;
  const pages = draft.pages.map((page) => ({
    ...page,
    segments: page.segments.map((segment): Segment => {
      if (segment.removed) return { ...segment, page: page.number, start: at, end: at };
      const text = markdownOf(segment);
      const gap = at === 0 ? "" : "\n\n";
      const start = at + gap.length;
      parts.push(gap, text);
      at = start + text.length;
      return { ...segment, page: page.number, start, end: at };
    }),
  }));
  return { ...draft, pages, text: parts.join("") };
}

export function segmentsOf(document: Document): Segment[] {
  return document.pages.flatMap((page) => page.segments);
}

/** The document as Markdown; with `pageMarks`, a comment line opens each page. */
export function toMarkdown(document: Document, { pageMarks = false }: { pageMarks?: boolean } = {}): string {
  if (!pageMarks) return `${document.text}\n`;
  const pages = document.pages.map((page) => {
    const kept = page.segments.filter((segment) => !segment.removed).map((segment) => markdownOf(segment));
    return [`<!-- page ${page.number}${page.name ? `: ${page.name.replaceAll("--", "—")}` : ""} -->`, ...kept].join(
      "\n\n",
    );
  });
  return `${pages.join("\n\n")}\n`;
}

/** The document as indented JSON, offsets, boxes, removed segments and warnings included. */
export function toJson(document: Document): string {
  return JSON.stringify(document, undefined, 2);
}

/** The document with one segment's text corrected by a person; a table's cell is named by row and column. */
export function withCorrection(
  document: Document,
  at: { page: number; segment: number; row?: number; column?: number },
  text: string,
): Document {
  return assemble({
    ...document,
    pages: document.pages.map((page) =>
      page.number !== at.page
        ? page
        : {
            ...page,
            segments: page.segments.map((segment, index) =>
              index === at.segment ? corrected(segment, at, text) : segment,
            ),
          },
    ),
  });
}

function corrected(segment: Segment, at: { row?: number; column?: number }, text: string): Segment {
  if (segment.kind === "table")
    return {
      ...segment,
      corrected: true,
      cells: segment.cells.map((cell) =>
        cell.row === at.row && cell.column === at.column ? { ...cell, text, confidence: 1 } : cell,
      ),
    };
  if (segment.kind === "list")
    return {
      ...segment,
      corrected: true,
      items: text.split("\n").map((line) => ({ text: line, level: 0, marker: "-" })),
    };
  const original = segment.original ?? segment.text;
  if (segment.kind !== "paragraph") return { ...segment, text, original, corrected: true };
  const { emphasised: _moved, ...rest } = segment;
  return { ...rest, text, original, corrected: true };
}

function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

function tableMarkdown(table: Extract<SegmentContent, { kind: "table" }>): string {
  const grid = Array.from({ length: table.rows }, () => new Array<string>(table.columns).fill(""));
  for (const cell of table.cells) {
    const row = grid[cell.row];
    if (row) row[cell.column] = cell.text.replaceAll("|", "\\|").replaceAll(/\r?\n/g, "<br>");
  }
  const [head = [], ...body] = grid.map((row) => `| ${row.join(" | ")} |`);
  return [head, `|${" --- |".repeat(table.columns)}`, ...body].join("\n");
}
