// The member table of an analysis as formulas over the copied rows, each with the result that Quern computed. SUMIFS is what people read
// and change; names that it would take for patterns (*, ?, >100, "abc" beside "ABC") are matched by EXACT instead.
import type { WriteSheet } from "hucre/xlsx";
import type { Analysis } from "../analysis/analyse.ts";
import type { Contribution } from "../analysis/attribution.ts";
import { otherLabel } from "../analysis/fact-writer.ts";
import { blankLabel } from "../analysis/query.ts";
import type { StackLayer } from "../analysis/stack.ts";
import type { Column } from "../analysis/table.ts";
import { neutral } from "./neutral.ts";
import { memberTable } from "./report.ts";

/** A cell with one of our own formulas and its result. */
export interface FormulaCell {
  formula: string;
  result: number;
  format?: string;
}

export type AnalysisCell = string | number | FormulaCell;

/** The copied rows, and where on their sheet things stand. */
export interface DataSheet {
  sheet: WriteSheet;
  /** Column name -> "$A$2:$A$501" on the data sheet, with its name. */
  range: (name: string) => string;
  column: (name: string) => Column | undefined;
  periodRange: string;
  current: string;
  previous: string;
}

const percent = "0.0%";

/** A condition of a sum: cells of a range that equal a cell or a text. */
interface Condition {
  range: string;
  equals: string;
  /** Whether SUMIFS would read the names otherwise than they stand. */
  isExact: boolean;
}

function sumWhere(values: string, conditions: readonly Condition[]): string {
  if (conditions.length === 0) return `SUM(${values})`;
  if (!conditions.some(({ isExact }) => isExact))
    return `SUMIFS(${[values, ...conditions.flatMap(({ range, equals }) => [range, equals])].join(",")})`;
  const tests = conditions.map(({ range, equals }) => `EXACT(${range},${equals})`);
  return `SUMPRODUCT(${[...tests, values].join("*")})`;
}

function needsExact(column: Column | undefined): boolean {
  const labels = column?.labels ?? [];
  const folded = new Set(labels.map((label) => label.toLowerCase()));
  return folded.size < labels.length || labels.some((label) => /[*?~]|^[<>=]/.test(label));
}

interface TableParts {
  analysis: Analysis;
  data: DataSheet;
  headerRow: number;
  header: readonly string[];
  /** Number format of amounts. */
  amount: string;
}

type Kind<Name extends Analysis["result"]["kind"]> = Extract<Analysis["result"], { kind: Name }>;

/** Undefined where a kind has none. Rows count from 1 in formulas. */
export function formulaRows(analysis: Analysis, data: DataSheet, headerRow: number): AnalysisCell[][] | undefined {
  const { plan, result } = analysis;
  const header = memberTable(analysis)?.header;
  if (plan.aggregation !== "sum" || header === undefined) return undefined;
  const unit = analysis.table.columns.find(({ name }) => name === plan.metric)?.unit;
  const table: TableParts = { analysis, data, headerRow, header, amount: unit === "%" ? percent : "#,##0.##" };
  if (result.kind === "change" && result.members.length > 0) return changeRows(result, table);
  if (result.kind === "ranking" || result.kind === "pareto") return rankingRows(result, table);
  return result.kind === "trend" ? trendRows(result, table) : undefined;
}

/** The member's name stands in column A; records without a name have an empty cell. */
function ofMember({ analysis, data }: TableParts, label: string, cell: string): Condition[] {
  const [by = ""] = analysis.plan.breakdown;
  return [{ range: data.range(by), equals: label === blankLabel ? '""' : cell, isExact: needsExact(data.column(by)) }];
}

function changeRows(result: Kind<"change">, table: TableParts): AnalysisCell[][] {
  const { analysis, data, headerRow, header, amount } = table;
  const { plan, language } = analysis;
  const value = data.range(plan.metric);
  const previousOf = plan.comparison === "plan" ? data.range(plan.planMetric ?? "") : value;
  const during = (which: string): Condition[] =>
    plan.comparison === "plan" || plan.period === undefined
      ? []
      : [{ range: data.periodRange, equals: `"${which}"`, isExact: false }];
  const first = headerRow + 1;
  const totalRow = first + result.members.length + (result.others === undefined ? 0 : 1);
  const signed = `+${amount};-${amount};0`;
  const line = (member: Contribution, row: number, sums: readonly [string, string], label: string): AnalysisCell[] => [
    label,
    { formula: sums[0], result: member.previous, format: amount },
    { formula: sums[1], result: member.current, format: amount },
    { formula: `C${row}-B${row}`, result: member.part, format: signed },
    { formula: `IF(B${row}=0,0,D${row}/ABS(B${row}))`, result: member.rate ?? 0, format: percent },
    {
      formula: `IF($D$${totalRow}=0,0,D${row}/$D$${totalRow})`,
      result: result.change === 0 ? 0 : member.part / result.change,
      format: percent,
    },
  ];
  const rows = result.members.map((member, index) => {
    const row = first + index;
    const own = ofMember(table, member.label, `$A${row}`);
    const before = sumWhere(previousOf, [...own, ...during(data.previous)]);
    const now = sumWhere(value, [...own, ...during(data.current)]);
    return line(member, row, [before, now], neutral(member.label));
  });
  if (result.others !== undefined) {
    const row = first + rows.length;
    const rest = (values: string, which: string, column: string): string =>
      `${sumWhere(values, during(which))}-SUM(${column}${first}:${column}${row - 1})`;
    const sums = [rest(previousOf, data.previous, "B"), rest(value, data.current, "C")] as const;
    rows.push(line(result.others, row, sums, otherLabel(language, result.others.memberCount)));
  }
  const sum = (column: string): string => `SUM(${column}${first}:${column}${totalRow - 1})`;
  const total: AnalysisCell[] = [
    language === "zh" ? "合计" : "Total",
    { formula: sum("B"), result: result.previous, format: amount },
    { formula: sum("C"), result: result.current, format: amount },
    { formula: `C${totalRow}-B${totalRow}`, result: result.change, format: signed },
    { formula: `IF(B${totalRow}=0,0,D${totalRow}/ABS(B${totalRow}))`, result: result.rate ?? 0, format: percent },
    { formula: sum("F"), result: result.change === 0 ? 0 : 1, format: percent },
  ];
  return [[...header], ...rows, total];
}

