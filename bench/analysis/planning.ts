// How many of 30 questions in words become the right plan:
//   node bench/analysis/planning.ts          by the rules, and by quern-mini under the table's JSON schema
//   node bench/analysis/planning.ts rules    by the rules alone
// The questions were written after the rules and are not changed when one fails. Each names what the plan must hold; `null` is a question
// that the table cannot answer and that has to be refused. Ends in one JSON line.
import { execFileSync } from "node:child_process";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { checkPlan } from "../../src/analysis/check-plan.ts";
import type { Plan } from "../../src/analysis/plan.ts";
import { askForPlan } from "../../src/analysis/plan-from-model.ts";
import { readQuestion } from "../../src/analysis/plan-from-question.ts";
import type { Table } from "../../src/analysis/table.ts";
import { languageOf } from "../../src/analysis/words.ts";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/contract.ts";
import { makeSalesWorkbook } from "./make-sales.ts";
import { openMini } from "./mini-engine.ts";

type Wanted = Partial<Plan> | null;

const inside = (column: string, ...values: string[]) => ({ column, is: "in" as const, values });
const month = (start: string) => ({ column: "日期", grain: "month" as const, start });
const quarter = (start: string) => ({ column: "日期", grain: "quarter" as const, start });

export const questions: readonly (readonly [string, Wanted])[] = [
  [
    "华南区卖得最好的五个产品是哪些",
    { kind: "ranking", top: 5, breakdown: ["产品"], filters: [inside("区域", "华南")] },
  ],
  [
    "西南的家电8月份销售额多少",
    { kind: "total", period: month("2025-08-01"), filters: [inside("区域", "西南"), inside("品类", "家电")] },
  ],
  ["每个城市的销量是多少", { kind: "ranking", breakdown: ["城市"], metric: "销量" }],
  [
    "电脑类为什么三季度下滑了",
    { kind: "change", comparison: "previous", period: quarter("2025-07-01"), filters: [inside("品类", "电脑")] },
  ],
  ["Which channel sold the most in August?", { kind: "ranking", breakdown: ["渠道"], period: month("2025-08-01") }],
  ["show revenue by month for 华北", { kind: "trend", filters: [inside("区域", "华北")] }],
  [
    "线上商城和直营门店哪个卖得多",
    { kind: "ranking", breakdown: ["渠道"], filters: [inside("渠道", "线上商城", "直营门店")] },
  ],
  ["我想看上海、杭州的月度销量走势", { kind: "trend", metric: "销量", filters: [inside("城市", "上海", "杭州")] }],
  ["计划完成情况怎么样，按区域看", { kind: "change", comparison: "plan", breakdown: ["区域"] }],
  ["average sales per record by 品类", { kind: "ranking", aggregation: "average", breakdown: ["品类"] }],
  ["7月到8月销售额变化的原因", { kind: "change", comparison: "previous", period: month("2025-08-01") }],
  ["哪些产品贡献了八成的销售额", { kind: "pareto", breakdown: ["产品"] }],
  ["Sales of 小米 in Q3", { kind: "total", period: quarter("2025-07-01"), filters: [inside("产品", "小米 14 系列")] }],
  ["广州的订单数同比增长多少", null],
  ["员工离职率是多少", null],
  ["明年一季度能卖多少", null],
  ["各渠道的毛利", null],
  ["what is the average delivery time by 城市", null],
  ["销量倒数三名的城市", { kind: "ranking", metric: "销量", breakdown: ["城市"], top: 3, order: "smallest" }],
  [
    "不看手机，各区域卖了多少",
    { kind: "ranking", breakdown: ["区域"], filters: [{ column: "品类", is: "not_in", values: ["手机"] }] },
  ],
  ["Compare September with August by region", { kind: "change", breakdown: ["区域"], period: month("2025-09-01") }],
  ["单笔销售额最大的是多少", { kind: "total", aggregation: "max" }],
  ["一共有几个城市", { aggregation: "distinct", metric: "城市" }],
  ["销售额和销量有没有关系", { kind: "correlation", versus: "销量" }],
  ["华东占总销售额的比重", { kind: "ranking", breakdown: ["区域"], filters: [] }],
  [
    "二季度各区域手机销量",
    {
      kind: "ranking",
      metric: "销量",
      breakdown: ["区域"],
      period: quarter("2025-04-01"),
      filters: [inside("品类", "手机")],
    },
  ],
  ["Give me the distribution of sales in 华东", { kind: "distribution", filters: [inside("区域", "华东")] }],
  ["净水器卖得怎么样", { kind: "total", filters: [inside("产品", "净水器")] }],
  ["What drove the drop in 家电 last month?", { kind: "change", filters: [inside("品类", "家电")] }],
  ["拆一下手机的量和价", { kind: "price_volume", versus: "销量", filters: [inside("品类", "手机")] }],
];

export type Verdict = "right" | "wrong plan" | "refused" | "right refusal" | "plan for the unanswerable";

export async function judged(ask: () => Promise<Plan>, wanted: Wanted): Promise<Verdict> {
  let plan: Plan;
  try {
    plan = await ask();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "bad_request") throw error;
    return wanted === null ? "right refusal" : "refused";
  }
  if (wanted === null) return "plan for the unanswerable";
  const isRight = Object.entries(wanted).every(
    ([key, value]) => JSON.stringify(plan[key as keyof Plan]) === JSON.stringify(value),
  );
  return isRight ? "right" : "wrong plan";
}

export function byRules(question: string, table: Table): Promise<Plan> {
  const language = languageOf(question);
  const { plan, unknown, refusal } = readQuestion(question, table);
  if (unknown.length > 0 || refusal !== undefined) throw new AppError("bad_request", unknown.join(" "));
  return Promise.resolve(checkPlan(plan, table, language));
}

/** What the model makes of a question, whatever the rules think of it. */
export async function byModel(question: string, table: Table, engine: Engine): Promise<Plan> {
  const language = languageOf(question);
  const asked = await askForPlan(question, table, {
    engine,
    language,
    renderChat: undefined,
    signal: undefined,
    unknown: [],
  });
  return checkPlan(asked, table, language);
}

if (import.meta.main) {
  using workbook = await OpenWorkbook.open({ name: "sales.xlsx", bytes: await makeSalesWorkbook() });
  const table = workbook.table();
  const counts: Record<string, Record<string, number>> = {};
  const judge = async (name: string, ask: (question: string) => Promise<Plan>): Promise<void> => {
    const found: Record<string, number> = {};
    for (const [question, wanted] of questions) {
      const verdict = await judged(async () => ask(question), wanted);
      found[verdict] = (found[verdict] ?? 0) + 1;
      if (verdict !== "right" && verdict !== "right refusal")
        process.stdout.write(`${name}: ${verdict}: ${question}\n`);
    }
    counts[name] = found;
  };
  await judge("rules", (question) => byRules(question, table));
  if (process.argv[2] !== "rules") {
    await using engine = await openMini(silentLog);
    await judge("quern-mini", (question) => byModel(question, table, engine));
  }
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  process.stdout.write(
    `${JSON.stringify({ bench: "analysis-planning", commit, questions: questions.length, ...counts })}\n`,
  );
}
