// Cuts plain text or Markdown into segments: heading, paragraph, list, table, code, formula, emphasis, quote. Pure, one pass over
// the lines, no regular expression that could look far ahead: a megabyte takes a few tens of milliseconds and bad input cannot slow
// it down. The ranges are in order, do not overlap, and cover every character that is not blank.
//
// It is deliberately not a Markdown parser: the engine's long-context work needs classes of spans of any prompt, half-written
// Markdown included. markdown.ts, which reads .md files, uses a real parser.
import type { Range } from "./document.ts";

export type TextClass = "heading" | "paragraph" | "list" | "table" | "code" | "formula" | "emphasis" | "quote";

export interface TextSegment extends Range {
  kind: TextClass;
  /** 1..6 for a heading. */
  level?: number;
  /** The word after a code fence. */
  language?: string;
  /** Bold passages inside a paragraph, list or quote. */
  emphasised?: readonly Range[];
}

export interface SegmentOptions {
  /** "plain": no Markdown signs, but Chinese and English section numbers still make headings. Default "markdown". */
  format?: "markdown" | "plain";
}

type LineClass = TextClass | "blank" | "fence" | "formula_fence";

interface Line extends Range {
  kind: LineClass;
  level: number;
}

export function segmentText(text: string, { format = "markdown" }: SegmentOptions = {}): TextSegment[] {
  const segments: TextSegment[] = [];
  const plain = format === "plain";
  let open: TextSegment | undefined;
  let isIndentedCode = false;

  const close = (): void => {
    if (open) segments.push(finished(text, open, plain));
    open = undefined;
  };
  const extend = (kind: TextClass, line: Line): void => {
    if (open?.kind === kind && kind !== "heading") open.end = line.end;
    else {
      close();
      open = { kind, start: line.start, end: line.end };
      if (kind === "heading") open.level = line.level;
    }
  };

  const closers: Closers = new Map();
  // One line object for the whole text: a megabyte can be a million lines.
  const line: Line = { kind: "blank", level: 0, start: 0, end: 0 };
  for (let at = 0; at < text.length; ) {
    readLine(text, line, { at, plain });
    at = nextLine(text, line.end);
    if (line.kind === "fence" || line.kind === "formula_fence") {
      const end = line.kind === "fence" ? endOfFence(text, line) : endOfFormula(text, line, closers);
      if (end === undefined) {
        extend("paragraph", line);
        continue;
      }
      close();
      const segment: TextSegment = { kind: line.kind === "fence" ? "code" : "formula", start: line.start, end };
      const language = line.kind === "fence" ? fenceLanguage(text, line) : "";
      if (language) segment.language = language;
      segments.push(segment);
      at = nextLine(text, end);
      continue;
    }
    if (line.kind === "blank") {
      // A blank line inside indented code belongs to it; elsewhere it ends what was open.
      if (!(open?.kind === "code" && isIndentedCode)) close();
      continue;
    }
    if (line.kind === "code") {
      if (open && open.kind !== "code") extend(open.kind, line);
      else {
        isIndentedCode = true;
        extend("code", line);
      }
      continue;
    }
    if (
      line.kind === "paragraph" &&
      open &&
      (open.kind === "list" || open.kind === "quote") &&
      isIndented(text, line)
    ) {
      open.end = line.end;
      continue;
    }
    extend(line.kind, line);
    if (line.kind === "heading") close();
  }
  close();
  return segments;
}

const tab = 9;
const space = 32;
const ideographicSpace = 0x3000;

function readLine(text: string, line: Line, { at: start, plain }: { at: number; plain: boolean }): void {
  let end = text.indexOf("\n", start);
  if (end < 0) end = text.length;
  if (text.charCodeAt(end - 1) === 13 && end > start) end--;
  let first = start;
  let indent = 0;
  for (; first < end; first++) {
    const code = text.charCodeAt(first);
    if (code === space) indent++;
    else if (code === tab) indent += 4;
    else if (code !== ideographicSpace && code !== 0xa0 && code !== 0xfeff) break;
  }
  line.start = first;
  line.end = end;
  line.kind = first >= end ? "blank" : classOf(text, line, { indent, plain });
  if (line.kind === "code") line.start = start;
}

