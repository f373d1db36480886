// The tables of an answer as a workbook, one sheet each: what reads as a number is one, percentages keep their sign, all else is text.
import { type Cell, type CellValue, writeXlsx } from "hucre/xlsx";
import { parseNumber } from "../analysis/parse-number.ts";
import { clean, neutral } from "./neutral.ts";
import type { Report, ReportTable } from "./report.ts";

/** Undefined when the report holds no table. */
export async function xlsxOfTables({ title, sections, language }: Report): Promise<Uint8Array | undefined> {
  const tables = sections.map(({ table }) => table).filter((table) => table !== undefined);
  if (tables.length === 0) return undefined;
  const names = new Set<string>();
  const sheets = tables.map((table, index) => {
    const name = sheetName(table.title || `${language === "zh" ? "表" : "Table "}${index + 1}`, names);
    return { name, ...sheetOf(table), freezePane: { rows: 1 } };
  });
  return writeXlsx({ sheets, properties: { title: clean(title), creator: "Quern" } });
}

function sheetOf({ header, rows }: ReportTable): {
  rows: CellValue[][];
  cells: Map<string, Partial<Cell>>;
  columns: { width: number }[];
} {
  const cells = new Map<string, Partial<Cell>>();
  const lines = [header, ...rows].map((line, row) =>
    line.map((value, column): CellValue => {
      if (typeof value === "number") return value;
      const text = neutral(clean(value));
      const parsed = row === 0 ? undefined : parseNumber(value);
      const isPercent = parsed?.unit?.kind === "percent";
      if (row === 0) cells.set(`0,${column}`, { value: text, type: "string", style: { font: { bold: true } } });
      // Numbers with another unit stay text: the cell would lose what it is in.
      if (parsed === undefined || (parsed.unit !== undefined && !isPercent) || /^0\d/.test(value.trim())) return text;
      if (isPercent) cells.set(`${row},${column}`, { value: parsed.value, type: "number", style: { numFmt: "0.0#%" } });
      return parsed.value;
    }),
  );
  return { rows: lines, cells, columns: header.map(() => ({ width: 18 })) };
}

/** At most 31 characters, none of []:*?/\, no name twice. */
function sheetName(title: string, names: Set<string>): string {
  const plain =
    clean(title)
      .replace(/[[\]:*?/\\']+/g, " ")
      .trim()
      .slice(0, 26) || "Table";
  let name = plain;
  for (let count = 2; names.has(name.toLowerCase()); count++) name = `${plain} (${count})`;
  names.add(name.toLowerCase());
  return name;
}
