// Holds a plan to its table and completes it (latest period, next dimension, main metric). What cannot be answered is an AppError
// `bad_request` in the words of a person, whose hint says what there is.
import { AppError } from "../base/errors.ts";
import {
  type Aggregation,
  aggregations,
  comparisons,
  dateText,
  daysFromText,
  defaultTop,
  type Filter,
  grains,
  orders,
  type Plan,
  type PlanInput,
  type PlanKind,
  type PlanPeriod,
  planKinds,
} from "./plan.ts";
import { defaultGrain, dimensionOrder, mainMetric, metricsOf, planColumnOf } from "./plan-defaults.ts";
import { type Column, columnNamed, type Table } from "./table.ts";
import { periodsOf, shifted, startOf, timeColumn, yearBefore } from "./time.ts";
import type { Language } from "./words.ts";

/** Checks a plan against a table and completes it. Throws AppError `bad_request` in words that answer a person. */
export function checkPlan(input: PlanInput, table: Table, language: Language): Plan {
  const say = (zh: string, en: string): string => (language === "zh" ? zh : en);
  const refuse = (param: string, zh: string, en: string, hint: string): never => {
    throw new AppError("bad_request", say(zh, en), { param, hint });
  };
  const names = (columns: readonly Column[]): string => columns.map((column) => column.name).join(say("、", ", "));
  const kind =
    input.kind ??
    (input.comparison !== undefined ? "change" : (input.breakdown?.length ?? 0) > 0 ? "ranking" : "total");
  if (!planKinds.includes(kind))
    refuse("kind", `没有“${kind}”这种分析。`, `There is no analysis "${kind}".`, planKinds.join(", "));
  if (input.aggregation !== undefined && !aggregations.includes(input.aggregation))
    refuse(
      "aggregation",
      `没有“${input.aggregation}”这种汇总。`,
      `There is no aggregation "${input.aggregation}".`,
      aggregations.join(", "),
    );
  if (input.comparison !== undefined && !comparisons.includes(input.comparison))
    refuse(
      "comparison",
      `没有“${input.comparison}”这种对比。`,
      `There is no comparison "${input.comparison}".`,
      comparisons.join(", "),
    );

  if (input.order !== undefined && !orders.includes(input.order))
    refuse("order", `没有“${input.order}”这种顺序。`, `There is no order "${input.order}".`, orders.join(", "));

  const metrics = metricsOf(table);
  const isCount = input.metric === "*" || input.aggregation === "count";
  const metric = isCount
    ? undefined
    : input.metric === undefined
      ? mainMetric(table)
      : columnNamed(table, input.metric);
  if (!isCount && metric === undefined) {
    if (input.metric === undefined)
      refuse(
        "metric",
        "这张表没有可以计算的数字列。",
        "This table has no numeric column to compute with.",
        say("检查列的类型是否读对", "check whether the columns were typed rightly"),
      );
    else
      refuse(
        "metric",
        `表里没有“${input.metric}”这一列。`,
        `The table has no column "${input.metric}".`,
        say(`可用的指标：${names(metrics)}`, `Metrics: ${names(metrics)}`),
      );
  }
  if (metric !== undefined && metric.type !== "number" && input.aggregation !== "distinct") {
    refuse(
      "metric",
      `“${metric.name}”不是数字列，不能计算。`,
      `"${metric.name}" is not numeric and cannot be computed.`,
      say(`可用的指标：${names(metrics)}`, `Metrics: ${names(metrics)}`),
    );
  }
  const aggregation: Aggregation = isCount
    ? "count"
    : (input.aggregation ?? (metric?.role === "ratio" ? "average" : "sum"));
  const filters = (input.filters ?? []).map((filter) => checkFilter(filter, table, { say, refuse }));

  const dimensions = table.columns.filter((column) => column.role === "dimension" || column.role === "id");
  for (const name of input.breakdown ?? []) {
    const column = columnNamed(table, name);
    if (column === undefined || column.type === "number")
      refuse(
        "breakdown",
        `不能按“${name}”拆分。`,
        `The table cannot be broken down by "${name}".`,
        say(`可用的维度：${names(dimensions)}`, `Dimensions: ${names(dimensions)}`),
      );
  }
  const needsPeriod = kind === "trend" || (kind === "change" && input.comparison !== "plan") || kind === "price_volume";
  const period =
    input.period !== undefined || needsPeriod ? checkPeriod(input, kind, { table, say, refuse }) : undefined;
  const given = (input.breakdown ?? []).map((name) => columnNamed(table, name)?.name ?? name);
  const needsBreakdown = kind === "change" || kind === "ranking" || kind === "pareto" || kind === "price_volume";
  const next = dimensionOrder(table, filters)[0]?.name;
  const breakdown = given.length > 0 || !needsBreakdown || next === undefined ? given.slice(0, 2) : [next];
  if ((kind === "ranking" || kind === "pareto") && breakdown.length === 0)
    refuse(
      "breakdown",
      "这张表没有可以拆分的维度列。",
      "The table has no dimension to break down by.",
      say("检查列的类型是否读对", "check whether the columns were typed rightly"),
    );

  const comparison = kind === "change" || kind === "price_volume" ? (input.comparison ?? "previous") : input.comparison;
  const plan: Plan = { kind, metric: metric?.name ?? "*", aggregation, filters, breakdown, top: clampTop(input.top) };
  if (period !== undefined) plan.period = period;
  if (input.order === "smallest" && kind === "ranking") plan.order = input.order;
  if (comparison !== undefined) plan.comparison = comparison;
  if (comparison === "plan") {
    const planned =
      input.planMetric === undefined
        ? metric === undefined
          ? undefined
          : planColumnOf(table, metric)
        : columnNamed(table, input.planMetric);
    if (planned === undefined || planned.type !== "number")
      refuse(
        "planMetric",
        "表里没有计划（目标、预算）列，不能与计划对比。",
        "The table has no planned figures to compare with.",
        say("加一列计划值，或改用环比、同比", "Add a column of planned figures, or compare with the previous period"),
      );
    else plan.planMetric = planned.name;
  }
  if (kind === "correlation" || kind === "price_volume") {
    const quantity = /销量|数量|件数|台数|quantity|qty|units|volume/i;
    const versus =
      input.versus === undefined
        ? metrics.find(
            (column) => column.name !== metric?.name && (kind === "correlation" || quantity.test(column.name)),
          )
        : columnNamed(table, input.versus);
    if (versus === undefined || versus.type !== "number" || versus.id === metric?.id) {
      refuse(
        "versus",
        kind === "correlation" ? "相关分析需要两个数字列。" : "量价分析需要一个数量列（如销量）。",
        kind === "correlation"
          ? "A correlation needs two numeric columns."
          : "A price and volume split needs a quantity column.",
        say(`数字列：${names(metrics)}`, `Numeric columns: ${names(metrics)}`),
      );
    } else plan.versus = versus.name;
  }
  return plan;
}

