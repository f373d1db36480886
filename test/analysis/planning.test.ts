// A plan that a model made: whatever it emits under the table's schema, the plan holds or the answer is a clear refusal.
import assert from "node:assert/strict";
import test from "node:test";
import { makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import { openMini } from "../../bench/analysis/mini-engine.ts";
import { byModel, byRules, judged, questions } from "../../bench/analysis/planning.ts";
import { Random } from "../../bench/analysis/random.ts";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { planInWords } from "../../src/analysis/plan-in-words.ts";
import { planSchema } from "../../src/analysis/plan-schema.ts";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { collect } from "./collect.ts";

const workbook = await OpenWorkbook.open({ name: "sales.xlsx", bytes: await makeSalesWorkbook() });
test.after(() => workbook[Symbol.dispose]());
const table = workbook.table();

type Schema = Readonly<Record<string, unknown>>;

/** Any value that a schema allows. */
function instanceOf(schema: Schema, random: Random): unknown {
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return random.pick(schema.enum);
  if (Array.isArray(schema.anyOf)) return instanceOf(random.pick(schema.anyOf) as Schema, random);
  const [least, most] = [Number(schema.minItems ?? 0), Number(schema.maxItems ?? 3)];
  switch (schema.type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties as Record<string, Schema>).map(([name, part]) => [
          name,
          instanceOf(part, random),
        ]),
      );
    case "array":
      return Array.from({ length: random.integer(least, most) }, () => instanceOf(schema.items as Schema, random));
    case "integer":
      return random.integer(Number(schema.minimum), Number(schema.maximum));
    default:
      return "x".repeat(random.integer(0, 20));
  }
}

test("every plan that the schema allows is a checked plan or a refusal in words", async () => {
  const random = new Random(11);
  const outcomes = { plans: 0, refusals: 0 };
  for (let round = 0; round < 400; round++) {
    const text = JSON.stringify(instanceOf(planSchema(table) as Schema, random));
    await using engine = openScriptedEngine({ answer: () => text, contextTokens: 16_384 });
    try {
      const plan = await byModel("随便问一句", table, engine);
      assert.ok(planInWords(plan, table, "zh").length > 8, text);
      outcomes.plans++;
    } catch (error) {
      assert.ok(
        error instanceof AppError && error.code === "bad_request" && error.message.length > 8,
        `${text}: ${error}`,
      );
      outcomes.refusals++;
    }
  }
  assert.ok(outcomes.plans > 50 && outcomes.refusals > 50, JSON.stringify(outcomes));
});

test("a plan from the model is computed and said to be from the model", async () => {
  const plan = {
    answerable: true,
    kind: "ranking",
    metric: "销量",
    aggregation: "sum",
    filters: [{ column: "区域", is: "in", values: ["华东"] }],
    breakdown: ["城市"],
    grain: "month",
    start: "latest",
    comparison: "none",
    top: 2,
    order: "smallest",
  };
  await using engine = openScriptedEngine({ answer: () => JSON.stringify(plan), contextTokens: 16_384 });
  const { analysis } = await collect(workbook.analyse({ question: "华东哪儿动销乏力", engine, language: "zh" }));
  assert.equal(analysis.planFrom, "model");
  assert.deepEqual([analysis.plan.breakdown, analysis.plan.order, analysis.plan.top], [["城市"], "smallest", 2]);
});

test("a model that says no, or says nothing that can be read, gives the words that were not understood", async () => {
  for (const answer of ['{"answerable":false,"missing":"利润"}', "好的，我来分析", "{", "[]"]) {
    await using engine = openScriptedEngine({ answer: () => answer, contextTokens: 16_384 });
    await assert.rejects(
      collect(workbook.analyse({ question: "华东的利润率走势", engine, language: "zh" })),
      (error: Error & { hint?: string }) => /利润/.test(error.message) && /销售额/.test(error.hint ?? ""),
      answer,
    );
  }
});

test("quern-mini under the schema, through the real engine, never gives a plan that names what is not there", async () => {
  await using engine = await openMini(silentLog);
  // `judged` rethrows all but a checked plan and a refusal.
  for (const [question, wanted] of questions.slice(0, 6))
    await assert.doesNotReject(
      judged(() => byModel(question, table, engine), wanted),
      question,
    );
});

test("a day is a period like the others", async () => {
  const { period } = await byRules("2025年9月15日各区域的销售额", table);
  assert.deepEqual([period?.grain, period?.start], ["day", "2025-09-15"]);
});

test("the questions of the bench are read by the rules as they were when measured", async () => {
  const verdicts = await Promise.all(
    questions.map(async ([question, wanted]) => [question, await judged(async () => byRules(question, table), wanted)]),
  );
  assert.deepEqual(
    verdicts.filter(([, verdict]) => verdict !== "right" && verdict !== "right refusal"),
    [],
  );
});