/** The class of the line; a heading also gets its level. */
function classOf(text: string, line: Line, { indent, plain }: { indent: number; plain: boolean }): LineClass {
  const first = text.charCodeAt(line.start);
  const second = line.start + 1 < line.end ? text.charCodeAt(line.start + 1) : 0;
  switch (first) {
    case 35: {
      // #
      let level = 1;
      while (text.charCodeAt(line.start + level) === 35) level++;
      const after = line.start + level < line.end ? text.charCodeAt(line.start + level) : 0;
      if (!plain && level <= 6 && (after === space || after === tab)) {
        line.level = level;
        return "heading";
      }
      break;
    }
    case 96: // `
    case 126: // ~
      if (second === first && text.charCodeAt(line.start + 2) === first) return "fence";
      break;
    case 36: // $$
      if (second === 36) return "formula_fence";
      break;
    case 92: // \[ or \begin{
      if (second === 91 || text.startsWith("\\begin{", line.start)) return "formula_fence";
      break;
    case 62: // >
      return "quote";
    case 124: // |
      return "table";
    case 45: // -
    case 42: // *
    case 43: // +
      if (second === space || second === tab) return isRule(text, line) ? "paragraph" : "list";
      break;
    case 0x2022: // bullets
    case 0x25cf:
    case 0x25e6:
    case 0x25aa:
      return "list";
  }
  if (indent >= 4 && !plain) return "code";
  if (hasTwoTabs(text, line)) return "table";
  if (isNumberedItem(text, line)) return "list";
  line.level = sectionLevel(text, line);
  return line.level > 0 ? "heading" : "paragraph";
}

function isRule(text: string, line: Range): boolean {
  const sign = text.charCodeAt(line.start);
  for (let at = line.start; at < line.end; at++) {
    const code = text.charCodeAt(at);
    if (code !== sign && code !== space) return false;
  }
  return true;
}

function hasTwoTabs(text: string, line: Range): boolean {
  let count = 0;
  for (let at = line.start; at < line.end; at++) if (text.charCodeAt(at) === tab && ++count === 2) return true;
  return false;
}

/** "1. ", "2) ", "(3) ", "a) ", "（一）", "3、" */
function isNumberedItem(text: string, line: Range): boolean {
  const first = text.charCodeAt(line.start);
  const canOpen = (first >= 48 && first <= 57) || (first >= 97 && first <= 122) || first === 40 || first === 0xff08;
  if (!canOpen && !(first >= 0x2460 && first <= 0x2473)) return false;
  const head = text.slice(line.start, Math.min(line.end, line.start + 8));
  return /^(?:\d{1,3}[.)]\s|[(（][\da-z一二三四五六七八九十]{1,3}[)）]|[a-z][)]\s|\d{1,3}、|[①-⑳])/.test(head);
}

const longestHeading = 60;

/** 第三章, 一、, 1.2.3, Chapter 4: short lines that open with a section number and do not end as a sentence does. */
function sectionLevel(text: string, line: Range): number {
  if (line.end - line.start > longestHeading) return 0;
  const first = text.charCodeAt(line.start);
  const canOpen = (first >= 48 && first <= 57) || first === 0x7b2c || first === 67 || first === 83 || first === 65;
  if (!canOpen && !(first >= 0x4e00 && "一二三四五六七八九十".includes(text.charAt(line.start)))) return 0;
  const value = text.slice(line.start, line.end).trimEnd();
  if (/[。；，,;.!?！？：:]$/.test(value)) return 0;
  const chapter = /^第[一二三四五六七八九十百零\d]{1,5}([编章节条款])/.exec(value);
  if (chapter) return { 编: 1, 章: 1, 节: 2, 条: 3, 款: 4 }[chapter[1] ?? "章"] ?? 1;
  if (/^[一二三四五六七八九十]{1,3}、\S/.test(value)) return 2;
  if (/^(?:Chapter|CHAPTER|Section|SECTION|Appendix|APPENDIX)\s+[\dIVXA-Z]{1,4}\b/.test(value)) return 1;
  const dotted = /^(\d{1,2}(?:\.\d{1,2}){1,3})\s+\p{L}/u.exec(value);
  return dotted ? Math.min(6, (dotted[1] ?? "").split(".").length) : 0;
}

