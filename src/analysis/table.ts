// A typed table: what the rest of analysis computes with. Columns are Float64Arrays (NaN where a cell is missing): numbers as they
// are, dates and periods as days since 1970-01-01, texts and booleans as an index in `labels`. Every record still knows its sheet
// row, and each column its sheet column, so every figure can name its cells.
import { addressOf, columnLetters, type Grid, quotedSheet, type TurnedFrom } from "./grid.ts";
import type { Grain } from "./parse-time.ts";
import type { Unit } from "./unit.ts";
import type { Words } from "./words.ts";

export type ColumnType = "number" | "text" | "date" | "period" | "boolean";

/** `ratio`: a number that must not be added up (price, rate). `id`: names one record each. */
export type ColumnRole = "metric" | "ratio" | "dimension" | "time" | "id";

export interface CellProblem {
  address: string;
  text: string;
}

export interface Column {
  /** "c0", "c1": the only name that ever reaches SQL. */
  id: string;
  /** The header without its unit. */
  name: string;
  header: string;
  type: ColumnType;
  role: ColumnRole;
  unit: Unit;
  grain?: Grain;
  hasYear?: boolean;
  isFiscal?: boolean;
  /** Planned figures (计划, 目标, 预算). */
  isPlan: boolean;
  isHidden: boolean;
  /** [records], NaN is missing. */
  values: Float64Array;
  labels: readonly string[];
  /** Column of the sheet, 0-based; undefined for a column made by Quern (unpivoted periods, year and month joined). */
  sheetColumn?: number;
  missingCount: number;
  /** Why it is typed so, in words. */
  decisions: readonly Words[];
  /** Cells that the type cannot hold; they count as missing. */
  unreadable: readonly CellProblem[];
  unreadableCount: number;
}

export interface TotalRow {
  kind: "total" | "subtotal";
  label: string;
  /** 0-based sheet row. */
  sheetRow: number;
  /** Column id -> value found in the total row. */
  values: ReadonlyMap<string, number>;
  /** Records it covers, as indexes [start, end). */
  start: number;
  end: number;
}

export interface Table {
  id: string;
  name: string;
  sheet: string;
  hasSheets: boolean;
  titles: readonly string[];
  recordCount: number;
  columns: readonly Column[];
  /** [records] 0-based sheet row of each. */
  sheetRows: Int32Array;
  /** [records] 0-based sheet column of the metric, for tables turned from wide to long. */
  sheetColumns?: Int32Array;
  totals: readonly TotalRow[];
  /** What was done to the sheet to get the table: rows left out, merged cells filled, columns turned into rows. */
  decisions: readonly Words[];
  /** "A3:F120" on its sheet. */
  range: string;
  hiddenRowCount: number;
  /** Set when the sheet has its metrics in rows: where records and columns stand in it. */
  turnedFrom?: TurnedFrom;
  /** Addresses of formulas without a saved result. */
  emptyFormulas?: readonly string[];
}

/** Address of one cell of a record; for a table turned long, the cell that the metric came from. */
export function recordAddress(table: Table, record: number, column?: Column): string {
  if (table.turnedFrom !== undefined) return addressOf(table, record, column?.sheetColumn ?? 0);
  const row = (table.sheetRows[record] ?? 0) + 1;
  const isTime = column === undefined || column.role === "dimension";
  const at = table.sheetColumns !== undefined && !isTime ? table.sheetColumns[record] : column?.sheetColumn;
  const cell = at === undefined ? `${row}:${row}` : `${columnLetters(at)}${row}`;
  return table.hasSheets ? `${quotedSheet(table.sheet)}!${cell}` : cell;
}

export function columnNamed(table: Table, name: string): Column | undefined {
  return table.columns.find((column) => column.name === name || column.header === name || column.id === name);
}

export function rangeOf(grid: Grid, startRow: number, startColumn: number, endRow: number, endColumn: number): string {
  const range = `${columnLetters(startColumn)}${startRow + 1}:${columnLetters(endColumn)}${endRow + 1}`;
  return grid.hasSheets ? `${quotedSheet(grid.sheet)}!${range}` : range;
}
