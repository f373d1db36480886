import assert from "node:assert/strict";
import test from "node:test";
import { segmentsOfPage } from "./blocks.ts";
import type { DraftSegment, Run } from "./runs.ts";

function run(text: string, left: number, top: number, set: { size?: number; width?: number } = {}): Run {
  const { size = 10 } = set;
  const { width = text.length * size } = set;
  const lefts = Array.from(text, (_, index) => left + (index * width) / text.length);
  return { text, left, right: left + width, top, bottom: top + size * 1.02, size, isBold: false, lefts };
}

const segments = (runs: readonly Run[]): DraftSegment[] =>
  segmentsOfPage({ page: 1, width: 595, height: 842, runs, rulings: [], tolerance: 2 });
const text = (segment: DraftSegment): string => ("text" in segment ? segment.text.replaceAll("\n", "") : segment.kind);

test("two columns whose lines stand at different heights are read one after the other", () => {
  const left = Array.from({ length: 20 }, (_, line) =>
    run("左栏的正文每一行都写得很满不留空白处", 51, 170 + line * 14.3),
  );
  const right = Array.from({ length: 14 }, (_, line) =>
    run("右栏的正文每一行也写得很满不留空白处", 309, 163 + line * 15.1),
  );
  const found = segments([
    run("基于大语言模型的合同审查方法", 162, 67, { size: 17 }),
    run("张伟", 269, 94),
    run("李娜", 302, 94),
    run("摘要：本文提出一种面向中文合同的审查方法能够定位付款违约与保密条款实验表明该方法", 85, 121),
    run("优于基线。", 85, 135),
    ...left,
    ...right,
  ]).map(text);
  assert.ok(found.indexOf("张伟 李娜") >= 0, JSON.stringify(found));
  assert.ok(
    found.some((each) => each.startsWith("摘要") && each.endsWith("优于基线。")),
    "the abstract keeps its last line",
  );
  const joined = found.join("");
  assert.ok(joined.lastIndexOf("左栏") < joined.indexOf("右栏"), joined);
});

test("a wide table without lines stays one table, its empty cells and its wrapped label in place", () => {
  const rows = [
    ["项目", "附注", "2025年", "2024年"],
    ["营业收入", "五、1", "12,345.67", "11,002.30"],
    ["销售费用", "", "(432.10)", "(401.55)"],
    ["其中：", "", "", ""],
    ["其他收益", "五、7", "—", "12.00"],
    ["归属于母公司股东的", "", "2,048.00", "1,777.77"],
  ];
  const runs = rows.flatMap((cells, row) =>
    cells.flatMap((cell, column) => {
      if (cell === "") return [];
      const width = cell.length * (column < 2 ? 10 : 5);
      const left = column === 0 ? 76 : ([0, 216, 285, 355][column] ?? 0) - width;
      return [run(cell, left, 100 + row * 25, { width })];
    }),
  );
  const [before, table, after] = segments([
    run("合并利润表（单位：人民币百万元）", 63, 69),
    ...runs,
    run("净利润", 76, 240),
    run("以上数据经审计。", 63, 271),
  ]);
  assert.ok(before?.kind === "paragraph" && after?.kind === "paragraph");
  assert.ok(table?.kind === "table");
  assert.deepEqual([table.rows, table.columns], [6, 4]);
  const cell = (row: number, column: number): string | undefined =>
    table.cells.find((each) => each.row === row && each.column === column)?.text;
  assert.equal(cell(2, 0), "销售费用");
  assert.equal(cell(2, 1), "");
  assert.equal(cell(3, 0), "其中：");
  assert.equal(cell(5, 0), "归属于母公司股东的净利润");
  assert.equal(cell(5, 3), "1,777.77");
});

test("the lines of a form and the clauses of a contract stay apart, a clause's second line stays with it", () => {
  const lines = [
    "合同编号：HT-2026-0318",
    "甲方：华东远航科技有限公司",
    "乙方：南京明德电子股份有限公司",
    "一、合同总价为人民币叁佰贰拾万元整。",
    "二、乙方逾期交货的，每逾期一日应按合同总价的千分之五向甲方支付违约金，",
    "但不可抗力除外。",
    "第三条 本合同一式肆份。",
  ];
  const found = segments(lines.map((line, index) => run(line, 60, 100 + index * 20))).map(text);
  assert.deepEqual(found, [...lines.slice(0, 4), `${lines[4]}${lines[5]}`, lines[6]]);
});

test("a line of prose that begins like a clause does not begin one", () => {
  const lines = ["乙方逾期交货的应当按照本合同", "第三条的规定向甲方支付违约金"];
  assert.deepEqual(segments(lines.map((line, index) => run(line, 60, 100 + index * 16))).map(text), [lines.join("")]);
});

test("a line that ends before the margin although the next word would have fitted ends its paragraph", () => {
  const found = segments([
    run("这一行写到了右边的页边所以后面还有一行", 60, 100),
    run("这一段在此结束", 60, 116),
    run("下一段从这里开始也写到了右边的页边为止", 60, 132),
    run("并有第二行", 60, 148),
  ]).map(text);
  assert.equal(found.length, 2, JSON.stringify(found));
});

test("three columns, as newspapers have, are read one after the other", () => {
  const words = ["第一栏的正文写满每一行", "第二栏的正文写满每一行", "第三栏的正文写满每一行"];
  const runs = words.flatMap((line, column) =>
    Array.from({ length: 12 }, (_, row) => run(line, 50 + column * 170, 120 + row * 15 + column * 4)),
  );
  const joined = segments([run("三栏报纸版面", 50, 60, { size: 20 }), ...runs])
    .map(text)
    .join("");
  const order = [...joined.matchAll(/第([一二三])栏/g)].map((match) => match[1]).join("");
  assert.equal(order, "一".repeat(12) + "二".repeat(12) + "三".repeat(12));
});

test("program text with a Chinese comment stays one piece of code", () => {
  const mono = (each: Run): Run => ({ ...each, isMonospaced: true });
  const [found, ...others] = segments([
    mono(run("def total(rows):", 60, 100, { width: 96 })),
    mono(run("#", 84, 113, { width: 6 })),
    run("求和", 96, 113),
    mono(run("return sum(rows)", 84, 126, { width: 96 })),
  ]);
  assert.equal(others.length, 0);
  assert.ok(
    found?.kind === "code" && found.text === "def total(rows):\n    # 求和\n    return sum(rows)",
    JSON.stringify(found),
  );
});

test("two fields of a form one under the other stay apart where they end at the right margin", () => {
  const right = (line: string, top: number): Run => run(line, 535 - line.length * 10, top);
  assert.deepEqual(segments([right("发票号码：26312000", 100), right("开票日期：2026年03月18日", 116)]).map(text), [
    "发票号码：26312000",
    "开票日期：2026年03月18日",
  ]);
});

test("a full-width blank behind a clause's number stays a blank, and recognised lines of one paragraph stay together", () => {
  assert.deepEqual(segments([run("第一条", 60, 100), run("公司推进转型", 100, 100)]).map(text), [
    "第一条 公司推进转型",
  ]);
  const recognised = [
    { ...run("公司持续推进数字化转型超过十二", 60, 100, { size: 14 }), confidence: 0.99 },
    { ...run("亿元。", 60, 118, { size: 18 }), confidence: 0.99 },
  ];
  assert.equal(segments(recognised).length, 1);
});
