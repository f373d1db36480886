// Figures -> ECharts options, one builder a kind of chart. Plain JSON without colours.
import type { ChartKind, ChartOption, ChartSeries, Figures } from "./chart.ts";
import type { Language } from "./words.ts";

/** Removes the noise of binary arithmetic. */
export const tidy = (value: number): number => Number(value.toPrecision(10));

export interface Base {
  title: string;
  categories: readonly string[];
  series: readonly ChartSeries[];
  unit: string;
}

export function optionOf(kind: ChartKind, figures: Figures, base: Base, language: Language): ChartOption {
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
  const isSeveral = base.series.length > 1;
  const label = { show: values.length <= 14 && !isSeveral, fontSize: 11 };
  const legend = isSeveral ? { legend: { top: 36, type: "scroll" } } : {};
  switch (kind) {
    case "line":
      return {
        ...common,
        ...legend,
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
        ...legend,
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
        ...legend,
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
