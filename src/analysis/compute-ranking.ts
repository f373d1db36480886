// Parts of a whole, the largest first, with "others" for the tail; and the same inside the three largest.
import { AppError } from "../base/errors.ts";
import type { Member, Result } from "./aggregate.ts";
import type { Plan } from "./plan.ts";
import { sumOf } from "./quality.ts";
import { labelOf, measureSql, needed, nothingLeft, type Run, scopeOf } from "./query.ts";
import { layersOf, type StackLayer } from "./stack.ts";
import { safeId } from "./store.ts";
import type { Column, Table } from "./table.ts";

export async function computeRanking(plan: Plan, table: Table, run: Run): Promise<Result> {
  const { from, where, values } = scopeOf(plan, table);
  const measure = measureSql(plan, table);
  const [outer, inner] = plan.breakdown.map((name) => needed(table, name));
  if (outer === undefined) throw new AppError("internal", "A ranking without a breakdown.");
  const rows = await run({
    sql: `select ${safeId(outer.id)}, ${measure.value}, ${measure.count} from ${from} where ${where} group by 1 having ${measure.count} > 0`,
    values,
  });
  if (rows.length === 0) throw nothingLeft();
  const direction = plan.order === "smallest" ? -1 : 1;
  const isAdditive = plan.aggregation === "sum" || plan.aggregation === "count";
  const all = rows
    .map(
      ([code, value, records]): Member => ({ label: labelOf(outer, code), value: value ?? 0, records: records ?? 0 }),
    )
    .sort((a, b) => direction * (b.value - a.value) || a.label.localeCompare(b.label));
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
  const shownLabels = shown.map(({ label }) => label);
  const inside =
    inner === undefined ? undefined : await nestedRanking(plan, table, { outer, inner, shownLabels, isAdditive }, run);
  // The others of the outer dimension are a category of their own; averages have no others.
  const hasLayers = inside !== undefined && inside.layers.length > 1;
  return {
    kind: "ranking",
    isAdditive,
    ...common,
    nested: inside?.nested ?? [],
    ...(hasLayers ? { layers: inside.layers } : {}),
  };
}

async function nestedRanking(
  plan: Plan,
  table: Table,
  {
    outer,
    inner,
    shownLabels,
    isAdditive,
  }: { outer: Column; inner: Column; shownLabels: readonly string[]; isAdditive: boolean },
  run: Run,
): Promise<{ nested: { parent: string; members: Member[] }[]; layers: StackLayer[] }> {
  const { from, where, values } = scopeOf(plan, table);
  const measure = measureSql(plan, table);
  const rows = await run({
    sql: `select ${safeId(outer.id)}, ${safeId(inner.id)}, ${measure.value}, ${measure.count} from ${from} where ${where} group by 1, 2 having ${measure.count} > 0`,
    values,
  });
  const cells = rows.map(([parent, code, value, records]) => ({
    parent: labelOf(outer, parent),
    label: labelOf(inner, code),
    value: value ?? 0,
    records: records ?? 0,
  }));
  const nested = shownLabels.slice(0, 3).map((parent) => ({
    parent,
    members: cells
      .filter((cell) => cell.parent === parent)
      .map(({ label, value, records }): Member => ({ label, value, records }))
      .sort((a, b) => (plan.order === "smallest" ? a.value - b.value : b.value - a.value))
      .slice(0, plan.top),
  }));
  const hasOthers = isAdditive && cells.some(({ parent }) => !shownLabels.includes(parent));
  const categories = shownLabels.length + (hasOthers ? 1 : 0);
  const folded = new Map<string, { category: number; label: string; value: number }>();
  for (const { parent, label, value } of cells) {
    const at = shownLabels.indexOf(parent);
    if (at < 0 && !hasOthers) continue;
    const category = at < 0 ? shownLabels.length : at;
    const known = folded.get(`${category}\0${label}`);
    folded.set(`${category}\0${label}`, { category, label, value: (known?.value ?? 0) + value });
  }
  return { nested, layers: layersOf([...folded.values()], { categories, isAdditive }) };
}
