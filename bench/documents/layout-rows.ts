// Text layers and layout: text and order, running heads, tables, segments of plain text.
import { plainTextOf, type Segment, segmentsOf } from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";
import { segmentText } from "../../src/documents/segment.ts";
import {
  generator,
  htmlOf,
  knownTable,
  oneColumnPage,
  png,
  printPdf,
  prose,
  rasterise,
  twoColumnPage,
} from "./fixtures.ts";
import { isQuick, percent, type Row, shows, timed } from "./rows.ts";
import { characterAccuracy, normalised, tableAccuracy } from "./score.ts";

export async function pdfRow(): Promise<Row[]> {
  const random = generator(11);
  const count = isQuick ? 20 : 100;
  const pages = Array.from({ length: count }, (_, index) =>
    index % 2 ? twoColumnPage(random, index + 1) : oneColumnPage(random, index + 1),
  );
  const bytes = await printPdf(htmlOf(pages.map((page) => page.html)));
  await readDocument({ bytes: await printPdf(htmlOf(["warm"])) }, { name: "warm.pdf" });
  const { result: document, seconds, cpuSeconds } = await timed(() => readDocument({ bytes }, { name: "hundred.pdf" }));
  const textOf = (number: number): string =>
    (document.pages[number]?.segments ?? [])
      .filter((segment) => !segment.removed)
      .map(plainTextOf)
      .join("");
  const accuracies = pages.map((page, index) => characterAccuracy(page.text, textOf(index)));
  const mean = accuracies.reduce((sum, value) => sum + value, 0) / count;
  const inOrder = pages.filter((_, index) => index % 2 === 1 && (accuracies[index] ?? 0) > 0.98).length;
  const twoColumn = Math.floor(count / 2);
  return [
    {
      what: `PDF text, ${count} pages`,
      measured: `${percent(mean)}, ${seconds.toFixed(2)} s (${cpuSeconds.toFixed(2)} s of CPU)`,
      bar: "≥ 99.5 %, ≤ 2 s for 100",
      isMet: mean >= 0.995 && (seconds / count) * 100 <= 2,
      values: { accuracy: mean, seconds, cpuSeconds, pages: count },
    },
    {
      what: "two-column pages in reading order",
      measured: `${inOrder} of ${twoColumn}`,
      bar: "all",
      isMet: inOrder === twoColumn,
      values: { inOrder, all: twoColumn },
    },
  ];
}

export async function headersRow(): Promise<Row> {
  const random = generator(23);
  const count = 30;
  const bodies: string[] = [];
  const pages = Array.from({ length: count }, (_, index) => {
    const chapter = Math.floor(index / 10) + 1;
    const head = index % 2 ? `第${chapter}章 管理层讨论与分析` : "某某科技股份有限公司 2025 年年度报告";
    const foot = index < 15 ? `— ${index + 1} —` : `第 ${index + 1} 页 / 共 ${count} 页`;
    const paragraphs = Array.from({ length: 4 }, () => prose(random, 4));
    bodies.push(...paragraphs);
    return `<div class="head">${head}</div>${paragraphs.map((text) => `<p>${text}</p>`).join("")}<div class="foot">${foot}</div>`;
  });
  const document = await readDocument({ bytes: await printPdf(htmlOf(pages)) }, { name: "report.pdf" });
  const removed = segmentsOf(document).filter((segment) => segment.removed).length;
  const text = normalised(document.text);
  const lost = bodies.filter((body) => !text.includes(normalised(body))).length;
  const isRight = removed <= count * 2;
  return {
    what: "headers, footers, page numbers removed",
    measured: `${removed} of ${count * 2}, ${lost} body paragraphs lost`,
    bar: "≥ 98 %, none lost",
    isMet: removed >= count * 2 * 0.98 && lost === 0 && isRight,
    values: { removed, all: count * 2, lost },
  };
}

export async function tablesRow(from: "pdf" | "screenshot"): Promise<Row> {
  const random = generator(from === "pdf" ? 31 : 37);
  const kinds = ["", "pale", "bare"] as const;
  const count = isQuick ? 3 : from === "pdf" ? 18 : 9;
  const tables = Array.from({ length: count }, (_, index) => knownTable(random, kinds[index % 3] ?? ""));
  const bytes = await printPdf(
    htmlOf(tables.map((table) => `<p>${prose(random, 2)}</p>${table.html}<p>${prose(random, 1)}</p>`)),
  );
  let [right, all] = [0, 0];
  const perKind = new Map<string, { right: number; all: number }>();
  const score = (index: number, segments: readonly Segment[]): void => {
    const found = segments.find((segment) => segment.kind === "table");
    const result = tableAccuracy(tables[index]?.cells ?? [], found?.kind === "table" ? found : undefined);
    right += result.right;
    all += result.all;
    const kind = kinds[index % 3] || "ruled";
    const sum = perKind.get(kind) ?? { right: 0, all: 0 };
    perKind.set(kind, { right: sum.right + result.right, all: sum.all + result.all });
    if (shows && result.right < result.all)
      console.error(
        kind,
        JSON.stringify(tables[index]?.cells),
        found?.kind === "table"
          ? JSON.stringify(found.cells.map((cell) => `${cell.row},${cell.column} ${cell.text}`))
          : "no table",
      );
  };
  if (from === "pdf") {
    const document = await readDocument({ bytes }, { name: "tables.pdf" });
    for (const [index, page] of document.pages.entries()) score(index, page.segments);
  } else {
    // As on a screen: 110 dpi, cut to the upper part of the page.
    for (const [index, image] of (await rasterise(bytes, 110)).entries()) {
      const height = Math.round(image.height * 0.6);
      const cut = { width: image.width, height, data: image.data.subarray(0, image.width * height * 3) };
      score(
        index,
        (await readDocument({ bytes: await png(cut) }, { name: "screenshot.png" })).pages[0]?.segments ?? [],
      );
    }
  }
  const detail = [...perKind].map(([kind, sum]) => `${kind} ${percent(sum.right / sum.all)}`).join(", ");
  return {
    what: `tables in ${from === "pdf" ? "PDF" : "screenshots"}, cells in place`,
    measured: `${percent(right / all)} of ${all} (${detail})`,
    bar: "≥ 90 %",
    isMet: right / all >= 0.9,
    values: { accuracy: right / all, cells: all },
  };
}

export async function segmentsRow(): Promise<Row> {
  const random = generator(61);
  let text = "";
  for (let part = 0; text.length < 1_000_000; part++)
    text += `# 第${part}节\n\n${prose(random, 6)}\n\n- 项目一\n- item two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const start = performance.now();
    segmentText(text);
    best = Math.min(best, performance.now() - start);
  }
  return {
    what: "segments of 1 MB of text",
    measured: `${best.toFixed(0)} ms`,
    bar: "< 50 ms",
    isMet: best < 50,
    values: { milliseconds: best },
  };
}
