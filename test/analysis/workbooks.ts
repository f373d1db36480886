// Small ways to make workbooks for tests: rows in, bytes out.
import { type CellValue, writeXlsx } from "hucre/xlsx";
import { type BuildOptions, buildTables } from "../../src/analysis/build-tables.ts";
import { readWorkbook } from "../../src/analysis/read-workbook.ts";
import type { Table } from "../../src/analysis/table.ts";
import { type Column, columnNamed } from "../../src/analysis/table.ts";

export type Cells = CellValue[][];

export interface SheetParts {
  name?: string;
  rows: Cells;
  /** "A1:C1" style. */
  merges?: readonly string[];
  hiddenRows?: readonly number[];
  hiddenColumns?: readonly number[];
  hidden?: boolean;
  /** "C5" -> [formula, saved result]; a result left out was never computed. */
  formulas?: Readonly<Record<string, readonly [string, number | undefined]>>;
  /** Column letter -> number format of its numeric cells. */
  formats?: Readonly<Record<string, string>>;
}

const columnOf = (letters: string): number =>
  [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;

function cellOf(address: string): { row: number; column: number } {
  const match = /^([A-Z]+)(\d+)$/.exec(address);
  return { row: Number(match?.[2]) - 1, column: columnOf(match?.[1] ?? "A") };
}

export async function xlsx(...sheets: readonly SheetParts[]): Promise<Uint8Array> {
  return writeXlsx({
    sheets: sheets.map(
      (
        { name, rows, merges = [], hiddenRows = [], hiddenColumns = [], hidden = false, formulas = {}, formats = {} },
        index,
      ) => {
        const cells = new Map<string, object>();
        for (const [letters, numFmt] of Object.entries(formats)) {
          for (const [row, line] of rows.entries()) {
            const value = line[columnOf(letters)];
            if (typeof value === "number")
              cells.set(`${row},${columnOf(letters)}`, { value, type: "number", style: { numFmt } });
          }
        }
        for (const [address, [formula, formulaResult]] of Object.entries(formulas)) {
          const { row, column } = cellOf(address);
          cells.set(`${row},${column}`, { value: formulaResult, type: "formula", formula, formulaResult });
        }
        const width = Math.max(...rows.map((row) => row.length));
        return {
          name: name ?? `Sheet${index + 1}`,
          rows,
          cells,
          hidden,
          merges: merges.map((range) => {
            const [from, to] = range.split(":").map((address) => cellOf(address));
            return {
              startRow: from?.row ?? 0,
              startCol: from?.column ?? 0,
              endRow: to?.row ?? 0,
              endCol: to?.column ?? 0,
            };
          }),
          rowDefs: new Map(hiddenRows.map((row) => [row, { hidden: true }])),
          columns: Array.from({ length: width }, (_, column) =>
            hiddenColumns.includes(column) ? { hidden: true } : {},
          ),
        };
      },
    ),
  });
}

export async function tablesOf(bytes: Uint8Array, options: BuildOptions = {}, name = "book.xlsx"): Promise<Table[]> {
  return buildTables(await readWorkbook(bytes, name), options);
}

export async function tableOf(parts: SheetParts, options: BuildOptions = {}): Promise<Table> {
  const [table] = await tablesOf(await xlsx(parts), options);
  if (table === undefined) throw new Error("no table was found");
  return table;
}

export async function csvTable(text: string | Uint8Array, name = "data.csv"): Promise<Table> {
  const [table] = await tablesOf(typeof text === "string" ? new TextEncoder().encode(text) : text, {}, name);
  if (table === undefined) throw new Error("no table was found");
  return table;
}

export function column(table: Table, name: string): Column {
  const found = columnNamed(table, name);
  if (found === undefined)
    throw new Error(`no column ${name} among ${table.columns.map((one) => one.name).join(", ")}`);
  return found;
}

/** Values as people read them: labels of texts, ISO dates, numbers, null where missing. */
export function shown(one: Column): (string | number | null)[] {
  return Array.from(one.values, (value) => {
    if (Number.isNaN(value)) return null;
    if (one.type === "text" || one.type === "boolean") return one.labels[value] ?? null;
    return one.type === "number" ? value : new Date(value * 86_400_000).toISOString().slice(0, 10);
  });
}
