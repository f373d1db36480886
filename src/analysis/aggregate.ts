// A checked plan -> figures. DuckDB filters, groups and adds up; what is done with the sums afterwards is in attribution.ts and
// statistics.ts. Sums use fsum (compensated), so the order in which threads add cannot change a digit.
import { AppError } from "../base/errors.ts";
import {
  type Contribution,
  contributionsToAverage,
  contributionsToSum,
  foldOthers,
  type MemberPair,
  type PriceVolumeSplit,
  splitPriceVolume,
} from "./attribution.ts";
import { daysFromText, type Filter, type Plan } from "./plan.ts";
import { sumOf } from "./quality.ts";
import {
  type Correlation,
  correlation,
  type Distribution,
  describeTrend,
  distribution,
  type TrendShape,
} from "./statistics.ts";
import { type Query, type SqlRow, type Store, safeId } from "./store.ts";
import { type Column, columnNamed, type Table } from "./table.ts";
import { periodSql, periodTick, shifted, yearBefore } from "./time.ts";

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
  | { kind: "trend"; points: readonly TrendPoint[]; shape: TrendShape }
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

function needed(table: Table, name: string): Column {
  const column = columnNamed(table, name);
  if (column === undefined) throw new AppError("internal", `The plan names "${name}", which the table does not have.`);
  return column;
}

