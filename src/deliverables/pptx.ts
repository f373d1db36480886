// Slides with native charts: they can be edited and restyled in PowerPoint, and the data sheet is inside. Every slide's notes name
// the source of its figures.

import PptxGenJS from "pptxgenjs";
import type { Chart } from "../analysis/chart.ts";
import { chartColours } from "./chart-colours.ts";
import { clean } from "./neutral.ts";
import type { Report, ReportSection, ReportTable } from "./report.ts";

// The package's types describe its CommonJS form; as an ES module, which Node takes, the class is the default export itself.
const Deck = PptxGenJS as unknown as typeof PptxGenJS.default;
type DeckFile = InstanceType<typeof PptxGenJS.default>;
type Slide = ReturnType<DeckFile["addSlide"]>;
type ChartOptions = NonNullable<Parameters<Slide["addChart"]>[2]>;

const ink = "1F2937";
const muted = "6B7280";
const accent = "2F6F9F";
const rowsPerSlide = 12;
const font = { zh: "Microsoft YaHei", en: "Calibri" } as const;

export async function pptxBytes(report: Report): Promise<Uint8Array> {
  const deck = new Deck();
  deck.layout = "LAYOUT_WIDE"; // 13.33 x 7.5 inches
  deck.title = clean(report.title);
  const face = font[report.language];
  deck.theme = { headFontFace: face, bodyFontFace: face };
  const notes = clean(report.sources.join("\n"));
  const add = (title: string): Slide => {
    const slide = deck.addSlide();
    slide.addText(clean(title), {
      x: 0.6,
      y: 0.35,
      w: 12.1,
      h: 0.8,
      fontSize: 26,
      bold: true,
      color: ink,
      fontFace: face,
      fit: "shrink",
    });
    slide.addShape("rect", { x: 0.6, y: 1.15, w: 1.2, h: 0.06, fill: { color: accent } });
    if (notes !== "") slide.addNotes(notes);
    return slide;
  };
  cover(deck, report, face, notes);
  const [first, ...rest] = report.sections;
  if (first !== undefined) sectionSlides(first, { add, face, report });
  for (const chart of report.charts) chartSlide(add(chart.title), chart, face);
  for (const section of rest) sectionSlides(section, { add, face, report });
  const data = await deck.write({ outputType: "uint8array" });
  if (!(data instanceof Uint8Array)) throw new TypeError("pptxgenjs gave no bytes");
  return data;
}

function cover(deck: DeckFile, { title, subtitle, sources }: Report, face: string, notes: string): void {
  const slide = deck.addSlide();
  slide.background = { color: "F5F8FA" };
  slide.addShape("rect", { x: 0, y: 0, w: 0.25, h: 7.5, fill: { color: accent } });
  slide.addText(clean(title), {
    x: 0.9,
    y: 2.3,
    w: 11.6,
    h: 1.6,
    fontSize: 36,
    bold: true,
    color: ink,
    fontFace: face,
    valign: "bottom",
    fit: "shrink",
  });
  slide.addText(clean(subtitle || (sources[0] ?? "")), {
    x: 0.9,
    y: 4.0,
    w: 11.6,
    h: 0.6,
    fontSize: 16,
    color: muted,
    fontFace: face,
  });
  if (notes !== "") slide.addNotes(notes);
}

interface SlideTools {
  add: (title: string) => Slide;
  face: string;
  report: Report;
}

function sectionSlides(
  { heading, paragraphs, bullets, table }: ReportSection,
  { add, face, report }: SlideTools,
): void {
  const title = heading || report.title;
  const points = [
    ...paragraphs.map((text) => ({ text, isBullet: false })),
    ...bullets.map((text) => ({ text, isBullet: true })),
  ];
  for (let start = 0; start < points.length; start += 7) {
    const slide = add(title);
    const shown = points.slice(start, start + 7);
    slide.addText(
      shown.map(({ text, isBullet }) => ({
        text: clean(text),
        options: { ...(isBullet ? { bullet: { indent: 18 } } : {}), breakLine: true, paraSpaceAfter: 10 },
      })),
      {
        x: 0.6,
        y: 1.5,
        w: 12.1,
        h: 5.4,
        fontSize: shown.length > 4 ? 18 : 22,
        color: ink,
        fontFace: face,
        valign: "top",
        fit: "shrink",
      },
    );
  }
  if (table !== undefined) {
    for (let start = 0; start < table.rows.length; start += rowsPerSlide)
      tableSlide(add(title), { ...table, rows: table.rows.slice(start, start + rowsPerSlide) }, face);
  }
}

function tableSlide(slide: Slide, { header, rows }: ReportTable, face: string): void {
  const shown = (value: string | number): string =>
    typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : clean(value);
  slide.addTable(
    [
      header.map((value, index) => ({
        text: clean(value),
        options: {
          bold: true,
          color: "FFFFFF",
          fill: { color: accent },
          align: index === 0 ? ("left" as const) : ("right" as const),
        },
      })),
      ...rows.map((row) =>
        row.map((value, index) => ({
          text: shown(value),
          options: { align: index === 0 ? ("left" as const) : ("right" as const) },
        })),
      ),
    ],
    {
      x: 0.6,
      y: 1.5,
      w: 12.1,
      fontSize: 13,
      fontFace: face,
      color: ink,
      border: { type: "solid", pt: 0.5, color: "D8DEE4" },
      rowH: 0.38,
      valign: "middle",
    },
  );
}

