import assert from "node:assert/strict";
import test from "node:test";
import { buildTables } from "./build-tables.ts";
import { checkPlan } from "./check-plan.ts";
import type { Plan, PlanInput, PlanPeriod } from "./plan.ts";
import { readQuestion } from "./plan-from-question.ts";
import { planInWords } from "./plan-in-words.ts";
import { planSchema } from "./plan-schema.ts";
import { workbookFromRows } from "./read-workbook.ts";
import type { Table } from "./table.ts";

const months = Array.from(
  { length: 18 },
  (_, index) => `${2024 + Math.floor(index / 12)}-${String(1 + (index % 12)).padStart(2, "0")}`,
);
const rows = months.flatMap((month, index) => [
  [month, "华东", "手机", "小米 14", 100 + index, 10 + index, 95],
  [month, "华南", "电脑", "ThinkPad X1", 80 + index, 4, 90],
  [month, "华北", "手机", "荣耀 200", 60, 6, 50],
]);
const [table] = buildTables(
  workbookFromRows(
    [
      {
        name: "销售",
        rows: [["月份", "区域", "品类", "产品", "销售额(万元)", "销量(台)", "目标销售额(万元)"], ...rows],
      },
    ],
    "s",
  ),
);
assert.ok(table);
const sales: Table = table;

const planOf = (question: string, previous?: Plan): Plan => {
  const { plan, unknown } = readQuestion(question, sales, previous);
  assert.deepEqual(unknown, [], question);
  return checkPlan(plan, sales, "zh");
};

const cases: readonly (readonly [string, Partial<Plan>])[] = [
  ["各区域的销售额是多少", { kind: "ranking", breakdown: ["区域"], metric: "销售额" }],
  ["销售额最高的前3个产品", { kind: "ranking", breakdown: ["产品"], top: 3 }],
  ["top 2 产品 by 销售额", { kind: "ranking", breakdown: ["产品"], top: 2 }],
  ["华东手机销售额同比", { kind: "change", comparison: "year_ago" }],
  [
    "2025年5月销售额环比为什么变化",
    { kind: "change", comparison: "previous", period: { column: "月份", grain: "month", start: "2025-05-01" } },
  ],
  [
    "Q1销售额同比归因",
    { kind: "change", comparison: "year_ago", period: { column: "月份", grain: "quarter", start: "2025-01-01" } },
  ],
  ["上个月的销量", { kind: "total", metric: "销量", period: { column: "月份", grain: "month", start: "2025-05-01" } }],
  ["销售额目标完成率按区域", { kind: "change", comparison: "plan", breakdown: ["区域"], planMetric: "目标销售额" }],
  ["销售额按季度趋势", { kind: "trend", period: { column: "月份", grain: "quarter" } }],
  ["销售额和销量的关系", { kind: "correlation", versus: "销量" }],
  ["产品帕累托", { kind: "pareto", breakdown: ["产品"] }],
  ["手机的销售额分布", { kind: "distribution" }],
  ["各品类平均销售额", { kind: "ranking", aggregation: "average", breakdown: ["品类"] }],
  ["一共有多少条记录", { kind: "total", aggregation: "count", metric: "*" }],
  ["What is the total revenue by 区域?", { kind: "ranking", metric: "销售额", breakdown: ["区域"] }],
  ["monthly trend of sales in 华东", { kind: "trend", metric: "销售额" }],
  ["Why did sales change month over month?", { kind: "change", comparison: "previous" }],
  ["手机量价分析", { kind: "price_volume", versus: "销量" }],
];
for (const [question, expected] of cases) {
  test(`understood: ${question}`, () => {
    const plan = planOf(question);
    for (const [key, value] of Object.entries(expected))
      assert.deepEqual(plan[key as keyof Plan], value, `${key} of ${JSON.stringify(plan)}`);
    assert.ok(planInWords(plan, sales, "zh").length > 8 && planInWords(plan, sales, "en").length > 8);
  });
}

