import type { Report } from "./report.ts";

/** The outline of a slide deck as text: one heading a slide, its points below. */
export function outlineText({ title, sections, charts, language, sources }: Report): string {
  const zh = language === "zh";
  const slides = [
    ...sections.map(({ heading, paragraphs, bullets, table }) => ({
      heading: heading || title,
      points: [
        ...paragraphs,
        ...bullets,
        ...(table === undefined
          ? []
          : [
              zh
                ? `表格：${table.header.join("、")}（${table.rows.length} 行）`
                : `Table: ${table.header.join(", ")} (${table.rows.length} rows)`,
            ]),
      ],
    })),
    ...charts.map((chart) => ({
      heading: chart.title,
      points: [
        zh
          ? `图表（${chart.unit || "无单位"}）：${chart.categories.slice(0, 8).join("、")}`
          : `Chart (${chart.unit || "no unit"}): ${chart.categories.slice(0, 8).join(", ")}`,
      ],
    })),
    ...(sources[0] === undefined ? [] : [{ heading: zh ? "数据来源" : "Source", points: sources.slice(0, 3) }]),
  ].filter(({ points }) => points.length > 0);
  const body = slides.map(
    ({ heading, points }, index) =>
      `## ${zh ? `第${index + 1}页` : `Slide ${index + 1}`} ${heading}\n${points.map((point) => `- ${point}`).join("\n")}`,
  );
  return `# ${title}\n\n${body.join("\n\n")}\n`;
}
