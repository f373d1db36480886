// All that a sentence about an analysis may speak of: its facts, names, members and periods, and the way the whole went.
import type { Result } from "./aggregate.ts";
import type { CheckContext } from "./check-numbers.ts";
import type { Fact } from "./facts.ts";
import { daysFromText, type Plan } from "./plan.ts";
import { columnNamed, type Table } from "./table.ts";
import { shifted, yearBefore } from "./time.ts";

export function checkContext({
  plan,
  table,
  facts,
  result,
}: {
  plan: Plan;
  table: Table;
  facts: readonly Fact[];
  result: Result;
}): CheckContext {
  const dimensions = table.columns.filter(
    (column) => column.type === "text" && (column.role === "dimension" || plan.breakdown.includes(column.name)),
  );
  const filterValues = plan.filters.flatMap((filter) =>
    "values" in filter && filter.is === "in" ? filter.values : [],
  );
  const column = plan.period === undefined ? undefined : columnNamed(table, plan.period.column);
  const starts: number[] = [];
  if (plan.period?.start !== undefined) {
    const start = daysFromText(plan.period.start);
    starts.push(
      start,
      plan.comparison === "year_ago" ? yearBefore(start, plan.period.grain) : shifted(start, plan.period.grain, -1),
    );
  }
  starts.push(...facts.flatMap((fact) => fact.periods));
  const change =
    result.kind === "change" ? result.change : result.kind === "price_volume" ? result.split.change : undefined;
  return {
    facts,
    names: [...table.columns.flatMap((one) => [one.name, one.header]), ...table.titles],
    members: dimensions.flatMap((one) => one.labels.slice(0, 5000)),
    wholeNames: filterValues,
    periods: [...new Set(starts)].map((start) => ({
      start,
      grain: plan.period?.grain ?? "month",
      hasYear: column?.hasYear ?? true,
    })),
    direction: change === undefined ? undefined : Math.sign(change),
  };
}
