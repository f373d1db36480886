// What every deliverable is made from: a title, sentences, a table, charts and where it all comes from, in one language. Made from a
// finished analysis, or from any answer in Markdown; the writers know neither.
import type { Analysis } from "../analysis/analyse.ts";
import type { Chart } from "../analysis/chart.ts";
import { otherLabel } from "../analysis/fact-writer.ts";
import { type Language, languageOf } from "../analysis/words.ts";
import { neutral } from "./neutral.ts";

export interface ReportTable {
  title: string;
  header: readonly string[];
  rows: readonly (readonly (string | number)[])[];
}

export interface ReportSection {
  heading: string;
  /** 1 is a chapter. */
  level: number;
  paragraphs: readonly string[];
  bullets: readonly string[];
  table?: ReportTable;
}

export interface Report {
  language: Language;
  title: string;
  subtitle: string;
  sections: readonly ReportSection[];
  charts: readonly Chart[];
  /** Where the figures come from, line by line: file, sheet, range, scope, formulas, checks. */
  sources: readonly string[];
}

const heads = {
  finding: { zh: "核心结论", en: "Key finding" },
  drivers: { zh: "主要来源", en: "What drives it" },
  details: { zh: "要点", en: "Details" },
  advice: { zh: "值得关注", en: "Worth attention" },
  figures: { zh: "明细", en: "Figures" },
  quality: { zh: "数据质量", en: "Data quality" },
  source: { zh: "数据来源", en: "Source" },
} as const;

export function headingOf(name: keyof typeof heads, language: Language): string {
  return heads[name][language];
}

export function reportOf(analysis: Analysis, { width = "page" }: { width?: TableWidth } = {}): Report {
  const { language, sentences, findings, facts } = analysis;
  const zh = language === "zh";
  const texts = sentences.map(({ text }) => text);
  const table = memberTable(analysis, { width });
  const pulls = facts
    .filter((fact) => fact.subject !== "" && fact.numbers.some(({ role, value }) => role === "part" && value < 0))
    .map((fact) => fact.sentence);
  const sections: ReportSection[] = [
    { heading: headingOf("finding", language), level: 1, paragraphs: texts.slice(0, 1), bullets: [] },
    ...(texts.length > 1
      ? [
          {
            heading: headingOf(analysis.result.kind === "change" ? "drivers" : "details", language),
            level: 1,
            paragraphs: [],
            bullets: texts.slice(1),
          },
        ]
      : []),
    ...(table === undefined
      ? []
      : [{ heading: headingOf("figures", language), level: 1, paragraphs: [], bullets: [], table }]),
    ...(pulls.length > 0
      ? [{ heading: headingOf("advice", language), level: 1, paragraphs: [], bullets: pulls.slice(0, 4) }]
      : []),
    ...(findings.length > 0
      ? [
          {
            heading: headingOf("quality", language),
            level: 1,
            paragraphs: [],
            bullets: findings
              .slice(0, 8)
              .map(
                ({ words, addresses }) =>
                  `${words[language]}${addresses.length > 0 ? (zh ? `（${addresses.slice(0, 5).join("、")}）` : ` (${addresses.slice(0, 5).join(", ")})`) : ""}`,
              ),
          },
        ]
      : []),
  ];
  return {
    language,
    title: analysis.charts[0]?.title ?? analysis.planWords.replace(/[。.]$/, ""),
    subtitle: zh ? `数据：${analysis.source}` : `Data: ${analysis.source}`,
    sections,
    charts: analysis.charts,
    sources: [
      `${analysis.source} · ${analysis.table.range} · ${analysis.table.records.toLocaleString("en-US")} ${zh ? "行" : "rows"}`,
      analysis.planWords,
      analysis.reconciliation.words[language],
      ...facts
        .slice(0, 12)
        .map(
          (fact) =>
            `${fact.id} ${fact.formula}${fact.cells.count > 0 ? ` [${fact.cells.range}${zh ? `，${fact.cells.count} 个单元格` : `, ${fact.cells.count} cells`}]` : ""}`,
        ),
    ],
  };
}

