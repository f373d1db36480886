// Grids -> typed tables: takes each detected layout, fills merged cells, types the columns, turns period columns into rows
// (1月 | 2月 | 3月 becomes 期间 and a value), joins year and month columns, and keeps the total rows for checking.

import { grainWords } from "./column-time.ts";
import { type ColumnOverride, typeColumn } from "./columns.ts";
import { describeExcluded, describeFormulas, describeHidden, formulaCells } from "./describe-layout.ts";
import { detectTables, type TableLayout } from "./detect-tables.ts";
import { cellText, type Grid, isBlank } from "./grid.ts";
import { decimalMark, parseNumber } from "./parse-number.ts";
import type { Grain } from "./parse-time.ts";
import type { Workbook } from "./read-workbook.ts";
import { sectionColumn } from "./section-column.ts";
import { type Column, rangeOf, type Table, type TotalRow } from "./table.ts";
import { turnMetrics } from "./turn-metrics.ts";
import { parseUnit, type Unit } from "./unit.ts";
import { toLong } from "./wide-to-long.ts";
import type { Words } from "./words.ts";

export interface BuildOptions {
  /** By table id, then by header. */
  overrides?: Readonly<Record<string, Readonly<Record<string, ColumnOverride>>>>;
  /** Keep columns such as 1月, 2月, 3月 as they stand. */
  keepWide?: boolean;
}

/** All tables of a workbook, the largest first. Hidden sheets come last. */
export function buildTables(workbook: Workbook, options: BuildOptions = {}): Table[] {
  const tables: { table: Table; isHidden: boolean }[] = [];
  for (const grid of workbook.grids) {
    for (const layout of detectTables(grid)) {
      const id = `t${tables.length}`;
      tables.push({ table: buildTable(grid, layout, id, options), isHidden: grid.isHidden });
    }
  }
  return tables
    .sort((a, b) => Number(a.isHidden) - Number(b.isHidden) || size(b.table) - size(a.table))
    .map(({ table }) => table);
}

const size = (table: Table): number => table.recordCount * table.columns.length;

function buildTable(sheet: Grid, found: TableLayout, id: string, options: BuildOptions): Table {
  const turned = options.keepWide === true ? undefined : turnMetrics(sheet, found);
  const { grid, layout } = turned ?? { grid: sheet, layout: found };
  const { region, headers, firstBodyRow, excluded } = layout;
  const leftOut = new Set(excluded.map(({ row }) => row));
  const rows = bodyRows(firstBodyRow, region.endRow, leftOut);
  const decisions: Words[] = [];
  describeExcluded(found, decisions);
  if (turned !== undefined)
    decisions.push({
      zh: `指标写在行里、期间写在列里：已转置，每个指标一列（${layout.headers.slice(1).join("、")}）`,
      en: `metrics stand in rows and periods in columns: turned, one column a metric (${layout.headers.slice(1).join(", ")})`,
    });
  const filled = filledCells(grid, layout, rows, decisions);
  const tableUnit = unitLine(layout.titles);
  const overrides = options.overrides?.[id] ?? {};
  const columns = headers.map((header, index) =>
    typeColumn(grid, {
      id: `c${index}`,
      header,
      sheetColumn: region.startColumn + index,
      rows,
      filledFrom: filled[index] ?? new Map(),
      tableUnit,
      override: overrides[header] ?? {},
    }),
  );
  const section = sectionColumn(grid, layout, rows, columns.length);
  if (section !== undefined) columns.push(section);
  const hiddenRowCount = describeHidden(grid, rows, columns, decisions);
  const formulas = formulaCells(grid, layout);
  describeFormulas(formulas, decisions);
  const table: Table = {
    id,
    name: tableName(layout.titles) ?? grid.sheet,
    sheet: grid.sheet,
    hasSheets: grid.hasSheets,
    titles: layout.titles,
    recordCount: rows.length,
    columns: columns.filter((column) => !(column.missingCount === rows.length && /^[A-Z]{1,2}$/.test(column.header))),
    sheetRows: rows,
    totals: totalRows(grid, layout, rows, columns),
    decisions,
    range: rangeOf(sheet, found.region.startRow, found.region.startColumn, found.region.endRow, found.region.endColumn),
    hiddenRowCount,
    ...(grid.turnedFrom === undefined ? {} : { turnedFrom: grid.turnedFrom }),
    ...(formulas.empty.length === 0 ? {} : { emptyFormulas: formulas.empty }),
  };
  const long = options.keepWide === true ? table : toLong(table);
  return joinYearAndPart(long);
}

/** The first title that names the table, without its unit. */
function tableName(titles: readonly string[]): string | undefined {
  return titles
    .find((title) => !/^[(（]?(单位|unit|in\b|制表|编制|日期|date)/i.test(title))
    ?.replace(/\s*[(（]\s*单位[^)）]*[)）]\s*$/, "");
}

function bodyRows(start: number, end: number, leftOut: ReadonlySet<number>): Int32Array {
  const rows = new Int32Array(end - start + 1);
  let count = 0;
  for (let row = start; row <= end; row++) if (!leftOut.has(row)) rows[count++] = row;
  return rows.slice(0, count);
}

/** "单位：万元" or "(in USD k)" above the table. */
function unitLine(titles: readonly string[]): Unit | undefined {
  for (const title of titles) {
    const found = /(?:单位|unit|in)\s*[:：]?\s*([^\s,，;；()（）]+(?:\s?[km]n?)?)/i.exec(title);
    const unit = found ? parseUnit(found[1] ?? "") : undefined;
    if (unit !== undefined) return unit;
  }
  return undefined;
}

