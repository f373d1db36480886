// Period columns -> rows: 区域 | 1月 | 2月 | 3月 becomes 区域 | 期间 | 数值, one record a cell, each still knowing the cell it came from.
import { grainWords } from "./column-time.ts";
import { type ParsedPeriod, parseDate, parsePeriod } from "./parse-time.ts";
import type { Column, Table, TotalRow } from "./table.ts";
import { startOf } from "./time.ts";
import { plainUnit } from "./unit.ts";
import { languageOf } from "./words.ts";

interface WideColumn {
  column: Column;
  period: ParsedPeriod;
  measure: string;
}

/** What follows a period without being a measure of it: 7月3日, 1月末, Q1 Total. */
const notMeasure = /^(?:[日号初末底前后]|合计|总计|小计|累计|(?:sub-?)?totals?$|sum$|ytd$)/i;

/** "7月销售额", "2025年实际", "Q1 sales" and "Sales Q1 2025" hold a period and a measure in one cell. */
function gluedParts(part: string): string[] {
  const first =
    /^((?:(?:19|20)\d{2}年)?(?:1[0-2]|0?[1-9])月份?|(?:(?:19|20)\d{2}年?)?(?:Q[1-4]|第?[一二三四]季度|[上下]半年)|(?:19|20)\d{2}年?度?)[的\s]*(?=[\p{L}])(.+)$/iu.exec(
      part,
    );
  if (first?.[1] !== undefined && first[2] !== undefined && !notMeasure.test(first[2])) return [first[1], first[2]];
  const last =
    /^(.*\p{L})[\s(（]+((?:Q[1-4]|H[12])(?:\s*(?:19|20)\d{2})?|(?:19|20)\d{2}(?:\s*Q[1-4])?|[A-Za-z]{3,9}[-\s]?\d{2,4})[)）]?$/iu.exec(
      part,
    );
  if (
    last?.[1] !== undefined &&
    last[2] !== undefined &&
    parsePeriod(last[2].replace(/^(\d{4})$/, "$1年")) !== undefined
  )
    return [last[2], last[1]];
  return [part];
}

/** "2025 / 1月", "1月 / 销售额", "2025-07" as a period and what is measured. */
export function headerPeriod(header: string): { period: ParsedPeriod; measure: string } | undefined {
  const parts = header.split(" / ").flatMap(gluedParts);
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

export function toLong(table: Table): Table {
  const wide: WideColumn[] = [];
  for (const column of table.columns) {
    const found = column.type === "number" ? headerPeriod(column.name) : undefined;
    if (found) wide.push({ column, ...found });
  }
  asMonths(wide);
  const grain = wide[0]?.period.grain;
  const measures = [...new Set(wide.map(({ measure }) => measure))];
  const starts = [...new Set(wide.map(({ period }) => period.start))].sort((a, b) => a - b);
  const isRegular =
    wide.every(({ period }) => period.grain === grain && period.hasYear === wide[0]?.period.hasYear) &&
    wide.length === measures.length * starts.length;
  if (grain === undefined || starts.length < 2 || !isRegular) return table;

  const kept = table.columns.filter((column) => !wide.some((entry) => entry.column === column));
  // A number beside the months (合计, Q1 Total, a plan for the year) stands once a row: on every period it would count many times.
  const dropped = kept.filter((column) => column.role === "metric" && column.type === "number");
  const carried = kept.filter((column) => !dropped.includes(column));
  const recordCount = table.recordCount * starts.length;
  const spread = (values: Float64Array): Float64Array =>
    Float64Array.from({ length: recordCount }, (_, i) => values[Math.floor(i / starts.length)] ?? Number.NaN);
  const first = wide[0];
  const isChinese =
    languageOf(`${table.sheet}${table.titles.join("")}${table.columns.map(({ header }) => header).join("")}`) === "zh";
  const periodName = isChinese ? "期间" : "Period";
  const periodColumn: Column = {
    id: `c${table.columns.length}`,
    name: periodName,
    header: periodName,
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
    measureColumn(measure, index, { table, wide, starts, recordCount, isChinese }),
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
        zh: `${wide.length} 个${grainWords[grain].zh}列（${wide[0]?.column.header} … ${wide.at(-1)?.column.header}）转成了行，列名“${periodName}”${dropped.length > 0 ? `；“${dropped.map((column) => column.name).join("、")}”每行只有一个值，不属于某一期，没有读入` : ""}`,
        en: `${wide.length} ${grainWords[grain].en} columns (${wide[0]?.column.header} … ${wide.at(-1)?.column.header}) were turned into rows, column "${periodName}"${dropped.length > 0 ? `; "${dropped.map((column) => column.name).join(", ")}" holds one value a row, of no one period, and is left out` : ""}`,
      },
    ],
  };
}

/** Headers such as 2025-07-01, 2025-08-01 (dates that spreadsheets make of "Jul 25") are months. */
function asMonths(wide: WideColumn[]): void {
  const starts = wide.map(({ period }) => period.start);
  const isFirst = (start: number): boolean => startOf(start, "month") === start;
  const isLast = (start: number): boolean => startOf(start + 1, "month") === start + 1;
  const areMonths =
    wide.every(({ period }) => period.grain === "day") && (starts.every(isFirst) || starts.every(isLast));
  if (!areMonths) return;
  for (const column of wide)
    column.period = { ...column.period, grain: "month", start: startOf(column.period.start, "month") };
}

function measureColumn(
  measure: string,
  index: number,
  {
    table,
    wide,
    starts,
    recordCount,
    isChinese,
  }: {
    table: Table;
    wide: readonly WideColumn[];
    starts: readonly number[];
    recordCount: number;
    isChinese: boolean;
  },
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
  const name = measure === "" ? (fromTitle ?? (isChinese ? "数值" : "Value")) : measure;
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
