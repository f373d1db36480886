// A workbook that computes: the rows used, copied to a data sheet; the analysis as SUMIFS formulas over them, with the results saved
// so that viewers show them at once; a native chart on the formulas. Change a row and everything follows.
import { type Cell, type CellValue, type SheetChart, type WriteSheet, writeXlsx } from "hucre/xlsx";
import type { Analysis } from "../analysis/analyse.ts";
import { quotedSheet } from "../analysis/grid.ts";
import { periodStarts } from "../analysis/query.ts";
import { type Column, columnNamed, recordAddress, type Table } from "../analysis/table.ts";
import { periodTick, startOf } from "../analysis/time.ts";
import { chartColours } from "./chart-colours.ts";
import { clean, neutral } from "./neutral.ts";
import { memberTable, reportOf } from "./report.ts";
import { type AnalysisCell, type DataSheet, formulaRows } from "./xlsx-formulas.ts";

/** Rows copied at most; beyond, the analysis sheet holds values instead of formulas and says so. */
const dataRowLimit = 100_000;

type Sheet = WriteSheet & { rows: CellValue[][]; cells: Map<string, Partial<Cell>> };

export async function xlsxBytes(analysis: Analysis, table?: Table): Promise<Uint8Array> {
  const zh = analysis.language === "zh";
  const names = zh
    ? { analysis: "分析", data: "数据", notes: "说明" }
    : { analysis: "Analysis", data: "Data", notes: "Notes" };
  const data = table === undefined ? undefined : dataSheet(analysis, table, names.data);
  const sheets = [
    analysisSheet(analysis, names.analysis, data),
    ...(data === undefined ? [] : [data.sheet]),
    notesSheet(analysis, names.notes, data !== undefined),
  ];
  return writeXlsx({ sheets, properties: { title: clean(reportOf(analysis).title), creator: "Quern" } });
}

function text(value: string): string {
  return neutral(clean(value));
}

/** The records in scope, in the columns the analysis uses, each with the address it came from. */
function dataSheet(analysis: Analysis, table: Table, name: string): DataSheet | undefined {
  const { plan } = analysis;
  const used = [
    ...new Set([
      ...plan.filters.map((filter) => filter.column),
      ...plan.breakdown,
      ...(plan.metric === "*" ? [] : [plan.metric]),
      ...(plan.planMetric === undefined ? [] : [plan.planMetric]),
      ...(plan.versus === undefined ? [] : [plan.versus]),
    ]),
  ];
  const columns = used.map((one) => columnNamed(table, one)).filter((column) => column !== undefined);
  // An analysis that came back from a client may name columns of another table; formulas would then point nowhere.
  if (columns.length !== used.length || columns.length > 24) return undefined;
  const time = plan.period === undefined ? undefined : columnNamed(table, plan.period.column);
  const starts = periodStarts(plan);
  const grain = plan.period?.grain ?? "month";
  const tick = (days: number): string =>
    periodTick(startOf(days, grain), {
      grain,
      hasYear: time?.hasYear ?? true,
      isFiscal: time?.isFiscal === true && grain === "year",
    });
  const isKept = keeper(
    analysis,
    table,
    time,
    starts === undefined
      ? undefined
      : new Set([starts.current, ...(plan.comparison === "plan" ? [] : [starts.previous])]),
  );
  const rows: CellValue[][] = [];
  const metric = columnNamed(table, plan.metric);
  for (let record = 0; record < table.recordCount; record++) {
    if (!isKept(record)) continue;
    if (rows.length === dataRowLimit) return undefined;
    const days = time?.values[record] ?? Number.NaN;
    rows.push([
      ...columns.map((column) => cellValue(column, record)),
      ...(time === undefined ? [] : [Number.isNaN(days) ? null : tick(days)]),
      recordAddress(table, record, metric),
    ]);
  }
  const zh = analysis.language === "zh";
  const header = [
    ...columns.map((column) => text(column.header)),
    ...(time === undefined ? [] : [zh ? "期间" : "Period"]),
    zh ? "来源单元格" : "Source cell",
  ];
  const letter = (index: number): string => String.fromCharCode(65 + index);
  const rangeAt = (index: number): string =>
    `${quotedSheet(name)}!$${letter(index)}$2:$${letter(index)}$${rows.length + 1}`;
  return {
    sheet: {
      name,
      rows: [header, ...rows],
      cells: new Map(),
      freezePane: { rows: 1 },
      columns: header.map(() => ({ width: 16 })),
    },
    range: (wanted) => rangeAt(columns.findIndex((column) => column.name === wanted)),
    column: (wanted) => columns.find((column) => column.name === wanted),
    periodRange: rangeAt(columns.length),
    current: starts === undefined ? "" : tick(starts.current),
    previous: starts === undefined ? "" : tick(starts.previous),
  };
}

function cellValue(column: Column, record: number): CellValue {
  const value = column.values[record] ?? Number.NaN;
  if (Number.isNaN(value)) return null;
  if (column.type === "number") return value;
  if (column.type === "date" || column.type === "period") return new Date(value * 86_400_000);
  return text(column.labels[value] ?? "");
}

function keeper(
  { plan }: Analysis,
  table: Table,
  time: Column | undefined,
  starts: ReadonlySet<number> | undefined,
): (record: number) => boolean {
  const tests = plan.filters.map((filter) => {
    const column = columnNamed(table, filter.column);
    if ("value" in filter)
      return (record: number) =>
        filter.is === "at_least"
          ? (column?.values[record] ?? Number.NaN) >= filter.value
          : (column?.values[record] ?? Number.NaN) <= filter.value;
    const codes = new Set(filter.values.map((value) => column?.labels.indexOf(value) ?? -1));
    return (record: number) => codes.has(column?.values[record] ?? Number.NaN) === (filter.is === "in");
  });
  const grain = plan.period?.grain ?? "month";
  return (record) =>
    tests.every((test) => test(record)) &&
    (starts === undefined || time === undefined || starts.has(startOf(time.values[record] ?? Number.NaN, grain)));
}