/** Where a table is to stand. */
export type TableWidth = "sheet" | "page" | "phone";

/**
 * The members as a table of numbers; undefined where a result has none. Sheets keep every digit; what would not fit its columns, a table of
 * two dimensions on a page and any table on a phone, is written in the unit of its chart (万元, million).
 */
export function memberTable(
  { result, plan, language, charts, table }: Analysis,
  { width = "sheet" }: { width?: TableWidth } = {},
): ReportTable | undefined {
  const zh = language === "zh";
  const [chart] = charts;
  const hasLayers = (result.kind === "ranking" || result.kind === "trend") && result.layers !== undefined;
  const isTight = width === "phone" || (width === "page" && hasLayers);
  const isScaled = isTight && chart !== undefined && chart.divisor > 0 && !chart.isPercent;
  const scale = isScaled ? chart : undefined;
  const own = plan.aggregation === "count" ? "" : (table.columns.find(({ name }) => name === plan.metric)?.unit ?? "");
  const symbol = scale?.unit ?? own;
  // Amounts say their unit once, in the header; rates are written as percentages.
  const isPercent = symbol === "%";
  const inUnit = (name: string): string =>
    symbol === "" || isPercent ? name : zh ? `${name}（${symbol}）` : `${name} (${symbol})`;
  const figure = (value: number): string | number =>
    Number.isNaN(value) ? "—" : isPercent ? percent(value) : tidy(value / (scale?.divisor ?? 1));
  const metric = inUnit(plan.aggregation === "count" ? (zh ? "记录数" : "Records") : plan.metric);
  const layerNames = (layers: readonly { label: string; memberCount?: number }[]): string[] =>
    layers.map(({ label, memberCount = 0 }) => neutral(label === "" ? otherLabel(language, memberCount) : label));
  const title = charts[0]?.title ?? "";
  const by = plan.breakdown[0] ?? "";
  if (result.kind === "change" && result.members.length > 0) {
    const others =
      result.others === undefined ? [] : [{ ...result.others, label: otherLabel(language, result.others.memberCount) }];
    const before = plan.comparison === "plan" ? (zh ? "计划" : "Plan") : zh ? "上期" : "Previous";
    const header = zh
      ? [by, inUnit(before), inUnit("本期"), inUnit("变化"), "变化率", "占总变化"]
      : [by, inUnit(before), inUnit("Current"), inUnit("Change"), "Rate", "Contribution"];
    const rows = [...result.members, ...others].map((member) => [
      neutral(member.label),
      figure(member.previous),
      figure(member.current),
      figure(member.part),
      percent(member.rate),
      percent(member.share),
    ]);
    return {
      title,
      header,
      rows: [
        ...rows,
        [
          zh ? "合计" : "Total",
          figure(result.previous),
          figure(result.current),
          figure(result.change),
          percent(result.rate),
          result.change === 0 ? "—" : "100%",
        ],
      ],
    };
  }
  if (result.kind === "ranking" || result.kind === "pareto") {
    const layers = (result.kind === "ranking" ? result.layers : undefined) ?? [];
    const others =
      result.others === undefined ? [] : [{ ...result.others, label: otherLabel(language, result.others.memberCount) }];
    return {
      title,
      header: [...(zh ? [by, metric, "占比", "累计"] : [by, metric, "Share", "Cumulative"]), ...layerNames(layers)],
      rows: [...result.members, ...others].map((member, index) => [
        neutral(member.label),
        figure(member.value),
        percent(member.share),
        percent(member.cumulative),
        ...layers.map(({ values }) => figure(values[index] ?? Number.NaN)),
      ]),
    };
  }
  if (result.kind === "trend") {
    const layers = result.layers ?? [];
    return {
      title,
      header: [
        ...(zh ? ["期间", metric, "较上期"] : ["Period", metric, "On the period before"]),
        ...layerNames(layers),
      ],
      rows: result.points.map((point, index) => [
        point.tick,
        figure(point.value),
        percent(point.growth),
        ...layers.map(({ values }) => figure(values[index] ?? Number.NaN)),
      ]),
    };
  }
  if (result.kind === "price_volume") {
    const { volume, price, mix, change } = result.split;
    return {
      title,
      header: zh ? ["因素", inUnit("影响")] : ["Factor", inUnit("Effect")],
      rows: [
        [zh ? "销量" : "Volume", figure(volume)],
        [zh ? "价格" : "Price", figure(price)],
        [zh ? "结构" : "Mix", figure(mix)],
        [zh ? "合计" : "Total", figure(change)],
      ],
    };
  }
  return undefined;
}