interface Refusal {
  say: (zh: string, en: string) => string;
  refuse: (param: string, zh: string, en: string, hint: string) => never;
}

function clampTop(top: number | undefined): number {
  return top === undefined || !Number.isFinite(top) ? defaultTop : Math.min(100, Math.max(1, Math.round(top)));
}

function checkFilter(filter: Filter, table: Table, { say, refuse }: Refusal): Filter {
  const column = columnNamed(table, filter.column);
  if (column === undefined) {
    return refuse(
      "filters",
      `表里没有“${filter.column}”这一列。`,
      `The table has no column "${filter.column}".`,
      say(
        `列：${table.columns.map((c) => c.name).join("、")}`,
        `Columns: ${table.columns.map((c) => c.name).join(", ")}`,
      ),
    );
  }
  if ("value" in filter) {
    if (column.type !== "number" || !Number.isFinite(filter.value))
      refuse("filters", `“${column.name}”不能与数值比较。`, `"${column.name}" cannot be compared with a number.`, "");
    return { column: column.name, is: filter.is, value: filter.value };
  }
  if (filter.is !== "in" && filter.is !== "not_in")
    return refuse(
      "filters",
      "筛选只能是 in、not_in、at_least、at_most。",
      "A filter is one of in, not_in, at_least, at_most.",
      "",
    );
  if (column.type !== "text" && column.type !== "boolean")
    return refuse(
      "filters",
      `“${column.name}”不能按值筛选。`,
      `"${column.name}" cannot be filtered by its values.`,
      say("日期和期间请用 period", "use period for dates"),
    );
  if (filter.values.length === 0)
    return refuse("filters", `“${column.name}”的筛选没有值。`, `The filter on "${column.name}" has no values.`, "");
  for (const value of filter.values) {
    if (column.labels.includes(value)) continue;
    const near = column.labels.filter((label) => label.includes(value) || value.includes(label)).slice(0, 5);
    const shown = near.length > 0 ? near : column.labels.slice(0, 8);
    refuse(
      "filters",
      `“${column.name}”里没有“${value}”。`,
      `"${column.name}" has no value "${value}".`,
      say(
        `${near.length > 0 ? "相近的值" : "现有的值"}：${shown.join("、")}`,
        `${near.length > 0 ? "Near" : "Present"}: ${shown.join(", ")}`,
      ),
    );
  }
  return { column: column.name, is: filter.is, values: [...filter.values] };
}