function analysisSheet(analysis: Analysis, name: string, data: DataSheet | undefined): Sheet {
  const report = reportOf(analysis);
  const lead = [[text(report.title)], ...analysis.sentences.slice(0, 6).map((sentence) => [text(sentence.text)]), []];
  const firstRow = lead.length; // 0-based row of the table's header
  const body =
    data === undefined ? plainRows(analysis) : (formulaRows(analysis, data, firstRow + 1) ?? plainRows(analysis));
  const rows: CellValue[][] = [...lead];
  const cells = new Map<string, Partial<Cell>>();
  cells.set("0,0", { value: text(report.title), type: "string", style: { font: { bold: true, size: 15 } } });
  for (const [index, line] of body.entries()) {
    const at = firstRow + index;
    rows.push(
      line.map((cell) => (typeof cell === "object" ? cell.result : typeof cell === "string" ? text(cell) : cell)),
    );
    for (const [column, cell] of line.entries()) {
      if (typeof cell === "object")
        cells.set(`${at},${column}`, {
          value: cell.result,
          type: "formula",
          formula: cell.formula,
          formulaResult: cell.result,
          style: { numFmt: cell.format ?? "#,##0.##" },
        });
      else if (index === 0)
        cells.set(`${at},${column}`, {
          value: text(String(cell)),
          type: "string",
          style: { font: { bold: true }, fill: { type: "pattern", pattern: "solid", fgColor: { rgb: "EEF3F7" } } },
        });
    }
  }
  const chart = nativeChart(analysis, body, firstRow);
  return {
    name,
    rows,
    cells,
    rowDefs: new Map([[0, { height: 24 }]]),
    pageSetup: { orientation: "landscape", fitToPage: true, fitToWidth: 1, fitToHeight: 0 },
    columns: [{ width: 26 }, ...Array.from({ length: Math.max(6, (body[0]?.length ?? 1) - 1) }, () => ({ width: 16 }))],
    ...(chart === undefined ? {} : { charts: [chart] }),
  };
}

function plainRows(analysis: Analysis): AnalysisCell[][] {
  const table = memberTable(analysis);
  if (table !== undefined) return [[...table.header], ...table.rows.map((row) => [...row])];
  const zh = analysis.language === "zh";
  return [
    [zh ? "事实" : "Fact", zh ? "公式" : "Formula"],
    ...analysis.facts.map((fact) => [fact.sentence, fact.formula]),
  ];
}

function nativeChart(
  { result, charts }: Analysis,
  body: readonly (readonly AnalysisCell[])[],
  firstRow: number,
): SheetChart | undefined {
  const [chart] = charts;
  const isTable =
    result.kind === "change" ||
    result.kind === "ranking" ||
    result.kind === "pareto" ||
    result.kind === "trend" ||
    result.kind === "price_volume";
  if (chart === undefined || !isTable || body.length < 2 || (result.kind === "change" && result.members.length === 0))
    return undefined;
  const hasTotalRow = result.kind === "change" || result.kind === "price_volume";
  const last = firstRow + body.length - (hasTotalRow ? 1 : 0);
  const [from, to] = [firstRow + 2, last];
  const layers = result.kind === "trend" || result.kind === "ranking" ? (result.layers ?? []) : [];
  // Of two dimensions the layers, which stand in the last columns; else the change, or the value itself.
  const width = body[0]?.length ?? 0;
  const places =
    layers.length > 0 ? layers.map((_, index) => width - layers.length + index) : [result.kind === "change" ? 3 : 1];
  return {
    type: result.kind === "trend" && chart.kind !== "stacked" ? "line" : "column",
    ...(chart.kind === "stacked" ? { barGrouping: "stacked" as const } : {}),
    title: clean(chart.title),
    series: places.map((place, index) => ({
      name: clean(String(body[0]?.[place] ?? "")),
      values: `${letter(place)}${from}:${letter(place)}${to}`,
      categories: `A${from}:A${to}`,
      color: chartColours[index % chartColours.length] ?? "2F6F9F",
    })),
    // Below the table, as wide as it: on screen and on paper nothing stands out of reach.
    anchor: { from: { row: last + 2, col: 0 }, to: { row: last + 20, col: Math.max(6, width) } },
  };
}

const letter = (index: number): string => String.fromCharCode(65 + index);

function notesSheet(analysis: Analysis, name: string, hasFormulas: boolean): Sheet {
  const { language, findings } = analysis;
  const zh = language === "zh";
  const lines = [
    zh ? "数据来源" : "Source",
    ...reportOf(analysis).sources,
    "",
    zh ? "数据质量" : "Data quality",
    ...(findings.length === 0
      ? [zh ? "没有发现问题" : "Nothing found"]
      : findings.map(({ words, addresses }) => `${words[language]} ${addresses.join(", ")}`)),
    ...(hasFormulas
      ? []
      : [
          "",
          zh
            ? "分析表里是数值，没有公式：源数据没有随文件带上，或行数过多。"
            : "The analysis sheet holds values, not formulas: the source rows were not at hand or too many.",
        ]),
  ];
  return { name, rows: lines.map((line) => [text(line)]), cells: new Map(), columns: [{ width: 100 }] };
}