const tidy = (value: number): number => Number(value.toPrecision(12));
const percent = (value: number | undefined): string =>
  value === undefined ? "—" : `${Math.round(value * 1000) / 10}%`;

/** Any answer in Markdown as a report: headings part it, list items are bullets, pipe tables are tables. */
export function reportOfMarkdown(
  markdown: string,
  { title, language = languageOf(markdown) }: { title?: string; language?: Language } = {},
): Report {
  const sections: { heading: string; level: number; paragraphs: string[]; bullets: string[]; table?: ReportTable }[] =
    [];
  const current = (): (typeof sections)[number] => {
    const last = sections.at(-1);
    if (last !== undefined) return last;
    const fresh = { heading: "", level: 1, paragraphs: [], bullets: [] };
    sections.push(fresh);
    return fresh;
  };
  let found = title;
  let tableRows: string[][] = [];
  let isCode = false;
  const endTable = (): void => {
    const [header, ...rows] = tableRows;
    if (header !== undefined)
      current().table = { title: current().heading, header, rows: rows.map((row) => row.map(neutral)) };
    tableRows = [];
  };
  for (const line of markdown.split(/\r?\n/)) {
    if (/^\s*(```|~~~)/.test(line)) {
      isCode = !isCode;
      continue;
    }
    const text = isCode ? line : inline(line);
    if (!isCode && /^\s*\|.*\|\s*$/.test(line)) {
      if (!/^\s*\|[\s:|-]+\|\s*$/.test(line))
        tableRows.push(
          line
            .trim()
            .slice(1, -1)
            .split(/(?<!\\)\|/)
            .map((cell) => inline(cell.replaceAll("\\|", "|")).trim()),
        );
      continue;
    }
    if (tableRows.length > 0) endTable();
    const heading = isCode ? null : /^(#{1,6})\s+(.*)$/.exec(line);
    const bullet = isCode ? null : /^\s*(?:[-*+]|\d{1,3}[.)])\s+(.*)$/.exec(line);
    if (heading) {
      if (found === undefined && heading[1] === "#") found = inline(heading[2] ?? "");
      else
        sections.push({
          heading: inline(heading[2] ?? ""),
          level: Math.max(1, (heading[1]?.length ?? 2) - 1),
          paragraphs: [],
          bullets: [],
        });
    } else if (bullet) current().bullets.push(inline(bullet[1] ?? ""));
    else if (text.trim() !== "") current().paragraphs.push(text.trim());
  }
  if (tableRows.length > 0) endTable();
  const first = sections.find((section) => section.paragraphs.length > 0 || section.bullets.length > 0);
  return {
    language,
    title: found ?? first?.heading ?? (first?.paragraphs[0] ?? first?.bullets[0] ?? "").slice(0, 40),
    subtitle: "",
    sections,
    charts: [],
    sources: [],
  };
}

/** Markdown marks off: bold, code, links keep their text. */
function inline(text: string): string {
  return text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/(\*\*|__|`)/g, "")
    .trim();
}
