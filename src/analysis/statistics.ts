// Shapes of data: distribution, correlation, trend. The sums come from DuckDB; the rest is a few lines of arithmetic.

import { AppError } from "../base/errors.ts";
import type { TrendPoint } from "./aggregate.ts";
import type { Grain } from "./parse-time.ts";
import type { Scope } from "./query.ts";
import type { Query, SqlRow } from "./store.ts";

type Run = (query: Query) => Promise<SqlRow[]>;

export interface Distribution {
  count: number;
  min: number;
  max: number;
  mean: number;
  median: number;
  lowerQuartile: number;
  upperQuartile: number;
  deviation: number;
  bins: readonly { from: number; to: number; count: number }[];
}

/** `id` is a column id, checked by the caller. */
export async function distribution({ from, where, values }: Scope, id: string, run: Run): Promise<Distribution> {
  const [row] = await run({
    sql: `select count(${id}), min(${id}), max(${id}), fsum(${id}) / nullif(count(${id}), 0), quantile_cont(${id}, 0.5), quantile_cont(${id}, 0.25), quantile_cont(${id}, 0.75), stddev_samp(${id}) from ${from} where ${where}`,
    values,
  });
  const [count, min, max, mean, median, lowerQuartile, upperQuartile, deviation] = (row ?? []).map(
    (value) => value ?? 0,
  );
  if (count === undefined || count === 0 || min === undefined || max === undefined) {
    throw new AppError("bad_request", "No record matches the filters. 没有符合筛选条件的数据。", {
      param: "filters",
      hint: "Loosen the filters. 放宽筛选条件。",
    });
  }
  const width = niceStep((max - min) / Math.min(20, Math.max(5, Math.ceil(Math.log2(count) + 1))));
  const first = Math.floor(min / width);
  const n = values.length;
  const counted = await run({
    sql: `select cast(floor(${id} / $${n + 1}) as INTEGER) as bin, count(*) from ${from} where ${where} and ${id} is not null group by 1`,
    values: [...values, width],
  });
  const byBin = new Map(counted.map(([bin, records]) => [bin ?? 0, records ?? 0]));
  const last = Math.floor(max / width);
  const bins = Array.from({ length: last - first + 1 }, (_, index) => ({
    from: tidyBin((first + index) * width),
    to: tidyBin((first + index + 1) * width),
    count: byBin.get(first + index) ?? 0,
  }));
  return {
    count,
    min,
    max,
    mean: mean ?? 0,
    median: median ?? 0,
    lowerQuartile: lowerQuartile ?? 0,
    upperQuartile: upperQuartile ?? 0,
    deviation: deviation ?? 0,
    bins,
  };
}

const tidyBin = (value: number): number => Number(value.toPrecision(12));

/** 1, 2 or 5 times a power of ten, at least `step`. */
export function niceStep(step: number): number {
  if (!(step > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}

export interface Correlation {
  /** Pearson's r; undefined when one side does not vary. */
  r?: number;
  count: number;
  slope?: number;
  sample: readonly (readonly [number, number])[];
}

export async function correlation(
  { from, where, values }: Scope,
  [x, y]: readonly [string, string],
  run: Run,
): Promise<Correlation> {
  const both = `${where} and ${x} is not null and ${y} is not null`;
  const [row] = await run({
    sql: `select count(*), case when stddev_samp(${x}) > 0 and stddev_samp(${y}) > 0 then corr(${x}, ${y}) end, case when stddev_samp(${y}) > 0 then regr_slope(${x}, ${y}) end from ${from} where ${both}`,
    values,
  });
  const [count, r, slope] = row ?? [];
  // Every k-th record, so that the scatter shows the whole range and is the same each time.
  const step = Math.max(1, Math.floor((count ?? 0) / 500));
  const points = await run({
    sql: `select ${x}, ${y} from ${from} where ${both} and r % $${values.length + 1} = 0 order by r limit 500`,
    values: [...values, step],
  });
  return {
    count: count ?? 0,
    ...(r === null || r === undefined ? {} : { r }),
    ...(slope === null || slope === undefined ? {} : { slope }),
    sample: points.map(([a, b]) => [b ?? 0, a ?? 0] as const),
  };
}

export interface TrendShape {
  highest: TrendPoint;
  lowest: TrendPoint;
  first: TrendPoint;
  last: TrendPoint;
  /** First to last; undefined from zero. */
  growth?: number;
  direction: "up" | "down" | "flat";
  /** A month, quarter or weekday that stands out in at least two cycles. */
  seasonality?: { position: number; index: number; cycles: number };
}

export function describeTrend(points: readonly TrendPoint[], grain: Grain): TrendShape {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) throw new AppError("internal", "A trend without points.");
  const highest = points.reduce((best, point) => (point.value > best.value ? point : best), first);
  const lowest = points.reduce((best, point) => (point.value < best.value ? point : best), first);
  const growth = first.value === 0 ? undefined : (last.value - first.value) / Math.abs(first.value);
  const direction = growth === undefined || Math.abs(growth) < 0.01 ? "flat" : growth > 0 ? "up" : "down";
  const seasonality = seasonalityOf(points, grain);
  return {
    first,
    last,
    highest,
    lowest,
    direction,
    ...(growth === undefined ? {} : { growth }),
    ...(seasonality === undefined ? {} : { seasonality }),
  };
}

/** The position in the cycle whose values lie farthest above their own cycle's mean, in every cycle. */
function seasonalityOf(points: readonly TrendPoint[], grain: Grain): TrendShape["seasonality"] {
  const cycle = grain === "month" ? 12 : grain === "quarter" ? 4 : undefined;
  if (cycle === undefined || points.length < 2 * cycle) return undefined;
  const positionOf = (point: TrendPoint): number => {
    const month = new Date(point.start * 86_400_000).getUTCMonth();
    return grain === "month" ? month : Math.floor(month / 3);
  };
  const years = Map.groupBy(points, (point) => new Date(point.start * 86_400_000).getUTCFullYear());
  const whole = [...years.values()].filter((year) => year.length === cycle);
  if (whole.length < 2) return undefined;
  const ratios = Array.from({ length: cycle }, () => [] as number[]);
  for (const year of whole) {
    const mean = year.reduce((sum, point) => sum + point.value, 0) / cycle;
    if (mean <= 0) return undefined;
    for (const point of year) ratios[positionOf(point)]?.push(point.value / mean);
  }
  const steady = ratios
    .map((list, position) => ({ position, index: Math.min(...list) }))
    .sort((a, b) => b.index - a.index)[0];
  return steady !== undefined && steady.index >= 1.15
    ? { position: steady.position, index: steady.index, cycles: whole.length }
    : undefined;
}
