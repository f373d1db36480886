// One sheet as it stands in the file: every cell with its kind, value and address, before anybody decides what it means.
//
// Cells are kept by column in typed arrays (9 bytes a cell plus each distinct text once), because a sheet of three million cells
// as JavaScript values would take a gigabyte and could not be handed to another thread without copying. Rows and columns count
// from 0 here; addresses ("Sheet1!C17") count as spreadsheets do.

import { AppError } from "../base/errors.ts";

export const cellKind = { blank: 0, number: 1, text: 2, boolean: 3, date: 4, error: 5 } as const;
export type CellKind = (typeof cellKind)[keyof typeof cellKind];

/** A value as a reader finds it. Dates are days since 1970-01-01 (UTC), so that no time zone can move them. */
export type CellValue =
  | { kind: "blank" }
  | { kind: "number"; value: number }
  | { kind: "text"; value: string }
  | { kind: "boolean"; value: boolean }
  | { kind: "date"; value: number }
  | { kind: "error"; value: string };

export interface Merge {
  startRow: number;
  startColumn: number;
  endRow: number;
  endColumn: number;
}

export interface GridColumn {
  /** [rows] one CellKind each. */
  kinds: Uint8Array;
  /** [rows] the number, the date in days, 0 or 1, or the index in `texts`. */
  values: Float64Array;
  texts: readonly string[];
  /** Number format of the file -> how many numeric cells carry it. */
  formats: ReadonlyMap<string, number>;
}

/** Plain data only: a grid crosses a thread border by structured clone, its arrays by transfer. */
export interface Grid {
  sheet: string;
  rowCount: number;
  columns: readonly GridColumn[];
  merges: readonly Merge[];
  hiddenRows: ReadonlySet<number>;
  hiddenColumns: ReadonlySet<number>;
  isHidden: boolean;
  /** cellKey(row, column) -> formula text without "=". */
  formulas: ReadonlyMap<number, string>;
  /** Whether addresses name a sheet ("Sheet1!A2") or the file is a single table (CSV: "A2"). */
  hasSheets: boolean;
  /** Set when rows and columns were swapped: cell (r, c) here is cell (rows[c], columns[r]) of the sheet. */
  turnedFrom?: TurnedFrom;
}

export interface TurnedFrom {
  rows: readonly number[];
  columns: readonly number[];
}

const columnsPerSheet = 16_384;

export function cellKey(row: number, column: number): number {
  return row * columnsPerSheet + column;
}

/** 0 -> A, 25 -> Z, 26 -> AA. */
export function columnLetters(column: number): string {
  let letters = "";
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters;
  }
  return letters;
}

/** "C17", or "Sheet1!C17" in a workbook; sheet names with other signs are quoted as spreadsheets do. */
export function addressOf(
  { turnedFrom, ...grid }: Pick<Grid, "sheet" | "hasSheets" | "turnedFrom">,
  row: number,
  column: number,
): string {
  const [sheetRow, sheetColumn] =
    turnedFrom === undefined ? [row, column] : [turnedFrom.rows[column] ?? 0, turnedFrom.columns[row] ?? 0];
  const cell = `${columnLetters(sheetColumn)}${sheetRow + 1}`;
  return grid.hasSheets ? `${quotedSheet(grid.sheet)}!${cell}` : cell;
}

export function quotedSheet(sheet: string): string {
  return /^[\p{L}_][\p{L}\p{N}_]*$/u.test(sheet) ? sheet : `'${sheet.replaceAll("'", "''")}'`;
}

export function cellAt(grid: Grid, row: number, column: number): CellValue {
  const data = grid.columns[column];
  const kind = data?.kinds[row];
  if (data === undefined || kind === undefined || kind === cellKind.blank) return { kind: "blank" };
  const value = data.values[row] ?? 0;
  if (kind === cellKind.number) return { kind: "number", value };
  if (kind === cellKind.date) return { kind: "date", value };
  if (kind === cellKind.boolean) return { kind: "boolean", value: value === 1 };
  const text = data.texts[value] ?? "";
  return kind === cellKind.error ? { kind: "error", value: text } : { kind: "text", value: text };
}

/** The cell as a person would read it. */
export function cellText(grid: Grid, row: number, column: number): string {
  const cell = cellAt(grid, row, column);
  if (cell.kind === "blank") return "";
  if (cell.kind === "date") return isoDate(cell.value);
  return String(cell.value);
}

export function isBlank(grid: Grid, row: number, column: number): boolean {
  return (grid.columns[column]?.kinds[row] ?? cellKind.blank) === cellKind.blank;
}

export function isoDate(days: number): string {
  return new Date(Math.floor(days) * 86_400_000).toISOString().slice(0, 10);
}

