// No unsupported number reaches the reader, whatever the engine says. The full measurement (200 workbooks, and quern-mini) is
// bench/analysis/narration.ts; here are enough of them to notice a leak.
import assert from "node:assert/strict";
import test from "node:test";
import { untrueFigures } from "../../bench/analysis/independent-check.ts";
import { openLyingEngine } from "../../bench/analysis/lying-engine.ts";
import { openMini } from "../../bench/analysis/mini-engine.ts";
import { measureNarration } from "../../bench/analysis/narration.ts";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/contract.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { collect } from "./collect.ts";

test("an engine that lies in most sentences gets no wrong number through", async () => {
  const figures = await measureNarration((seed) => openLyingEngine(seed, 0.8), { count: 25, closes: true });
  assert.deepEqual(figures.examples, []);
  assert.equal(figures.untrue, 0);
  // It did lie, it was caught, and what was true was kept.
  assert.ok(figures.replaced > 20 && figures.rewritten > 5 && figures.fromModel > 10, JSON.stringify(figures));
});

test("an engine that lies in every sentence leaves only what is true", async () => {
  const figures = await measureNarration((seed) => openLyingEngine(seed, 1), { count: 10, closes: true });
  assert.equal(figures.untrue, 0);
});

test("quern-mini narrates in its own wording, and its numbers are right", async () => {
  const engine = await openMini(silentLog);
  try {
    const figures = await measureNarration(() => engine, { count: 3, closes: false });
    assert.equal(figures.untrue, 0);
    assert.ok(figures.fromModel >= 6, JSON.stringify(figures));
  } finally {
    await engine[Symbol.asyncDispose]();
  }
});

/** A scripted engine that says it is the demonstration model. */
function asDemonstration(options: Parameters<typeof openScriptedEngine>[0]): Engine {
  const engine = openScriptedEngine(options);
  const status = engine.status();
  return {
    generate: (request, given) => engine.generate(request, given),
    tokenize: (text, given) => engine.tokenize(text, given),
    detokenize: (ids, given) => engine.detokenize(ids, given),
    status: () => ({ ...status, model: { ...status.model, isDemonstration: true } }),
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

test("quern-mini's English reads well, with the currency put back to its plain digits", async () => {
  await using engine = await openMini(silentLog);
  const rows = [
    ["Month", "Region", "Category", "Product", "Sales (USD)"],
    ...["East", "West"].flatMap((region) => [
      ["2025-06", region, "Phones", "Galaxy S24", 10_300],
      ["2025-06", region, "Phones", "Pura 70", 4_000],
      ["2025-07", region, "Phones", "Galaxy S24", 14_800],
      ["2025-07", region, "Phones", "Pura 70", 4_730],
    ]),
  ];
  using workbook = await OpenWorkbook.open({ name: "sales", tables: [{ name: "sales", rows }] });
  const plan = { kind: "change" as const, filters: [{ column: "Region", is: "in" as const, values: ["East"] }] };
  const { analysis, text } = await collect(workbook.analyse({ plan, language: "en", engine }));
  assert.ok(
    analysis.sentences.some(({ source }) => source === "model"),
    JSON.stringify(analysis.sentences),
  );
  assert.match(
    text[0] ?? "",
    /^In 2025-07, Sales of all records in East rose 36\.6% period on period, from \$14,300 to \$19,530\.$/,
  );
});

test("what quern-mini cannot word is written from the facts, and the reader is told", async () => {
  await using engine = await openMini(silentLog);
  const rows = [
    ["区域", "销售额（元）"],
    ["华东", 10],
    ["华南", 20],
  ];
  using workbook = await OpenWorkbook.open({ name: "表", tables: [{ name: "表", rows }] });
  const { analysis } = await collect(workbook.analyse({ plan: { kind: "ranking" }, language: "zh", engine }));
  assert.ok(analysis.sentences.every(({ source }) => source === "template"));
  assert.match(analysis.narration.note?.zh ?? "", /演示模型只会叙述归因/);
});

test("a demonstration model that leaves its forms is not let through, however right its numbers are", async () => {
  await using engine = asDemonstration({
    answer: () => '{\n"销售额": "20元"，华南：上期为10元。\n增长主要来自华南（贡献100%），是最大的单项因素。',
  });
  const rows = [
    ["月份", "区域", "销售额（元）"],
    ["2025-06", "华南", 10],
    ["2025-07", "华南", 20],
    ["2025-06", "华东", 5],
    ["2025-07", "华东", 5],
  ];
  using workbook = await OpenWorkbook.open({ name: "表", tables: [{ name: "表", rows }] });
  const { text } = await collect(workbook.analyse({ plan: { kind: "change" }, language: "zh", engine }));
  assert.ok(!text.join("").includes("{"), text.join("\n"));
  assert.ok(text.includes("增长主要来自华南（贡献100%），是最大的单项因素。"));
});

test("the independent check is able to find a lie", () => {
  const truth = {
    whole: { current: 123, previous: 100 },
    members: new Map([
      ["甲 5", { current: 80, previous: 60 }],
      ["乙", { current: 43, previous: 40 }],
    ]),
    memberCount: 2,
  };
  assert.deepEqual(untrueFigures("2025年第三季度增长23%，从100到123；甲 5贡献87%。", truth), []);
  assert.deepEqual(untrueFigures("增长32%。", truth), ["32%"]);
  assert.deepEqual(untrueFigures("乙贡献87%。", truth), ["87%"]);
});
