// A fast way through large XLSX files: the sheet's XML is scanned as bytes, once, straight into grid columns. General readers build an
// object a cell and take seven seconds for three million cells; this takes about one. It reads what analysis needs (values, cached
// formula results, dates by number format, merges, hidden rows and columns) and gives up (undefined) on anything unusual, such as
// prefixed namespaces or encryption; the general reader then takes over. A test holds both to the same grids.
import { type Grid, GridBuilder, type Merge } from "./grid.ts";
import { zipEntries } from "./zip-entries.ts";

/** Below this the general reader is fast enough. */
export const largeSheetBytes = 6 * 1024 * 1024;

interface Styles {
  isDate: boolean[];
  formats: (string | undefined)[];
}

interface SheetEntry {
  name: string;
  path: string;
  isHidden: boolean;
}

/** Reads a workbook whose largest sheet unpacks to at least `least` bytes; undefined if it is smaller or not of the plain form. */
export function readLargeXlsx(bytes: Uint8Array, least = largeSheetBytes): Grid[] | undefined {
  const entries = zipEntries(bytes);
  const sheets = entries?.filter(({ name }) => /^xl\/worksheets\/[^/]+\.xml$/.test(name)) ?? [];
  if (
    entries === undefined ||
    sheets.length === 0 ||
    Math.max(...sheets.map(({ unpackedBytes }) => unpackedBytes)) < least
  )
    return undefined;
  const wanted = /^xl\/(workbook\.xml|_rels\/workbook\.xml\.rels|styles\.xml|sharedStrings\.xml)$/;
  const parts: Record<string, Uint8Array> = Object.fromEntries(
    entries.filter(({ name }) => wanted.test(name)).map(({ name, read }) => [name, read()]),
  );
  const workbook = textOf(parts["xl/workbook.xml"]);
  const relations = textOf(parts["xl/_rels/workbook.xml.rels"]);
  if (workbook === undefined || relations === undefined || !/<sheet /.test(workbook)) return undefined;
  const epoch = /date1904="(1|true)"/.test(workbook) ? 24_107 : 25_569;
  const styles = readStyles(textOf(parts["xl/styles.xml"]));
  const shared = parts["xl/sharedStrings.xml"] === undefined ? [] : sharedTexts(parts["xl/sharedStrings.xml"]);
  const grids: Grid[] = [];
  for (const entry of sheetEntries(workbook, relations)) {
    // One sheet at a time: their XML is ten times the size of the grids.
    const part = sheets.find(({ name }) => name === entry.path)?.read();
    if (part === undefined) continue; // a chart sheet
    const grid = readSheet(part, entry, { styles, shared, epoch });
    if (grid === undefined) return undefined;
    grids.push(grid);
  }
  return grids.length === 0 ? undefined : grids;
}

const textOf = (part: Uint8Array | undefined): string | undefined =>
  part === undefined ? undefined : new TextDecoder().decode(part);

