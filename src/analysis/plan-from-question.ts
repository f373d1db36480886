// A question in words -> a plan. Common phrasings, Chinese and English, are read by rules: names of columns, values and periods are
// found in the text and taken out, and a question of which nothing unknown is left is understood. Anything else goes to the model,
// which fills a plan under the schema of this table; without a model the words that were not understood are named.
import { AppError } from "../base/errors.ts";
import { narrow } from "./narrow.ts";
import { type Grain, parsePeriod } from "./parse-time.ts";
import type { Comparison, Filter, Plan, PlanInput, PlanKind } from "./plan.ts";
import { mainMetric, metricsOf } from "./plan-defaults.ts";
import { type Column, columnNamed, type Table } from "./table.ts";
import { periodsOf, shifted, startOf, timeColumn } from "./time.ts";
import { chineseDigit, type Language } from "./words.ts";

export interface QuestionReading {
  plan: PlanInput;
  /** Words of the question that no rule took. */
  unknown: readonly string[];
}

const synonyms: readonly (readonly string[])[] = [
  [
    "销售额",
    "销售金额",
    "销售收入",
    "营业额",
    "营收",
    "收入",
    "成交额",
    "业绩",
    "sales",
    "revenue",
    "turnover",
    "sales amount",
  ],
  ["销量", "销售数量", "销售量", "出货量", "units", "units sold", "quantity", "volume"],
  ["订单量", "订单数", "单量", "orders", "order count"],
  ["利润", "毛利", "净利", "净利润", "毛利润", "profit", "gross profit", "margin"],
  ["成本", "费用", "花费", "支出", "cost", "costs", "spend", "expense"],
  ["单价", "价格", "均价", "售价", "price", "unit price"],
  ["区域", "地区", "大区", "region", "area"],
  ["品类", "类别", "类目", "分类", "category"],
  ["产品", "商品", "型号", "单品", "品名", "product", "item", "model"],
  ["城市", "city"],
  ["渠道", "平台", "channel"],
  ["门店", "店铺", "分店", "store", "shop"],
  ["客户", "顾客", "customer", "client"],
  ["部门", "department", "team"],
  ["销售员", "业务员", "销售人员", "salesperson", "rep"],
];

/** Words that carry no demand of their own. */
const fillers =
  /请问|请|帮我|帮忙|麻烦|谢谢|一下|给我|看看|看下|看|分析|统计|计算|算|列出|显示|展示|告诉我|我想知道|想知道|是多少|多少|什么|怎么样|如何|怎样|情况|数据|表现|里面|里|中|内|的|了|吗|呢|啊|吧|是|有|在|和|与|及|跟|对|把|将|按照|按|根据|各个|各|每个|每|分别|所有|全部|总共|一共|总|合计|哪些|哪个|哪|个|名|前|这|那|记录|并|就|都|也|还|又|主要|区|品类|部分|期间|变化|做|下|我们|公司|整体|总体|起来|\b(please|show|me|tell|what|whats|is|are|was|were|the|a|an|of|in|for|and|by|per|each|every|which|how|much|many|did|do|does|give|list|analy[sz]e|analysis|compute|calculate|total|overall|all|data|our|my|we|us|to|with|on|from|at|it|its|has|have|had|there|this|that|year|change|changes|changed|different|across|between|over|top|best|most|worst|least|highest|lowest|biggest|largest|main)\b/giu;

const kindWords: readonly (readonly [PlanKind, RegExp])[] = [
  [
    "price_volume",
    /量价(分析|拆分|分解)?|价量|价格.{0,3}销量.{0,4}影响|price[\s-]*(and|\/|-)?[\s-]*volume([\s-]*(and)?[\s-]*mix)?|\bmix\b/giu,
  ],
  ["correlation", /相关性|相关系数|相关|关系|correlations?|correlated?|relationship/giu],
  ["pareto", /帕累托|二八(定律|分析)?|80\/20|pareto|abc分析/giu],
  ["distribution", /分布|直方图|distribution|histogram/giu],
  [
    "change",
    /为什么|为何|原因|归因(分析)?|驱动因素|驱动|主因|贡献|拉动|\bwhy\b|reasons?|drivers?|drove|driv(e|es|ing|en)|drove|attribut(e|ion)|contribut(e|ed|ion|ions|ors?)/giu,
  ],
  [
    "trend",
    /走势|变化趋势|趋势|按月|按季度?|按周|按天|按日|按年|逐月|每月|每周|每天|月度|trends?|over time|by month|by quarter|by week|by day|by year|monthly|weekly|daily|quarterly/giu,
  ],
  [
    "ranking",
    /排名|排行榜?|排序|占比|份额|构成|比重|最高|最多|最大|最好|最低|最少|最差|shares?|ranking|rank(ed)?|breakdown|break down/giu,
  ],
];

