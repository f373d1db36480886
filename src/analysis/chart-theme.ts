// Colours of charts: light, dark, and print (greys with edges, which survive a black and white printer).
import type { ChartOption } from "./chart.ts";

export type ChartTheme = "light" | "dark" | "print";

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
