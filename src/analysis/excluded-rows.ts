// Rows inside a table that are no records: totals and subtotals (by their label or their SUM formulas), headers printed again, notes.
import { cellAt, type Grid, isBlank } from "./grid.ts";
import { narrow } from "./narrow.ts";
import { nestedRows } from "./nested-rows.ts";
import { parseNumber } from "./parse-number.ts";
import { filledCells, firstText, headerText, type Region, width } from "./region.ts";

export type ExcludedKind = "subtotal" | "total" | "detail" | "section" | "repeated_header" | "note" | "blank";

export interface ExcludedRow {
  row: number;
  kind: ExcludedKind;
  label: string;
  /** Of a subtotal that stands above its rows: the first and last of them. */
  covers?: readonly [first: number, last: number];
}

const totalLabel =
  /^(?:[^0-9]{0,12}?)(合\s*计|总\s*计|小\s*计|共\s*计|累\s*计|汇\s*总)\s*[:：]?$|^(?:grand\s+|sub)?totals?\s*[:：]?$|^(sub-?totals?|sums?)\s*[:：]?$|^.{1,24}\s(sub-?total|total)$/i;
const subtotalLabel = /小\s*计|sub-?total/i;
export const noteLabel = /^(注|备注|说明|数据来源|来源|制表|审核|填表|单位|note|source|remark|prepared|\*)/i;

/** Label of a total row, or undefined. */
export function totalKind(label: string): "subtotal" | "total" | undefined {
  if (label.length > 40 || !/[计总汇]|total|sum/i.test(label)) return undefined;
  const clean = narrow(label);
  if (!totalLabel.test(clean)) return undefined;
  if (subtotalLabel.test(clean)) return "subtotal";
  // "华东合计" and "East total" are totals of a group; 合计 alone is the total of all.
  return /^(合\s*计|总\s*计|共\s*计|累\s*计|汇\s*总|全部.*|全国.*|grand\s+totals?|totals?|sums?)\s*[:：]?$|^(grand|overall)\s/i.test(
    clean,
  )
    ? "total"
    : "subtotal";
}

export function excludedRows(
  grid: Grid,
  region: Region,
  firstBodyRow: number,
  headers: readonly string[],
): ExcludedRow[] {
  const columns = Array.from({ length: width(region) }, (_, index) => region.startColumn + index);
  // Labels are judged once per distinct text: a sheet of 100,000 rows has few.
  const labels = columns.map((column) => (grid.columns[column]?.texts ?? []).map((text) => totalKind(text)));
  const mayBeTotal = columns.filter((_, index) => labels[index]?.some((kind) => kind !== undefined));
  const excluded: ExcludedRow[] = [];
  const sumRows = rowsOfSums(grid, region, firstBodyRow);
  for (let row = firstBodyRow; row <= region.endRow; row++) {
    const total = totalOf(grid, row, mayBeTotal, region);
    if (total !== undefined) excluded.push({ row, ...total });
    else if (sumRows.has(row))
      excluded.push({ row, kind: row === region.endRow ? "total" : "subtotal", label: firstText(grid, row, region) });
    else if (row > region.endRow - lastRows && isSigned(grid, row, region))
      excluded.push({ row, kind: "note", label: firstText(grid, row, region) });
    else if (isSuspicious(grid, row, columns, headers)) {
      const filled = filledCells(grid, row, region);
      if (filled === 0) excluded.push({ row, kind: "blank", label: "" });
      else if (
        columns.every(
          (column, index) =>
            headerText(grid, row, column) === (headers[index] ?? "").split(" / ").at(-1) ||
            headers[index]?.includes(headerText(grid, row, column) || "\0"),
        )
      )
        excluded.push({ row, kind: "repeated_header", label: "" });
      else if (filled === 1 && columns.length > 2 && isNote(grid, row, region))
        excluded.push({ row, kind: "note", label: firstText(grid, row, region) });
    }
  }
  return [...excluded, ...repeatedInside(grid, region, firstBodyRow, excluded)].sort((a, b) => a.row - b.row);
}

