// Text, source code, JSON, CSV and Markdown.
import Papa from "papaparse";
import remarkCjkFriendly from "remark-cjk-friendly";
import remarkGfm from "remark-gfm";
import remarkParse from "remark-parse";
import { unified } from "unified";
import { AppError } from "../../base/errors.ts";
import { joinLines } from "../clean.ts";
import type { TableCell } from "../document.ts";
import { decodeText } from "../encoding.ts";
import { extensionOf } from "../kind.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, flowPage, type ReadContext } from "../reader.ts";
import { segmentText, type TextSegment } from "../segment.ts";
import { paragraph } from "./html.ts";

function decode(bytes: Uint8Array, { name, limits, warn }: ReadContext): string {
  const { text, encoding, isGuess } = decodeText(bytes);
  if (isGuess)
    warn({ code: "encoding_guessed", message: `${name} is not UTF-8; it was read as ${encoding.toUpperCase()}.` });
  if (text.length > limits.characters)
    throw new AppError("too_large", `${name} has ${text.length} characters; the limit is ${limits.characters}.`, {
      hint: "Split the file.",
    });
  return text.replaceAll(/\r\n?/g, "\n").replace(/^\ufeff/, "");
}

export async function readText(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const text = decode(bytes, context);
  const pages = text.split("\f").map((part, index) => flowPage(index + 1, textSegments(part, index + 1)));
  return { kind: "text", pages };
}

export async function readCode(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const text = decode(bytes, context).replace(/\n+$/, "");
  const language = extensionOf(context.name);
  return { kind: "code", pages: [flowPage(1, text === "" ? [] : [{ kind: "code", page: 1, text, language }])] };
}

/** Plain text: its own segments, with lines that were broken at a fixed width joined again (and the original kept). */
export function textSegments(text: string, page: number): DraftSegment[] {
  const isWrapped = looksHardWrapped(text);
  return segmentText(text).map((segment) =>
    textSegment(text.slice(segment.start, segment.end), { segment, page, isWrapped }),
  );
}

function textSegment(
  source: string,
  { segment, page, isWrapped }: { segment: TextSegment; page: number; isWrapped: boolean },
): DraftSegment {
  switch (segment.kind) {
    case "heading":
      return {
        kind: "heading",
        page,
        level: segment.level ?? 1,
        text: source.replace(/^#{1,6}\s+/, "").replace(/\s+#+$/, ""),
      };
    case "code":
      return codeSegment(source, page, segment.language);
    case "formula":
      return { kind: "formula", page, text: source.replace(/^\$\$\s*|\s*\$\$$/g, "") };
    case "quote":
      return { kind: "quote", page, text: source.replaceAll(/^\s*> ?/gm, "") };
    case "emphasis":
      return { kind: "emphasis", page, text: source.slice(2, -2) };
    case "table":
      return pipeTable(source, page) ?? { kind: "paragraph", page, text: source };
    case "list":
    case "paragraph": {
      const lines = source.split("\n");
      const joined = segment.kind === "paragraph" && isWrapped && lines.length > 1 ? joinLines(lines) : source;
      return { ...paragraph(page, joined), ...(joined === source ? {} : { original: source }) };
    }
  }
}

/** Most long paragraphs' lines end at one width, and not with a sentence. */
function looksHardWrapped(text: string): boolean {
  const lines = text
    .slice(0, 200_000)
    .split("\n")
    .filter((line) => line.trim() !== "");
  if (lines.length < 8) return false;
  const lengths = lines.map((line) =>
    [...line].reduce((sum, character) => sum + ((character.codePointAt(0) ?? 0) > 0x2e7f ? 2 : 1), 0),
  );
  const usual = lengths.toSorted((a, b) => a - b)[Math.floor(lengths.length * 0.75)] ?? 0;
  if (usual < 50 || usual > 110) return false;
  const near = lengths.filter((length) => length > usual * 0.85 && length <= usual * 1.1).length;
  return near > lines.length * 0.55;
}

function codeSegment(source: string, page: number, language: string | undefined): DraftSegment {
  const fence = /^(`{3,}|~{3,}).*\n?/.exec(source);
  const text = fence ? source.slice(fence[0].length).replace(/\n?[ \t]*(?:`{3,}|~{3,})[ \t]*$/, "") : source;
  return { kind: "code", page, text, ...(language ? { language } : {}) };
}

