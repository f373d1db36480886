// Results -> ECharts options, by rule: a trend is a line, a change a waterfall, a Pareto a Pareto, two dimensions of what adds up a
// stack; shares of up to six parts may be a pie, everything else is bars. Options are plain JSON (no functions), so that the page, the image writer and a saved workspace
// read the same. Colours come from a theme chosen when drawn: light, dark, or print (patterns that survive greyscale).
import type { Result } from "./aggregate.ts";
import type { Contribution } from "./attribution.ts";
import { optionOf, tidy } from "./chart-option.ts";
import { otherLabel, scopeName, unitOfPlan } from "./fact-writer.ts";
import { spokenBase } from "./format-number.ts";
import type { Plan } from "./plan.ts";
import { comparedPeriods, comparedTicks, metricWords } from "./plan-in-words.ts";
import type { StackLayer } from "./stack.ts";
import type { Table } from "./table.ts";
import type { Unit } from "./unit.ts";
import type { Language } from "./words.ts";

export const chartKinds = [
  "line",
  "bar",
  "bar_horizontal",
  "stacked",
  "waterfall",
  "pareto",
  "pie",
  "histogram",
  "scatter",
] as const;
export type ChartKind = (typeof chartKinds)[number];

export interface ChartSeries {
  name: string;
  values: readonly number[];
}

export interface Chart {
  id: string;
  kind: ChartKind;
  /** Other kinds that show the same figures. */
  alternatives: readonly ChartKind[];
  title: string;
  /** The figures themselves: native charts in slides and workbooks are made from these. Values are in `unit`. */
  categories: readonly string[];
  series: readonly ChartSeries[];
  unit: string;
  /** Values were divided by this for the axis (10,000 for 万). */
  divisor: number;
  isPercent: boolean;
  /** An ECharts option without colours: put through themed(). */
  option: ChartOption;
}

export type ChartOption = Record<string, unknown>;

export interface Figures {
  categories: string[];
  series: ChartSeries[];
  kind: ChartKind;
  alternatives: ChartKind[];
  points?: readonly (readonly [number, number])[];
  axisNames?: readonly [string, string];
  /** A waterfall's last bar, or a second total. */
  totals?: ReadonlySet<number>;
}

export function chartOf(
  result: Result,
  plan: Plan,
  table: Table,
  { language, kind }: { language: Language; kind?: ChartKind },
): Chart | undefined {
  const figures = figuresOf(result, plan, table, language);
  if (figures === undefined) return undefined;
  const unit = unitOfPlan(plan, table, language);
  const chosen =
    kind !== undefined && (kind === figures.kind || figures.alternatives.includes(kind)) ? kind : figures.kind;
  const isCount = result.kind === "distribution";
  // A scatter shows each record as it stands in the sheet.
  const asInSheet = result.kind === "correlation" ? { divisor: unit.scale, suffix: unit.symbol } : undefined;
  const { divisor, suffix } = isCount
    ? { divisor: 1, suffix: "" }
    : (asInSheet ?? axisUnit(figures.series, unit, language));
  const isPercent = unit.kind === "percent" && !isCount;
  const scaled = figures.series.map((series) => ({
    name: series.name,
    values: series.values.map((value) => tidy(isPercent ? value * 100 : (value * unit.scale) / divisor)),
  }));
  const title = titleOf(result, plan, table, language);
  const unitText = isPercent ? "%" : suffix;
  const base = { title, categories: figures.categories, series: scaled, unit: unitText };
  return {
    id: "chart-1",
    kind: chosen,
    alternatives: [figures.kind, ...figures.alternatives].filter((other) => other !== chosen),
    ...base,
    divisor: isPercent ? 0.01 : divisor / unit.scale,
    isPercent,
    option: optionOf(chosen, figures, base, language),
  };
}

