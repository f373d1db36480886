// Charts as pictures, without a browser: ECharts renders SVG, resvg turns it into PNG.
import { Resvg } from "@resvg/resvg-js";
import type { Chart } from "./chart.ts";
import { type ChartTheme, themed } from "./chart-theme.ts";

export interface ImageSize {
  width?: number;
  height?: number;
  theme?: ChartTheme;
}

export async function chartSvg(
  chart: Chart,
  { width = 960, height = 540, theme = "light" }: ImageSize = {},
): Promise<string> {
  // ECharts takes most of a second to load; only those who want pictures pay for it.
  const echarts = await import("echarts");
  const drawn = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    drawn.setOption({ ...themed(chart.option, theme), animation: false });
    return drawn.renderToSVGString();
  } finally {
    drawn.dispose();
  }
}

export async function chartPng(chart: Chart, size: ImageSize = {}): Promise<Uint8Array> {
  const svg = await chartSvg(chart, size);
  return new Resvg(svg, {
    font: { loadSystemFonts: true, defaultFontFamily: "Noto Sans CJK SC" },
    fitTo: { mode: "width", value: (size.width ?? 960) * 2 },
  })
    .render()
    .asPng();
}