/** What is left, looked at once more for rows that repeat others. */
function repeatedInside(
  grid: Grid,
  region: Region,
  firstBodyRow: number,
  excluded: readonly ExcludedRow[],
): ExcludedRow[] {
  const gone = new Set(excluded.map(({ row }) => row));
  const rows: number[] = [];
  for (let row = firstBodyRow; row <= region.endRow; row++) if (!gone.has(row)) rows.push(row);
  const { parents, details, sections } = nestedRows(grid, region, rows);
  const labelled = (row: number, kind: ExcludedKind): ExcludedRow => ({
    row,
    kind,
    label: firstText(grid, row, region),
  });
  return [
    ...parents.map(
      ({ row, start, end }): ExcludedRow => ({
        ...labelled(row, "subtotal"),
        covers: [rows[start] ?? row, rows[end] ?? row],
      }),
    ),
    ...details.map((row) => labelled(row, "detail")),
    ...sections.map((row) => labelled(row, "section")),
  ];
}

/** Signatures stand in the last few rows. */
const lastRows = 5;

/** "制表人：李四 … 审核：王五": nothing but labelled words. */
function isSigned(grid: Grid, row: number, region: Region): boolean {
  let labelled = 0;
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const cell = cellAt(grid, row, column);
    if (cell.kind === "blank") continue;
    if (cell.kind !== "text" || !/^[^:：\d]{1,12}[:：]/.test(narrow(cell.value))) return false;
    labelled++;
  }
  return labelled > 1;
}

/** Cheap look before the careful ones: few cells filled, or the first cell repeats a header. */
function isSuspicious(grid: Grid, row: number, columns: readonly number[], headers: readonly string[]): boolean {
  let filled = 0;
  let firstFilled = -1;
  for (const column of columns) {
    if (isBlank(grid, row, column)) continue;
    if (firstFilled < 0) firstFilled = column;
    if (++filled > 1) break;
  }
  if (filled <= 1) return true;
  const first = cellAt(grid, row, firstFilled);
  return first.kind === "text" && (headers[firstFilled - (columns[0] ?? 0)] ?? "").endsWith(narrow(first.value));
}

function isNote(grid: Grid, row: number, region: Region): boolean {
  const text = firstText(grid, row, region);
  return (
    noteLabel.test(text) ||
    (row === region.endRow && cellAt(grid, row, region.startColumn).kind === "text" && text.length > 12)
  );
}

function totalOf(
  grid: Grid,
  row: number,
  columns: readonly number[],
  region: Region,
): { kind: "subtotal" | "total"; label: string } | undefined {
  for (const column of columns) {
    const cell = cellAt(grid, row, column);
    const kind = cell.kind === "text" ? totalKind(cell.value) : undefined;
    if (kind === undefined || cell.kind !== "text") continue;
    // A product called "Total Eclipse" in a full row is no total: a total row names nothing to the right of its label but numbers.
    for (let other = column + 1; other <= region.endColumn; other++) {
      const right = cellAt(grid, row, other);
      if (right.kind === "text" && parseNumber(right.value) === undefined && !/^[-—–/*]+$/.test(right.value.trim()))
        return undefined;
    }
    return { kind, label: narrow(cell.value) };
  }
  return undefined;
}

/** Rows whose formulas add up cells above them in the same column. */
function rowsOfSums(grid: Grid, region: Region, firstBodyRow: number): Set<number> {
  const counts = new Map<number, number>();
  for (const [key, formula] of grid.formulas) {
    const row = Math.floor(key / 16_384);
    const column = key % 16_384;
    if (row < firstBodyRow || row > region.endRow || column < region.startColumn || column > region.endColumn) continue;
    const range = /^(?:SUM|SUBTOTAL)\((?:\d+,)?\$?([A-Z]+)\$?(\d+):\$?([A-Z]+)\$?(\d+)\)$/i.exec(formula);
    if (range && range[1] === range[3] && Number(range[4]) <= row && Number(range[4]) - Number(range[2]) >= 1)
      counts.set(row, (counts.get(row) ?? 0) + 1);
  }
  return new Set(counts.keys());
}
