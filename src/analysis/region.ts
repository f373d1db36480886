// A rectangle of a sheet, and the small questions that finding tables asks of its rows: what they say, whether they hold numbers,
// whether a text heads a column.
import { cellAt, cellText, type Grid, isBlank } from "./grid.ts";
import { narrow } from "./narrow.ts";
import { parseNumber } from "./parse-number.ts";
import { parseDate, parsePeriod } from "./parse-time.ts";

export interface Region {
  startRow: number;
  endRow: number; // inclusive
  startColumn: number;
  endColumn: number; // inclusive
}

export function width(region: Region): number {
  return region.endColumn - region.startColumn + 1;
}

export function isNumeric(grid: Grid, row: number, column: number): boolean {
  const cell = cellAt(grid, row, column);
  if (cell.kind === "number" || cell.kind === "date" || cell.kind === "boolean") return true;
  return cell.kind === "text" && (isNumber(cell.value) || parseDate(cell.value) !== undefined);
}

export const isNumber = (text: string): boolean =>
  parseNumber(text) !== undefined || parseNumber(text, ",") !== undefined;

export function hasNumbers(grid: Grid, row: number, region: Region): boolean {
  for (let column = region.startColumn; column <= region.endColumn; column++)
    if (isNumeric(grid, row, column)) return true;
  return false;
}

export function distinctTexts(grid: Grid, row: number, region: Region): string[] {
  const found = new Set<string>();
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const text = headerText(grid, row, column);
    if (text !== "") found.add(text);
  }
  return [...found];
}

/** A cell's text, or that of the merged range it lies in. */
export function headerText(grid: Grid, row: number, column: number): string {
  if (!isBlank(grid, row, column)) return narrow(cellText(grid, row, column)).replace(/\s+/g, " ");
  const merge = grid.merges.find(
    (m) => row >= m.startRow && row <= m.endRow && column >= m.startColumn && column <= m.endColumn,
  );
  return merge ? narrow(cellText(grid, merge.startRow, merge.startColumn)).replace(/\s+/g, " ") : "";
}

export function filledCells(grid: Grid, row: number, region: Region): number {
  let filled = 0;
  for (let column = region.startColumn; column <= region.endColumn; column++) if (!isBlank(grid, row, column)) filled++;
  return filled;
}

/** Text that heads a column although it reads as a number or a date: a year, a month, a quarter. */
export function isPeriodHeader(text: string): boolean {
  return parsePeriod(text) !== undefined || /^(19|20)\d{2}$/.test(text) || parseDate(text) !== undefined;
}

export function firstText(grid: Grid, row: number, region: Region): string {
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const cell = cellAt(grid, row, column);
    if (cell.kind === "text") return narrow(cell.value);
  }
  return "";
}