function checkPeriod(input: PlanInput, kind: PlanKind, { table, say, refuse }: Refusal & { table: Table }): PlanPeriod {
  const named = input.period?.column === undefined ? undefined : columnNamed(table, input.period.column);
  const column = named ?? timeColumn(table);
  if (column === undefined || (column.type !== "date" && column.type !== "period")) {
    return refuse(
      "period",
      "这张表没有日期或期间列，不能做时间对比。",
      "The table has no date or period column, so periods cannot be compared.",
      say("加一列日期，或改做构成分析", "Add a date column, or ask for a breakdown"),
    );
  }
  const grain = input.period?.grain ?? defaultGrain(column, kind);
  if (!grains.includes(grain))
    refuse("period", `没有“${grain}”这种期间。`, `There is no grain "${grain}".`, grains.join(", "));
  if (grains.indexOf(grain) < grains.indexOf(column.grain ?? "day")) {
    return refuse(
      "period",
      `“${column.name}”的粒度不够细。`,
      `"${column.name}" is not that fine.`,
      say(`最细到 ${column.grain}`, `its finest is ${column.grain}`),
    );
  }
  const starts = periodsOf(column, grain);
  const shown = starts.map(dateText);
  const covers = say(`数据从 ${shown[0]} 到 ${shown.at(-1)}`, `The data runs from ${shown[0]} to ${shown.at(-1)}`);
  if (kind === "trend") {
    const within = input.period?.within;
    if (within === undefined) return { column: column.name, grain };
    const outer = startOf(daysFromText(within.start), within.grain);
    if (grains.indexOf(within.grain) < grains.indexOf(grain) || !periodsOf(column, within.grain).includes(outer))
      return refuse(
        "period",
        `数据里没有这个期间（${within.start}）。`,
        `The data holds no such period (${within.start}).`,
        covers,
      );
    return { column: column.name, grain, within: { grain: within.grain, start: dateText(outer) } };
  }
  const wanted =
    input.period?.start === undefined
      ? starts.at(-1)
      : startOf(Math.round(Date.parse(`${input.period.start}T00:00:00Z`) / 86_400_000), grain);
  if (wanted === undefined || !starts.includes(wanted)) {
    return refuse(
      "period",
      `数据里没有这个期间（${input.period?.start ?? ""}）。`,
      `The data holds no such period (${input.period?.start ?? ""}).`,
      covers,
    );
  }
  if (kind === "change" || kind === "price_volume") {
    const before = input.comparison === "year_ago" ? yearBefore(wanted, grain) : shifted(wanted, grain, -1);
    const isPlan = input.comparison === "plan";
    if (!isPlan && !starts.includes(before)) {
      const which =
        input.comparison === "year_ago"
          ? say("去年同期", "the same period a year before")
          : say("上一期", "the period before");
      return refuse(
        "period",
        `数据里没有${which}（${dateText(before)}），无法对比。`,
        `The data does not hold ${which} (${dateText(before)}), so there is nothing to compare with.`,
        covers,
      );
    }
  }
  return { column: column.name, grain, start: dateText(wanted) };
}
