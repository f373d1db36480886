// What a person means who names no metric, no dimension and no period: told by the names of the columns and by what the data holds.
import type { Grain } from "./parse-time.ts";
import { type Filter, grains, type PlanKind } from "./plan.ts";
import type { Column, Table } from "./table.ts";
import { periodsOf, startOf } from "./time.ts";

const productLike = /产品|商品|型号|单品|品名|货品|\bsku\b|product|item|model/i;
const categoryLike = /品类|类别|类目|分类|品种|category|segment|type/i;
const regionLike = /区域|地区|大区|省|region|area|market|country/i;
const channelLike = /渠道|平台|门店|城市|客户|channel|store|city|customer/i;

/** Dimensions in the order in which "why" goes down: product first when a category is fixed, else category, region, channel. */
export function dimensionOrder(table: Table, filters: readonly Filter[]): Column[] {
  const isFixed = (column: Column): boolean =>
    filters.some(
      (filter) =>
        filter.column === column.name && "values" in filter && filter.is === "in" && filter.values.length === 1,
    );
  const hasCategory = filters.some((filter) => categoryLike.test(filter.column));
  const rank = (column: Column): number => {
    if (productLike.test(column.name)) return hasCategory ? 0 : 2;
    if (categoryLike.test(column.name)) return 1;
    if (regionLike.test(column.name)) return 3;
    if (channelLike.test(column.name)) return 4;
    return 5;
  };
  return table.columns
    .filter(
      (column) =>
        column.role === "dimension" &&
        column.labels.length >= 2 &&
        !isFixed(column) &&
        (column.labels.length <= 200 || productLike.test(column.name)),
    )
    .sort((a, b) => rank(a) - rank(b));
}

export function metricsOf(table: Table): Column[] {
  return table.columns.filter(
    (column) => column.type === "number" && (column.role === "metric" || column.role === "ratio"),
  );
}

const amountLike = /销售额|金额|营收|收入|营业额|revenue|sales|amount|turnover/i;

/** The metric people mean when they name none. */
export function mainMetric(table: Table): Column | undefined {
  const metrics = metricsOf(table).filter((column) => !column.isPlan);
  return (
    metrics.find((column) => amountLike.test(column.name) && column.role === "metric") ??
    // Beside 手机 | 电脑 | 合计 the total is what is meant, not its first part.
    metrics.find((column) => /^(合计|总计|总额|total|grand total)$/i.test(column.name) && column.role === "metric") ??
    metrics.find((column) => column.unit.kind === "money" && column.role === "metric") ??
    metrics.find((column) => column.role === "metric") ??
    metrics[0]
  );
}

/** The column that plans `metric`: 计划销售额 for 销售额. */
export function planColumnOf(table: Table, metric: Column): Column | undefined {
  const plans = table.columns.filter((column) => column.isPlan && column.id !== metric.id);
  return plans.find((column) => column.name.includes(metric.name)) ?? (plans.length === 1 ? plans[0] : undefined);
}

/**
 * The grain to compare by when none is asked for: quarters when the data holds two to six of them and the last two are complete
 * (six months compare as Q3 with Q2), else months, weeks, days. For a trend the finest that still reads as a line.
 */
export function defaultGrain(column: Column, kind: PlanKind): Grain {
  const own = column.grain ?? "day";
  const months = grains.indexOf(own) <= grains.indexOf("month") ? periodsOf(column, "month") : [];
  if (kind === "trend") {
    if (own !== "day") return own;
    return months.length >= 3 ? "month" : periodsOf(column, "week").length >= 4 ? "week" : "day";
  }
  if (grains.indexOf(own) > grains.indexOf("month")) return own;
  const quarters = Map.groupBy(months, (start) => startOf(start, "quarter"));
  const [last, previous] = [...quarters.keys()].sort((a, b) => b - a).map((start) => quarters.get(start)?.length ?? 0);
  if (quarters.size >= 2 && quarters.size <= 6 && last === 3 && previous === 3) return "quarter";
  if (months.length >= 2 || own === "month") return "month";
  return own === "week" || periodsOf(column, "week").length >= 2 ? "week" : "day";
}