const more: readonly (readonly [string, Partial<Plan>])[] = [
  ["Top Five 产品 by sales", { kind: "ranking", top: 5, breakdown: ["产品"] }],
  ["销售额前五的产品", { kind: "ranking", top: 5 }],
  ["头三名产品", { kind: "ranking", top: 3 }],
  ["三大品类", { kind: "ranking", top: 3, breakdown: ["品类"] }],
  ["销售额最低的3个产品", { kind: "ranking", top: 3, order: "smallest" }],
  ["bottom 2 产品", { kind: "ranking", top: 2, order: "smallest" }],
  ["哪个产品卖得最差", { kind: "ranking", order: "smallest" }],
  ["last quarter 各区域销售额", { kind: "ranking", period: { column: "月份", grain: "quarter", start: "2025-01-01" } }],
  [
    "Q2 vs Q1",
    { kind: "change", comparison: "previous", period: { column: "月份", grain: "quarter", start: "2025-04-01" } },
  ],
  [
    "2025年6月和2024年6月对比",
    { kind: "change", comparison: "year_ago", period: { column: "月份", grain: "month", start: "2025-06-01" } },
  ],
  ["手机同比去年", { kind: "change", comparison: "year_ago" }],
  ["销售额跟去年同期比", { kind: "change", comparison: "year_ago" }],
  ["sales compared to last year", { kind: "change", comparison: "year_ago" }],
  [
    "the second quarter of 2025 by 区域",
    { kind: "ranking", period: { column: "月份", grain: "quarter", start: "2025-04-01" } },
  ],
  ["除了华东以外各区域的销售额", { kind: "ranking", filters: [{ column: "区域", is: "not_in", values: ["华东"] }] }],
  ["sales by 区域 excluding 华东 and 华南", { filters: [{ column: "区域", is: "not_in", values: ["华东", "华南"] }] }],
  ["华东占比", { kind: "ranking", breakdown: ["区域"], filters: [] }],
  [
    "华东和华南对比",
    { kind: "ranking", breakdown: ["区域"], filters: [{ column: "区域", is: "in", values: ["华东", "华南"] }] },
  ],
  [
    "2024年各月销售额",
    { kind: "trend", period: { column: "月份", grain: "month", within: { grain: "year", start: "2024-01-01" } } },
  ],
  ["华东和华南的销售额月度趋势", { kind: "trend", breakdown: ["区域"] }],
  ["有多少个产品", { kind: "total", aggregation: "distinct", metric: "产品" }],
  ["how many 产品 are there", { aggregation: "distinct", metric: "产品" }],
  ["哪个月销售额最高", { kind: "trend", period: { column: "月份", grain: "month" } }],
  ["手机在华东卖了多少台", { kind: "total", metric: "销量" }],
  ["手机卖了多少钱", { kind: "total", metric: "销售额" }],
  ["非手机品类的销售额", { filters: [{ column: "品类", is: "not_in", values: ["手机"] }] }],
  ["小米 vs 荣耀的销售额", { kind: "ranking", breakdown: ["产品"] }],
  ["what percent of sales is 华东", { kind: "ranking", breakdown: ["区域"], filters: [] }],
  ["why is 5月 lower than 4月 in 华北", { kind: "change", comparison: "previous" }],
  ["哪个区域增长最快", { kind: "change", breakdown: ["区域"] }],
];
for (const [question, expected] of more) {
  test(`understood: ${question}`, () => {
    const plan = planOf(question);
    for (const [key, value] of Object.entries(expected))
      assert.deepEqual(plan[key as keyof Plan], value, `${key} of ${JSON.stringify(plan)}`);
  });
}

test("two periods that are neither neighbours nor a year apart are refused in words", () => {
  const { refusal } = readQuestion("2025年1月和2025年6月对比", sales);
  assert.match(refusal?.zh ?? "", /只能与上一期或去年同期对比，2025年1月与2025年6月两者都不是/);
  assert.match(refusal?.en ?? "", /Jan 2025 and Jun 2025 are neither/);
});