function pipeTable(source: string, page: number): DraftSegment | undefined {
  const rows = source
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => !/^\|?[\s:|-]*-[\s:|-]*\|?$/.test(line))
    .map((line) =>
      line.includes("|")
        ? line
            .replace(/^\|/, "")
            .replace(/\|$/, "")
            .split(/(?<!\\)\|/)
        : line.split("\t"),
    )
    .map((cells) => cells.map((cell) => cell.trim().replaceAll("\\|", "|")));
  return tableOfRows(rows, page);
}

export function tableOfRows(
  rows: readonly (readonly string[])[],
  page: number,
  title?: string,
): DraftSegment | undefined {
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0);
  if (rows.length === 0 || columns === 0) return undefined;
  const cells: TableCell[] = rows.flatMap((row, rowIndex) =>
    row.map((text, column) => ({ row: rowIndex, column, text })),
  );
  return { kind: "table", page, rows: rows.length, columns, cells, ...(title === undefined ? {} : { title }) };
}

export async function readCsv(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const text = decode(bytes, context);
  const { data, errors } = Papa.parse<string[]>(text, {
    skipEmptyLines: "greedy",
    ...(extensionOf(context.name) === "tsv" ? { delimiter: "\t" } : {}),
  });
  const broken = errors.find((error) => error.type === "Quotes");
  if (broken)
    context.warn({
      code: "part_unreadable",
      message: `${context.name}, row ${(broken.row ?? 0) + 1}: a quotation mark is not closed; the row may hold several.`,
    });
  const cells = data.reduce((sum, row) => sum + row.length, 0);
  if (cells > context.limits.cells)
    throw new AppError("too_large", `${context.name} has ${cells} cells; the limit is ${context.limits.cells}.`, {
      hint: "Ask through the analysis, which takes larger tables.",
    });
  const table = tableOfRows(
    data.map((row) => row.map((cell) => cell.trim())),
    1,
  );
  return { kind: "csv", pages: [flowPage(1, table ? [table] : [])] };
}

export async function readJson(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const text = decode(bytes, context).trim();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 120) : "";
    context.warn({
      code: "part_unreadable",
      message: `${context.name} is not valid JSON (${reason}); it was read as text.`,
    });
    return { kind: "json", pages: [flowPage(1, text === "" ? [] : [{ kind: "code", page: 1, text }])] };
  }
  const table = flatRecords(value, context.limits.cells);
  const segment = table ? tableOfRows(table, 1) : undefined;
  return { kind: "json", pages: [flowPage(1, [segment ?? { kind: "code", page: 1, text, language: "json" }])] };
}

/** A list of records whose fields are plain values reads best as a table. */
function flatRecords(value: unknown, limit: number): string[][] | undefined {
  if (!Array.isArray(value) || value.length < 2) return undefined;
  const keys = new Set<string>();
  for (const row of value) {
    if (typeof row !== "object" || row === null || Array.isArray(row)) return undefined;
    for (const [key, field] of Object.entries(row)) {
      if (typeof field === "object" && field !== null) return undefined;
      keys.add(key);
    }
    if (keys.size * value.length > limit || keys.size > 200) return undefined;
  }
  const names = [...keys];
  return [
    names,
    ...value.map((row: Record<string, unknown>) =>
      names.map((name) => String(Object.hasOwn(row, name) ? (row[name] ?? "") : "")),
    ),
  ];
}

