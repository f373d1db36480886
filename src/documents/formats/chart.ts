// Charts in slides and Word files: the figures that they show, as the file keeps them.
import type { DraftSegment } from "../layout/runs.ts";
import { scanMarkup } from "./markup.ts";
import { tableOfRows } from "./plain.ts";

/** Categories and series as a table, from a chart's part (charts/chart1.xml). */
export function chartSegments(xml: string, page: number): DraftSegment[] {
  const series: { name: string; labels: string[]; values: string[] }[] = [];
  let part = "";
  let isValue = false;
  for (const event of scanMarkup(xml, { isXml: true })) {
    const current = series.at(-1);
    if (event.type === "open") {
      if (event.name === "c:ser") series.push({ name: "", labels: [], values: [] });
      else if (
        event.name === "c:tx" ||
        event.name === "c:cat" ||
        event.name === "c:val" ||
        event.name === "c:xVal" ||
        event.name === "c:yVal"
      )
        part = event.name;
      else if (event.name === "c:v") isValue = true;
    } else if (event.type === "close") {
      if (event.name === "c:v") isValue = false;
      else if (event.name === part) part = "";
    } else if (isValue && current) {
      if (part === "c:tx") current.name += event.text;
      else if (part === "c:cat" || part === "c:xVal") current.labels.push(event.text);
      else if (part === "c:val" || part === "c:yVal") current.values.push(event.text);
    }
  }
  const [first] = series;
  if (!first || first.values.length === 0) return [];
  const rows = [
    ["", ...series.map((each) => each.name)],
    ...first.values.map((_, row) => [first.labels[row] ?? "", ...series.map((each) => each.values[row] ?? "")]),
  ];
  const table = tableOfRows(rows, page);
  return table ? [table] : [];
}