/** Per column: blank sheet row -> sheet row whose value it shows, by vertical merges, or by a report that prints each name once. */
function filledCells(grid: Grid, layout: TableLayout, rows: Int32Array, decisions: Words[]): Map<number, number>[] {
  const { region, firstBodyRow, headers, excluded } = layout;
  const filled = headers.map(() => new Map<number, number>());
  let mergedCells = 0;
  for (const merge of grid.merges) {
    if (merge.startRow < firstBodyRow || merge.endRow > region.endRow || merge.endRow === merge.startRow) continue;
    for (let column = merge.startColumn; column <= merge.endColumn; column++) {
      const target = filled[column - region.startColumn];
      if (target === undefined || column !== merge.startColumn) continue;
      for (let row = merge.startRow + 1; row <= merge.endRow; row++) {
        target.set(row, merge.startRow);
        mergedCells++;
      }
    }
  }
  if (mergedCells > 0)
    decisions.push({
      zh: `合并单元格的值填到它覆盖的 ${mergedCells} 个单元格`,
      en: `merged cells give their value to the ${mergedCells} cells they cover`,
    });
  const hasSubtotals = excluded.some(({ kind }) => kind === "subtotal");
  const first = filled[0];
  if (
    first !== undefined &&
    first.size === 0 &&
    rows.length >= 4 &&
    printsOnce(grid, region.startColumn, rows, hasSubtotals)
  ) {
    let from = rows[0] ?? 0;
    for (const row of rows) {
      if (isBlank(grid, row, region.startColumn)) first.set(row, from);
      else from = row;
    }
    decisions.push({
      zh: `“${headers[0]}”只在每组首行填写，空白处沿用上一行的值`,
      en: `"${headers[0]}" is written once per group; blanks take the value above`,
    });
  }
  return filled;
}

/** First column: a name, then blanks until the next name, no name twice. */
function printsOnce(grid: Grid, column: number, rows: Int32Array, hasSubtotals: boolean): boolean {
  const names = new Set<string>();
  let blanks = 0;
  for (const [index, row] of rows.entries()) {
    if (isBlank(grid, row, column)) {
      if (index === 0) return false;
      blanks++;
      continue;
    }
    const text = cellText(grid, row, column);
    if (names.has(text) || parseNumber(text) !== undefined) return false;
    names.add(text);
  }
  return names.size >= 2 && blanks >= rows.length * (hasSubtotals ? 0.2 : 0.5);
}

function totalRows(grid: Grid, layout: TableLayout, rows: Int32Array, columns: readonly Column[]): TotalRow[] {
  const totals: TotalRow[] = [];
  const marks = new Map(
    columns.map((column) => [column.id, decimalMark(grid.columns[column.sheetColumn ?? -1]?.texts ?? [])]),
  );
  let groupStart = 0;
  for (const { row, kind, label, covers } of layout.excluded) {
    if (kind !== "total" && kind !== "subtotal") continue;
    const end = lowerBound(rows, row);
    const values = new Map<string, number>();
    for (const column of columns) {
      if (column.type !== "number" || column.sheetColumn === undefined) continue;
      const text = cellText(grid, row, column.sheetColumn);
      const value = parseNumber(text, marks.get(column.id))?.value;
      if (value !== undefined) values.set(column.id, value);
    }
    const [start, stop] =
      covers !== undefined
        ? [lowerBound(rows, covers[0]), lowerBound(rows, covers[1] + 1)]
        : [kind === "total" ? 0 : groupStart, kind === "total" && end === 0 ? rows.length : end];
    if (values.size > 0) totals.push({ kind, label, sheetRow: row, values, start, end: stop });
    if (kind === "subtotal" && covers === undefined) groupStart = end;
  }
  return totals;
}

/** How many of the sorted rows lie above `row`. */
function lowerBound(rows: Int32Array, row: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle] ?? 0) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** 年份 and 月份 side by side make one time column with a year. */
function joinYearAndPart(table: Table): Table {
  const year = table.columns.find(
    (column) =>
      column.type === "period" && column.grain === "year" && column.hasYear === true && column.isFiscal !== true,
  );
  const part = table.columns.find(
    (column) =>
      column.type === "period" && column.hasYear === false && (column.grain === "month" || column.grain === "quarter"),
  );
  if (year === undefined || part === undefined || part.grain === undefined) return table;
  const grain: Grain = part.grain;
  const values = Float64Array.from({ length: table.recordCount }, (_, i) => {
    const [y, p] = [year.values[i] ?? Number.NaN, part.values[i] ?? Number.NaN];
    if (Number.isNaN(y) || Number.isNaN(p)) return Number.NaN;
    return Math.round(
      Date.UTC(new Date(y * 86_400_000).getUTCFullYear(), new Date(p * 86_400_000).getUTCMonth(), 1) / 86_400_000,
    );
  });
  const joined: Column = {
    ...part,
    id: `c${Math.max(...table.columns.map((column) => Number(column.id.slice(1)))) + 1}`,
    name: `${year.name}${part.name}`,
    header: `${year.name}${part.name}`,
    hasYear: true,
    values,
    missingCount: values.reduce((count, value) => count + (Number.isNaN(value) ? 1 : 0), 0),
    decisions: [
      {
        zh: `由“${year.name}”和“${part.name}”合成（${grainWords[grain].zh}）`,
        en: `joined from "${year.name}" and "${part.name}" (${grainWords[grain].en})`,
      },
    ],
  };
  return { ...table, columns: [...table.columns, joined] };
}
