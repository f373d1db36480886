// Grids -> typed tables: takes each detected layout, fills merged cells, types the columns, turns period columns into rows
// (1月 | 2月 | 3月 becomes 期间 and a value), joins year and month columns, and keeps the total rows for checking.
import { grainWords } from "./column-time.ts";
import { type ColumnOverride, typeColumn } from "./columns.ts";
import { detectTables, type TableLayout } from "./detect-tables.ts";
import { cellText, type Grid, isBlank } from "./grid.ts";
import { type Grain, parseNumber } from "./parse-value.ts";
import type { Workbook } from "./read-workbook.ts";
import { type Column, rangeOf, type Table, type TotalRow } from "./table.ts";
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

function buildTable(grid: Grid, layout: TableLayout, id: string, options: BuildOptions): Table {
  const { region, headers, firstBodyRow, excluded } = layout;
  const leftOut = new Set(excluded.map(({ row }) => row));
  const rows = bodyRows(firstBodyRow, region.endRow, leftOut);
  const decisions: Words[] = [];
  describeExcluded(layout, decisions);
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
  const hidden = columns.filter((column) => column.isHidden).map((column) => column.name);
  if (hidden.length > 0)
    decisions.push({
      zh: `隐藏的列也已读入：${hidden.join("、")}`,
      en: `hidden columns are read too: ${hidden.join(", ")}`,
    });
  const hiddenRowCount = rows.reduce((count, row) => count + (grid.hiddenRows.has(row) ? 1 : 0), 0);
  if (hiddenRowCount > 0)
    decisions.push({ zh: `${hiddenRowCount} 个隐藏的行已计入`, en: `${hiddenRowCount} hidden rows are counted in` });
  const cached = formulaCount(grid, layout);
  if (cached > 0)
    decisions.push({
      zh: `${cached} 个公式单元格取文件里保存的结果`,
      en: `${cached} formula cells are taken with the results saved in the file`,
    });
  const table: Table = {
    id,
    name: layout.titles.find((title) => !/^(单位|unit|制表|日期|date)/i.test(title)) ?? grid.sheet,
    sheet: grid.sheet,
    hasSheets: grid.hasSheets,
    titles: layout.titles,
    recordCount: rows.length,
    columns: columns.filter((column) => !(column.missingCount === rows.length && /^[A-Z]{1,2}$/.test(column.header))),
    sheetRows: rows,
    totals: totalRows(grid, layout, rows, columns),
    decisions,
    range: rangeOf(grid, region.startRow, region.startColumn, region.endRow, region.endColumn),
    hiddenRowCount,
  };
  const long = options.keepWide === true ? table : toLong(table);
  return joinYearAndPart(long);
}

function bodyRows(start: number, end: number, leftOut: ReadonlySet<number>): Int32Array {
  const rows = new Int32Array(end - start + 1);
  let count = 0;
  for (let row = start; row <= end; row++) if (!leftOut.has(row)) rows[count++] = row;
  return rows.slice(0, count);
}

function describeExcluded({ excluded, headerRows, titles }: TableLayout, decisions: Words[]): void {
  if (titles.length > 0)
    decisions.push({
      zh: `表头上方的 ${titles.length} 行是标题：${titles.join("；")}`,
      en: `${titles.length} title rows above the header: ${titles.join("; ")}`,
    });
  if (headerRows.length === 0)
    decisions.push({
      zh: "没有找到表头，列名用列字母",
      en: "no header row was found; columns are named by their letters",
    });
  else if (headerRows.length > 1)
    decisions.push({
      zh: `表头有 ${headerRows.length} 行，已合并`,
      en: `the header has ${headerRows.length} rows, joined into one`,
    });
  const kinds: readonly (readonly [string, Words])[] = [
    ["subtotal", { zh: "小计行", en: "subtotal rows" }],
    ["total", { zh: "合计行", en: "total rows" }],
    ["repeated_header", { zh: "重复的表头行", en: "repeated header rows" }],
    ["note", { zh: "注释行", en: "note rows" }],
  ];
  for (const [kind, words] of kinds) {
    const rows = excluded.filter((row) => row.kind === kind).map(({ row }) => row + 1);
    if (rows.length === 0) continue;
    const shown = rows.slice(0, 8).join(", ") + (rows.length > 8 ? " …" : "");
    decisions.push({
      zh: `${rows.length} 个${words.zh}不计入数据（第 ${shown} 行）`,
      en: `${rows.length} ${words.en} are left out of the data (row ${shown})`,
    });
  }
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

function formulaCount(grid: Grid, { region, firstBodyRow }: TableLayout): number {
  let count = 0;
  for (const key of grid.formulas.keys()) {
    const row = Math.floor(key / 16_384);
    const column = key % 16_384;
    if (row >= firstBodyRow && row <= region.endRow && column >= region.startColumn && column <= region.endColumn)
      count++;
  }
  return count;
}

function totalRows(grid: Grid, layout: TableLayout, rows: Int32Array, columns: readonly Column[]): TotalRow[] {
  const totals: TotalRow[] = [];
  let groupStart = 0;
  for (const { row, kind, label } of layout.excluded) {
    if (kind !== "total" && kind !== "subtotal") continue;
    const end = lowerBound(rows, row);
    const values = new Map<string, number>();
    for (const column of columns) {
      if (column.type !== "number" || column.sheetColumn === undefined) continue;
      const text = cellText(grid, row, column.sheetColumn);
      const value = parseNumber(text)?.value;
      if (value !== undefined) values.set(column.id, value);
    }
    if (values.size > 0)
      totals.push({
        kind,
        label,
        sheetRow: row,
        values,
        start: kind === "total" ? 0 : groupStart,
        end: kind === "total" && end === 0 ? rows.length : end,
      });
    if (kind === "subtotal") groupStart = end;
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