/** Fills one column; rows may come in any order and may be skipped. */
class ColumnBuilder {
  kinds = new Uint8Array(64);
  values = new Float64Array(64);
  readonly texts: string[] = [];
  readonly formats = new Map<string, number>();
  readonly #codes = new Map<string, number>();
  #lastText = "";
  #lastCode = -1;

  put(row: number, kind: CellKind, value: number): void {
    if (row >= this.kinds.length) this.#grow(row + 1);
    this.kinds[row] = kind;
    this.values[row] = value;
  }

  /** Neighbouring rows often repeat a text (sorted sheets); comparing is cheaper than hashing. */
  code(text: string): number {
    if (this.#lastCode >= 0 && text === this.#lastText) return this.#lastCode;
    let code = this.#codes.get(text);
    if (code === undefined) {
      code = this.texts.length;
      this.texts.push(text);
      this.#codes.set(text, code);
    }
    this.#lastText = text;
    this.#lastCode = code;
    return code;
  }

  finish(rowCount: number): GridColumn {
    if (this.kinds.length < rowCount) this.#grow(rowCount);
    return {
      kinds: this.kinds.slice(0, rowCount),
      values: this.values.slice(0, rowCount),
      texts: this.texts,
      formats: this.formats,
    };
  }

  #grow(least: number): void {
    const length = Math.max(least, this.kinds.length * 2);
    const kinds = new Uint8Array(length);
    kinds.set(this.kinds);
    this.kinds = kinds;
    const values = new Float64Array(length);
    values.set(this.values);
    this.values = values;
  }
}

export interface GridExtras {
  merges?: readonly Merge[];
  hiddenRows?: ReadonlySet<number>;
  hiddenColumns?: ReadonlySet<number>;
  isHidden?: boolean;
  hasSheets?: boolean;
  turnedFrom?: TurnedFrom;
}

/** Cells that one sheet may fill: a file of this many takes some 3 GiB while it is read. */
export const cellLimit = 16_000_000;

export class GridBuilder {
  readonly #columns: ColumnBuilder[] = [];
  #cells = 0;
  readonly #formulas = new Map<number, string>();
  #rowCount = 0;

  get rowCount(): number {
    return this.#rowCount;
  }

  number(row: number, column: number, value: number): void {
    // What is no finite number can only be an error of the file; it must not turn sums into NaN.
    if (Number.isFinite(value)) this.#column(row, column).put(row, cellKind.number, value);
    else this.error(row, column, String(value));
  }

  /** Text that is blank or only spaces counts as a blank cell. */
  text(row: number, column: number, value: string): void {
    // Most texts begin with a visible sign; only the others need the careful look.
    if (value.charCodeAt(0) <= 32 || value.charCodeAt(0) === 0x3000 || value.charCodeAt(0) === 0xa0 || value === "") {
      if (value.trim() === "") return;
    }
    const target = this.#column(row, column);
    target.put(row, cellKind.text, target.code(value));
  }

  boolean(row: number, column: number, value: boolean): void {
    this.#column(row, column).put(row, cellKind.boolean, value ? 1 : 0);
  }

  /** `days` since 1970-01-01. */
  date(row: number, column: number, days: number): void {
    this.#column(row, column).put(row, cellKind.date, days);
  }

  error(row: number, column: number, value: string): void {
    const target = this.#column(row, column);
    target.put(row, cellKind.error, target.code(value));
  }

  formula(row: number, column: number, formula: string): void {
    this.#formulas.set(cellKey(row, column), formula);
  }

  format(column: number, format: string): void {
    const formats = this.#at(column).formats;
    formats.set(format, (formats.get(format) ?? 0) + 1);
  }

  finish(sheet: string, extras: GridExtras = {}): Grid {
    return {
      sheet,
      rowCount: this.#rowCount,
      columns: this.#columns.map((column) => column.finish(this.#rowCount)),
      merges: extras.merges ?? [],
      hiddenRows: extras.hiddenRows ?? new Set(),
      hiddenColumns: extras.hiddenColumns ?? new Set(),
      isHidden: extras.isHidden ?? false,
      formulas: this.#formulas,
      hasSheets: extras.hasSheets ?? true,
      ...(extras.turnedFrom === undefined ? {} : { turnedFrom: extras.turnedFrom }),
    };
  }

  #column(row: number, column: number): ColumnBuilder {
    if (++this.#cells > cellLimit)
      throw new AppError("too_large", `A sheet has more than ${cellLimit / 1e6} million cells; that is the limit.`, {
        hint: "Leave out columns, or split the file by period.",
      });
    if (row >= this.#rowCount) this.#rowCount = row + 1;
    return this.#at(column);
  }

  #at(column: number): ColumnBuilder {
    for (let missing = this.#columns.length; missing <= column; missing++) this.#columns.push(new ColumnBuilder());
    return this.#columns[column] as ColumnBuilder; // just made, if it was not there
  }
}