function figuresOf(result: Result, plan: Plan, table: Table, language: Language): Figures | undefined {
  const zh = language === "zh";
  switch (result.kind) {
    case "total":
      return undefined;
    case "trend":
      return {
        categories: result.points.map((point) => point.tick),
        ...(layered(result.layers, result.isAdditive, language) ?? {
          series: [{ name: metricWords(plan, language), values: result.points.map((point) => point.value) }],
          kind: result.points.length < 3 ? "bar" : "line",
          alternatives: result.points.length < 3 ? ["line"] : ["bar"],
        }),
      };
    case "ranking":
    case "pareto": {
      const members = [
        ...result.members,
        ...(result.others === undefined
          ? []
          : [{ ...result.others, label: otherLabel(language, result.others.memberCount) }]),
      ];
      const isWhole = members.every(({ value }) => value >= 0) && (result.kind === "pareto" || result.isAdditive);
      const kind: ChartKind =
        result.kind === "pareto"
          ? "pareto"
          : members.length > 7 || members.some(({ label }) => label.length > 8)
            ? "bar_horizontal"
            : "bar";
      const others: ChartKind[] = [
        "bar",
        "bar_horizontal",
        ...(isWhole ? (["pareto"] as const) : []),
        ...(isWhole && members.length <= 6 ? (["pie"] as const) : []),
      ];
      const stacked =
        result.kind === "ranking" ? layered(result.layers, result.isAdditive, language, "bar") : undefined;
      return {
        categories: members.map(({ label }) => label),
        ...(stacked ?? {
          series: [{ name: metricWords(plan, language), values: members.map(({ value }) => value) }],
          kind,
          alternatives: others.filter((other) => other !== kind),
        }),
      };
    }
    case "change":
      return changeFigures(result, plan, table, language);
    case "distribution":
      return {
        categories: result.shape.bins.map(({ from, to }) => `${short(from, language)}–${short(to, language)}`),
        series: [{ name: zh ? "条数" : "records", values: result.shape.bins.map(({ count }) => count) }],
        kind: "histogram",
        alternatives: ["bar"],
      };
    case "correlation":
      return {
        categories: [],
        series: [{ name: plan.metric, values: result.shape.sample.map(([, y]) => y) }],
        kind: "scatter",
        alternatives: [],
        points: result.shape.sample,
        axisNames: [plan.versus ?? "", plan.metric],
      };
    case "price_volume": {
      const { split, previous, current } = result;
      const { current: now = "", before = "" } = comparedTicks(plan, table);
      return {
        categories: [before, zh ? "销量" : "volume", zh ? "价格" : "price", zh ? "结构" : "mix", now],
        series: [{ name: plan.metric, values: [previous, split.volume, split.price, split.mix, current] }],
        kind: "waterfall",
        alternatives: ["bar"],
        totals: new Set([0, 4]),
      };
    }
  }
}

/** Two dimensions: stacked when the layers are parts of a whole, else side by side. */
function layered(
  layers: readonly StackLayer[] | undefined,
  isAdditive: boolean,
  language: Language,
  beside: "line" | "bar" = "line",
): Pick<Figures, "series" | "kind" | "alternatives"> | undefined {
  if (layers === undefined) return undefined;
  const series = layers.map(({ label, values, memberCount = 0 }) => ({
    name: label === "" ? otherLabel(language, memberCount) : label,
    values,
  }));
  const isWhole = isAdditive && layers.every(({ values }) => values.every((value) => value >= 0));
  const others: ChartKind[] = beside === "line" ? ["line", "bar"] : ["bar"];
  return isWhole
    ? { series, kind: "stacked", alternatives: others }
    : { series, kind: beside, alternatives: others.filter((kind) => kind !== beside) };
}

const short = (value: number, language: Language): string => {
  const [from, size, word] = language === "zh" ? ([10_000, 10_000, "万"] as const) : ([10_000, 1000, "k"] as const);
  return Math.abs(value) >= from ? `${tidy(value / size)}${word}` : String(tidy(value));
};

