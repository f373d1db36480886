// Metrics down, periods across: 指标 | 1月 | 2月 over 销售额（万元） | 100 | 110 and 毛利率 | 20% | 21%. Each row has a unit of its own, so
// such a table is turned before it is typed: a column for each metric, a record for each period. Addresses still name the sheet's cells.
import { ratioNames } from "./column-names.ts";
import type { TableLayout } from "./detect-tables.ts";
import { cellAt, cellText, type Grid, GridBuilder } from "./grid.ts";
import { narrow } from "./narrow.ts";
import { parseNumber } from "./parse-number.ts";
import { splitHeaderUnit } from "./unit.ts";
import { headerPeriod } from "./wide-to-long.ts";
import { languageOf } from "./words.ts";

const metricHeader = /^(指标|指标名称|关键指标|metrics?|measures?|kpis?|indicators?)$/i;
const maybeHeader = /^(项目|科目|名称|类别|items?|name|line item)$/i;

export interface TurnedTable {
  grid: Grid;
  layout: TableLayout;
}

/** Undefined for every other table. */
export function turnMetrics(grid: Grid, layout: TableLayout): TurnedTable | undefined {
  const { region, headers, firstBodyRow, excluded } = layout;
  const [label = "", ...others] = headers;
  const periods = others.filter((header) => headerPeriod(header) !== undefined);
  if (periods.length < 2 || periods.length !== others.length) return undefined;
  const gone = new Set(excluded.map(({ row }) => row));
  const rows: number[] = [];
  for (let row = firstBodyRow; row <= region.endRow; row++) if (!gone.has(row)) rows.push(row);
  if (rows.length > maxMetrics || gone.size > 0 || !areMetrics(grid, label, rows, region.startColumn)) return undefined;
  return turned(grid, layout, { rows, columns: others.map((_, index) => region.startColumn + 1 + index) });
}

/** Wider than this, the rows are members of one metric rather than metrics. */
const maxMetrics = 60;

/** The first header says so, or the names of the rows carry different units. */
function areMetrics(grid: Grid, header: string, rows: readonly number[], column: number): boolean {
  const labels = rows.map((row) => narrow(cellText(grid, row, column)));
  if (labels.includes("") || new Set(labels).size < labels.length || labels.length < 2) return false;
  if (metricHeader.test(header.trim())) return true;
  const isMixed =
    new Set(labels.map((label) => splitHeaderUnit(label).unit?.kind ?? "")).size > 1 ||
    rows.some((row) => isPercentRow(grid, row, column)) !== rows.every((row) => isPercentRow(grid, row, column));
  return isMixed && (maybeHeader.test(header.trim()) || header.length <= 1);
}

function isPercentRow(grid: Grid, row: number, labelColumn: number): boolean {
  const cell = cellAt(grid, row, labelColumn + 1);
  return cell.kind === "text" && parseNumber(cell.value)?.unit?.kind === "percent";
}

function turned(
  grid: Grid,
  { region, headers, titles }: TableLayout,
  { rows, columns }: { rows: readonly number[]; columns: readonly number[] },
): TurnedTable {
  const builder = new GridBuilder();
  const name = languageOf(`${grid.sheet}${headers.join("")}`) === "zh" ? "期间" : "Period";
  const names = [name, ...rows.map((row) => narrow(cellText(grid, row, region.startColumn)))];
  for (const [record, column] of columns.entries()) {
    builder.text(record, 0, headers[record + 1] ?? "");
    for (const [index, row] of rows.entries()) {
      const cell = cellAt(grid, row, column);
      if (cell.kind === "number") {
        builder.number(record, index + 1, cell.value);
        const isShare = ratioNames.test(names[index + 1] ?? "") && Math.abs(cell.value) <= 1.5;
        if (isShare && [...(grid.columns[column]?.formats ?? [])].some(([format]) => format.includes("%")))
          builder.format(index + 1, "0.0%");
      } else if (cell.kind === "text") builder.text(record, index + 1, cell.value);
      else if (cell.kind === "error") builder.error(record, index + 1, cell.value);
    }
  }
  const extras = { hasSheets: grid.hasSheets, turnedFrom: { rows: [region.startRow, ...rows], columns } };
  return {
    grid: builder.finish(grid.sheet, extras),
    layout: {
      region: { startRow: 0, endRow: columns.length - 1, startColumn: 0, endColumn: rows.length },
      titles,
      headers: names,
      headerRows: [-1],
      firstBodyRow: 0,
      excluded: [],
    },
  };
}
