// HTML to segments: headings, paragraphs, lists, tables with spans, code, quotes. Scripts and styles are dropped, nothing is loaded;
// pictures leave their alternative text. Bold stays as ** in the text, as Markdown has it.
import { type ListItem, plainTextOf, type TableCell } from "../document.ts";
import { decodeText } from "../encoding.ts";
import type { DraftSegment } from "../layout/runs.ts";
import type { Draft, ReadContext } from "../reader.ts";
import { flowPage } from "../reader.ts";
import { numberCloses, numberOpens } from "./docx-numbering.ts";
import { attribute, scanMarkup } from "./markup.ts";

export async function readHtml(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const declared = /<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{3,20})/i.exec(
    Buffer.from(bytes.subarray(0, 4096)).toString("latin1"),
  )?.[1];
  const source = decodeDeclared(bytes, declared);
  if (/<script|\son\w{3,15}\s*=|javascript:/i.test(source))
    context.warn({ code: "active_content_ignored", message: `${context.name} contains scripts; they were not run.` });
  return { kind: "html", pages: [flowPage(1, htmlSegments(source, { page: 1, limit: context.limits.cells }))] };
}

function decodeDeclared(bytes: Uint8Array, declared: string | undefined): string {
  const found = decodeText(bytes);
  if (!found.isGuess || declared === undefined) return found.text;
  try {
    return new TextDecoder(declared).decode(bytes);
  } catch (error) {
    if (error instanceof RangeError) return found.text;
    throw error;
  }
}

const blocks = new Set(
  "p div section article main header footer nav aside address figure figcaption form fieldset dl dt dd details summary body html center option caption".split(
    " ",
  ),
);
const dropped = new Set("script style template noscript iframe head svg object embed select".split(" "));

interface OpenTable {
  cells: TableCell[];
  row: number;
  column: number;
  /** Places already covered by a cell that spans rows. */
  taken: Set<string>;
  cell: (TableCell & { parts: string[] }) | undefined;
}

const mostSpan = 1000;
/** Tables within tables; what lies deeper gives its words to the innermost of these. */
const mostTables = 20;

/** A number that Word counted, in a paragraph or a list item. */
const countedNumber = new RegExp(`^(?:\\*\\*)?${numberOpens}([^${numberCloses}]*)${numberCloses}\\s*`);

/** Marks a picture whose text has been recognised: the number of its segments follows. */
export const pictureScheme = "quern-picture:";

export function htmlSegments(
  source: string,
  { page, limit, pictures = [] }: { page: number; limit: number; pictures?: readonly (readonly DraftSegment[])[] },
): DraftSegment[] {
  const segments: DraftSegment[] = [];
  const tables: OpenTable[] = [];
  let parts: string[] = [];
  let heading = 0;
  let quotes = 0;
  let pre = 0;
  let droppedIn = "";
  let bold = 0;
  const lists: { isOrdered: boolean; count: number }[] = [];
  let items: ListItem[] = [];
  let isInItem = false;
  let cellCount = 0;
  let tooDeep = 0;

  const flushList = (): void => {
    if (items.length > 0) segments.push({ kind: "list", page, items });
    items = [];
  };
  const flush = (): void => {
    const raw = parts.join("");
    parts = [];
    const marked = pre > 0 ? raw.replace(/^\n/, "").trimEnd() : tidy(raw);
    const counted = countedNumber.exec(marked);
    const text = marked.replace(countedNumber, "$1 ");
    if (text.trim() === "") return;
    const table = tables.at(-1);
    if (table) {
      if (table.cell) table.cell.parts.push(text);
      else segments.push({ kind: "paragraph", page, text });
    } else if (pre > 0) {
      flushList();
      segments.push({ kind: "code", page, text });
    } else if (heading > 0) {
      flushList();
      segments.push({ kind: "heading", page, level: heading, text: text.replaceAll("**", "") });
    } else if (isInItem) {
      const list = lists.at(-1);
      const level = Math.max(0, lists.length - 1);
      items.push({
        text: marked.slice(counted?.[0].length ?? 0).replaceAll("\n", " "),
        level,
        marker: counted?.[1] ?? (list?.isOrdered ? `${list.count}.` : "-"),
      });
    } else {
      flushList();
      segments.push(quotes > 0 ? { kind: "quote", page, text } : paragraph(page, text));
    }
  };
  const closeCell = (table: OpenTable): void => {
    flush();
    if (!table.cell) return;
    const { parts: texts, ...cell } = table.cell;
    table.cells.push({ ...cell, text: texts.join("\n") });
    table.cell = undefined;
  };
  const closeTable = (): void => {
    const table = tables.at(-1);
    if (!table) return;
    closeCell(table);
    tables.pop();
    const made = tableSegment(table, page);
    if (!made) return;
    const outer = tables.at(-1);
    // A table inside a cell gives its words to the cell; tables made for layout come out as text.
    if (outer?.cell) outer.cell.parts.push(wordsOf(made));
    else segments.push(made);
  };

  for (const event of scanMarkup(source)) {
    if (droppedIn !== "") {
      if (event.type === "close" && event.name === droppedIn) droppedIn = "";
      continue;
    }
    if (event.type === "text") {
      parts.push(pre > 0 ? event.text : event.text.replaceAll(/[\s\u00a0]+/g, " "));
      continue;
    }
    const { name } = event;
    const isOpen = event.type === "open";
    if (isOpen && dropped.has(name) && !event.isClosed) {
      droppedIn = name;
    } else if (/^h[1-6]$/.test(name)) {
      flush();
      heading = isOpen ? Number(name[1]) : 0;
    } else if (name === "br") parts.push("\n");
    else if (name === "hr") flush();
    else if (name === "img" && isOpen) {
      const alternative = attribute(event.attributes, "alt")?.trim();
      if (alternative) parts.push(`[${alternative}]`);
      const address = attribute(event.attributes, "src") ?? "";
      const recognised = address.startsWith(pictureScheme)
        ? pictures[Number(address.slice(pictureScheme.length))]
        : undefined;
      if (!recognised || recognised.length === 0) continue;
      const cell = tables.at(-1)?.cell;
      if (cell || isInItem) parts.push(` ${recognised.map(plainTextOf).join(" ")} `);
      else {
        flush();
        flushList();
        segments.push(...recognised);
      }
    } else if (name === "b" || name === "strong") {
      if (heading === 0 && pre === 0 && (isOpen ? bold === 0 : bold === 1)) parts.push(isOpen ? "\ue000" : "\ue001");
      bold = Math.max(0, bold + (isOpen ? 1 : -1));
    } else if (name === "pre") {
      flush();
      pre = Math.max(0, pre + (isOpen ? 1 : -1));
    } else if (name === "blockquote") {
      flush();
      quotes = Math.max(0, quotes + (isOpen ? 1 : -1));
    } else if (name === "ul" || name === "ol") {
      flush();
      if (isOpen && lists.length < 20) lists.push({ isOrdered: name === "ol", count: 0 });
      else if (!isOpen) {
        lists.pop();
        isInItem = lists.length > 0;
        if (lists.length === 0) flushList();
      }
    } else if (name === "li") {
      flush();
      isInItem = isOpen;
      const list = lists.at(-1);
      if (list && isOpen) list.count++;
    } else if (name === "table" && (isOpen ? tables.length >= mostTables : tooDeep > 0)) {
      tooDeep += isOpen ? 1 : -1;
      parts.push(" ");
    } else if (tooDeep > 0 && /^t[rdh]$/.test(name)) parts.push(" ");
    else if (name === "table") {
      if (isOpen) {
        const outer = tables.at(-1);
        if (!outer?.cell) flush();
        flushList();
        tables.push({ cells: [], row: -1, column: 0, taken: new Set(), cell: undefined });
      } else closeTable();
    } else if (name === "tr" && tables.length > 0) {
      const table = tables.at(-1);
      if (!table) continue;
      closeCell(table);
      if (isOpen) {
        table.row++;
        table.column = 0;
      }
    } else if ((name === "td" || name === "th") && tables.length > 0) {
      const table = tables.at(-1);
      if (!table) continue;
      closeCell(table);
      if (isOpen && cellCount++ < limit) openCell(table, event.attributes);
    } else if (blocks.has(name) && !(isInItem && name === "p")) flush();
    else if (name === "p") parts.push(" ");
  }
  while (tables.length > 0) closeTable();
  flush();
  flushList();
  return segments;
}

