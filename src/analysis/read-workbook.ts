// Bytes of a workbook or a delimited file -> grids, one a sheet. The kind is told by the bytes, not by the name. XLSX goes through
// hucre (values, cached formula results, merges, hidden rows); what hucre refuses, and the old XLS, go through @e965/xlsx.
import * as XLSX from "@e965/xlsx";
import { unzipSync, zipSync } from "fflate";
import { readXlsx } from "hucre/xlsx";
import { AppError } from "../base/errors.ts";
import { type Grid, GridBuilder, type Merge } from "./grid.ts";
import { readCsv } from "./read-csv.ts";
import { readLargeXlsx } from "./read-sheet-xml.ts";
import { zipEntries } from "./zip-entries.ts";

export type WorkbookFormat = "xlsx" | "xls" | "csv" | "tsv" | "rows";

export interface Workbook {
  name: string;
  format: WorkbookFormat;
  grids: readonly Grid[];
  /** What a reader of the file should know: encoding taken, sheets hidden, a fallback used. */
  notes: readonly WorkbookNote[];
}

export type WorkbookNote =
  | { kind: "encoding"; encoding: string }
  | { kind: "fallback"; reason: string }
  | { kind: "hidden_sheet"; sheet: string }
  | { kind: "empty_sheet"; sheet: string };

/** What an archive may unpack to before it is taken for a bomb. */
const unpackedLimitBytes = 2 * 1024 ** 3;

/** Reads a file. Throws AppError `unreadable` for what is no table file, `too_large` for an archive that would fill the memory. */
export async function readWorkbook(bytes: Uint8Array, name: string): Promise<Workbook> {
  if (bytes.byteLength === 0)
    throw new AppError("unreadable", `${name} is empty (0 bytes).`, {
      hint: "Save the file again and upload it once more.",
    });
  if (startsWith(bytes, [0x50, 0x4b])) return readZip(bytes, name);
  if (startsWith(bytes, [0xd0, 0xcf, 0x11, 0xe0])) return withNotes(name, "xls", readLegacy(bytes, name), []);
  if (startsWith(bytes, [0x25, 0x50, 0x44, 0x46])) {
    throw new AppError("unsupported", `${name} is a PDF file, not a table.`, {
      hint: "Add it as a document; tables found in it can then be analysed.",
    });
  }
  const { grid, encoding, delimiter } = readCsv(bytes, name);
  return withNotes(
    name,
    delimiter === "\t" ? "tsv" : "csv",
    [grid],
    encoding === "utf-8" ? [] : [{ kind: "encoding", encoding }],
  );
}

async function readZip(bytes: Uint8Array, name: string): Promise<Workbook> {
  refuseBomb(bytes, name);
  try {
    return withNotes(name, "xlsx", readLargeXlsx(bytes) ?? (await readModern(bytes)), []);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return withNotes(name, "xlsx", readLegacy(unpacked(bytes, name), name), [{ kind: "fallback", reason }]);
  }
}

function refuseBomb(bytes: Uint8Array, name: string): void {
  let unpackedBytes = 0;
  let hasWorkbook = false;
  try {
    unzipSync(bytes, {
      filter: (file) => {
        unpackedBytes += file.originalSize;
        hasWorkbook ||= /(^|\/)(workbook\.(xml|bin)|content\.xml)$/.test(file.name);
        return false;
      },
    });
  } catch (cause) {
    throw new AppError("unreadable", `${name} is damaged: its archive cannot be opened.`, {
      hint: "Open it in a spreadsheet program and save it again.",
      cause,
    });
  }
  if (!hasWorkbook)
    throw new AppError("unreadable", `${name} is an archive without a workbook in it.`, {
      hint: "Quern reads XLSX, XLS, CSV and TSV tables.",
    });
  if (unpackedBytes > unpackedLimitBytes) {
    throw new AppError(
      "too_large",
      `${name} would unpack to ${Math.round(unpackedBytes / 1024 ** 2)} MiB; the limit is ${unpackedLimitBytes / 1024 ** 2} MiB.`,
      {
        hint: "Export the sheet as CSV, or split the workbook.",
      },
    );
  }
}

/** The general reader, for all but very large sheets. */
export async function readModern(bytes: Uint8Array): Promise<Grid[]> {
  const workbook = await readXlsx(bytes, { readStyles: true });
  return workbook.sheets.map((sheet) => {
    const builder = new GridBuilder();
    for (const [row, cells] of sheet.rows.entries()) {
      for (let column = 0; column < cells.length; column++) {
        const value = cells[column];
        if (value === null || value === undefined) continue;
        if (typeof value === "number") builder.number(row, column, value);
        else if (typeof value === "string") builder.text(row, column, value);
        else if (typeof value === "boolean") builder.boolean(row, column, value);
        else builder.date(row, column, value.getTime() / 86_400_000);
      }
    }
    for (const [key, cell] of sheet.cells ?? []) {
      const comma = key.indexOf(",");
      const row = Number(key.slice(0, comma));
      const column = Number(key.slice(comma + 1));
      if (cell.type === "error") builder.error(row, column, String(cell.value));
      if (cell.formula !== undefined) builder.formula(row, column, cell.formula);
      if (cell.style?.numFmt !== undefined && typeof cell.value === "number") builder.format(column, cell.style.numFmt);
    }
    const merges = (sheet.merges ?? []).map(({ startRow, startCol, endRow, endCol }) => ({
      startRow,
      startColumn: startCol,
      endRow,
      endColumn: endCol,
    }));
    return builder.finish(sheet.name, {
      merges,
      hiddenRows: new Set([...(sheet.rowDefs ?? [])].filter(([, row]) => row.hidden === true).map(([row]) => row)),
      hiddenColumns: new Set(
        (sheet.columns ?? []).flatMap((column, index) => (column?.hidden === true ? [index] : [])),
      ),
      isHidden: sheet.hidden === true || sheet.veryHidden === true,
    });
  });
}