function changeFigures(result: Result & { kind: "change" }, plan: Plan, table: Table, language: Language): Figures {
  const zh = language === "zh";
  // The title says the periods in full; below the bars they must be short enough to be told apart on a phone.
  const { current = zh ? "本期" : "current", before = zh ? "上期" : "previous" } = comparedTicks(plan, table);
  const [from, to] = plan.comparison === "plan" ? [zh ? "计划" : "plan", zh ? "实际" : "actual"] : [before, current];
  if (!result.isAttributed || result.members.length === 0) {
    return {
      categories: [from, to],
      series: [{ name: metricWords(plan, language), values: [result.previous, result.current] }],
      kind: "bar",
      alternatives: [],
    };
  }
  const parts: readonly Contribution[] = [
    ...result.members,
    ...(result.others === undefined
      ? []
      : [{ ...result.others, label: otherLabel(language, result.others.memberCount) }]),
  ];
  const ordered = parts.toSorted((a, b) => b.part - a.part);
  return {
    categories: [from, ...ordered.map(({ label }) => label), to],
    series: [
      {
        name: metricWords(plan, language),
        values: [result.previous, ...ordered.map(({ part }) => part), result.current],
      },
    ],
    kind: "waterfall",
    alternatives: ["bar"],
    totals: new Set([0, ordered.length + 1]),
  };
}

function axisUnit(series: readonly ChartSeries[], unit: Unit, language: Language): { divisor: number; suffix: string } {
  const most = Math.max(0, ...series.flatMap(({ values }) => values.map((value) => Math.abs(value) * unit.scale)));
  const symbol = unit.kind === "count" ? unit.symbol : spokenBase(unit.base, language);
  if (unit.kind === "mass" || unit.kind === "length" || unit.kind === "time")
    return { divisor: unit.scale, suffix: unit.symbol };
  const named = (magnitude: string): string =>
    unit.isPrefix === true ? `${symbol} ${magnitude}` : `${magnitude} ${symbol}`.trim();
  if (language === "zh")
    return most >= 1e9
      ? { divisor: 1e8, suffix: `亿${symbol}` }
      : most >= 1e5
        ? { divisor: 1e4, suffix: `万${symbol}` }
        : { divisor: 1, suffix: symbol };
  return most >= 1e9
    ? { divisor: 1e9, suffix: named("billion") }
    : most >= 1e6
      ? { divisor: 1e6, suffix: named("million") }
      : { divisor: 1, suffix: symbol };
}

function titleOf(result: Result, plan: Plan, table: Table, language: Language): string {
  const zh = language === "zh";
  const scope = scopeName(plan, language);
  const metric = metricWords(plan, language);
  const about = zh ? `${scope}${metric}` : `${metric}${scope === "" ? "" : ` of ${scope}`}`;
  const by = plan.breakdown[0] ?? "";
  const { current = "", before = "" } = comparedPeriods(plan, table, language);
  switch (result.kind) {
    case "change":
      return plan.comparison === "plan"
        ? zh
          ? `${about}与计划的差异（按${by}）`
          : `${about} against plan, by ${by}`
        : zh
          ? `${about}：${before} → ${current}（按${by}归因）`
          : `${about}: ${before} → ${current}, by ${by}`;
    case "trend":
      return zh
        ? `${about}趋势${by === "" ? "" : `（按${by}）`}`
        : `${about} over time${by === "" ? "" : `, by ${by}`}`;
    case "distribution":
      return zh ? `${about}分布` : `Distribution of ${about}`;
    case "correlation":
      return zh ? `${plan.metric}与${plan.versus}` : `${plan.metric} and ${plan.versus}`;
    case "price_volume":
      return zh ? `${about}：量、价、结构` : `${about}: volume, price, mix`;
    default:
      return zh
        ? `${about}（按${plan.breakdown.join("、")}${current === "" ? "" : `，${current}`}）`
        : `${about} by ${plan.breakdown.join(" and ")}${current === "" ? "" : `, ${current}`}`;
  }
}
