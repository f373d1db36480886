// A plan's filters, period and measure as SQL. Columns appear by their ids and every value is bound; sums use fsum (compensated), so
// the order in which threads add cannot change a digit.
import { AppError } from "../base/errors.ts";
import { daysFromText, type Filter, type Plan } from "./plan.ts";
import { type Query, type SqlRow, safeId } from "./store.ts";
import { type Column, columnNamed, type Table } from "./table.ts";
import { periodSql, shifted, yearBefore } from "./time.ts";

interface Clause {
  sql: string;
  values: number[];
}

export function whereClause(filters: readonly Filter[], table: Table): Clause {
  const values: number[] = [];
  const bind = (value: number): string => `$${values.push(value)}`;
  const parts = filters.map((filter) => {
    const column = needed(table, filter.column);
    const id = safeId(column.id);
    if ("value" in filter) return `${id} ${filter.is === "at_least" ? ">=" : "<="} ${bind(filter.value)}`;
    const codes = filter.values.map((value) => bind(column.labels.indexOf(value))).join(", ");
    return filter.is === "in" ? `${id} in (${codes})` : `(${id} is null or ${id} not in (${codes}))`;
  });
  return { sql: parts.length === 0 ? "true" : parts.join(" and "), values };
}

export function needed(table: Table, name: string): Column {
  const column = columnNamed(table, name);
  if (column === undefined) throw new AppError("internal", `The plan names "${name}", which the table does not have.`);
  return column;
}

export function measureSql(plan: Plan, table: Table): { value: string; count: string } {
  if (plan.aggregation === "count") return { value: "count(*)", count: "count(*)" };
  const id = safeId(needed(table, plan.metric).id);
  const value = {
    sum: `fsum(${id})`,
    average: `fsum(${id}) / nullif(count(${id}), 0)`,
    distinct: `count(distinct ${id})`,
    min: `min(${id})`,
    max: `max(${id})`,
    median: `median(${id})`,
  }[plan.aggregation];
  return { value, count: `count(${id})` };
}

/** First days of the current period and of the one compared with. */
export function periodStarts(plan: Plan): { current: number; previous: number } | undefined {
  const { period } = plan;
  if (period?.start === undefined) return undefined;
  const current = daysFromText(period.start);
  return {
    current,
    previous: plan.comparison === "year_ago" ? yearBefore(current, period.grain) : shifted(current, period.grain, -1),
  };
}

export type Run = (query: Query) => Promise<SqlRow[]>;

export interface Scope {
  from: string;
  where: string;
  values: number[];
}

/** Filters and, when one is fixed, the period. */
export function scopeOf(plan: Plan, table: Table): Scope {
  const where = whereClause(plan.filters, table);
  const starts = plan.period === undefined ? undefined : periodStarts(plan);
  if (plan.period !== undefined && starts !== undefined) {
    where.values.push(starts.current);
    where.sql += ` and ${periodSql(safeId(needed(table, plan.period.column).id), plan.period.grain)} = $${where.values.length}`;
  }
  return { from: safeId(table.id), where: where.sql, values: where.values };
}

export function nothingLeft(): AppError {
  return new AppError("bad_request", "No record matches the filters. 没有符合筛选条件的数据。", {
    param: "filters",
    hint: "Loosen the filters. 放宽筛选条件。",
  });
}

export const blankLabel = "—";

export function labelOf(column: Column, code: number | null | undefined): string {
  return code === null || code === undefined ? blankLabel : (column.labels[code] ?? String(code));
}