function isIndented(text: string, line: Range): boolean {
  const before = line.start > 0 ? text.charCodeAt(line.start - 1) : 10;
  return before === space || before === tab;
}

function nextLine(text: string, end: number): number {
  let at = end;
  if (text.charCodeAt(at) === 13) at++;
  return at + 1;
}

/** Where the fenced code that opens on this line ends; code that nobody closed runs to the end, as in Markdown. */
function endOfFence(text: string, line: Range): number {
  let length = 3;
  const sign = text.charAt(line.start);
  while (text.charAt(line.start + length) === sign) length++;
  const fence = sign.repeat(length);
  for (let at = nextLine(text, line.end); at < text.length; ) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    let first = at;
    while (text.charCodeAt(first) === space && first < at + 4) first++;
    if (text.startsWith(fence, first) && text.slice(first, end).trim().replaceAll(sign, "") === "") return end;
    at = end + 1;
  }
  return text.length;
}

function fenceLanguage(text: string, line: Range): string {
  return /^[`~]{3,}\s*([\w+#.-]{1,30})/.exec(text.slice(line.start, Math.min(line.end, line.start + 60)))?.[1] ?? "";
}

const longestFormula = 20_000;

/** Per closing sign, where it was last found: a search never goes over the same text twice. */
type Closers = Map<string, number>;

/** End of the formula that opens on this line, or undefined when nothing closes it: then it is ordinary text. */
function endOfFormula(text: string, line: Range, closers: Closers): number | undefined {
  const opener = text.slice(line.start, Math.min(line.end, line.start + 40));
  const name = /^\\begin\{([a-z]+\*?)\}/.exec(opener)?.[1];
  const closer = opener.startsWith("$$") ? "$$" : opener.startsWith("\\[") ? "\\]" : `\\end{${name}}`;
  const from = line.start + 2;
  let at = closers.get(closer) ?? -1;
  if (at < from) {
    const found = text.indexOf(closer, from);
    at = found < 0 ? Number.POSITIVE_INFINITY : found;
    closers.set(closer, at);
  }
  return at - from > longestFormula ? undefined : at + closer.length;
}

/** Trims the range, tells emphasis from paragraph, and finds bold passages. */
function finished(text: string, segment: TextSegment, plain: boolean): TextSegment {
  while (segment.end > segment.start && text.charCodeAt(segment.end - 1) <= space) segment.end--;
  if (plain || segment.kind === "code" || segment.kind === "heading" || segment.kind === "table") {
    if (segment.kind === "table" && !isTable(text, segment)) segment.kind = "paragraph";
    return segment;
  }
  const bold = boldRanges(text, segment);
  if (bold.length === 0) return segment;
  const [only] = bold;
  if (segment.kind === "paragraph" && only && only.start === segment.start && only.end === segment.end)
    segment.kind = "emphasis";
  else segment.emphasised = bold;
  return segment;
}

/** One line that begins with "|" is a sentence; two are a table. */
function isTable(text: string, segment: Range): boolean {
  const firstEnd = text.indexOf("\n", segment.start);
  return firstEnd >= 0 && firstEnd < segment.end;
}

/** Looks in a slice: `indexOf` on the whole text would run to its end for every segment without a bold word. */
function boldRanges(text: string, { start, end }: Range): Range[] {
  const part = text.slice(start, end);
  const found: Range[] = [];
  for (let at = part.indexOf("**"); at >= 0; ) {
    const close = part.indexOf("**", at + 2);
    if (close < 0) break;
    if (close > at + 2) found.push({ start: start + at, end: start + close + 2 });
    at = part.indexOf("**", close + 2);
  }
  return found;
}
