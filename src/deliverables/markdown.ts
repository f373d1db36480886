import type { Chart } from "../analysis/chart.ts";
import { clean, neutral } from "./neutral.ts";
import type { Report, ReportTable } from "./report.ts";

/** A report as Markdown; charts become tables of their figures. */
export function markdownText({ title, subtitle, sections, charts, sources, language }: Report): string {
  const parts = [`# ${text(title)}`, ...(subtitle === "" ? [] : [`*${text(subtitle)}*`])];
  for (const section of sections) {
    if (section.heading !== "") parts.push(`${"#".repeat(Math.min(6, section.level + 1))} ${text(section.heading)}`);
    parts.push(...section.paragraphs.map(text));
    if (section.bullets.length > 0) parts.push(section.bullets.map((bullet) => `- ${text(bullet)}`).join("\n"));
    if (section.table !== undefined) parts.push(tableText(section.table));
  }
  for (const chart of charts) parts.push(`## ${text(chart.title)}`, chartTable(chart, language === "zh"));
  if (sources.length > 0)
    parts.push(
      `## ${language === "zh" ? "数据来源" : "Source"}`,
      sources.map((source) => `- ${text(source)}`).join("\n"),
    );
  return `${parts.join("\n\n")}\n`;
}

function chartTable({ categories, series, unit }: Chart, zh: boolean): string {
  const header = [zh ? "项" : "Item", ...series.map(({ name }) => `${name}${unit === "" ? "" : ` (${unit})`}`)];
  return tableText({
    title: "",
    header,
    rows: categories.map((category, index) => [neutral(category), ...series.map(({ values }) => values[index] ?? "")]),
  });
}

function tableText({ header, rows }: ReportTable): string {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((value) => (typeof value === "number" ? value.toLocaleString("en-US") : text(neutral(value)).replaceAll("|", "\\|"))).join(" | ")} |`;
  return [
    line(header),
    `|${header.map((_, index) => (index === 0 ? " --- |" : " ---: |")).join("")}`,
    ...rows.map(line),
  ].join("\n");
}

/** Text of the data cannot become markup. */
function text(value: string): string {
  return clean(value)
    .replace(/\s*\n\s*/g, " ")
    .replace(/([\\`*_<>[\]])/g, "\\$1");
}
