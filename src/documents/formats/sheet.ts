// XLSX by hucre, XLS and what hucre refuses by SheetJS: every sheet a page with one table, each cell with its address and, where there
// is one, its formula. Values are those the program that wrote the file calculated; a formula without one is shown as the formula and
// said so. Empty rows and columns are left out of the grid (addresses keep the true place).
import * as SheetJs from "@e965/xlsx";
import { readXlsx } from "hucre/xlsx";
import { AppError } from "../../base/errors.ts";
import type { TableCell } from "../document.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, type DraftPage, flowPage, type ReadContext } from "../reader.ts";
import { warnOfParts } from "./docx.ts";
import { unpackZip } from "./zip.ts";

interface SheetCell {
  row: number;
  column: number;
  text: string;
  formula?: string;
}

interface SheetTable {
  name: string;
  isHidden: boolean;
  cells: SheetCell[];
  merges: { row: number; column: number; rows: number; columns: number }[];
}

export async function readXlsxFile(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const { name, limits, password } = context;
  const isCompound = bytes[0] === 0xd0;
  if (isCompound && password === undefined)
    throw new AppError("unauthorized", `${name} is encrypted.`, {
      hint: "Give the password that opens the file.",
      param: "password",
      details: { needsPassword: true },
    });
  if (!isCompound) warnOfParts(unpackZip(bytes, { name, limitBytes: limits.unpackedBytes }), context, "xl/");
  let sheets: SheetTable[];
  try {
    sheets = await withHucre(bytes, context);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if (isCompound)
      throw new AppError(
        "forbidden",
        `${name}: the password is wrong or its encryption is of a kind that is not read.`,
        { cause, param: "password" },
      );
    sheets = withSheetJs(bytes, context);
  }
  return draftOf(sheets, context);
}

export async function readXlsFile(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  if (bytes[0] === 0x50) unpackZip(bytes, { name: context.name, limitBytes: context.limits.unpackedBytes });
  return draftOf(withSheetJs(bytes, context), context);
}

async function withHucre(bytes: Uint8Array, { limits, name, password }: ReadContext): Promise<SheetTable[]> {
  const book = await readXlsx(bytes, password === undefined ? {} : { password });
  let count = 0;
  return book.sheets.map((sheet) => {
    const cells: SheetCell[] = [];
    for (const [row, values] of sheet.rows.entries())
      for (const [column, value] of values.entries()) {
        const formula = sheet.cells?.get(`${row},${column}`)?.formula;
        if ((value === null || value === undefined || value === "") && formula === undefined) continue;
        if (++count > limits.cells) throw tooManyCells(name, limits.cells);
        cells.push({ row, column, text: shown(value), ...(formula === undefined ? {} : { formula }) });
      }
    const merges = (sheet.merges ?? []).map(({ startRow, startCol, endRow, endCol }) => ({
      row: startRow,
      column: startCol,
      rows: endRow - startRow + 1,
      columns: endCol - startCol + 1,
    }));
    return { name: sheet.name, isHidden: sheet.hidden === true || sheet.veryHidden === true, cells, merges };
  });
}

function withSheetJs(bytes: Uint8Array, { limits, name, password }: ReadContext): SheetTable[] {
  let book: SheetJs.WorkBook;
  try {
    book = SheetJs.read(bytes, {
      type: "array",
      cellDates: true,
      cellHTML: false,
      cellText: true,
      dense: false,
      ...(password === undefined ? {} : { password }),
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "";
    if (/password|encrypt/i.test(message))
      throw new AppError("unauthorized", `${name} is encrypted.`, {
        hint: "Give the password, or save it without one.",
        param: "password",
        details: { needsPassword: true },
        cause,
      });
    throw new AppError("unreadable", `${name} is damaged: it cannot be read as a workbook.`, {
      hint: "Open it in Excel or WPS and save it again.",
      cause,
    });
  }
  let count = 0;
  return book.SheetNames.map((sheetName, index) => {
    const sheet = book.Sheets[sheetName] ?? {};
    const cells: SheetCell[] = [];
    for (const [address, value] of Object.entries(sheet)) {
      if (address.startsWith("!")) continue;
      const cell = value as SheetJs.CellObject;
      if ((cell.v === undefined || cell.v === "") && cell.f === undefined) continue;
      if (++count > limits.cells) throw tooManyCells(name, limits.cells);
      const { r: row, c: column } = SheetJs.utils.decode_cell(address);
      cells.push({ row, column, text: shown(cell.v), ...(cell.f === undefined ? {} : { formula: cell.f }) });
    }
    const merges = (sheet["!merges"] ?? []).map(({ s, e }) => ({
      row: s.r,
      column: s.c,
      rows: e.r - s.r + 1,
      columns: e.c - s.c + 1,
    }));
    return { name: sheetName, isHidden: (book.Workbook?.Sheets?.[index]?.Hidden ?? 0) > 0, cells, merges };
  });
}

function tooManyCells(name: string, limit: number): AppError {
  return new AppError("too_large", `${name} has more than ${limit} filled cells; the limit is ${limit}.`, {
    hint: "Ask through the analysis, which takes larger tables.",
  });
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) return "";
    const text = value.toISOString();
    return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text.slice(0, 19).replace("T", " ");
  }
  if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
  // 0.1 + 0.2 is stored with its binary rest; Excel shows 15 digits, so do we.
  if (typeof value === "number") return String(Number.isInteger(value) ? value : Number(value.toPrecision(15)));
  return String(value);
}

