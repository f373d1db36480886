// What one press makes: the files open, say what the analysis says, and carry nobody else's formulas.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";
import mammoth from "mammoth";
import { makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import { type Analysis, OpenWorkbook } from "../../src/analysis/analyse.ts";
import { cellAt, cellText } from "../../src/analysis/grid.ts";
import type { PlanInput } from "../../src/analysis/plan.ts";
import { readWorkbook } from "../../src/analysis/read-workbook.ts";
import { type DeliverableFormat, deliver, deliverableFormats } from "../../src/deliverables/deliver.ts";
import { collect } from "./collect.ts";
import { xlsx } from "./workbooks.ts";

const workbook = await OpenWorkbook.open({ name: "sales.xlsx", bytes: await makeSalesWorkbook() });
test.after(() => workbook[Symbol.dispose]());
const questions = [
  "华东手机环比归因",
  "各产品销售额帕累托",
  "销售额按月趋势",
  "销售额和销量的相关性",
  "手机量价分析",
  "销售额分布",
  "华东的销售额",
  "各区域平均销售额",
  "各区域销售额与计划对比",
];
const analyses: Analysis[] = [];
for (const question of questions) analyses.push((await collect(workbook.analyse({ question }))).analysis);
const [flagship] = analyses;
assert.ok(flagship);

const textOf = async (format: DeliverableFormat, analysis: Analysis = flagship): Promise<string> =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    (await deliver({ analysis, table: workbook.table() }, format)).bytes,
  );
const partsOf = (bytes: Uint8Array): Record<string, string> =>
  Object.fromEntries(Object.entries(unzipSync(bytes)).map(([name, data]) => [name, strFromU8(data)]));

test("slides hold native charts with their data, and the source in the notes", async () => {
  const parts = partsOf((await deliver({ analysis: flagship }, "pptx")).bytes);
  const charts = Object.keys(parts).filter((name) => /ppt\/charts\/chart\d+\.xml$/.test(name));
  assert.equal(charts.length, 1);
  assert.match(parts[charts[0] ?? ""] ?? "", /<c:barChart>[\s\S]*<c:v>156\.4<\/c:v>/);
  assert.ok(Object.keys(parts).some((name) => /embeddings\/.*\.xlsx$/.test(name)));
  const notes = Object.entries(parts)
    .filter(([name]) => /notesSlide\d+\.xml$/.test(name))
    .map(([, xml]) => xml);
  assert.ok(notes.length > 0 && notes.every((xml) => xml.includes("销售明细!A1:J5002") && xml.includes("SUM(销售额)")));
});

test("the report in Word says the sentences and holds table and picture", async () => {
  const { bytes } = await deliver({ analysis: flagship }, "docx");
  const { value } = await mammoth.convertToHtml({ buffer: Buffer.from(bytes) });
  assert.match(value, /环比增长23%，本期为1,230万元/);
  assert.match(value, /<table>[\s\S]*小米 14 系列[\s\S]*68%/);
  assert.match(value, /<img/);
});

test("the workbook computes: formulas over the copied rows, results saved, a chart on them", async () => {
  const { bytes } = await deliver({ analysis: flagship, table: workbook.table() }, "xlsx");
  const book = await readWorkbook(bytes, "out.xlsx");
  const [sheet, data] = book.grids;
  assert.ok(sheet && data);
  assert.equal(data.rowCount, 501); // 500 rows of phones in East China, and the header
  const formulas = [...sheet.formulas.values()];
  assert.ok(formulas.filter((formula) => formula.startsWith("SUMIFS(")).length === 8);
  const row = Array.from({ length: sheet.rowCount }, (_, index) => index).find(
    (index) => cellText(sheet, index, 0) === "小米 14 系列" && cellText(sheet, index, 2) !== "",
  );
  assert.ok(row !== undefined);
  assert.deepEqual(
    [1, 2, 3, 5].map((column) => Number(cellText(sheet, row, column))),
    [3_400_000, 4_964_000, 1_564_000, 0.68],
  );
  assert.ok(Object.keys(unzipSync(bytes)).some((name) => /xl\/charts\/chart\d+\.xml/.test(name)));
});

