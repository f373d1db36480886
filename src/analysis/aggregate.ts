// A checked plan -> figures. DuckDB filters, groups and adds up (query.ts, compute-*.ts); what is done with the sums afterwards is in
// attribution.ts and statistics.ts.
import { AppError } from "../base/errors.ts";
import type { Contribution, PriceVolumeSplit } from "./attribution.ts";
import { computeChange, computePriceVolume } from "./compute-change.ts";
import { computeRanking } from "./compute-ranking.ts";
import { daysFromText, type Plan } from "./plan.ts";
import { labelOf, measureSql, needed, nothingLeft, type Run, scopeOf, whereClause } from "./query.ts";
import { layersOf, type StackLayer } from "./stack.ts";
import {
  type Correlation,
  correlation,
  type Distribution,
  describeTrend,
  distribution,
  type TrendShape,
} from "./statistics.ts";
import { type Query, type SqlRow, type Store, safeId } from "./store.ts";
import type { Column, Table } from "./table.ts";
import { periodSql, periodTick, shifted } from "./time.ts";

export interface Member {
  label: string;
  value: number;
  records: number;
  share?: number;
  cumulative?: number;
}

export interface NestedChange {
  parent: string;
  members: readonly Contribution[];
  others?: Contribution & { memberCount: number };
}

export interface TrendPoint {
  start: number;
  tick: string;
  value: number;
  records: number;
  growth?: number;
}

export type Result =
  | { kind: "total"; value: number; records: number }
  | {
      kind: "ranking";
      total: number;
      isAdditive: boolean;
      members: readonly Member[];
      others?: Member & { memberCount: number };
      memberCount: number;
      nested: readonly { parent: string; members: readonly Member[] }[];
      /** Of two dimensions: the inner one by member, and by others where there are any. */
      layers?: readonly StackLayer[];
    }
  | {
      kind: "pareto";
      total: number;
      members: readonly Member[];
      others?: Member & { memberCount: number };
      memberCount: number;
      membersForEighty: number;
    }
  | {
      kind: "change";
      current: number;
      previous: number;
      change: number;
      rate?: number;
      members: readonly Contribution[];
      others?: Contribution & { memberCount: number };
      memberCount: number;
      nested: readonly NestedChange[];
      isAttributed: boolean;
      currentRecords: number;
      previousRecords: number;
    }
  | {
      kind: "trend";
      points: readonly TrendPoint[];
      shape: TrendShape;
      isAdditive: boolean;
      /** With a breakdown: its members, by point. */
      layers?: readonly StackLayer[];
    }
  | { kind: "distribution"; shape: Distribution }
  | { kind: "correlation"; shape: Correlation }
  | {
      kind: "price_volume";
      split: PriceVolumeSplit;
      current: number;
      previous: number;
      currentQuantity: number;
      previousQuantity: number;
    };

export async function compute(plan: Plan, table: Table, store: Store, signal?: AbortSignal): Promise<Result> {
  const run = (query: Query): Promise<SqlRow[]> => store.query(query, signal);
  switch (plan.kind) {
    case "total":
      return computeTotal(plan, table, run);
    case "ranking":
    case "pareto":
      return computeRanking(plan, table, run);
    case "change":
      return computeChange(plan, table, run);
    case "trend":
      return computeTrend(plan, table, run);
    case "distribution":
      return {
        kind: "distribution",
        shape: await distribution(scopeOf(plan, table), safeId(needed(table, plan.metric).id), run),
      };
    case "correlation":
      return {
        kind: "correlation",
        shape: await correlation(
          scopeOf(plan, table),
          [safeId(needed(table, plan.metric).id), safeId(needed(table, plan.versus ?? "").id)],
          run,
        ),
      };
    case "price_volume":
      return computePriceVolume(plan, table, run);
  }
}

async function computeTotal(plan: Plan, table: Table, run: Run): Promise<Result> {
  const { from, where, values } = scopeOf(plan, table);
  const measure = measureSql(plan, table);
  const [row] = await run({ sql: `select ${measure.value}, ${measure.count} from ${from} where ${where}`, values });
  if (row?.[0] === null || row?.[0] === undefined || (row[1] ?? 0) === 0) throw nothingLeft();
  return { kind: "total", value: row[0], records: row[1] ?? 0 };
}

async function computeTrend(plan: Plan, table: Table, run: Run): Promise<Result> {
  const { period } = plan;
  if (period === undefined) throw new AppError("internal", "A trend without a period.");
  const column = needed(table, period.column);
  const where = whereClause(plan.filters, table);
  if (period.within !== undefined) {
    where.values.push(daysFromText(period.within.start));
    where.sql += ` and ${periodSql(safeId(column.id), period.within.grain)} = $${where.values.length}`;
  }
  const measure = measureSql(plan, table);
  const rows = await run({
    sql: `select ${periodSql(safeId(column.id), period.grain)} as p, ${measure.value}, ${measure.count} from ${safeId(table.id)} where ${where.sql} and ${safeId(column.id)} is not null group by 1 having ${measure.count} > 0 order by 1`,
    values: where.values,
  });
  if (rows.length === 0) throw nothingLeft();
  const style = {
    grain: period.grain,
    hasYear: column.hasYear ?? true,
    isFiscal: column.isFiscal === true && period.grain === "year",
  };
  const points: TrendPoint[] = rows.map(([start, value, records], index) => {
    const [before, beforeValue] = rows[index - 1] ?? [];
    const follows = before !== undefined && before !== null && shifted(before, period.grain, 1) === start;
    const growth = follows && beforeValue ? ((value ?? 0) - beforeValue) / Math.abs(beforeValue) : undefined;
    return {
      start: start ?? 0,
      tick: periodTick(start ?? 0, style),
      value: value ?? 0,
      records: records ?? 0,
      ...(growth === undefined ? {} : { growth }),
    };
  });
  const isAdditive = plan.aggregation === "sum" || plan.aggregation === "count";
  const [by] = plan.breakdown;
  const layers =
    by === undefined ? [] : await trendLayers(needed(table, by), points, { run, where, measure, table, column, plan });
  return {
    kind: "trend",
    points,
    shape: describeTrend(points, period.grain),
    isAdditive,
    ...(layers.length < 2 ? {} : { layers }),
  };
}

interface TrendQuery {
  run: Run;
  where: { sql: string; values: number[] };
  measure: { value: string; count: string };
  table: Table;
  column: Column;
  plan: Plan;
}

async function trendLayers(
  by: Column,
  points: readonly TrendPoint[],
  { run, where, measure, table, column, plan }: TrendQuery,
): Promise<StackLayer[]> {
  const rows = await run({
    sql: `select ${periodSql(safeId(column.id), plan.period?.grain ?? "month")} as p, ${safeId(by.id)}, ${measure.value} from ${safeId(table.id)} where ${where.sql} and ${safeId(column.id)} is not null group by 1, 2 having ${measure.count} > 0`,
    values: where.values,
  });
  const places = new Map(points.map(({ start }, index) => [start, index]));
  const cells = rows.flatMap(([start, code, value]) => {
    const category = places.get(start ?? Number.NaN);
    return category === undefined ? [] : [{ category, label: labelOf(by, code), value: value ?? 0 }];
  });
  return layersOf(cells, {
    categories: points.length,
    isAdditive: plan.aggregation === "sum" || plan.aggregation === "count",
  });
}