function chartSlide(slide: Slide, chart: Chart, face: string): void {
  const box = { x: 0.6, y: 1.4, w: 12.1, h: 5.6 };
  const axes = {
    catAxisLabelFontFace: face,
    valAxisLabelFontFace: face,
    catAxisLabelFontSize: 12,
    valAxisLabelFontSize: 11,
    valGridLine: { color: "E5E7EB", size: 0.5 },
    showValAxisTitle: chart.unit !== "",
    valAxisTitle: clean(chart.unit),
    valAxisTitleFontSize: 11,
  };
  const labels = chart.categories.map(clean);
  const values = chart.series[0]?.values ?? [];
  const name = clean(chart.series[0]?.name ?? "");
  const format = chart.isPercent ? '0.0"%"' : "#,##0.##";
  const valueLabels = {
    showValue: labels.length <= 14,
    dataLabelFontSize: 11,
    dataLabelFormatCode: format,
    dataLabelColor: ink,
  };
  if (chart.kind === "waterfall") {
    slide.addChart("bar", waterfallData(labels, values), {
      ...box,
      ...axes,
      barDir: "col",
      barGrouping: "stacked",
      barGapWidthPct: 60,
      chartColors: ["FFFFFF", accent, "4C956C", "C0504D"],
      valGridLine: { style: "none" },
      showLegend: false,
      valAxisLabelFormatCode: format,
    });
  } else if (chart.kind === "line") {
    const lines = chart.series.map((one) => ({ name: clean(one.name), labels, values: [...one.values] }));
    slide.addChart("line", lines, {
      ...box,
      ...axes,
      ...(lines.length > 1 ? { showLegend: true, legendPos: "b" as const, legendFontFace: face } : valueLabels),
      chartColors: [...chartColours],
      lineSize: 2.5,
      lineDataSymbolSize: 7,
      dataLabelPosition: "t",
    });
  } else if (chart.kind === "pie") {
    slide.addChart("doughnut", [{ name, labels, values: [...values] }], {
      ...box,
      holeSize: 55,
      showPercent: true,
      showLegend: true,
      legendPos: "r",
      dataLabelColor: "FFFFFF",
      legendFontFace: face,
      chartColors: [...chartColours],
    });
  } else if (chart.kind === "pareto") {
    paretoSlide(slide, { labels, values, name }, { ...box, ...axes });
  } else if (chart.kind === "scatter") {
    const points = (chart.option.series as { data: [number, number][] }[] | undefined)?.[0]?.data ?? [];
    slide.addChart(
      "scatter",
      [
        { name: "x", values: points.map(([x]) => x) },
        { name, values: points.map(([, y]) => y) },
      ],
      { ...box, ...axes, lineSize: 0, chartColors: [accent] },
    );
  } else {
    const isHorizontal = chart.kind === "bar_horizontal";
    // A horizontal bar chart counts its categories from the bottom.
    const order = <T>(list: readonly T[]): T[] => (isHorizontal ? [...list].reverse() : [...list]);
    const series = chart.series.map((one) => ({
      name: clean(one.name),
      labels: order(labels),
      values: order(one.values),
    }));
    slide.addChart("bar", series, {
      ...box,
      ...axes,
      ...(series.length > 1 ? { legendPos: "b" as const, legendFontFace: face } : valueLabels),
      barDir: isHorizontal ? "bar" : "col",
      barGrouping: chart.kind === "stacked" ? "stacked" : "clustered",
      barGapWidthPct: chart.kind === "histogram" ? 5 : 60,
      chartColors: [...chartColours],
      dataLabelPosition: chart.kind === "stacked" ? "ctr" : "outEnd",
      showLegend: series.length > 1,
    });
  }
}

/** Four stacked series: the invisible base, totals, rises and falls. Sizes stand in the category labels, where they stay legible. */
function waterfallData(
  labels: readonly string[],
  values: readonly number[],
): { name: string; labels: string[]; values: number[] }[] {
  const last = values.length - 1;
  let level = 0;
  const rows = values.map((value, index) => {
    const isTotal = index === 0 || index === last;
    const next = isTotal ? value : level + value;
    const base = isTotal ? 0 : Math.max(0, Math.min(level, next));
    level = next;
    return {
      base,
      total: isTotal ? value : 0,
      up: !isTotal && value > 0 ? value : 0,
      down: !isTotal && value < 0 ? -value : 0,
    };
  });
  const text = (value: number, index: number): string =>
    `${index === 0 || index === last || value <= 0 ? "" : "+"}${value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 2 })}`;
  const shown = labels.map((label, index) => `${label}\n${text(values[index] ?? 0, index)}`);
  return (["base", "total", "up", "down"] as const).map((key) => ({
    name: key,
    labels: shown,
    values: rows.map((row) => Number(row[key].toPrecision(12))),
  }));
}

function paretoSlide(
  slide: Slide,
  { labels, values, name }: { labels: string[]; values: readonly number[]; name: string },
  options: ChartOptions,
): void {
  const total = values.reduce((sum, value) => sum + value, 0);
  let running = 0;
  const cumulative = values.map((value) => {
    running += value;
    return total === 0 ? 0 : Math.round((1000 * running) / total) / 10;
  });
  const axes = {
    ...options,
    valAxes: [
      { showValAxisTitle: false },
      { showValAxisTitle: false, valAxisMaxVal: 100, valAxisMinVal: 0, valGridLine: { style: "none" } },
    ],
    catAxes: [{ catAxisLabelFontSize: 11 }, { catAxisHidden: true }],
  };
  slide.addChart(
    [
      {
        type: "bar",
        data: [{ name, labels, values: [...values] }],
        options: { barGapWidthPct: 40, chartColors: [accent] },
      },
      {
        type: "line",
        data: [{ name: "%", labels, values: cumulative }],
        options: { secondaryValAxis: true, secondaryCatAxis: true, chartColors: ["D9822B"] },
      },
    ],
    // For several chart types at once the library takes its options as the second argument; its types say an array.
    axes as unknown as [],
  );
}