const moveWords =
  /增长率?|增加|上升|上涨|提升|提高|下降|下滑|下跌|减少|降低|涨|跌|grow(th|n)?|grew|increased?|decreased?|declined?|fell|fall|rose|rise|drop(ped)?|up|down/giu;

const comparisonWords: readonly (readonly [Comparison, RegExp])[] = [
  [
    "year_ago",
    /同比|去年同期|year[\s-]*(on|over)[\s-]*year|\byoy\b|(the )?same (period|month|quarter) (of )?last year|vs\.? last year/giu,
  ],
  [
    "plan",
    /(与|和|对比|相比|比)?(计划|目标|预算)(对比|相比|完成率?|达成率?|差异)?|完成率|达成率|(vs\.?|versus|against|compared (to|with)) (the )?(plan|target|budget)/giu,
  ],
  [
    "previous",
    /环比|较上期|比上期|与上期相比|较上月|比上个?月|较上个?季度?|比上个?季度?|(month|quarter|week|period)[\s-]*(on|over)[\s-]*(month|quarter|week|period)|\b(mom|qoq|wow)\b|(vs\.?|versus|compared (to|with)) (the )?(previous|last|prior) (month|quarter|week|period|year)/giu,
  ],
];

const numberWords: Readonly<Record<string, number>> = { ...chineseDigit, three: 3, five: 5, ten: 10 };

/** The question with what was understood blotted out. */
class Remaining {
  text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Takes out all matches; returns them. */
  take(pattern: RegExp): string[] {
    const found: string[] = [];
    this.text = this.text.replace(pattern, (match) => {
      found.push(match);
      return " ".repeat(match.length);
    });
    return found;
  }

  /** Takes out a literal once or more; whole words only in Latin script. */
  takeLiteral(literal: string): boolean {
    if (literal === "") return false;
    const escaped = literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s*");
    const edge = (sign: string): string =>
      /[\p{Script=Latin}\p{N}]/u.test(sign) ? "(?![\\p{Script=Latin}\\p{N}])" : "";
    const start = /[\p{Script=Latin}\p{N}]/u.test(literal[0] ?? "") ? "(?<![\\p{Script=Latin}\\p{N}])" : "";
    return this.take(new RegExp(`${start}${escaped}s?${edge(literal.at(-1) ?? "")}`, "giu")).length > 0;
  }
}

/** Reads a question by rules alone. `previous` gives follow-up questions their filters and period. */
export function readQuestion(question: string, table: Table, previous?: Plan): QuestionReading {
  const rest = new Remaining(narrow(question).toLowerCase());
  const filters = takeMembers(rest, table);
  const comparison = comparisonWords.find(([, pattern]) => rest.take(pattern).length > 0)?.[0];
  const aggregation = takeAggregation(rest);
  const kinds = kindWords.filter(([, pattern]) => rest.take(pattern).length > 0).map(([kind]) => kind);
  const trendGrain = takeTrendGrain(question);
  const top = takeTop(rest);
  const metrics = takeColumns(rest, metricsOf(table));
  const dimensions = takeColumns(
    rest,
    table.columns.filter((column) => column.role === "dimension" || column.role === "id"),
  );
  const period = takePeriod(rest, table);
  const hasMove = rest.take(moveWords).length > 0;
  takeColumns(
    rest,
    table.columns.filter((column) => column.role === "time"),
  );
  rest.take(fillers);
  const unknown = rest.text
    .split(/[\s\p{P}\p{S}]+/u)
    .filter((word) => /\p{Script=Han}{2,}|[a-z]{3,}|\d{2,}/iu.test(word));

  const isWhyAgain =
    kinds.includes("change") && previous?.kind === "change" && filters.length === 0 && metrics.length === 0;
  let kind: PlanKind | undefined = kinds[0];
  if (comparison !== undefined || (hasMove && kind === undefined))
    kind = kinds.includes("price_volume") ? "price_volume" : "change";
  if (kind === undefined && dimensions.length > 0) kind = "ranking";
  const metric =
    metrics.find((column) => !column.isPlan || comparison !== "plan") ??
    (previous === undefined ? undefined : columnNamed(table, previous.metric));
  const plan: PlanInput = {
    kind: kind ?? (previous !== undefined && period !== undefined ? previous.kind : "total"),
    filters: mergeFilters(previous?.filters ?? [], filters),
    breakdown: dimensions.map((column) => column.name),
  };
  if (aggregation === "count" && metric === undefined) plan.metric = "*";
  else if (metric !== undefined) plan.metric = metric.name;
  if (aggregation !== undefined) plan.aggregation = aggregation;
  if (comparison !== undefined) plan.comparison = comparison;
  else if (previous?.comparison !== undefined && plan.kind === previous.kind) plan.comparison = previous.comparison;
  if (top !== undefined) plan.top = top;
  if (metrics.length > 1 && (plan.kind === "correlation" || plan.kind === "price_volume"))
    plan.versus = metrics.find((column) => column !== metric)?.name ?? "";
  const time = timeColumn(table);
  if (period !== undefined) plan.period = period;
  else if (trendGrain !== undefined && plan.kind === "trend" && time !== undefined)
    plan.period = { column: time.name, grain: trendGrain };
  else if (previous?.period !== undefined && plan.kind !== "trend") plan.period = previous.period;
  // "Why?" again goes one dimension further down, inside what was already found.
  if (isWhyAgain && dimensions.length === 0 && previous !== undefined) plan.breakdown = nextDown(table, previous);
  return { plan, unknown };
}