/**
 * The archive with its entries stored plainly. @e965/xlsx never returns from a damaged DEFLATE stream, so what it gets was inflated
 * here first; what cannot be inflated is damaged for everybody.
 */
function unpacked(bytes: Uint8Array, name: string): Uint8Array {
  try {
    const entries = zipEntries(bytes);
    if (entries === undefined) throw new RangeError("no plain archive");
    return zipSync(Object.fromEntries(entries.map((entry) => [entry.name, entry.read()])), { level: 0 });
  } catch (cause) {
    throw new AppError("unreadable", `${name} is damaged: parts of it cannot be unpacked.`, {
      hint: "Open it in a spreadsheet program and save it again.",
      cause,
    });
  }
}

function readLegacy(bytes: Uint8Array, name: string): Grid[] {
  let workbook: XLSX.WorkBook;
  try {
    workbook = XLSX.read(bytes, { type: "array", cellNF: true, cellFormula: true, cellStyles: true, dense: false });
  } catch (cause) {
    throw new AppError("unreadable", `${name} cannot be read as a workbook.`, {
      hint: "It may be damaged or protected by a password; save it again as XLSX.",
      cause,
    });
  }
  const hidden = workbook.Workbook?.Sheets ?? [];
  return workbook.SheetNames.map((sheetName, index) =>
    legacySheet(workbook.Sheets[sheetName] ?? {}, sheetName, (hidden[index]?.Hidden ?? 0) > 0),
  );
}

function legacySheet(sheet: XLSX.WorkSheet, sheetName: string, isHidden: boolean): Grid {
  const builder = new GridBuilder();
  // The cells that are there, not the range the file claims: a damaged one may claim seventeen thousand million.
  for (const [address, cell] of Object.entries(sheet)) {
    if (address.startsWith("!")) continue;
    const { r, c } = XLSX.utils.decode_cell(address);
    putLegacy(builder, cell as XLSX.CellObject, r, c);
  }
  const hiddenOf = (list: readonly ({ hidden?: boolean | undefined } | undefined)[] | undefined): Set<number> =>
    new Set((list ?? []).flatMap((entry, index) => (entry?.hidden === true ? [index] : [])));
  const merges: Merge[] = (sheet["!merges"] ?? []).map(({ s, e }) => ({
    startRow: s.r,
    startColumn: s.c,
    endRow: e.r,
    endColumn: e.c,
  }));
  return builder.finish(sheetName, {
    merges,
    hiddenRows: hiddenOf(sheet["!rows"]),
    hiddenColumns: hiddenOf(sheet["!cols"]),
    isHidden,
  });
}

function putLegacy(builder: GridBuilder, cell: XLSX.CellObject, row: number, column: number): void {
  if (cell.f !== undefined) builder.formula(row, column, cell.f);
  if (cell.t === "n" && typeof cell.v === "number") {
    const format = typeof cell.z === "string" ? cell.z : "";
    if (format !== "" && XLSX.SSF.is_date(format)) {
      builder.date(row, column, cell.v - 25_569); // 1900 system: day 25569 is 1970-01-01
      return;
    }
    builder.number(row, column, cell.v);
    if (format !== "" && format !== "General") builder.format(column, format);
  } else if (cell.t === "s" && cell.v !== undefined) builder.text(row, column, String(cell.v));
  else if (cell.t === "b") builder.boolean(row, column, cell.v === true);
  else if (cell.t === "e") builder.error(row, column, cell.w ?? "#ERROR");
}

function withNotes(
  name: string,
  format: WorkbookFormat,
  grids: readonly Grid[],
  notes: readonly WorkbookNote[],
): Workbook {
  const all = [...notes];
  for (const grid of grids) {
    if (grid.rowCount === 0) all.push({ kind: "empty_sheet", sheet: grid.sheet });
    else if (grid.isHidden) all.push({ kind: "hidden_sheet", sheet: grid.sheet });
  }
  if (grids.every((grid) => grid.rowCount === 0)) {
    throw new AppError("unreadable", `${name} holds no cells with a value.`, {
      hint: "Check that the right file was chosen and that it was saved.",
    });
  }
  return { name, format, grids, notes: all };
}

/** Rows of text and numbers, as they come out of a document or with a request. */
export interface RowTable {
  name: string;
  rows: readonly (readonly (string | number | boolean | null)[])[];
  merges?: readonly Merge[];
}

export function workbookFromRows(tables: readonly RowTable[], name: string): Workbook {
  const grids = tables.map((table) => {
    const builder = new GridBuilder();
    for (const [row, cells] of table.rows.entries()) {
      for (const [column, value] of cells.entries()) {
        if (typeof value === "number") builder.number(row, column, value);
        else if (typeof value === "boolean") builder.boolean(row, column, value);
        else if (typeof value === "string") builder.text(row, column, value);
      }
    }
    return builder.finish(table.name, { merges: table.merges ?? [], hasSheets: tables.length > 1 });
  });
  return withNotes(name, "rows", grids, []);
}

function startsWith(bytes: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, index) => bytes[index] === byte);
}