function measureSql(plan: Plan, table: Table): { value: string; count: string } {
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

type Run = (query: Query) => Promise<SqlRow[]>;

export interface Scope {
  from: string;
  where: string;
  values: number[];
}

/** Filters and, when one is fixed, the period. */
function scopeOf(plan: Plan, table: Table): Scope {
  const where = whereClause(plan.filters, table);
  const starts = plan.period === undefined ? undefined : periodStarts(plan);
  if (plan.period !== undefined && starts !== undefined) {
    where.values.push(starts.current);
    where.sql += ` and ${periodSql(safeId(needed(table, plan.period.column).id), plan.period.grain)} = $${where.values.length}`;
  }
  return { from: safeId(table.id), where: where.sql, values: where.values };
}

function nothingLeft(): AppError {
  return new AppError("bad_request", "No record matches the filters. 没有符合筛选条件的数据。", {
    param: "filters",
    hint: "Loosen the filters. 放宽筛选条件。",
  });
}

async function computeTotal(plan: Plan, table: Table, run: Run): Promise<Result> {
  const { from, where, values } = scopeOf(plan, table);
  const measure = measureSql(plan, table);
  const [row] = await run({ sql: `select ${measure.value}, ${measure.count} from ${from} where ${where}`, values });
  if (row?.[0] === null || row?.[0] === undefined || (row[1] ?? 0) === 0) throw nothingLeft();
  return { kind: "total", value: row[0], records: row[1] ?? 0 };
}

export const blankLabel = "—";

function labelOf(column: Column, code: number | null | undefined): string {
  return code === null || code === undefined ? blankLabel : (column.labels[code] ?? String(code));
}

async function computeRanking(plan: Plan, table: Table, run: Run): Promise<Result> {
  const { from, where, values } = scopeOf(plan, table);
  const measure = measureSql(plan, table);
  const [outer, inner] = plan.breakdown.map((name) => needed(table, name));
  if (outer === undefined) throw new AppError("internal", "A ranking without a breakdown.");
  const rows = await run({
    sql: `select ${safeId(outer.id)}, ${measure.value}, ${measure.count} from ${from} where ${where} group by 1 having ${measure.count} > 0`,
    values,
  });
  if (rows.length === 0) throw nothingLeft();
  const isAdditive = plan.aggregation === "sum" || plan.aggregation === "count";
  const all = rows
    .map(
      ([code, value, records]): Member => ({ label: labelOf(outer, code), value: value ?? 0, records: records ?? 0 }),
    )
    .sort((a, b) => b.value - a.value || a.label.localeCompare(b.label));
  const total = isAdditive
    ? sumOf(all.map(({ value }) => value))
    : ((await run({ sql: `select ${measure.value} from ${from} where ${where}`, values }))[0]?.[0] ?? 0);
  // Shares of a total with negative parts would not read as parts of a whole.
  const hasShares = isAdditive && total > 0 && all.every(({ value }) => value >= 0);
  let running = 0;
  const ranked = all.map((member): Member => {
    running += member.value;
    return hasShares ? { ...member, share: member.value / total, cumulative: running / total } : member;
  });
  const isFolded = ranked.length > plan.top + 1;
  const shown = isFolded ? ranked.slice(0, plan.top) : ranked;
  const rest = ranked.slice(shown.length);
  const restValue = sumOf(rest.map(({ value }) => value));
  const others =
    isFolded && isAdditive
      ? {
          label: "",
          value: restValue,
          records: rest.reduce((sum, { records }) => sum + records, 0),
          ...(hasShares ? { share: restValue / total, cumulative: 1 } : {}),
          memberCount: rest.length,
        }
      : undefined;
  const common = { total, members: shown, ...(others === undefined ? {} : { others }), memberCount: ranked.length };
  if (plan.kind === "pareto") {
    const membersForEighty = hasShares ? ranked.findIndex(({ cumulative }) => (cumulative ?? 0) >= 0.8 - 1e-12) + 1 : 0;
    return { kind: "pareto", ...common, membersForEighty };
  }
  const nested =
    inner === undefined
      ? []
      : await nestedRanking(plan, table, { outer, inner, parents: shown.slice(0, 3).map(({ label }) => label) }, run);
  return { kind: "ranking", isAdditive, ...common, nested };
}

async function nestedRanking(
  plan: Plan,
  table: Table,
  { outer, inner, parents }: { outer: Column; inner: Column; parents: readonly string[] },
  run: Run,
): Promise<{ parent: string; members: Member[] }[]> {
  const { from, where, values } = scopeOf(plan, table);
  const measure = measureSql(plan, table);
  const rows = await run({
    sql: `select ${safeId(outer.id)}, ${safeId(inner.id)}, ${measure.value}, ${measure.count} from ${from} where ${where} group by 1, 2 having ${measure.count} > 0`,
    values,
  });
  return parents.map((parent) => ({
    parent,
    members: rows
      .filter(([code]) => labelOf(outer, code) === parent)
      .map(([, code, value, records]) => ({ label: labelOf(inner, code), value: value ?? 0, records: records ?? 0 }))
      .sort((a, b) => b.value - a.value)
      .slice(0, plan.top),
  }));
}

interface PairRow extends MemberPair {
  parent: string;
}

/** Current and previous figures by member (and by outer member, when there are two levels). */
async function pairsBy(plan: Plan, table: Table, dimensions: readonly Column[], run: Run): Promise<PairRow[]> {
  const keys = dimensions.map((column) => safeId(column.id));
  const pairs = new Map<string, PairRow>();
  const pairOf = (codes: SqlRow): PairRow => {
    const labels = dimensions.map((column, index) => labelOf(column, codes[index]));
    const key = labels.join("\0");
    const known = pairs.get(key);
    if (known !== undefined) return known;
    const fresh: PairRow = {
      parent: labels.length > 1 ? (labels[0] ?? "") : "",
      label: labels.at(-1) ?? "",
      current: 0,
      previous: 0,
      currentCount: 0,
      previousCount: 0,
    };
    pairs.set(key, fresh);
    return fresh;
  };
  const measure = measureSql(plan, table);
  const group = keys.length === 0 ? "" : `group by ${keys.join(", ")}`;
  const select = keys.map((key) => `${key}, `).join("");
  if (plan.comparison === "plan") {
    const { from, where, values } = scopeOf(plan, table);
    const planned = measureSql({ ...plan, metric: plan.planMetric ?? "" }, table);
    for (const row of await run({
      sql: `select ${select}${measure.value}, ${measure.count}, ${planned.value}, ${planned.count} from ${from} where ${where} ${group}`,
      values,
    })) {
      const pair = pairOf(row);
      const [current, currentCount, previous, previousCount] = row.slice(keys.length);
      Object.assign(pair, {
        current: current ?? 0,
        currentCount: currentCount ?? 0,
        previous: previous ?? 0,
        previousCount: previousCount ?? 0,
      });
    }
    return [...pairs.values()];
  }
  const starts = periodStarts(plan);
  const { period } = plan;
  if (starts === undefined || period === undefined)
    throw new AppError("internal", "A comparison of periods without a period.");
  const where = whereClause(plan.filters, table);
  const time = periodSql(safeId(needed(table, period.column).id), period.grain);
  const [a, b] = [where.values.push(starts.current), where.values.push(starts.previous)];
  const sql = `select ${select}${time} as p, ${measure.value}, ${measure.count} from ${safeId(table.id)} where ${where.sql} and ${time} in ($${a}, $${b}) group by ${[...keys, "p"].join(", ")}`;
  for (const row of await run({ sql, values: where.values })) {
    const pair = pairOf(row);
    const [start, value, count] = row.slice(keys.length);
    if (start === starts.current) Object.assign(pair, { current: value ?? 0, currentCount: count ?? 0 });
    else Object.assign(pair, { previous: value ?? 0, previousCount: count ?? 0 });
  }
  return [...pairs.values()];
}

async function computeChange(plan: Plan, table: Table, run: Run): Promise<Result> {
  const dimensions = plan.breakdown.map((name) => needed(table, name));
  const [outer] = dimensions;
  const members = outer === undefined ? [] : await pairsBy(plan, table, [outer], run);
  const isAdditive = plan.aggregation === "sum" || plan.aggregation === "count";
  const isAttributed = members.length > 0 && (isAdditive || plan.aggregation === "average");
  const whole = isAdditive && members.length > 0 ? undefined : (await pairsBy(plan, table, [], run))[0];
  const add = (pick: (member: MemberPair) => number): number => sumOf(members.map(pick));
  const current = whole?.current ?? add((member) => member.current);
  const previous = whole?.previous ?? add((member) => member.previous);
  const currentRecords = whole?.currentCount ?? add((member) => member.currentCount);
  const previousRecords = whole?.previousCount ?? add((member) => member.previousCount);
  if (currentRecords === 0 && previousRecords === 0) throw nothingLeft();
  const attribute = plan.aggregation === "average" ? contributionsToAverage : contributionsToSum;
  const { shown, others } = isAttributed
    ? foldOthers(attribute(members), plan.top, "")
    : { shown: [], others: undefined };
  const nested =
    isAttributed && isAdditive && dimensions.length > 1
      ? nestedChange(await pairsBy(plan, table, dimensions, run), shown, { change: current - previous, top: plan.top })
      : [];
  return {
    kind: "change",
    current,
    previous,
    change: current - previous,
    ...(previous === 0 ? {} : { rate: (current - previous) / Math.abs(previous) }),
    members: shown,
    ...(others === undefined ? {} : { others }),
    memberCount: members.length,
    nested,
    isAttributed,
    currentRecords,
    previousRecords,
  };
}

/** Inside each of the three largest members: its own members, their shares still of the whole change. */
function nestedChange(
  pairs: readonly PairRow[],
  parents: readonly Contribution[],
  { change, top }: { change: number; top: number },
): NestedChange[] {
  return parents.slice(0, 3).map(({ label, share }) => {
    const inside = contributionsToSum(pairs.filter((pair) => pair.parent === label));
    const ofWhole = inside.map(
      ({ share: _own, ...member }): Contribution =>
        share === undefined || change === 0
          ? member
          : { ...member, share: Math.round((member.part / change) * 1000) / 1000 },
    );
    const { shown, others } = foldOthers(ofWhole, top, "");
    return { parent: label, members: shown, ...(others === undefined ? {} : { others }) };
  });
}

async function computeTrend(plan: Plan, table: Table, run: Run): Promise<Result> {
  const { period } = plan;
  if (period === undefined) throw new AppError("internal", "A trend without a period.");
  const column = needed(table, period.column);
  const where = whereClause(plan.filters, table);
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
  return { kind: "trend", points, shape: describeTrend(points, period.grain) };
}

async function computePriceVolume(plan: Plan, table: Table, run: Run): Promise<Result> {
  const outer = plan.breakdown[0] === undefined ? [] : [needed(table, plan.breakdown[0])];
  const amounts = await pairsBy({ ...plan, aggregation: "sum" }, table, outer, run);
  const quantities = new Map(
    (await pairsBy({ ...plan, aggregation: "sum", metric: plan.versus ?? "" }, table, outer, run)).map((pair) => [
      pair.label,
      pair,
    ]),
  );
  if (amounts.length === 0) throw nothingLeft();
  const members = amounts.map((pair) => ({
    label: pair.label,
    currentAmount: pair.current,
    previousAmount: pair.previous,
    currentQuantity: quantities.get(pair.label)?.current ?? 0,
    previousQuantity: quantities.get(pair.label)?.previous ?? 0,
  }));
  const add = (pick: (member: (typeof members)[number]) => number): number => sumOf(members.map(pick));
  return {
    kind: "price_volume",
    split: splitPriceVolume(members),
    current: add((m) => m.currentAmount),
    previous: add((m) => m.previousAmount),
    currentQuantity: add((m) => m.currentQuantity),
    previousQuantity: add((m) => m.previousQuantity),
  };
}
