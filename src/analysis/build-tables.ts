// Grids -> typed tables: takes each detected layout, fills merged cells, types the columns, turns period columns into rows
// (1月 | 2月 | 3月 becomes 期间 and a value), joins year and month columns, and keeps the total rows for checking.
import { type ColumnOverride, grainWords, typeColumn } from "./columns.ts";
import { detectTables, type TableLayout } from "./detect-tables.ts";
import { cellText, type Grid, isBlank } from "./grid.ts";
import { type Grain, type ParsedPeriod, parseDate, parseNumber, parsePeriod } from "./parse-value.ts";
import type { Workbook } from "./read-workbook.ts";
import { type Column, rangeOf, type Table, type TotalRow } from "./table.ts";
import { parseUnit, plainUnit, type Unit } from "./unit.ts";
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

interface WideColumn {
  column: Column;
  period: ParsedPeriod;
  measure: string;
}

/** "2025 / 1月", "1月 / 销售额", "2025-07" as a period and what is measured. */
function headerPeriod(header: string): { period: ParsedPeriod; measure: string } | undefined {
  const parts = header.split(" / ");
  const year = parts.find((part) => /^(19|20)\d{2}年?度?$/.test(part));
  const others = parts.filter((part) => part !== year);
  const ofPart = (part: string): ParsedPeriod | undefined => {
    const day = parseDate(part);
    return parsePeriod(part) ?? (day === undefined ? undefined : { grain: "day", start: day, hasYear: true });
  };
  const inner = others.find((part) => ofPart(part) !== undefined);
  const text =
    year === undefined ? inner : inner === undefined ? `${year.slice(0, 4)}年` : `${year.slice(0, 4)}年${inner}`;
  if (text === undefined) return undefined;
  const period = ofPart(text) ?? (inner === undefined ? undefined : ofPart(inner));
  if (period === undefined) return undefined;
  return { period, measure: others.filter((part) => part !== inner).join(" / ") };
}

function toLong(table: Table): Table {
  const wide: WideColumn[] = [];
  for (const column of table.columns) {
    const found = column.type === "number" ? headerPeriod(column.header) : undefined;
    if (found) wide.push({ column, ...found });
  }
  const grain = wide[0]?.period.grain;
  const measures = [...new Set(wide.map(({ measure }) => measure))];
  const starts = [...new Set(wide.map(({ period }) => period.start))].sort((a, b) => a - b);
  const isRegular =
    wide.every(({ period }) => period.grain === grain && period.hasYear === wide[0]?.period.hasYear) &&
    wide.length === measures.length * starts.length;
  if (grain === undefined || starts.length < 2 || !isRegular) return table;

  const kept = table.columns.filter((column) => !wide.some((entry) => entry.column === column));
  // A 合计 column beside the months holds what the months add up to: not a metric of its own.
  const dropped = kept.filter(
    (column) => column.type === "number" && /^(合计|总计|小计|累计|全年|total|sum|ytd)/i.test(column.name),
  );
  const carried = kept.filter((column) => !dropped.includes(column));
  const recordCount = table.recordCount * starts.length;
  const spread = (values: Float64Array): Float64Array =>
    Float64Array.from({ length: recordCount }, (_, i) => values[Math.floor(i / starts.length)] ?? Number.NaN);
  const first = wide[0];
  const periodColumn: Column = {
    id: `c${table.columns.length}`,
    name: "期间",
    header: "期间",
    type: "period",
    role: "time",
    unit: plainUnit,
    grain,
    hasYear: first?.period.hasYear ?? true,
    isPlan: false,
    isHidden: false,
    values: Float64Array.from({ length: recordCount }, (_, i) => starts[i % starts.length] ?? Number.NaN),
    labels: [],
    missingCount: 0,
    decisions: [{ zh: `由 ${wide.length} 个期间列转成行`, en: `made from ${wide.length} period columns` }],
    unreadable: [],
    unreadableCount: 0,
  };
  const measureColumns = measures.map((measure, index) =>
    measureColumn(measure, index, { table, wide, starts, recordCount }),
  );
  const sheetColumns = Int32Array.from(
    { length: recordCount },
    (_, i) =>
      wide.find(({ period, measure }) => measure === measures[0] && period.start === starts[i % starts.length])?.column
        .sheetColumn ?? 0,
  );
  return {
    ...table,
    recordCount,
    columns: [
      ...carried.map((column) => ({
        ...column,
        values: spread(column.values),
        missingCount: column.missingCount * starts.length,
      })),
      periodColumn,
      ...measureColumns,
    ],
    sheetRows: Int32Array.from({ length: recordCount }, (_, i) => table.sheetRows[Math.floor(i / starts.length)] ?? 0),
    ...(measures.length === 1 ? { sheetColumns } : {}),
    totals: longTotals(table, { wide, measures, measureColumns, starts }),
    decisions: [
      ...table.decisions,
      {
        zh: `${wide.length} 个${grainWords[grain].zh}列（${wide[0]?.column.header} … ${wide.at(-1)?.column.header}）转成了行，列名“期间”${dropped.length > 0 ? `；“${dropped.map((column) => column.name).join("、")}”是它们的合计，不计入` : ""}`,
        en: `${wide.length} ${grainWords[grain].en} columns (${wide[0]?.column.header} … ${wide.at(-1)?.column.header}) were turned into rows, column "期间"${dropped.length > 0 ? `; "${dropped.map((column) => column.name).join(", ")}" is their total and left out` : ""}`,
      },
    ],
  };
}

