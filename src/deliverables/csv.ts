import { clean, neutral } from "./neutral.ts";
import type { Report, ReportTable } from "./report.ts";

/** The report's tables (or charts, if it has none) as CSV that Excel opens rightly: byte order mark, CRLF, formulas neutralised. */
export function csvText({ sections, charts, language }: Report): string {
  const tables = sections.map(({ table }) => table).filter((table) => table !== undefined);
  const shown: ReportTable[] =
    tables.length > 0
      ? tables
      : charts.map((chart) => ({
          title: chart.title,
          header: [language === "zh" ? "项" : "Item", ...chart.series.map(({ name }) => name)],
          rows: chart.categories.map((category, index) => [
            category,
            ...chart.series.map(({ values }) => values[index] ?? ""),
          ]),
        }));
  const lines = shown.flatMap(({ header, rows }, index) => [...(index > 0 ? [""] : []), row(header), ...rows.map(row)]);
  return `\ufeff${lines.join("\r\n")}\r\n`;
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell) => (typeof cell === "number" ? String(cell) : quoted(neutral(clean(cell))))).join(",");
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