function rankingRows(result: Kind<"ranking" | "pareto">, table: TableParts): AnalysisCell[][] {
  const { analysis, data, headerRow, header, amount } = table;
  const value = data.range(analysis.plan.metric);
  const first = headerRow + 1;
  const layers = (result.kind === "ranking" ? result.layers : undefined) ?? [];
  let running = 0;
  const line = (label: string, row: number, formula: string, amountOfRow: number): AnalysisCell[] => {
    running += amountOfRow;
    const ofTotal = (part: number): number => (result.total === 0 ? 0 : part / result.total);
    const whole = `IF(SUM(${value})=0,0,`;
    return [
      label,
      { formula, result: amountOfRow, format: amount },
      { formula: `${whole}B${row}/SUM(${value}))`, result: ofTotal(amountOfRow), format: percent },
      { formula: `${whole}SUM(B$${first}:B${row})/SUM(${value}))`, result: ofTotal(running), format: percent },
    ];
  };
  const rows = result.members.map((member, index): AnalysisCell[] => {
    const row = first + index;
    const own = ofMember(table, member.label, `$A${row}`);
    return [
      ...line(neutral(member.label), row, sumWhere(value, own), member.value),
      ...layerCells(layers, index, { row, from: 4, table, sumOf: (layer) => sumWhere(value, [...own, ...layer]) }),
    ];
  });
  if (result.others !== undefined) {
    const row = first + rows.length;
    // What the named members leave of the whole; of each layer likewise.
    const rest = (whole: string, column: string): string => `${whole}-SUM(${column}${first}:${column}${row - 1})`;
    const label = otherLabel(analysis.language, result.others.memberCount);
    rows.push([
      ...line(label, row, rest(`SUM(${value})`, "B"), result.others.value),
      ...layerCells(layers, rows.length, {
        row,
        from: 4,
        table,
        sumOf: (layer, column) => rest(sumWhere(value, layer), column),
      }),
    ]);
  }
  return [[...header], ...rows];
}

function trendRows(result: Kind<"trend">, table: TableParts): AnalysisCell[][] {
  const { analysis, data, headerRow, header, amount } = table;
  const value = data.range(analysis.plan.metric);
  return [
    [...header],
    ...result.points.map((point, index): AnalysisCell[] => {
      const row = headerRow + 1 + index;
      const own: Condition = { range: data.periodRange, equals: `$A${row}`, isExact: false };
      return [
        point.tick,
        { formula: sumWhere(value, [own]), result: point.value, format: amount },
        index === 0 || point.growth === undefined
          ? "—"
          : { formula: `B${row}/B${row - 1}-1`, result: point.growth, format: percent },
        ...layerCells(result.layers ?? [], index, {
          row,
          from: 3,
          table,
          sumOf: (layer) => sumWhere(value, [own, ...layer]),
        }),
      ];
    }),
  ];
}

const letter = (index: number): string => String.fromCharCode(65 + index);

interface LayerRow {
  row: number;
  /** Column of the first layer. */
  from: number;
  table: TableParts;
  sumOf: (layer: Condition[], column: string) => string;
}

/** One cell a layer, whose name stands in its header; the others are what the named layers leave of the row's sum. */
function layerCells(layers: readonly StackLayer[], at: number, { row, from, table, sumOf }: LayerRow): AnalysisCell[] {
  const { analysis, data, headerRow, amount } = table;
  const inner = analysis.plan.breakdown.at(-1) ?? "";
  return layers.map(({ label, values }, index) => {
    const column = letter(from + index);
    const named = { range: data.range(inner), isExact: needsExact(data.column(inner)) };
    const formula =
      label === ""
        ? `B${row}-SUM(${letter(from)}${row}:${letter(from + index - 1)}${row})`
        : sumOf([{ ...named, equals: label === blankLabel ? '""' : `${column}$${headerRow}` }], column);
    return { formula, result: values[at] ?? 0, format: amount };
  });
}
