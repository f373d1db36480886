import { grainWords } from "./column-time.ts";
import { daysFromText, type Filter, type Plan } from "./plan.ts";
import { columnNamed, type Table } from "./table.ts";
import { periodName, periodTick, shifted, yearBefore } from "./time.ts";
import { type Language, listed } from "./words.ts";

const aggregationWords = {
  sum: ["合计", "total of"],
  average: ["平均值", "average of"],
  count: ["记录数", "number of records"],
  distinct: ["不同值的个数", "distinct values of"],
  min: ["最小值", "minimum of"],
  max: ["最大值", "maximum of"],
  median: ["中位数", "median of"],
} as const;

/** Name of the metric as it is computed: "销售额", "单价的平均值". */
export function metricWords(plan: Pick<Plan, "metric" | "aggregation">, language: Language): string {
  const [zh, en] = aggregationWords[plan.aggregation];
  if (plan.aggregation === "count") return language === "zh" ? zh : en;
  if (plan.aggregation === "sum") return plan.metric;
  return language === "zh" ? `${plan.metric}的${zh}` : `${en} ${plan.metric}`;
}

export function filterWords(filter: Filter, language: Language): string {
  if ("value" in filter) return `${filter.column} ${filter.is === "at_least" ? "≥" : "≤"} ${filter.value}`;
  if (filter.is === "not_in")
    return `${filter.column}${language === "zh" ? "不是" : " not "}${listed(filter.values, language)}`;
  return `${filter.column}${language === "zh" ? "为" : " "}${listed(filter.values, language)}`;
}

/** The same two periods as short marks: 2025Q3, 2025-07. */
export function comparedTicks({ period, comparison }: Plan, table: Table): { current?: string; before?: string } {
  const column = period === undefined ? undefined : columnNamed(table, period.column);
  if (period?.start === undefined || column === undefined) return {};
  const isFiscal = column.isFiscal === true && period.grain === "year";
  const style = { grain: period.grain, hasYear: column.hasYear ?? true, isFiscal };
  const start = daysFromText(period.start);
  const before = comparison === "year_ago" ? yearBefore(start, period.grain) : shifted(start, period.grain, -1);
  return { current: periodTick(start, style), before: periodTick(before, style) };
}

/** The current period and the one it is compared with, by name. */
export function comparedPeriods(plan: Plan, table: Table, language: Language): { current?: string; before?: string } {
  const { period } = plan;
  const column = period === undefined ? undefined : columnNamed(table, period.column);
  if (period?.start === undefined || column === undefined) return {};
  const style = {
    grain: period.grain,
    hasYear: column.hasYear ?? true,
    isFiscal: column.isFiscal === true && period.grain === "year",
  };
  const start = daysFromText(period.start);
  const current = periodName(start, style, language);
  if (plan.comparison !== "previous" && plan.comparison !== "year_ago") return { current };
  const before = plan.comparison === "previous" ? shifted(start, period.grain, -1) : yearBefore(start, period.grain);
  return { current, before: periodName(before, style, language) };
}

function withinName({ period }: Plan, table: Table, language: Language): string | undefined {
  const column = period === undefined ? undefined : columnNamed(table, period.column);
  if (period?.within === undefined || column === undefined) return undefined;
  const { grain, start } = period.within;
  const isFiscal = column.isFiscal === true && grain === "year";
  return periodName(daysFromText(start), { grain, hasYear: column.hasYear ?? true, isFiscal }, language);
}

/** The whole plan as one sentence, for people to check before they trust a figure, and to edit: read as a question it gives this plan. */
export function planInWords(plan: Plan, table: Table, language: Language): string {
  const zh = language === "zh";
  const metric = metricWords(plan, language);
  const where = plan.filters.map((filter) => filterWords(filter, language)).join(zh ? "，" : ", ");
  const by = plan.breakdown.join(zh ? "、再按" : ", then by ");
  const { current, before } = comparedPeriods(plan, table, language);
  const scope = where === "" ? (zh ? "全部数据" : "all data") : where;
  const grain = plan.period === undefined ? "" : grainWords[plan.period.grain][language];
  const within = withinName(plan, table, language);
  const inside = within === undefined ? "" : zh ? `${within}内` : ` in ${within}`;
  const parts: Record<Plan["kind"], string> = {
    total: zh ? `计算${metric}` : `compute ${metric}`,
    ranking:
      plan.order === "smallest"
        ? zh
          ? `按${by}拆分${metric}，显示最低的 ${plan.top} 名和其他`
          : `break ${metric} down by ${by}, the lowest ${plan.top} and others`
        : zh
          ? `按${by}拆分${metric}，显示前 ${plan.top} 名和其他`
          : `break ${metric} down by ${by}, the top ${plan.top} and others`,
    change:
      plan.comparison === "plan"
        ? zh
          ? `把${metric}与${plan.planMetric}对比${by === "" ? "" : `，差额按${by}归因`}`
          : `compare ${metric} with ${plan.planMetric}${by === "" ? "" : ` and attribute the difference by ${by}`}`
        : zh
          ? `把${metric}的${current}与${before}对比（${plan.comparison === "year_ago" ? "同比" : "环比"}）${by === "" ? "" : `，变化按${by}归因`}`
          : `compare ${metric} of ${current} with ${before}${by === "" ? "" : ` and attribute the change by ${by}`}`,
    trend: zh
      ? `${inside}${metric}按${grain}的趋势${by === "" ? "" : `，按${by}拆分`}`
      : `the trend of ${metric} by ${grain}${by === "" ? "" : `, broken down by ${by}`}${inside}`,
    distribution: zh ? `${metric}的分布` : `the distribution of ${metric}`,
    pareto: zh ? `${metric}按${by}的帕累托分析` : `a Pareto analysis of ${metric} by ${by}`,
    correlation: zh ? `${plan.metric}与${plan.versus}的相关性` : `the correlation of ${plan.metric} and ${plan.versus}`,
    price_volume: zh
      ? `${plan.metric}的变化拆成销量、价格、结构（数量列：${plan.versus}，按${by}，${current}对比${before}）`
      : `split the change of ${plan.metric} into volume, price and mix (quantity: ${plan.versus}, by ${by}, ${current} against ${before})`,
  };
  const during =
    current !== undefined &&
    (plan.kind === "total" || plan.kind === "ranking" || plan.kind === "pareto" || plan.kind === "distribution")
      ? zh
        ? `，${current}`
        : `, ${current}`
      : "";
  return zh
    ? `范围：${scope}${during}。${parts[plan.kind]}。`
    : `Scope: ${scope}${during}. ${(parts[plan.kind][0] ?? "").toUpperCase()}${parts[plan.kind].slice(1)}.`;
}