function nextDown(table: Table, previous: Plan): string[] {
  const used = new Set(previous.breakdown);
  const next = table.columns.find(
    (column) =>
      column.role === "dimension" &&
      column.labels.length > 1 &&
      !used.has(column.name) &&
      !previous.filters.some((filter) => filter.column === column.name),
  );
  return next === undefined ? [...previous.breakdown] : [...previous.breakdown.slice(-1), next.name];
}

function mergeFilters(old: readonly Filter[], fresh: readonly Filter[]): Filter[] {
  return [...old.filter((filter) => !fresh.some((other) => other.column === filter.column)), ...fresh];
}

/** Values of dimensions named in the question, the longest first; "小米" finds 小米 14 系列 when it begins one value only. */
function takeMembers(rest: Remaining, table: Table): Filter[] {
  const dimensions = table.columns.filter(
    (column) =>
      (column.role === "dimension" || column.role === "id") && column.type === "text" && column.labels.length <= 20_000,
  );
  const candidates = dimensions.flatMap((column) =>
    column.labels.map((label) => ({ column, label, text: label.toLowerCase() })),
  );
  const haystack = rest.text.replace(/\s+/g, "");
  const mentioned = candidates
    .filter(({ text }) => text.length >= 2 && haystack.includes(text.replace(/\s+/g, "")))
    .sort((a, b) => b.text.length - a.text.length);
  const byColumn = new Map<string, string[]>();
  for (const { column, label, text } of mentioned) {
    if (columnNamed(table, label) !== undefined || !rest.takeLiteral(text)) continue;
    byColumn.set(column.name, [...(byColumn.get(column.name) ?? []), label]);
  }
  const brands = Map.groupBy(candidates, ({ column, text }) => `${column.id}\0${text.split(/[\s\-_]/)[0]}`);
  for (const [key, group] of brands) {
    const [first] = group;
    const brand = key.slice(key.indexOf("\0") + 1);
    if (
      first === undefined ||
      group.length !== 1 ||
      brand.length < 2 ||
      brand === first.text ||
      byColumn.has(first.column.name)
    )
      continue;
    if (rest.takeLiteral(brand)) byColumn.set(first.column.name, [first.label]);
  }
  return [...byColumn].map(([column, values]) => ({ column, is: "in" as const, values }));
}

function takeColumns(rest: Remaining, columns: readonly Column[]): Column[] {
  const found: { column: Column; at: number }[] = [];
  const names = columns.flatMap((column) => {
    const group =
      synonyms.find((words) => words.some((word) => column.name.toLowerCase() === word)) ??
      synonyms.find((words) => words.some((word) => /\p{Script=Han}/u.test(word) && column.name.includes(word)));
    return [column.name.toLowerCase(), ...(group ?? [])].map((name, index) => ({ column, name, isOwn: index === 0 }));
  });
  const order = names.sort((a, b) => Number(b.isOwn) - Number(a.isOwn) || b.name.length - a.name.length);
  for (const { column, name } of order) {
    if (found.some((entry) => entry.column === column)) continue;
    const at = rest.text.indexOf(name);
    if (rest.takeLiteral(name)) found.push({ column, at: at < 0 ? 1e6 : at });
  }
  return found.sort((a, b) => a.at - b.at).map(({ column }) => column);
}

function takeAggregation(rest: Remaining): Plan["aggregation"] | undefined {
  if (rest.take(/平均值?|均值|\b(average|mean|avg)\b/giu).length > 0) return "average";
  if (rest.take(/中位数|\bmedian\b/giu).length > 0) return "median";
  if (rest.take(/最大值|\bmax(imum)?\b/giu).length > 0) return "max";
  if (rest.take(/最小值|\bmin(imum)?\b/giu).length > 0) return "min";
  if (rest.take(/多少(条|笔|行)|记录数|笔数|行数|\b(how many|number of|count of) (rows|records|lines)\b/giu).length > 0)
    return "count";
  return undefined;
}

