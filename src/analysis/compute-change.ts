// Two periods, or actual and plan, side by side: the change, what each member adds to it (attribution.ts), and its split into volume,
// price and mix.
import { AppError } from "../base/errors.ts";
import type { NestedChange, Result } from "./aggregate.ts";
import {
  type Contribution,
  contributionsToAverage,
  contributionsToSum,
  foldOthers,
  type MemberPair,
  splitPriceVolume,
} from "./attribution.ts";
import type { Plan } from "./plan.ts";
import { sumOf } from "./quality.ts";
import { labelOf, measureSql, needed, nothingLeft, periodStarts, type Run, scopeOf, whereClause } from "./query.ts";
import { type SqlRow, safeId } from "./store.ts";
import type { Column, Table } from "./table.ts";
import { periodSql } from "./time.ts";

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

export async function computeChange(plan: Plan, table: Table, run: Run): Promise<Result> {
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

export async function computePriceVolume(plan: Plan, table: Table, run: Run): Promise<Result> {
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
