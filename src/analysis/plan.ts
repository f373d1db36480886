// What is to be computed, as plain data: the page shows it, people edit it, and exactly this is executed. A plan names only columns
// and values that exist; check-plan.ts holds it to that and fills in what was left open.
import type { Grain } from "./parse-time.ts";

export const planKinds = [
  "total",
  "ranking",
  "change",
  "trend",
  "distribution",
  "pareto",
  "correlation",
  "price_volume",
] as const;
export type PlanKind = (typeof planKinds)[number];

export const aggregations = ["sum", "average", "count", "distinct", "min", "max", "median"] as const;
export type Aggregation = (typeof aggregations)[number];

export const comparisons = ["previous", "year_ago", "plan"] as const;
export type Comparison = (typeof comparisons)[number];

export const grains = ["day", "week", "month", "quarter", "half", "year"] as const satisfies readonly Grain[];

export interface MemberFilter {
  column: string;
  is: "in" | "not_in";
  values: readonly string[];
}

export interface LimitFilter {
  column: string;
  is: "at_least" | "at_most";
  value: number;
}

export type Filter = MemberFilter | LimitFilter;

export interface PlanPeriod {
  column: string;
  grain: Grain;
  /** First day of the current period, "2025-07-01"; absent: the latest in the data. Trends have none. */
  start?: string;
  /** The period that a trend stays in: the months of 2025. */
  within?: { grain: Grain; start: string };
}

/** Which members come first, and are shown when only some are. */
export const orders = ["largest", "smallest"] as const;
export type Order = (typeof orders)[number];

export interface Plan {
  kind: PlanKind;
  /** Name of a numeric column; "*" counts records. */
  metric: string;
  aggregation: Aggregation;
  filters: readonly Filter[];
  /** Dimensions, the first outermost. */
  breakdown: readonly string[];
  period?: PlanPeriod;
  comparison?: Comparison;
  /** The column of planned figures, for the comparison with plan. */
  planMetric?: string;
  /** Second metric: of a correlation; the quantity of a price and volume split. */
  versus?: string;
  /** Members shown by name; the rest become "others". */
  top: number;
  /** Of a ranking; the largest first unless told. */
  order?: Order;
}

/** A plan from outside: everything but the kind of question may be left open. */
export type PlanInput = Partial<Plan>;

export const defaultTop = 10;

export const dateText = (days: number): string => new Date(days * 86_400_000).toISOString().slice(0, 10);
export const daysFromText = (text: string): number => Math.round(Date.parse(`${text}T00:00:00Z`) / 86_400_000);