function takeTop(rest: Remaining): number | undefined {
  const [match] = rest.take(
    /前\s*(\d{1,3}|[一二两三四五六七八九十])\s*[名个位款]?|(top|first|bottom)\s*(\d{1,3}|three|five|ten)|(最高|最多|最大|最低)的?\s*(\d{1,3}|[一二两三四五六七八九十])\s*[名个位款]/giu,
  );
  const digits =
    match === undefined
      ? undefined
      : (/\d+/.exec(match)?.[0] ?? /[一二两三四五六七八九十]|three|five|ten/i.exec(match)?.[0]);
  return digits === undefined ? undefined : (numberWords[digits] ?? Number(digits));
}

function takeTrendGrain(question: string): Grain | undefined {
  if (/按月|逐月|每月|月度|by month|monthly/i.test(question)) return "month";
  if (/按季|季度趋势|by quarter|quarterly/i.test(question)) return "quarter";
  if (/按周|每周|by week|weekly/i.test(question)) return "week";
  if (/按[天日]|每[天日]|by day|daily/i.test(question)) return "day";
  return /按年|每年|by year|yearly|annual/i.test(question) ? "year" : undefined;
}

/** "2025年第三季度", "Q3", "7月", 本月, 上季度, last month; those without a year, and the relative ones, count from the latest data. */
function takePeriod(rest: Remaining, table: Table): Plan["period"] | undefined {
  const column = timeColumn(table);
  if (column === undefined) return undefined;
  const make = (grain: Grain, start: number): Plan["period"] => ({
    column: column.name,
    grain,
    start: new Date(start * 86_400_000).toISOString().slice(0, 10),
  });
  const relative: readonly (readonly [RegExp, Grain, number])[] = [
    [/本月|这个?月|当月|this month|latest month/giu, "month", 0],
    [/上个?月|last month|previous month/giu, "month", -1],
    [/本季度?|这个?季度|当季|this quarter|latest quarter/giu, "quarter", 0],
    [/上个?季度?|last quarter|previous quarter/giu, "quarter", -1],
    [/今年|本年度?|this year/giu, "year", 0],
    [/去年|上一?年|last year/giu, "year", -1],
    [/本周|这周|this week/giu, "week", 0],
    [/上周|last week/giu, "week", -1],
  ];
  for (const [pattern, grain, step] of relative) {
    if (rest.take(pattern).length === 0) continue;
    const latest = periodsOf(column, grain).at(-1);
    return latest === undefined ? undefined : make(grain, shifted(latest, grain, step));
  }
  const [match] = rest.take(
    /(?:(?:19|20)\d{2}\s*年?\s*[-/]?\s*)?(?:第?\s*[一二三四1-4]\s*季度|q[1-4]|[上下]半年|h[12](?!\d))(?:\s*(?:19|20)\d{2})?|(?:19|20)\d{2}\s*[年\-/]\s*(?:1[0-2]|0?[1-9])\s*月?(?!\d)|(?:1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])\s*月份?|(?:19|20)\d{2}\s*年|\bfy\s?\d{2,4}\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec)\b\.?\s*(?:(?:19|20)\d{2})?/giu,
  );
  const period = match === undefined ? undefined : parsePeriod(match);
  if (period === undefined) return undefined;
  if (period.hasYear || column.hasYear === false) return make(period.grain, startOf(period.start, period.grain));
  const month = new Date(period.start * 86_400_000).getUTCMonth();
  const present = periodsOf(column, period.grain).filter(
    (start) => new Date(start * 86_400_000).getUTCMonth() === month,
  );
  const latest =
    present.at(-1) ??
    Math.round(
      Date.UTC(new Date((periodsOf(column, "month").at(-1) ?? 0) * 86_400_000).getUTCFullYear(), month, 1) / 86_400_000,
    );
  return make(period.grain, latest);
}

/** What to tell a person whose question holds words that the table does not. */
export function notUnderstood(unknown: readonly string[], table: Table, language: Language): AppError {
  const metrics = metricsOf(table).map((column) => column.name);
  const dimensions = table.columns.filter((column) => column.role === "dimension").map((column) => column.name);
  const example = mainMetric(table)?.name ?? "";
  return language === "zh"
    ? new AppError("bad_request", `这张表回答不了：没有找到“${unknown.join("”“")}”对应的列或值。`, {
        param: "question",
        hint: `指标有：${metrics.join("、")}；维度有：${dimensions.join("、")}。可以问：各${dimensions[0] ?? ""}的${example}。`,
      })
    : new AppError("bad_request", `This table cannot answer that: nothing in it is called "${unknown.join('", "')}".`, {
        param: "question",
        hint: `Metrics: ${metrics.join(", ")}. Dimensions: ${dimensions.join(", ")}.`,
      });
}
