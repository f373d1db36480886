// An ECharts option in the page's own colours. The server sends options without any; series with the ids total, up and down are the
// steps of a waterfall.

export interface ChartColours {
  text: string;
  axis: string;
  line: string;
  ground: string;
  series: readonly string[];
  total: string;
  up: string;
  down: string;
}

const light: ChartColours = {
  text: "#24211d",
  axis: "#5f5a52",
  line: "#e4dfd6",
  ground: "#ffffff",
  series: ["#2a6390", "#c9732a", "#2f7d4f", "#7a5aa0", "#b3463e", "#5f7480", "#9a8423", "#8c9aa4"],
  total: "#2a6390",
  up: "#2f7d4f",
  down: "#b3463e",
};

const dark: ChartColours = {
  text: "#ebe7e0",
  axis: "#b0a99d",
  line: "#38352f",
  ground: "#262421",
  series: ["#86bce6", "#f0a35e", "#6cc28d", "#c3a7e0", "#f2938b", "#a8b6bd", "#d8c46a", "#7f8d95"],
  total: "#86bce6",
  up: "#6cc28d",
  down: "#f2938b",
};

/** The colours of the element's colour scheme, as the reader or the system chose it. */
export function coloursAt(element: Element): ChartColours {
  // light-dark() resolves in the element's own scheme; only the browser knows which that is.
  const probe = document.createElement("span");
  probe.style.color = "light-dark(rgb(1, 1, 1), rgb(2, 2, 2))";
  element.append(probe);
  const isDark = getComputedStyle(probe).color === "rgb(2, 2, 2)";
  probe.remove();
  return isDark ? dark : light;
}

type Part = Record<string, unknown>;
const isPart = (value: unknown): value is Part => typeof value === "object" && value !== null && !Array.isArray(value);
const merged = (base: Part, over: Part): Part => {
  const result: Part = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const known = result[name];
    result[name] = isPart(known) && isPart(value) ? merged(known, value) : value;
  }
  return result;
};
const each = (value: unknown, change: (part: Part) => Part): unknown =>
  Array.isArray(value) ? value.map((one) => (isPart(one) ? change(one) : one)) : isPart(value) ? change(value) : value;

/** Where names would cover each other, all are shown, aslant and shortened. */
const slanted: Part = { axisLabel: { interval: 0, rotate: 32, width: 64, overflow: "truncate" } };

export function coloured(option: Part, colours: ChartColours, { isNarrow }: { isNarrow: boolean }): Part {
  const axis = {
    axisLabel: { color: colours.axis, ...(isNarrow ? { fontSize: 10 } : {}) },
    axisLine: { lineStyle: { color: colours.line } },
    splitLine: { lineStyle: { color: colours.line } },
    nameTextStyle: { color: colours.axis },
  };
  const steps: Record<string, string> = { total: colours.total, up: colours.up, down: colours.down };
  const ink = { label: { color: colours.text } };
  const series = each(option.series, (entry) => {
    const step = steps[String(entry.id ?? "")];
    const data = each(entry.data, (item) => (item.label === undefined ? item : merged(item, ink)));
    return {
      ...entry,
      ...(step === undefined
        ? {}
        : { itemStyle: { ...(isPart(entry.itemStyle) ? entry.itemStyle : {}), color: step } }),
      ...(entry.label === undefined ? {} : { label: merged(entry.label as Part, ink.label) }),
      ...(entry.data === undefined ? {} : { data }),
    };
  });
  return {
    ...option,
    series,
    color: colours.series,
    backgroundColor: "transparent",
    textStyle: { color: colours.text, fontFamily: getComputedStyle(document.body).fontFamily },
    title: { show: false }, // it stands above the chart as text, and leaves its room to the figures
    ...(isPart(option.grid) ? { grid: { ...option.grid, top: option.legend === undefined ? 36 : 56 } } : {}),
    ...(option.legend === undefined
      ? {}
      : { legend: each(option.legend, (one) => merged(one, { textStyle: { color: colours.text } })) }),
    ...(option.xAxis === undefined
      ? {}
      : {
          xAxis: each(option.xAxis, (one) =>
            merged(one, one.type === "category" && isNarrow ? merged(axis, slanted) : axis),
          ),
        }),
    ...(option.yAxis === undefined ? {} : { yAxis: each(option.yAxis, (one) => merged(one, axis)) }),
    ...(isPart(option.tooltip)
      ? {
          tooltip: {
            ...option.tooltip,
            backgroundColor: colours.ground,
            borderColor: colours.line,
            textStyle: { color: colours.text },
            confine: true,
          },
        }
      : {}),
  };
}