function draftOf(sheets: readonly SheetTable[], context: ReadContext): Draft {
  const { name, warn } = context;
  const pages: DraftPage[] = sheets.slice(0, context.limits.pages).map((sheet, index) => {
    const number = index + 1;
    const bare = sheet.cells.filter((cell) => cell.formula !== undefined && cell.text === "");
    if (bare.length > 0)
      warn({
        code: "no_cached_values",
        message: `${name}, sheet ${sheet.name}: ${bare.length} formula(s) without a calculated value (first: ${addressOf(bare[0]?.row ?? 0, bare[0]?.column ?? 0)}); the formulas are shown. Open and save the file in Excel or WPS to fill them in.`,
        page: number,
      });
    if (sheet.isHidden && sheet.cells.length > 0)
      warn({
        code: "hidden_sheet",
        message: `${name}, sheet ${sheet.name}: hidden in the workbook, read all the same.`,
        page: number,
      });
    const table = tableOf(sheet, number);
    context.progress({ page: number, pages: sheets.length, step: "reading" });
    return flowPage(
      number,
      table ? [{ kind: "heading", page: number, level: 2, text: sheet.name }, table] : [],
      sheet.name,
    );
  });
  if (sheets.length > pages.length)
    warn({
      code: "pages_left_out",
      message: `${name} has ${sheets.length} sheets; those after ${pages.length} were not read.`,
      page: pages.length + 1,
    });
  return { kind: "xlsx", pages };
}

function tableOf(sheet: SheetTable, page: number): DraftSegment | undefined {
  if (sheet.cells.length === 0) return undefined;
  const rows = [...new Set(sheet.cells.map((cell) => cell.row))].sort((a, b) => a - b);
  const columns = [...new Set(sheet.cells.map((cell) => cell.column))].sort((a, b) => a - b);
  const rowIndex = new Map(rows.map((row, index) => [row, index]));
  const columnIndex = new Map(columns.map((column, index) => [column, index]));
  const merged = new Map(sheet.merges.map((merge) => [`${merge.row},${merge.column}`, merge]));
  const within = (sorted: readonly number[], from: number, count: number): number =>
    sorted.filter((value) => value >= from && value < from + count).length;
  const cells = sheet.cells.map((cell): TableCell => {
    const merge = merged.get(`${cell.row},${cell.column}`);
    const rowSpan = merge ? within(rows, cell.row, merge.rows) : 1;
    const columnSpan = merge ? within(columns, cell.column, merge.columns) : 1;
    return {
      row: rowIndex.get(cell.row) ?? 0,
      column: columnIndex.get(cell.column) ?? 0,
      ...(rowSpan > 1 ? { rowSpan } : {}),
      ...(columnSpan > 1 ? { columnSpan } : {}),
      text: cell.text === "" && cell.formula !== undefined ? `=${cell.formula}` : cell.text,
      address: addressOf(cell.row, cell.column),
      ...(cell.formula === undefined ? {} : { formula: cell.formula }),
    };
  });
  // Far-apart cells must not become a huge empty grid.
  const isSparse = rows.length * columns.length > Math.max(100_000, sheet.cells.length * 50);
  if (!isSparse) return { kind: "table", page, rows: rows.length, columns: columns.length, cells };
  const listed = cells.map(({ address, text, formula }, row): TableCell[] => [
    { row, column: 0, text: address ?? "" },
    {
      row,
      column: 1,
      text,
      ...(address === undefined ? {} : { address }),
      ...(formula === undefined ? {} : { formula }),
    },
  ]);
  return { kind: "table", page, rows: cells.length, columns: 2, cells: listed.flat() };
}

export function addressOf(row: number, column: number): string {
  let letters = "";
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26))
    letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters;
  return `${letters}${row + 1}`;
}