function measureColumn(
  measure: string,
  index: number,
  {
    table,
    wide,
    starts,
    recordCount,
  }: { table: Table; wide: readonly WideColumn[]; starts: readonly number[]; recordCount: number },
): Column {
  const parts = starts.map(
    (start) => wide.find((entry) => entry.measure === measure && entry.period.start === start)?.column,
  );
  const template = parts.find((column) => column !== undefined);
  const values = Float64Array.from(
    { length: recordCount },
    (_, i) => parts[i % starts.length]?.values[Math.floor(i / starts.length)] ?? Number.NaN,
  );
  const fromTitle = table.titles
    .map(
      (title) =>
        /(销售额|销量|收入|营收|利润|毛利|成本|费用|产量|出货量|sales|revenue|profit|cost|units)/i.exec(title)?.[1],
    )
    .find((found) => found !== undefined);
  const name = measure === "" ? (fromTitle ?? "数值") : measure;
  const unit =
    parts.map((column) => column?.unit).find((found) => found !== undefined && found.symbol !== "") ?? plainUnit;
  return {
    id: `c${table.columns.length + 1 + index}`,
    name,
    header: name,
    type: "number",
    role: template?.role ?? "metric",
    unit,
    isPlan: template?.isPlan ?? false,
    isHidden: false,
    values,
    labels: [],
    missingCount: values.reduce((count, value) => count + (Number.isNaN(value) ? 1 : 0), 0),
    decisions: [{ zh: "各期间列的数值", en: "the values of the period columns" }, ...(template?.decisions ?? [])],
    unreadable: parts.flatMap((column) => column?.unreadable ?? []).slice(0, 20),
    unreadableCount: parts.reduce((count, column) => count + (column?.unreadableCount ?? 0), 0),
  };
}

/** A total row of a wide table covers all periods of its records: its period totals are added up. */
function longTotals(
  table: Table,
  {
    wide,
    measures,
    measureColumns,
    starts,
  }: {
    wide: readonly WideColumn[];
    measures: readonly string[];
    measureColumns: readonly Column[];
    starts: readonly number[];
  },
): TotalRow[] {
  return table.totals.map((total) => {
    const values = new Map<string, number>();
    for (const [index, measure] of measures.entries()) {
      const parts = wide.filter((entry) => entry.measure === measure).map((entry) => total.values.get(entry.column.id));
      const id = measureColumns[index]?.id;
      if (id !== undefined && parts.every((part) => part !== undefined))
        values.set(
          id,
          parts.reduce<number>((sum, part) => sum + (part ?? 0), 0),
        );
    }
    return { ...total, values, start: total.start * starts.length, end: total.end * starts.length };
  });
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