const period = (grain: PlanPeriod["grain"], start?: string): PlanPeriod => ({
  column: "月份",
  grain,
  ...(start === undefined ? {} : { start }),
});
const plans: readonly PlanInput[] = [
  { kind: "total", metric: "销量" },
  {
    kind: "total",
    metric: "销售额",
    aggregation: "average",
    filters: [{ column: "区域", is: "in", values: ["华东", "华南"] }],
  },
  { kind: "total", metric: "*", period: period("month", "2025-03-01") },
  { kind: "total", metric: "产品", aggregation: "distinct" },
  { kind: "ranking", breakdown: ["产品"], top: 3 },
  { kind: "ranking", breakdown: ["区域", "品类"], order: "smallest", top: 7, period: period("quarter", "2024-07-01") },
  {
    kind: "ranking",
    breakdown: ["品类"],
    aggregation: "median",
    filters: [{ column: "区域", is: "not_in", values: ["华北"] }],
  },
  { kind: "ranking", breakdown: ["品类"], filters: [{ column: "销售额", is: "at_least", value: 90 }] },
  { kind: "change", comparison: "previous", breakdown: ["产品"], period: period("quarter", "2025-01-01") },
  {
    kind: "change",
    comparison: "year_ago",
    breakdown: ["区域", "产品"],
    period: period("month", "2025-05-01"),
    metric: "销量",
  },
  { kind: "change", comparison: "plan", breakdown: ["区域"] },
  { kind: "trend", period: period("quarter") },
  {
    kind: "trend",
    period: { ...period("month"), within: { grain: "year", start: "2024-01-01" } },
    breakdown: ["品类"],
  },
  { kind: "distribution", metric: "销量" },
  { kind: "pareto", breakdown: ["产品"], period: period("year", "2024-01-01") },
  { kind: "correlation", metric: "销售额", versus: "销量" },
  {
    kind: "price_volume",
    metric: "销售额",
    versus: "销量",
    breakdown: ["产品"],
    period: period("month", "2025-02-01"),
  },
];
for (const language of ["zh", "en"] as const) {
  test(`a plan in words (${language}) is a question that gives the plan`, () => {
    for (const input of plans) {
      const plan = checkPlan(input, sales, language);
      const words = planInWords(plan, sales, language);
      const { plan: read, unknown, refusal } = readQuestion(words, sales);
      assert.deepEqual([unknown, refusal], [[], undefined], words);
      assert.deepEqual(checkPlan(read, sales, language), plan, words);
    }
  });
}

for (const question of [
  "手机卖了多少箱",
  "华东的利润是多少",
  "各门店的客流量",
  "预测明年的销售额",
  "what is the churn by 区域",
]) {
  test(`not understood, and said so: ${question}`, () => assert.ok(readQuestion(question, sales).unknown.length > 0));
}

test("a plan that names what is not there is refused with what is", () => {
  const refused = (plan: object, pattern: RegExp): void =>
    assert.throws(
      () => checkPlan(plan, sales, "zh"),
      (error: Error & { hint?: string }) => pattern.test(`${error.message} ${error.hint}`),
    );
  refused({ metric: "毛利" }, /没有“毛利”.*销售额/);
  refused({ breakdown: ["门店"] }, /不能按“门店”.*区域/);
  refused({ filters: [{ column: "区域", is: "in", values: ["华中"] }] }, /没有“华中”.*华东/);
  refused(
    { kind: "change", comparison: "previous", period: { column: "月份", grain: "month", start: "2023-01-01" } },
    /没有这个期间.*2024-01-01/,
  );
  refused(
    { kind: "change", comparison: "year_ago", period: { column: "月份", grain: "month", start: "2024-03-01" } },
    /没有去年同期/,
  );
  refused({ kind: "nonsense" }, /没有“nonsense”/);
  refused({ period: { column: "月份", grain: "day" } }, /粒度不够细/);
});

test("the schema holds only columns and values that exist, and a way to say no", () => {
  const text = JSON.stringify(planSchema(sales));
  for (const name of ["销售额", "销量", "区域", "华东", "小米 14", "2025-04-01", "latest", "answerable"])
    assert.ok(text.includes(`"${name}"`), name);
  assert.ok(!text.includes("毛利"));
  assert.deepEqual((JSON.parse(text) as { anyOf: unknown[] }).anyOf.length, 2);
});
