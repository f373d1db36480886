// The flagship case from bytes to text, with every figure computed here a second time from the rows, by other means.
import assert from "node:assert/strict";
import test from "node:test";
import { flagshipTotals, makeSalesRows, makeSalesWorkbook, type SalesRow } from "../../bench/analysis/make-sales.ts";
import { type Analysis, OpenWorkbook } from "../../src/analysis/analyse.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { collect } from "./collect.ts";

const rows = makeSalesRows();
const workbook = await OpenWorkbook.open({ name: "sales.xlsx", bytes: await makeSalesWorkbook(rows) });
test.after(() => workbook[Symbol.dispose]());

const sum = (keep: (row: SalesRow) => boolean): number =>
  rows.filter(keep).reduce((total, row) => total + row.amount, 0);
const isEastPhone = (row: SalesRow): boolean => row.region === "华东" && row.category === "手机";
const isQ3 = (row: SalesRow): boolean => row.month >= "2025-07";

const flagship = {
  filters: [
    { column: "区域", is: "in" as const, values: ["华东"] },
    { column: "品类", is: "in" as const, values: ["手机"] },
  ],
  comparison: "previous" as const,
  kind: "change" as const,
};

function change(analysis: Analysis): Analysis["result"] & { kind: "change" } {
  assert.equal(analysis.result.kind, "change");
  return analysis.result as Analysis["result"] & { kind: "change" };
}

test("华东 / 手机 / 环比 gives the totals that the rows give", async () => {
  const { analysis } = await collect(workbook.analyse({ plan: flagship, language: "zh" }));
  const result = change(analysis);
  const [current, previous] = [
    sum((row) => isEastPhone(row) && isQ3(row)),
    sum((row) => isEastPhone(row) && !isQ3(row)),
  ];
  assert.deepEqual([result.current, result.previous], [current, previous]);
  assert.equal(result.rate, (current - previous) / previous);
  assert.equal(Math.round((result.rate ?? 0) * 1000) / 10, 23);
  assert.deepEqual(
    [analysis.plan.period?.grain, analysis.plan.period?.start, analysis.plan.breakdown],
    ["quarter", "2025-07-01", ["产品"]],
  );
});

test("小米 14 系列 makes 68 % of the growth, OPPO Reno12 22 %, and a falling product counts against it", async () => {
  const result = change((await collect(workbook.analyse({ plan: flagship }))).analysis);
  for (const member of result.members) {
    const [q2, q3] = flagshipTotals[member.label] ?? [Number.NaN, Number.NaN];
    assert.deepEqual([member.previous, member.current], [q2, q3]);
    assert.equal(member.share, Math.round((1000 * (q3 - q2)) / 2_300_000) / 1000);
  }
  assert.deepEqual(
    result.members.map(({ label, share }) => [label, share]),
    [
      ["小米 14 系列", 0.68],
      ["OPPO Reno12", 0.22],
      ["华为 Pura 70", 0.15],
      ["荣耀 200", -0.05],
    ],
  );
});

test("the question in words gives the plan of the buttons, in Chinese and in English", async () => {
  const byButtons = (await collect(workbook.analyse({ plan: flagship }))).analysis.plan;
  for (const question of [
    "华东手机环比归因",
    "为什么华东区的手机销售额环比增长？",
    "Why did sales of 手机 in 华东 grow quarter on quarter?",
  ]) {
    assert.deepEqual((await collect(workbook.analyse({ question }))).analysis.plan, byButtons, question);
  }
});

test("without a model the facts speak in both languages", async () => {
  const zh = await collect(workbook.analyse({ plan: flagship, language: "zh" }));
  assert.equal(
    zh.text[0],
    "2025年第三季度，华东手机的销售额环比增长23%，本期为1,230万元，上期为1,000万元，变化+230万元。",
  );
  assert.match(zh.text[1] ?? "", /^小米 14 系列增长46%，贡献156\.4万元，占总变化的68%。$/);
  const en = await collect(workbook.analyse({ plan: flagship, language: "en" }));
  assert.equal(
    en.text[0],
    "In Q3 2025, 销售额 of 华东, 手机 rose 23% on the period before, from 10 million yuan to 12.3 million yuan, a change of +2.3 million yuan.",
  );
  assert.equal(en.text[1], "小米 14 系列 rose 46% and added 1.56 million yuan, 68% of the change.");
});

