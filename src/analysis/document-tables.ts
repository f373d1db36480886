// Tables that stand in documents, slides, web pages and screenshots, as rows of cells. A table that goes on over a page end is one
// table again: the same width, and either its header printed once more or, at the top of the page, numbers under numbers.
import type { Document, Segment } from "../documents/document.ts";
import type { Merge } from "./grid.ts";
import { narrow } from "./narrow.ts";
import { parseNumber } from "./parse-number.ts";
import type { RowTable } from "./read-workbook.ts";

type TableSegment = Extract<Segment, { kind: "table" }>;

interface Part {
  name: string;
  rows: string[][];
  merges: Merge[];
  columns: number;
  lastPage: number;
}

/** The tables of a document in reading order, named by their title, else by their page. */
export function tablesOfDocument({ pages }: Pick<Document, "pages">): RowTable[] {
  const parts: Part[] = [];
  const isChinese = pages.some(({ segments }) => segments.some((one) => /\p{Script=Han}/u.test(wordsOf(one))));
  for (const page of pages) {
    let heading: string | undefined;
    const kept = page.segments.filter(({ removed }) => removed === undefined);
    for (const [index, segment] of kept.entries()) {
      if (segment.kind === "heading") heading = segment.text;
      if (segment.kind !== "table") continue;
      const rows = rowsOf(segment);
      const last = parts.at(-1);
      if (last !== undefined && index === 0 && last.lastPage === page.number - 1 && continues(last, rows)) {
        // A header that is printed again is found and left out as in any sheet.
        last.rows.push(...rows);
        last.lastPage = page.number;
        continue;
      }
      const number = parts.filter(({ lastPage }) => lastPage === page.number).length + 1;
      const place = isChinese ? `第${page.number}页表${number}` : `p. ${page.number}, table ${number}`;
      parts.push({
        name: segment.title ?? heading ?? place,
        rows,
        merges: mergesOf(segment),
        columns: segment.columns,
        lastPage: page.number,
      });
    }
  }
  const seen = new Map<string, number>();
  return parts.map(({ name, rows, merges }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return { name: count === 1 ? name : `${name} (${count})`, rows, merges };
  });
}

const wordsOf = (segment: Segment): string =>
  segment.kind === "table" ? segment.cells.map(({ text }) => text).join("") : "text" in segment ? segment.text : "";

function rowsOf(table: TableSegment): string[][] {
  const rows = Array.from({ length: table.rows }, () => new Array<string>(table.columns).fill(""));
  for (const { row, column, text } of table.cells) {
    const line = rows[row];
    if (line !== undefined && column < line.length) line[column] = text;
  }
  return rows;
}

function mergesOf({ cells }: TableSegment): Merge[] {
  return cells
    .filter(({ rowSpan = 1, columnSpan = 1 }) => rowSpan > 1 || columnSpan > 1)
    .map(({ row, column, rowSpan = 1, columnSpan = 1 }) => ({
      startRow: row,
      startColumn: column,
      endRow: row + rowSpan - 1,
      endColumn: column + columnSpan - 1,
    }));
}

function continues({ rows, columns }: Part, next: readonly (readonly string[])[]): boolean {
  const [header = []] = rows;
  const [first = []] = next;
  if (first.length !== columns) return false;
  const isHeaderAgain = first.every((text, column) => narrow(text) === narrow(header[column] ?? ""));
  const above = rows.at(-1) ?? [];
  const isNumber = (text: string | undefined): boolean => parseNumber(text ?? "") !== undefined;
  const numbers = above.filter((text, column) => isNumber(text) && isNumber(first[column])).length;
  return isHeaderAgain || (numbers > 0 && numbers === above.filter((text) => isNumber(text)).length);
}
