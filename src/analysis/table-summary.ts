// What people and programs are told of a table before any question: its columns, how each was read and why, the commonest labels.
import type { Table } from "./table.ts";
import type { Words } from "./words.ts";

export interface ColumnSummary {
  id: string;
  name: string;
  header: string;
  /** Made by Quern from other columns, not read from one. */
  isMade: boolean;
  type: string;
  role: string;
  unit: string;
  distinct: number;
  missing: number;
  decisions: readonly Words[];
  /** The commonest few labels, for menus. */
  labels: readonly string[];
}

export interface TableSummary {
  id: string;
  name: string;
  sheet: string;
  range: string;
  records: number;
  columns: readonly ColumnSummary[];
  decisions: readonly Words[];
}

export function summaryOf(table: Table): TableSummary {
  return {
    id: table.id,
    name: table.name,
    sheet: table.sheet,
    range: table.range,
    records: table.recordCount,
    decisions: table.decisions,
    columns: table.columns.map((column) => ({
      id: column.id,
      name: column.name,
      header: column.header,
      isMade: column.sheetColumn === undefined,
      type: column.type,
      role: column.role,
      unit: column.unit.symbol,
      distinct: column.labels.length,
      missing: column.missingCount,
      decisions: column.decisions,
      labels: column.labels.slice(0, 200),
    })),
  };
}