function openCell(table: OpenTable, attributes: string): void {
  if (table.row < 0) table.row = 0;
  while (table.taken.has(`${table.row},${table.column}`)) table.column++;
  const span = (name: string): number =>
    Math.min(mostSpan, Math.max(1, Number.parseInt(attribute(attributes, name) ?? "1", 10) || 1));
  const [rowSpan, columnSpan] = [span("rowspan"), span("colspan")];
  // Only the rows below need remembering; the widest spans are cut at a bound that no real table reaches.
  if (rowSpan > 1 && table.taken.size + rowSpan * columnSpan < 200_000)
    for (let row = 1; row < rowSpan; row++)
      for (let column = 0; column < columnSpan; column++)
        table.taken.add(`${table.row + row},${table.column + column}`);
  table.cell = {
    row: table.row,
    column: table.column,
    ...(rowSpan > 1 ? { rowSpan } : {}),
    ...(columnSpan > 1 ? { columnSpan } : {}),
    text: "",
    parts: [],
  };
  table.column += columnSpan;
}

function tableSegment({ cells }: OpenTable, page: number): DraftSegment | undefined {
  const filled = cells.filter((cell) => cell.text !== "");
  if (filled.length === 0) return undefined;
  const rows = Math.max(...cells.map((cell) => cell.row)) + 1;
  const columns = cells.reduce(
    (most, cell) => Math.max(most, cell.column + (cell.text === "" ? 1 : (cell.columnSpan ?? 1))),
    1,
  );
  if (rows * columns === 1) return paragraph(page, filled[0]?.text ?? "");
  return { kind: "table", page, rows, columns, cells };
}

function wordsOf(segment: DraftSegment): string {
  if (segment.kind !== "table") return plainTextOf(segment);
  return segment.cells
    .map((cell) => cell.text)
    .filter((text) => text !== "")
    .join(" ");
}

/** Bold signs become ** (none around blanks); a paragraph that is bold as a whole becomes emphasis. */
export function paragraph(page: number, text: string): DraftSegment {
  const whole = /^\*\*([^*]+)\*\*$/.exec(text);
  if (whole?.[1] && text.length < 400) return { kind: "emphasis", page, text: whole[1].trim() };
  const emphasised = [...text.matchAll(/\*\*[^*]+\*\*/g)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }));
  return { kind: "paragraph", page, text, ...(emphasised.length > 0 ? { emphasised } : {}) };
}

function tidy(raw: string): string {
  return raw
    .replaceAll(/[ \t]*\n[ \t]*/g, "\n")
    .replaceAll(/ {2,}/g, " ")
    .replaceAll(/\ue000([^\ue001]*)\ue001?/g, (_, inside: string) => {
      const text = inside.trim();
      if (text === "") return inside;
      return `${/^\s/.test(inside) ? " " : ""}**${text}**${/\s$/.test(inside) ? " " : ""}`;
    })
    .replaceAll(/[\ue000\ue001]/g, "")
    .trim();
}