test("a model's right sentences are kept, its wrong ones are replaced, and every figure is cited", async () => {
  await using engine = openScriptedEngine({
    answer: (_request, prompt) =>
      /与事实不符/.test(prompt)
        ? "OPPO Reno12贡献了30%。"
        : "华东手机销售额环比增长23%，达到1,230万元。OPPO Reno12贡献了68%的增量。小米 14 系列贡献68%，销售额从340万元升至496.4万元。",
  });
  const { analysis, text } = await collect(workbook.analyse({ plan: flagship, language: "zh", engine }));
  assert.deepEqual(text, [
    "华东手机销售额环比增长23%，达到1,230万元。",
    "OPPO Reno12增长22%，贡献50.6万元，占总变化的22%。",
    "小米 14 系列贡献68%，销售额从340万元升至496.4万元。",
  ]);
  assert.deepEqual(analysis.narration, { sentences: 3, rewritten: 0, replaced: 1, dropped: 0 });
  assert.deepEqual(
    analysis.sentences[0]?.citations.map(({ factId }) => factId),
    ["F1", "F1"],
  );
  assert.ok(
    analysis.sentences[0]?.citations.every(({ start, end }) =>
      /^(23%|1,230万元)$/.test(text[0]?.slice(start, end) ?? ""),
    ),
  );
});

test("a sentence with an unsupported number gets one more try", async () => {
  await using engine = openScriptedEngine({
    answer: (_request, prompt) =>
      /与事实不符/.test(prompt) ? "华东手机销售额环比增长23%。" : "华东手机销售额环比增长32%。",
  });
  const { analysis, text } = await collect(workbook.analyse({ plan: flagship, language: "zh", engine }));
  assert.equal(text[0], "华东手机销售额环比增长23%。");
  assert.equal(analysis.sentences[0]?.rejected?.faults[0]?.text, "32%");
  assert.equal(analysis.narration.rewritten, 1);
});

test("an engine that fails leaves the facts' own sentences and says why", async () => {
  await using engine = openScriptedEngine({
    answer: () => {
      throw new Error("lost");
    },
  });
  const { analysis, text } = await collect(workbook.analyse({ plan: flagship, language: "zh", engine }));
  assert.match(text[0] ?? "", /环比增长23%/);
  assert.ok(analysis.narration.failure);
});

test("a follow-up keeps filters and period, and why goes one dimension down", async () => {
  const first = (await collect(workbook.analyse({ question: "华东手机环比归因" }))).analysis.plan;
  const again = (await collect(workbook.analyse({ question: "为什么？", previous: first }))).analysis.plan;
  assert.deepEqual(again.filters, first.filters);
  assert.deepEqual(again.period, first.period);
  assert.equal(again.breakdown[0], "产品");
  assert.equal(again.breakdown.length, 2);
  const volume = (await collect(workbook.analyse({ question: "那销量呢", previous: first }))).analysis.plan;
  assert.deepEqual([volume.metric, volume.filters], ["销量", first.filters]);
});

test("what the table cannot answer is refused with what it holds", async () => {
  const refusal = (question: string) =>
    assert.rejects(collect(workbook.analyse({ question, language: "zh" })), { code: "bad_request" });
  await refusal("华东的利润是多少");
  await refusal("今年的天气怎么样");
  await assert.rejects(collect(workbook.analyse({ question: "华东手机销售额同比" })), /没有去年同期/);
  await assert.rejects(
    collect(workbook.analyse({ plan: { metric: "利润" }, language: "zh" })),
    (error: Error & { hint?: string }) => /没有“利润”/.test(error.message) && /销售额/.test(error.hint ?? ""),
  );
});

test("a fact names the cells it was made from", async () => {
  const { analysis } = await collect(workbook.analyse({ plan: flagship, language: "zh" }));
  const cells = analysis.facts[1]?.cells;
  assert.equal(
    cells?.count,
    rows.filter((row) => isEastPhone(row) && isQ3(row) && row.product === "小米 14 系列").length,
  );
  for (const address of cells?.first ?? []) {
    const row = rows[Number(/!I(\d+)$/.exec(address)?.[1]) - 3];
    assert.ok(row && isEastPhone(row) && isQ3(row) && row.product === "小米 14 系列", address);
  }
});

test("two levels: which region, and within it which product", async () => {
  const result = change(
    (await collect(workbook.analyse({ plan: { kind: "change", comparison: "previous", breakdown: ["区域", "产品"] } })))
      .analysis,
  );
  for (const nested of result.nested) {
    const parent = result.members.find(({ label }) => label === nested.parent);
    const parts = [...nested.members, ...(nested.others === undefined ? [] : [nested.others])].reduce(
      (total, { part }) => total + part,
      0,
    );
    assert.equal(Math.round(parts), Math.round(parent?.part ?? Number.NaN));
  }
  assert.ok(result.nested.length > 0);
});

test("an aborted analysis stops with the reason", async () => {
  const reason = new Error("left");
  await assert.rejects(collect(workbook.analyse({ plan: flagship, signal: AbortSignal.abort(reason) })), reason);
});
