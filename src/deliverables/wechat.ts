// A WeChat article (公众号) as HTML. The editor there drops style sheets, classes, scripts and pictures that are not its own, so
// everything is a section or a table with inline styles, and the chart is bars of coloured sections.
import type { Chart } from "../analysis/chart.ts";
import { escapeHtml, neutral } from "./neutral.ts";
import type { Report, ReportTable } from "./report.ts";

const ink = "#2b2f36";
const accent = "#2f6f9f";

export function wechatHtml({ title, sections, charts, sources, language }: Report): string {
  const zh = language === "zh";
  const paragraph = (text: string): string =>
    `<p style="margin:0 0 14px;font-size:16px;line-height:1.8;color:${ink};text-align:justify;">${escapeHtml(text)}</p>`;
  const parts = [`<h1 style="margin:0 0 18px;font-size:22px;line-height:1.4;color:${ink};">${escapeHtml(title)}</h1>`];
  for (const [index, section] of sections.entries()) {
    if (section.heading !== "") parts.push(heading(section.heading));
    parts.push(...section.paragraphs.map(paragraph));
    parts.push(
      ...section.bullets.map(
        (bullet) =>
          `<section style="margin:0 0 12px;padding:8px 12px;border-left:3px solid ${accent};background-color:#f5f8fa;"><p style="margin:0;font-size:15px;line-height:1.75;color:${ink};">${escapeHtml(bullet)}</p></section>`,
      ),
    );
    if (section.table !== undefined) parts.push(tableHtml(section.table));
    if (index === 0) parts.push(...charts.map(chartBars));
  }
  if (sources[0] !== undefined)
    parts.push(
      `<p style="margin:24px 0 0;font-size:12px;line-height:1.6;color:#8a9099;">${zh ? "数据来源：" : "Source: "}${escapeHtml(sources[0])}</p>`,
    );
  return `<section style="max-width:677px;margin:0 auto;padding:0 8px;font-family:-apple-system,'PingFang SC','Microsoft YaHei',sans-serif;">${parts.join("")}</section>`;
}

function heading(text: string): string {
  return `<h2 style="margin:26px 0 12px;padding:0 0 6px;border-bottom:2px solid ${accent};font-size:18px;color:${accent};">${escapeHtml(text)}</h2>`;
}

function tableHtml({ header, rows }: ReportTable): string {
  const cell = (tag: "th" | "td", value: string | number, index: number): string => {
    const align = index === 0 ? "left" : "right";
    const shown =
      typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : neutral(value);
    return `<${tag} style="padding:6px 8px;border:1px solid #d8dee4;font-size:13px;text-align:${align};color:${ink};${tag === "th" ? "background-color:#eef3f7;" : ""}">${escapeHtml(shown)}</${tag}>`;
  };
  return `<table style="width:100%;border-collapse:collapse;margin:0 0 16px;"><tbody><tr>${header.map((value, index) => cell("th", value, index)).join("")}</tr>${rows.map((row) => `<tr>${row.map((value, index) => cell("td", value, index)).join("")}</tr>`).join("")}</tbody></table>`;
}

/** 1,230万元, 12.3 million yuan, $12.3 million. */
function inUnit(value: number, unit: string): string {
  const text = value.toLocaleString("en-US", { maximumFractionDigits: 2 });
  const [, sign, rest = ""] = /^([$€£])\s*(.*)$/.exec(unit) ?? [];
  if (sign !== undefined)
    return `${value < 0 ? "-" : ""}${sign}${text.replace("-", "")}${rest === "" ? "" : ` ${rest}`}`;
  return `${text}${/^[A-Za-z]/.test(unit) ? " " : ""}${unit}`;
}

function chartBars({ title, categories, series, unit }: Chart): string {
  // A post has room for one bar a category: of several series their sum, which the table beside it parts again.
  const values = categories.map((_, index) => series.reduce((sum, one) => sum + (one.values[index] ?? 0), 0));
  if (categories.length === 0) return "";
  const most = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  const bars = categories.slice(0, 20).map((category, index) => {
    const value = values[index] ?? 0;
    const width = Math.max(1, Math.round((100 * Math.abs(value)) / most));
    return `<section style="margin:0 0 8px;"><p style="margin:0 0 2px;font-size:13px;color:${ink};">${escapeHtml(neutral(category))} <span style="color:#8a9099;">${escapeHtml(inUnit(value, unit))}</span></p><section style="width:${width}%;height:12px;background-color:${value < 0 ? "#c0504d" : accent};"><br></section></section>`;
  });
  return `<section style="margin:16px 0;padding:12px;border:1px solid #e3e8ed;"><p style="margin:0 0 10px;font-size:14px;font-weight:bold;color:${ink};">${escapeHtml(title)}</p>${bars.join("")}</section>`;
}