function sheetEntries(workbook: string, relations: string): SheetEntry[] {
  const targets = new Map<string, string>();
  for (const [tag] of relations.matchAll(/<Relationship\b[^>]*>/g))
    targets.set(attribute(tag, "Id") ?? "", attribute(tag, "Target") ?? "");
  return [...workbook.matchAll(/<sheet\b[^>]*>/g)].map(([tag]) => {
    const target = targets.get(attribute(tag, "r:id") ?? "") ?? "";
    return {
      name: unescaped(attribute(tag, "name") ?? ""),
      path: target.startsWith("/") ? target.slice(1) : `xl/${target}`,
      isHidden: /hidden/i.test(attribute(tag, "state") ?? ""),
    };
  });
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** XML entities, and the _x000D_ escapes of Office. */
function unescaped(text: string): string {
  if (!text.includes("&") && !text.includes("_x")) return text;
  return text
    .replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return entities[name] ?? whole;
      return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
    })
    .replace(/_x([0-9A-F]{4})_/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const builtInDates = new Set([
  14, 15, 16, 17, 18, 19, 20, 21, 22, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 45, 46, 47, 50, 51, 52, 53, 54, 55, 56,
  57, 58,
]);
const builtInFormats: Record<number, string> = {
  1: "0",
  2: "0.00",
  3: "#,##0",
  4: "#,##0.00",
  9: "0%",
  10: "0.00%",
  11: "0.00E+00",
  12: "# ?/?",
  13: "# ??/??",
  37: "#,##0 ;(#,##0)",
  38: "#,##0 ;[Red](#,##0)",
  39: "#,##0.00;(#,##0.00)",
  40: "#,##0.00;[Red](#,##0.00)",
  48: "##0.0E+0",
  49: "@",
};

function readStyles(xml: string | undefined): Styles {
  const custom = new Map<number, string>();
  for (const [tag] of (xml ?? "").matchAll(/<numFmt\b[^>]*>/g))
    custom.set(Number(attribute(tag, "numFmtId")), unescaped(attribute(tag, "formatCode") ?? ""));
  const block = /<cellXfs\b[^>]*>([\s\S]*?)<\/cellXfs>/.exec(xml ?? "")?.[1] ?? "";
  const ids = [...block.matchAll(/<xf\b[^>]*>/g)].map(([tag]) => Number(attribute(tag, "numFmtId") ?? 0));
  return {
    isDate: ids.map((id) => (custom.has(id) ? isDateFormat(custom.get(id) ?? "") : builtInDates.has(id))),
    formats: ids.map((id) => custom.get(id) ?? builtInFormats[id]),
  };
}

/** A format with y, m, d or h outside quotes, brackets and escapes. */
function isDateFormat(format: string): boolean {
  const bare = format.replace(/"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*./gi, "");
  return (
    /[ymdh年月日]/i.test(bare) &&
    !/^general$/i.test(bare) &&
    !/[#0?]\s*[/.]/.test(bare.replace(/[ymdhs:.\-/\s]+0*/gi, ""))
  );
}

/** The texts of sharedStrings.xml: runs of rich text joined, phonetic readings left out. */
function sharedTexts(part: Uint8Array): string[] {
  const xml = new TextDecoder().decode(part);
  const texts: string[] = [];
  for (let at = xml.indexOf("<si"); at >= 0; at = xml.indexOf("<si", at)) {
    const open = xml.indexOf(">", at);
    if (xml.charCodeAt(open - 1) === 47) {
      texts.push("");
      at = open;
      continue;
    }
    const end = xml.indexOf("</si>", open);
    texts.push(richText(xml.slice(open + 1, end < 0 ? xml.length : end)));
    if (end < 0) break;
    at = end;
  }
  return texts;
}

function richText(inner: string): string {
  const bare = inner.includes("<rPh") ? inner.replace(/<rPh\b[\s\S]*?<\/rPh>/g, "") : inner;
  let text = "";
  for (let at = bare.indexOf("<t"); at >= 0; at = bare.indexOf("<t", at)) {
    const open = bare.indexOf(">", at);
    if (bare.charCodeAt(open - 1) === 47 || !/^<t[\s>]/.test(bare.slice(at, at + 3))) {
      at = open;
      continue;
    }
    const end = bare.indexOf("</t>", open);
    text += bare.slice(open + 1, end);
    at = end;
  }
  return unescaped(text);
}

interface Context {
  styles: Styles;
  shared: readonly string[];
  epoch: number;
}

// Byte values: < > / " space = . - E e
const [less, more, slash, quote, space, equals] = [60, 62, 47, 34, 32, 61];

function readSheet(data: Uint8Array, { name, isHidden }: SheetEntry, context: Context): Grid | undefined {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const start = buffer.indexOf("<sheetData");
  if (start < 0) return undefined;
  const builder = new GridBuilder();
  const hiddenRows = new Set<number>();
  const head = buffer.toString("utf8", 0, start);
  const end = scanCells(buffer, start, { builder, hiddenRows, context });
  if (end === undefined) return undefined;
  const tail = buffer.toString("utf8", end);
  const merges: Merge[] = [];
  for (const [, from, to] of tail.matchAll(/<mergeCell\b[^>]*ref="([A-Z]+\d+):([A-Z]+\d+)"/g))
    merges.push({ ...cellOf(from ?? "", "start"), ...cellOf(to ?? "", "end") } as Merge);
  const hiddenColumns = new Set<number>();
  for (const [tag] of head.matchAll(/<col\b[^>]*>/g)) {
    if (!/\shidden="(1|true)"/.test(tag)) continue;
    const [from, to] = [Number(attribute(tag, "min")), Math.min(16_384, Number(attribute(tag, "max")))];
    for (let column = from; column <= to; column++) hiddenColumns.add(column - 1);
  }
  return builder.finish(name, { merges, hiddenRows, hiddenColumns, isHidden });
}

function cellOf(address: string, side: "start" | "end"): Partial<Merge> {
  const match = /^([A-Z]+)(\d+)$/.exec(address);
  const column = [...(match?.[1] ?? "A")].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;
  const row = Number(match?.[2] ?? 1) - 1;
  return side === "start" ? { startRow: row, startColumn: column } : { endRow: row, endColumn: column };
}

interface Target {
  builder: GridBuilder;
  hiddenRows: Set<number>;
  context: Context;
}

/** One pass over <sheetData>; gives the place behind it, or undefined when a tag is not understood. */
function scanCells(b: Buffer, from: number, { builder, hiddenRows, context }: Target): number | undefined {
  const { styles, shared, epoch } = context;
  let at = b.indexOf(more, from) + 1;
  if (b[at - 2] === slash) return at; // <sheetData/>
  let row = -1;
  let column = -1;
  for (;;) {
    while (at < b.length && b[at] !== less) at++;
    if (at >= b.length) return undefined;
    const sign = b[at + 1];
    if (sign === slash) {
      if (b[at + 2] === 115) return b.indexOf(more, at) + 1; // </sheetData>
      at += 3;
      continue;
    }
    if (sign === 114 && b[at + 2] === 111) {
      // <row r="5" … hidden="1">
      const close = b.indexOf(more, at);
      const tag = b.toString("latin1", at, close);
      const number = attribute(tag, "r");
      row = number === undefined ? row + 1 : Number(number) - 1;
      column = -1;
      if (/\shidden="(1|true)"/.test(tag)) hiddenRows.add(row);
      at = close;
      continue;
    }
    if (sign !== 99) return undefined;
    // <c r="C5" s="3" t="s">
    let type = 110; // n
    let style = 0;
    let i = at + 2;
    column++;
    for (;;) {
      while (b[i] === space) i++;
      if (b[i] === more || b[i] === slash || i >= b.length) break;
      const key = b[i];
      const isShort = b[i + 1] === equals;
      while (b[i] !== quote) i++;
      i++;
      if (isShort && key === 114) {
        let letters = 0;
        while ((b[i] ?? 0) >= 65) letters = letters * 26 + (b[i++] ?? 0) - 64;
        column = letters - 1;
      } else if (isShort && key === 115) {
        while (b[i] !== quote) style = style * 10 + (b[i++] ?? 0) - 48;
      } else if (isShort && key === 116) type = typeOf(b, i);
      while (b[i] !== quote) i++;
      i++;
    }
    if (b[i] === slash) {
      at = i + 2;
      continue;
    }
    at = i + 1;
    // Inside: <f>…</f>, <v>…</v> or <is>…</is>, until </c>.
    for (;;) {
      while (b[at] !== less) at++;
      const inner = b[at + 1];
      if (inner === slash) break;
      const close = b.indexOf(more, at);
      if (b[close - 1] === slash) {
        at = close + 1; // <v/> or the reference to a shared formula
        if (inner === 102) builder.formula(row, column, "");
        continue;
      }
      if (inner === 102) {
        const stop = b.indexOf("</f>", close);
        builder.formula(row, column, unescaped(b.toString("utf8", close + 1, stop)));
        at = stop + 4;
      } else if (inner === 105) {
        const stop = b.indexOf("</is>", close);
        builder.text(row, column, richText(b.toString("utf8", close + 1, stop)));
        at = stop + 5;
      } else if (inner === 118) {
        let stop = close + 1;
        while (b[stop] !== less) stop++;
        if (type === 110) {
          const value = numberAt(b, close + 1, stop);
          if (styles.isDate[style] === true)
            builder.date(row, column, Math.round((value - epoch) * 86_400_000) / 86_400_000);
          else {
            builder.number(row, column, value);
            const format = styles.formats[style];
            if (format !== undefined) builder.format(column, format);
          }
        } else if (type === 115) builder.text(row, column, shared[numberAt(b, close + 1, stop)] ?? "");
        else putOther(builder, { row, column, type, text: unescaped(b.toString("utf8", close + 1, stop)) });
        at = stop + 4;
      } else return undefined;
    }
    at += 4;
  }
}

/** First letter of t="…", told apart: n, s (shared), b, e, d, and 83 for str and inlineStr. */
function typeOf(b: Buffer, at: number): number {
  const first = b[at] ?? 110;
  if (first === 115 && b[at + 1] === 116) return 83;
  return first === 105 ? 83 : first;
}

function putOther(
  builder: GridBuilder,
  { row, column, type, text }: { row: number; column: number; type: number; text: string },
): void {
  if (type === 98) builder.boolean(row, column, text === "1" || text === "true");
  else if (type === 101) builder.error(row, column, text);
  else if (type === 100)
    builder.date(row, column, Date.parse(text.length > 10 && !/z$/i.test(text) ? `${text}Z` : text) / 86_400_000);
  else builder.text(row, column, text);
}

const powers = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);

/** Digits, a point and a sign are read here: up to 15 digits divided by a power of ten is the nearest double. The rest is Number's. */
function numberAt(b: Buffer, from: number, to: number): number {
  let at = from;
  const isNegative = b[at] === 45;
  if (isNegative) at++;
  let digits = 0;
  let count = 0;
  let decimals = 0;
  let hasPoint = false;
  for (; at < to; at++) {
    const sign = b[at] ?? 0;
    if (sign === 46 && !hasPoint) hasPoint = true;
    else if (sign >= 48 && sign <= 57) {
      digits = digits * 10 + sign - 48;
      if (digits > 0) count++;
      if (hasPoint) decimals++;
    } else return Number(b.toString("latin1", from, to));
  }
  if (count > 15 || decimals > 22) return Number(b.toString("latin1", from, to));
  const value = decimals === 0 ? digits : digits / (powers[decimals] ?? 1);
  return isNegative ? -value : value;
}
