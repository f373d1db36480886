import assert from "node:assert/strict";
import test from "node:test";
import { type CheckContext, checkSentence } from "./check-numbers.ts";
import type { Fact, FactNumber } from "./facts.ts";
import { percentUnit, type Unit } from "./unit.ts";

const yuan: Unit = { symbol: "元", kind: "money", scale: 1, base: "元" };
const no = { count: 0, first: [], range: "" };
const fact = (id: string, subject: string, numbers: FactNumber[]): Fact => ({
  id,
  subject,
  sentence: "",
  numbers,
  formula: "",
  cells: no,
  periods: [],
});
const n = (role: FactNumber["role"], value: number, unit: Unit = yuan): FactNumber => ({ role, value, unit, text: "" });

const context: CheckContext = {
  facts: [
    fact("F1", "", [
      n("rate", 0.2304, percentUnit),
      n("current", 12_300_000),
      n("previous", 10_000_000),
      n("change", 2_300_000),
    ]),
    fact("F2", "小米 14 系列", [
      n("part", 1_564_000),
      n("share", 0.68, percentUnit),
      n("rate", 0.46, percentUnit),
      n("current", 4_964_000),
      n("previous", 3_400_000),
    ]),
    fact("F3", "荣耀 200", [
      n("part", -115_000),
      n("share", -0.05, percentUnit),
      n("rate", -0.068, percentUnit),
      n("current", 1_585_000),
      n("previous", 1_700_000),
    ]),
  ],
  names: ["销售额", "区域"],
  members: ["小米 14 系列", "荣耀 200", "OPPO Reno12", "华东", "手机"],
  wholeNames: ["华东", "手机"],
  periods: [
    { start: 20_270, grain: "quarter", hasYear: true },
    { start: 20_179, grain: "quarter", hasYear: true },
  ], // Q3 and Q2 of 2025
  direction: 1,
};

const faults = (sentence: string): string[] =>
  checkSentence(sentence, context).faults.map(({ text, reason }) => `${text}: ${reason}`);

const right = [
  "华东手机销售额环比增长23%，本期为1,230万元，上期为1,000万元。",
  "增长23.0%。",
  "销售额达到0.123亿元，增加约230万元。",
  "小米14系列贡献68%，是最大的来源。",
  "小米 14 系列增长46%，从340万元升至496.4万元。",
  "荣耀 200下降6.8%，拖累5%。",
  "荣耀 200变化-6.8%，贡献-5%。",
  "2025年第三季度，整体环比增长23%。",
  "第一，小米 14 系列贡献近七成。",
  "In Q3 2025, sales of 手机 rose 23%, from 10 million yuan to 12.3 million yuan.",
  "小米 14 系列 contributed 68% of the growth.",
  "1. 小米 14 系列贡献156.4万元。",
];
for (const sentence of right) test(`passes: ${sentence}`, () => assert.deepEqual(faults(sentence), []));

const wrong: readonly (readonly [string, string])[] = [
  ["销售额环比增长32%。", "32%: unknown"],
  ["销售额环比增长23.4%。", "23.4%: unknown"],
  ["销售额环比下降23%。", "23%: wrong_sign"],
  ["本期为1,000万元。", "1,000万元: other_role"],
  ["小米 14 系列增长68%。", "68%: other_role"],
  ["荣耀 200贡献68%。", "68%: other_subject"],
  ["OPPO Reno12贡献22%。", "22%: unknown"],
  ["OPPO Reno12贡献68%。", "68%: other_subject"],
  ["荣耀 200增长6.8%。", "6.8%: wrong_sign"],
  ["小米 14 系列贡献近八成。", "八成: unknown"],
  ["销售额翻倍。", "翻倍: unknown"],
  ["2025年第四季度，销售额增长23%。", "2025年第四季度: wrong_period"],
  ["2024年第三季度增长23%。", "2024年第三季度: wrong_period"],
  ["销售额为1,230元。", "1,230元: unknown"],
  ["销售额为1,230亿元。", "1,230亿元: unknown"],
  ["销售额增加230万美元。", "230万美元: unknown"],
  ["增长了23个百分点。", "23个百分点: unknown"],
  ["下降主要来自小米 14 系列（贡献68%）。", "下降主要来自小米 14 系列（贡献68%）。: wrong_direction"],
  ["预计下季度增长15%。", "15%: unknown"],
  ["小米 14 系列 contributed half of the growth.", "half: unknown"],
  ["销售额增长百分之三十。", "百分之三十: unknown"],
  ["销售额为十二亿元。", "十二亿元: unknown"],
  // Said by quern-mini, which lost the amount and put the year in its place.
  ["In Q3 2025, sales of 手机 rose 23%, from 2025 to 12.3 million yuan.", "2025: unknown"],
];
for (const [sentence, fault] of wrong) {
  test(`refuses: ${sentence}`, () =>
    assert.ok(faults(sentence).includes(fault), `got ${faults(sentence).join(" | ") || "no fault"}`));
}

test("a citation marks the number and names its fact", () => {
  const sentence = "华东手机销售额环比增长23%。";
  const { citations } = checkSentence(sentence, context);
  assert.deepEqual(citations, [
    { start: sentence.indexOf("23%"), end: sentence.indexOf("23%") + 3, factId: "F1", numberIndex: 0 },
  ]);
});
