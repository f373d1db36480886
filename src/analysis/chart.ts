// Results -> ECharts options, by rule: a trend is a line, a change a waterfall, a Pareto a Pareto; shares of up to six parts may be
// a pie, everything else is bars. Options are plain JSON (no functions), so that the page, the image writer and a saved workspace
// read the same. Colours come from a theme chosen when drawn: light, dark, or print (patterns that survive greyscale).
import type { Result } from "./aggregate.ts";
import type { Contribution } from "./attribution.ts";
import { otherLabel, scopeName, unitOfPlan } from "./facts.ts";
import { spokenBase } from "./format-number.ts";
import type { Plan } from "./plan.ts";
import { comparedPeriods, metricWords } from "./plan-in-words.ts";
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
export type ChartTheme = "light" | "dark" | "print";

interface Figures {
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

const tidy = (value: number): number => Number(value.toPrecision(10));

function figuresOf(result: Result, plan: Plan, table: Table, language: Language): Figures | undefined {
  const zh = language === "zh";
  switch (result.kind) {
    case "total":
      return undefined;
    case "trend":
      return {
        categories: result.points.map((point) => point.tick),
        series: [{ name: metricWords(plan, language), values: result.points.map((point) => point.value) }],
        kind: result.points.length < 3 ? "bar" : "line",
        alternatives: result.points.length < 3 ? ["line"] : ["bar"],
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
      return {
        categories: members.map(({ label }) => label),
        series: [{ name: metricWords(plan, language), values: members.map(({ value }) => value) }],
        kind,
        alternatives: others.filter((other) => other !== kind),
      };
    }
    case "change":
      return changeFigures(result, plan, table, language);
    case "distribution":
      return {
        categories: result.shape.bins.map(({ from, to }) => `${short(from)}–${short(to)}`),
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
      const { current: now = "", before = "" } = comparedPeriods(plan, table, language);
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

const short = (value: number): string =>
  (Math.abs(value) >= 10_000 ? `${tidy(value / 10_000)}e4` : String(tidy(value))).replace("e4", "万");

function changeFigures(result: Result & { kind: "change" }, plan: Plan, table: Table, language: Language): Figures {
  const zh = language === "zh";
  const { current = zh ? "本期" : "current", before = zh ? "上期" : "previous" } = comparedPeriods(
    plan,
    table,
    language,
  );
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
  if (language === "zh")
    return most >= 1e9
      ? { divisor: 1e8, suffix: `亿${symbol}` }
      : most >= 1e5
        ? { divisor: 1e4, suffix: `万${symbol}` }
        : { divisor: 1, suffix: symbol };
  return most >= 1e9
    ? { divisor: 1e9, suffix: `${symbol} billion`.trim() }
    : most >= 1e6
      ? { divisor: 1e6, suffix: `${symbol} million`.trim() }
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
      return zh ? `${about}趋势` : `${about} over time`;
    case "distribution":
      return zh ? `${about}分布` : `Distribution of ${about}`;
    case "correlation":
      return zh ? `${plan.metric}与${plan.versus}` : `${plan.metric} and ${plan.versus}`;
    case "price_volume":
      return zh ? `${about}：量、价、结构` : `${about}: volume, price, mix`;
    default:
      return zh
        ? `${about}（按${by}${current === "" ? "" : `，${current}`}）`
        : `${about} by ${by}${current === "" ? "" : `, ${current}`}`;
  }
}

interface Base {
  title: string;
  categories: readonly string[];
  series: readonly ChartSeries[];
  unit: string;
}

function optionOf(kind: ChartKind, figures: Figures, base: Base, language: Language): ChartOption {
  const values = base.series[0]?.values ?? [];
  const common = {
    aria: { enabled: true, label: { description: description(base) } },
    animationDuration: 300,
    title: {
      text: base.title,
      left: 12,
      top: 8,
      textStyle: { fontSize: 15, fontWeight: 600, width: 760, overflow: "truncate" },
    },
    grid: { left: 16, right: 28, top: 72, bottom: 16, containLabel: true },
    tooltip: { trigger: kind === "pie" || kind === "scatter" ? "item" : "axis" },
  };
  const valueAxis = { type: "value", name: base.unit, nameTextStyle: { align: "left" }, splitLine: { show: true } };
  const categoryAxis = {
    type: "category",
    data: [...base.categories],
    axisTick: { show: false },
    axisLabel: { interval: base.categories.length > 14 ? "auto" : 0, width: 92, overflow: "break", hideOverlap: true },
  };
  const label = { show: values.length <= 14, fontSize: 11 };
  switch (kind) {
    case "line":
      return {
        ...common,
        xAxis: categoryAxis,
        yAxis: { ...valueAxis, scale: true },
        series: base.series.map((series) => ({
          type: "line",
          name: series.name,
          data: [...series.values],
          symbolSize: 6,
          lineStyle: { width: 2.5 },
          label: { ...label, position: "top" },
        })),
      };
    case "bar_horizontal":
      return {
        ...common,
        xAxis: valueAxis,
        yAxis: { ...categoryAxis, inverse: true, axisLabel: { width: 140, overflow: "truncate" } },
        series: base.series.map((series) => ({
          type: "bar",
          name: series.name,
          data: [...series.values],
          barMaxWidth: 26,
          label: { ...label, position: "right" },
        })),
      };
    case "stacked":
      return {
        ...common,
        legend: { top: 36 },
        xAxis: categoryAxis,
        yAxis: valueAxis,
        series: base.series.map((series) => ({
          type: "bar",
          stack: "all",
          name: series.name,
          data: [...series.values],
          barMaxWidth: 48,
        })),
      };
    case "pie":
      return {
        ...common,
        series: [
          {
            type: "pie",
            radius: ["36%", "64%"],
            center: ["50%", "56%"],
            data: base.categories.map((name, index) => ({ name, value: values[index] ?? 0 })),
            label: { formatter: "{b}: {d}%" },
          },
        ],
      };
    case "pareto":
      return paretoOption(common, base, { categoryAxis, valueAxis, label, language });
    case "waterfall":
      return waterfallOption(common, base, figures.totals ?? new Set(), { categoryAxis, valueAxis, language });
    case "histogram":
      return {
        ...common,
        xAxis: { ...categoryAxis, axisLabel: { hideOverlap: true } },
        yAxis: valueAxis,
        series: [{ type: "bar", name: base.series[0]?.name, data: [...values], barCategoryGap: "4%" }],
      };
    case "scatter":
      return {
        ...common,
        xAxis: { type: "value", name: figures.axisNames?.[0], scale: true, nameLocation: "middle", nameGap: 28 },
        yAxis: { ...valueAxis, name: figures.axisNames?.[1], scale: true },
        grid: { ...common.grid, bottom: 36 },
        series: [{ type: "scatter", symbolSize: 6, data: (figures.points ?? []).map(([x, y]) => [x, y]) }],
      };
    default:
      return {
        ...common,
        xAxis: categoryAxis,
        yAxis: valueAxis,
        series: base.series.map((series) => ({
          type: "bar",
          name: series.name,
          data: [...series.values],
          barMaxWidth: 48,
          label: { ...label, position: "top" },
        })),
      };
  }
}

interface AxisParts {
  categoryAxis: object;
  valueAxis: object;
  label?: object;
  language: Language;
}

function paretoOption(
  common: object,
  { categories, series, unit }: Base,
  { categoryAxis, valueAxis, language }: AxisParts,
): ChartOption {
  const values = series[0]?.values ?? [];
  const total = values.reduce((sum, value) => sum + value, 0);
  let running = 0;
  const cumulative = values.map((value) => {
    running += value;
    return total === 0 ? 0 : Math.round((1000 * running) / total) / 10;
  });
  return {
    ...common,
    legend: { top: 36, right: 20 },
    xAxis: { ...categoryAxis, data: [...categories] },
    yAxis: [
      { ...valueAxis, name: unit },
      { type: "value", max: 100, min: 0, axisLabel: { formatter: "{value}%" }, splitLine: { show: false } },
    ],
    series: [
      { type: "bar", name: series[0]?.name, data: [...values], barMaxWidth: 48 },
      {
        type: "line",
        name: language === "zh" ? "累计占比" : "cumulative share",
        yAxisIndex: 1,
        data: cumulative,
        symbolSize: 6,
        label: { show: cumulative.length <= 12, position: "top", formatter: "{c}%", fontSize: 11 },
      },
    ],
  };
}

/** Floating bars on an invisible one; bars below zero hang from it. */
function waterfallOption(
  common: object,
  { categories, series, unit }: Base,
  totals: ReadonlySet<number>,
  { categoryAxis, valueAxis, language }: AxisParts,
): ChartOption {
  const values = series[0]?.values ?? [];
  const [base, up, down, whole]: (number | "-")[][] = [[], [], [], []];
  let level = 0;
  for (const [index, value] of values.entries()) {
    const isTotal = totals.has(index);
    const next = isTotal ? value : level + value;
    // A step that crosses zero cannot float; it is drawn from zero, and its label still tells its size.
    const floor = isTotal
      ? 0
      : Math.min(level, next) > 0
        ? Math.min(level, next)
        : Math.max(level, next) < 0
          ? Math.max(level, next)
          : 0;
    base?.push(tidy(floor));
    whole?.push(isTotal ? value : "-");
    up?.push(!isTotal && value >= 0 ? tidy(value) : "-");
    down?.push(!isTotal && value < 0 ? tidy(floor >= 0 ? -value : value) : "-");
    level = next;
  }
  const zh = language === "zh";
  const labelled = (
    data: readonly (number | "-")[] | undefined,
    name: string,
    role: string,
    texts: readonly string[],
  ) => ({
    type: "bar",
    stack: "steps",
    name,
    id: role,
    barMaxWidth: 54,
    data: (data ?? []).map((value, index) =>
      value === "-" ? "-" : { value, label: { show: true, position: "top", formatter: texts[index], fontSize: 11 } },
    ),
  });
  const texts = values.map((value, index) =>
    totals.has(index) ? number(value) : `${value > 0 ? "+" : ""}${number(value)}`,
  );
  return {
    ...common,
    tooltip: { trigger: "item" },
    xAxis: { ...categoryAxis, data: [...categories] },
    yAxis: { ...valueAxis, name: unit },
    series: [
      {
        type: "bar",
        stack: "steps",
        id: "base",
        name: "",
        data: base,
        itemStyle: { color: "transparent" },
        silent: true,
        tooltip: { show: false },
      },
      labelled(whole, zh ? "合计" : "total", "total", texts),
      labelled(up, zh ? "拉升" : "raises", "up", texts),
      labelled(down, zh ? "拖累" : "lowers", "down", texts),
    ],
  };
}

const number = (value: number): string =>
  value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 2 });

/** For screen readers. */
function description({ title, categories, series, unit }: Base): string {
  const values = series[0]?.values ?? [];
  const shown = categories.slice(0, 12).map((category, index) => `${category} ${number(values[index] ?? 0)}${unit}`);
  return `${title}. ${shown.join("; ")}`;
}

const palettes: Record<
  ChartTheme,
  {
    text: string;
    axis: string;
    split: string;
    background: string;
    colours: string[];
    up: string;
    down: string;
    total: string;
  }
> = {
  light: {
    text: "#1f2937",
    axis: "#6b7280",
    split: "#e5e7eb",
    background: "#ffffff",
    colours: ["#2f6f9f", "#d9822b", "#4c956c", "#8e5ea2", "#c0504d", "#607d8b"],
    up: "#4c956c",
    down: "#c0504d",
    total: "#2f6f9f",
  },
  dark: {
    text: "#e5e7eb",
    axis: "#9ca3af",
    split: "#374151",
    background: "#111827",
    colours: ["#7fb6de", "#f0b26b", "#8fd0a8", "#c9a6dd", "#ee8f8b", "#a8bcc6"],
    up: "#8fd0a8",
    down: "#ee8f8b",
    total: "#7fb6de",
  },
  print: {
    text: "#000000",
    axis: "#333333",
    split: "#cccccc",
    background: "#ffffff",
    colours: ["#444444", "#8a8a8a", "#bdbdbd", "#666666", "#a6a6a6", "#d9d9d9"],
    up: "#9a9a9a",
    down: "#e0e0e0",
    total: "#3a3a3a",
  },
};

/** The option with the colours of a theme, ready to draw. */
export function themed(option: ChartOption, theme: ChartTheme): ChartOption {
  const palette = palettes[theme];
  const axis = {
    axisLabel: { color: palette.axis },
    axisLine: { lineStyle: { color: palette.axis } },
    splitLine: { lineStyle: { color: palette.split } },
    nameTextStyle: { color: palette.axis },
  };
  const bySteps: Record<string, string> = { total: palette.total, up: palette.up, down: palette.down };
  const series = (Array.isArray(option.series) ? (option.series as Record<string, unknown>[]) : []).map((entry) => {
    const colour = bySteps[String(entry.id ?? "")];
    const edge = theme === "print" && colour !== undefined ? { borderColor: "#000000", borderWidth: 1 } : {};
    const ink = { color: palette.text };
    return {
      ...entry,
      ...(colour === undefined ? {} : { itemStyle: { color: colour, ...edge } }),
      ...(entry.label === undefined ? {} : { label: { ...(entry.label as object), ...ink } }),
      ...(Array.isArray(entry.data)
        ? { data: (entry.data as unknown[]).map((item) => inked(item, palette.text)) }
        : {}),
    };
  });
  return {
    ...option,
    backgroundColor: palette.background,
    color: palette.colours,
    textStyle: {
      color: palette.text,
      fontFamily: "'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'Segoe UI', sans-serif",
    },
    title: {
      ...(option.title as object),
      textStyle: { ...((option.title as { textStyle?: object } | undefined)?.textStyle ?? {}), color: palette.text },
    },
    ...(option.legend === undefined
      ? {}
      : { legend: { ...(option.legend as object), textStyle: { color: palette.text } } }),
    ...(option.xAxis === undefined ? {} : { xAxis: merged(option.xAxis, axis) }),
    ...(option.yAxis === undefined
      ? {}
      : {
          yAxis: Array.isArray(option.yAxis)
            ? option.yAxis.map((one) => merged(one, axis))
            : merged(option.yAxis, axis),
        }),
    series,
  };
}

function inked(item: unknown, colour: string): unknown {
  if (typeof item !== "object" || item === null || !("label" in item)) return item;
  return { ...item, label: { ...(item.label as object), color: colour } };
}

function merged(axis: unknown, theme: Record<string, object>): object {
  const own = (axis ?? {}) as Record<string, unknown>;
  const both: Record<string, unknown> = { ...own };
  for (const [key, value] of Object.entries(theme))
    both[key] = { ...value, ...((own[key] as object | undefined) ?? {}) };
  return both;
}