test("Markdown, outline and CSV carry the figures", async () => {
  assert.match(await textOf("markdown"), /\| 小米 14 系列 \| 3,400,000 \| 4,964,000 \| 1,564,000 \| 46% \| 68% \|/);
  assert.match(await textOf("outline"), /^# .*\n\n## 第1页 核心结论\n- 2025年第三季度，华东手机的销售额环比增长23%/);
  const csv = await textOf("csv");
  assert.ok(csv.startsWith("\ufeff产品,上期（元）,本期（元）"));
  assert.match(csv, /小米 14 系列,3400000,4964000,1564000,46%,68%\r\n/);
});

test("the WeChat article has inline styles only and escapes the data", async () => {
  const html = await textOf("wechat");
  assert.doesNotMatch(html, /<(style|script|link|img|iframe|svg)\b|\sclass=|\sid=|\son\w+=|javascript:/i);
  assert.match(html, /环比增长23%/);
});

test("a short post keeps whole sentences within its limit and never cuts a figure", async () => {
  for (const limit of [40, 60, 100, 140, 500]) {
    const { bytes } = await deliver({ analysis: flagship }, "post", { limit });
    const post = new TextDecoder().decode(bytes);
    assert.ok([...post].length <= limit, `${limit}: ${[...post].length}`);
    assert.match(post, /23%/);
    assert.match(post, /。$/);
  }
  await assert.rejects(deliver({ analysis: flagship }, "post", { limit: 5 }), { code: "bad_request" });
});

test("cells and labels that look like formulas are neutralised in every format", async () => {
  const evil = ['=HYPERLINK("http://x","y")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1+1", "＝1+1"];
  const rows = evil.flatMap((name, index) => [
    [name, "2025-06", 10 + index],
    [name, "2025-07", 30 + index],
  ]);
  using open = await OpenWorkbook.open({
    name: "evil.xlsx",
    bytes: await xlsx({ rows: [["产品", "月份", "销售额"], ...rows] }),
  });
  const { analysis } = await collect(
    open.analyse({ plan: { kind: "change", comparison: "previous", breakdown: ["产品"] } }),
  );
  const source = { analysis, table: open.table() };
  const csv = new TextDecoder().decode((await deliver(source, "csv")).bytes);
  for (const line of csv.split("\r\n").flatMap((one) => one.split(",")))
    assert.doesNotMatch(line.replace(/^\ufeff?"?/, ""), /^\s*[=@＝]|^[+-](?![\d,.]+%?$)/, line);
  const book = await readWorkbook((await deliver(source, "xlsx")).bytes, "out.xlsx");
  for (const formula of book.grids.flatMap((grid) => [...grid.formulas.values()]))
    assert.match(formula, /^(SUMIFS\(数据!|SUMPRODUCT\(EXACT\(数据!|C\d+-B\d+|IF\(|SUM\([BCF]\d)/);
  for (const grid of book.grids) {
    for (let row = 0; row < grid.rowCount; row++)
      for (let column = 0; column < grid.columns.length; column++)
        if (!grid.formulas.has(row * 16_384 + column)) assert.doesNotMatch(cellText(grid, row, column), /^\s*[=@＝]/);
  }
  assert.doesNotMatch(new TextDecoder().decode((await deliver(source, "markdown")).bytes), /\|\s*[=@]/);
});

test("text that XML cannot hold does not break a file", async () => {
  const markdown =
    "# 标题\u0001\n\n坏字符 \u0008 与 <b>标签</b> & 孤立的 \ud800 代理\n\n- 一\n- 二\n\n| 名 | 值 |\n| --- | --- |\n| a | =1+1 |\n";
  for (const format of ["pptx", "docx"] as const) {
    const parts = partsOf((await deliver({ markdown }, format)).bytes);
    for (const [name, xml] of Object.entries(parts))
      if (name.endsWith(".xml")) assert.doesNotMatch(xml, /(?![\t\n\r])\p{Cc}|\ufffe/u, name);
  }
  const { value } = await mammoth.extractRawText({ buffer: Buffer.from((await deliver({ markdown }, "docx")).bytes) });
  assert.match(value, /<b>标签<\/b> &/);
});

test("the tables of an answer become a workbook, numbers as numbers, formulas as text", async () => {
  const markdown =
    "# 季度\n\n## 销售\n\n| 区域 | 额 | 占比 | 编码 |\n| --- | --- | --- | --- |\n| 华东 | 1,234.5 | 12.5% | 007 |\n| =cmd | -3 | 0% | x |\n\n## 销售\n\n| a | b |\n| --- | --- |\n| 1 | 3万元 |\n";
  const { grids } = await readWorkbook((await deliver({ markdown }, "xlsx")).bytes, "out.xlsx");
  assert.deepEqual(
    grids.map(({ sheet }) => sheet),
    ["销售", "销售 (2)"],
  );
  const [first, second] = grids;
  assert.ok(first && second);
  assert.deepEqual(
    [1, 2, 3].map((column) => cellAt(first, 1, column)),
    [
      { kind: "number", value: 1234.5 },
      { kind: "number", value: 0.125 },
      { kind: "text", value: "007" },
    ],
  );
  assert.deepEqual([cellText(first, 2, 0), cellText(first, 2, 1), cellText(second, 1, 1)], ["'=cmd", "-3", "3万元"]);
});

test("an answer in words becomes slides; as a workbook it is refused", async () => {
  const markdown = "# 周报\n\n## 本周\n- 完成**三项**工作\n\n## 下周\n- 继续";
  assert.match(
    new TextDecoder().decode((await deliver({ markdown }, "outline")).bytes),
    /## 第1页 本周\n- 完成三项工作/,
  );
  await assert.rejects(deliver({ markdown }, "xlsx"), { code: "bad_request" });
  await assert.rejects(deliver({ markdown: "  " }, "docx"), { code: "bad_request" });
});

test("every kind of analysis becomes every kind of file", async () => {
  for (const analysis of analyses) {
    for (const format of deliverableFormats) {
      if (format === "docx" && analysis !== flagship) continue; // its picture takes a second each
      if (format === "csv" && (analysis.result.kind === "total" || analysis.result.kind === "correlation")) continue;
      const { bytes, fileName } = await deliver({ analysis, table: workbook.table() }, format);
      assert.ok(bytes.byteLength > 20, `${analysis.plan.kind} ${format}`);
      assert.doesNotMatch(fileName, /[\\/:*?"<>|]/);
    }
  }
});

const office = spawnSync("soffice", ["--version"], { encoding: "utf8" });
const skip =
  office.error !== undefined
    ? "LibreOffice (soffice) is not installed: its reading of the files is not checked"
    : false;

/** Names that SUMIFS reads as patterns or as equal, a blank one, more members than are shown, two dimensions. */
async function awkwardWorkbooks(): Promise<Uint8Array[]> {
  const names = ["A*", "A1", "abc", "ABC", ">100", "=x", null, "B?", "~", "甲", "乙", "丙", "丁"];
  const rows = names.flatMap((name, index) =>
    ["2025-06", "2025-07"].flatMap((month, later) =>
      ["线上", "线下"].map((channel, place) => [
        name,
        month,
        channel,
        10 + index * 7 + later * (index % 3) * 5 + place,
      ]),
    ),
  );
  using open = await OpenWorkbook.open({
    name: "awkward.xlsx",
    bytes: await xlsx({ rows: [["产品", "月份", "渠道", "销售额（万元）"], ...rows] }),
  });
  const plans: PlanInput[] = [
    { kind: "change", breakdown: ["产品"] },
    { kind: "change", breakdown: ["产品"], top: 4 },
    { kind: "ranking", breakdown: ["产品", "渠道"], top: 5 },
    { kind: "ranking", breakdown: ["产品"], top: 5, order: "smallest" },
    { kind: "trend", breakdown: ["产品"] },
    {
      kind: "trend",
      breakdown: ["渠道"],
      period: { column: "月份", grain: "month", within: { grain: "year", start: "2025-01-01" } },
    },
  ];
  const files: Uint8Array[] = [];
  for (const plan of plans) {
    const { analysis } = await collect(open.analyse({ plan, language: "zh" }));
    files.push((await deliver({ analysis, table: open.table() }, "xlsx")).bytes);
  }
  return files;
}

/** The workbook without its saved results: whoever opens it must compute every formula. */
function withoutResults(bytes: Uint8Array): Uint8Array {
  const parts = unzipSync(bytes);
  for (const [name, part] of Object.entries(parts))
    if (/worksheets\/sheet\d+\.xml$/.test(name))
      parts[name] = strToU8(strFromU8(part).replace(/(<\/f>)<v>[^<]*<\/v>/g, "$1"));
  return zipSync(parts);
}

test("LibreOffice opens slides, document and workbook, and computes the workbook's formulas to the same results", {
  skip,
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-deliver-"));
  try {
    const { bytes } = await deliver({ analysis: flagship, table: workbook.table() }, "xlsx");
    writeFileSync(path.join(folder, "book.xlsx"), withoutResults(bytes));
    const awkward = await awkwardWorkbooks();
    for (const [index, file] of awkward.entries())
      writeFileSync(path.join(folder, `awkward-${index}.xlsx`), withoutResults(file));
    writeFileSync(path.join(folder, "slides.pptx"), (await deliver({ analysis: flagship }, "pptx")).bytes);
    writeFileSync(path.join(folder, "report.docx"), (await deliver({ analysis: flagship }, "docx")).bytes);
    const convert = (to: string, ...files: string[]): void => {
      const run = spawnSync(
        "soffice",
        [
          `-env:UserInstallation=file://${folder}/profile`,
          "--headless",
          "--convert-to",
          to,
          "--outdir",
          folder,
          ...files.map((file) => path.join(folder, file)),
        ],
        { encoding: "utf8", timeout: 100_000 },
      );
      assert.equal(run.status, 0, run.stderr);
    };
    convert("csv:Text - txt - csv (StarCalc):44,34,76", "book.xlsx");
    convert("ods", ...awkward.map((_, index) => `awkward-${index}.xlsx`));
    convert("pdf", "slides.pptx", "report.docx");
    const csv = readFileSync(path.join(folder, "book.csv"), "utf8");
    assert.match(csv, /^小米 14 系列,"3,400,000","4,964,000","\+1,564,000",46\.0%,68\.0%$/m);
    assert.match(csv, /^合计,"10,000,000","12,300,000","\+2,300,000",23\.0%,100\.0%$/m);
    for (const [index, file] of awkward.entries()) {
      const [saved] = (await readWorkbook(file, "saved.xlsx")).grids;
      const [computed] = (await readWorkbook(readFileSync(path.join(folder, `awkward-${index}.ods`)), "b.ods")).grids;
      assert.ok(saved && computed && saved.formulas.size > 5, `awkward-${index}`);
      for (const [key, formula] of saved.formulas) {
        const [row, column] = [Math.floor(key / 16_384), key % 16_384];
        const [expected, actual] = [saved, computed].map((grid) => Number(cellText(grid, row, column)));
        assert.ok(
          Math.abs((expected ?? 0) - (actual ?? Number.NaN)) < 1e-6,
          `awkward-${index} ${formula}: ${actual}, not ${expected}`,
        );
      }
    }
    for (const file of ["slides.pdf", "report.pdf"])
      assert.ok(readFileSync(path.join(folder, file)).byteLength > 10_000, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