interface MarkdownNode {
  type: string;
  depth?: number;
  value?: string;
  lang?: string | null;
  ordered?: boolean | null;
  start?: number | null;
  children?: MarkdownNode[];
  position?: { start: { offset?: number }; end: { offset?: number } };
}

const markdownParser = unified().use(remarkParse).use(remarkGfm).use(remarkCjkFriendly);
/** The parser is exact but slow, and deep nesting makes it slower; beyond this the fast segmentation serves. */
const longestParsed = 2_000_000;

export async function readMarkdown(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const text = decode(bytes, context);
  // Each sign takes its blanks with it, so that there is one way to match: the check must not be the trap that it looks for.
  const deep = /^[ \t]*(?:>[ \t]*|(?:[-*+]|\d{1,9}[.)])[ \t]+){40}|[[(*_]{400}/m.test(text);
  if (text.length > longestParsed || deep) return { kind: "markdown", pages: [flowPage(1, textSegments(text, 1))] };
  const tree = markdownParser.parse(text) as MarkdownNode;
  return {
    kind: "markdown",
    pages: [
      flowPage(
        1,
        (tree.children ?? []).flatMap((node) => nodeSegments(node, text)),
      ),
    ],
  };
}

function nodeSegments(node: MarkdownNode, source: string): DraftSegment[] {
  const text = source.slice(node.position?.start.offset ?? 0, node.position?.end.offset ?? 0);
  switch (node.type) {
    case "heading":
      return [{ kind: "heading", page: 1, level: node.depth ?? 1, text: plain(node) }];
    case "code":
      return [{ kind: "code", page: 1, text: node.value ?? "", ...(node.lang ? { language: node.lang } : {}) }];
    case "blockquote":
      return [{ kind: "quote", page: 1, text: text.replaceAll(/^\s*> ?/gm, "") }];
    case "list":
      return [{ kind: "list", page: 1, items: itemsOf(node, source, 0) }];
    case "table": {
      const table = tableOfRows(
        (node.children ?? []).map((row) => (row.children ?? []).map((cell) => inner(cell, source))),
        1,
      );
      return table ? [table] : [];
    }
    case "thematicBreak":
      return [];
    case "yaml":
      return [{ kind: "code", page: 1, text: node.value ?? "", language: "yaml" }];
    case "paragraph": {
      const formula = /^\$\$\s*([\s\S]+?)\s*\$\$$/.exec(text) ?? /^\\\[\s*([\s\S]+?)\s*\\\]$/.exec(text);
      if (formula?.[1]) return [{ kind: "formula", page: 1, text: formula[1] }];
      return [paragraph(1, text)];
    }
    default:
      return text.trim() === "" ? [] : [paragraph(1, text)];
  }
}

function itemsOf(list: MarkdownNode, source: string, level: number): { text: string; level: number; marker: string }[] {
  return (list.children ?? []).flatMap((item, index) => {
    const own = (item.children ?? []).filter((child) => child.type !== "list");
    const text = own.map((child) => inner(child, source).replaceAll(/\n[ \t]*/g, " ")).join(" ");
    const marker = list.ordered ? `${(list.start ?? 1) + index}.` : "-";
    const nested = (item.children ?? []).filter((child) => child.type === "list");
    return [{ text, level, marker }, ...nested.flatMap((child) => itemsOf(child, source, Math.min(20, level + 1)))];
  });
}

/** The Markdown of a node without its own signs. */
function inner(node: MarkdownNode, source: string): string {
  const children = node.children ?? [];
  const start = children[0]?.position?.start.offset ?? node.position?.start.offset ?? 0;
  const end = children.at(-1)?.position?.end.offset ?? node.position?.end.offset ?? 0;
  return node.type === "tableCell" && children.length === 0 ? "" : source.slice(start, end).trim();
}

function plain(node: MarkdownNode): string {
  return node.value ?? (node.children ?? []).map(plain).join("");
}
