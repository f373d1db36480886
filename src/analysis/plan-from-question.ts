// A question in words -> a plan. Common phrasings, Chinese and English, are read by rules: names of columns, values and periods are
// found in the text and taken out, and a question of which nothing unknown is left is understood. Anything else goes to the model,
// which fills a plan under the schema of this table; without a model the words that were not understood are named. A plan in words
// (plan-in-words.ts) is itself such a question: read again it gives the same plan, so people can edit the words.
import { AppError } from "../base/errors.ts";
import { narrow } from "./narrow.ts";
import type { Grain } from "./parse-time.ts";
import type { Filter, Order, Plan, PlanInput, PlanKind, PlanPeriod } from "./plan.ts";
import { mainMetric, metricsOf } from "./plan-defaults.ts";
import { takeByUnit, takeColumns, takeLimits, takeMembers } from "./question-names.ts";
import { type PeriodReading, planPeriod, takePeriods } from "./question-period.ts";
import {
  comparisonWords,
  contrastWords,
  fillers,
  kindWords,
  largestWords,
  moveWords,
  smallestWords,
} from "./question-words.ts";
import { Remaining } from "./remaining.ts";
import { type Column, columnNamed, type Table } from "./table.ts";
import { timeColumn } from "./time.ts";
import { chineseDigit, type Language, type Words } from "./words.ts";

export interface QuestionReading {
  plan: PlanInput;
  /** Words of the question that no rule took. */
  unknown: readonly string[];
  /** Understood, but not to be answered. */
  refusal?: Words;
}

/** What the rules found in a question, before it is decided what it asks. */
interface Spoken {
  filters: readonly Filter[];
  comparison: Plan["comparison"] | undefined;
  aggregation: Plan["aggregation"] | undefined;
  kinds: readonly PlanKind[];
  isContrast: boolean;
  trendGrain: Grain | undefined;
  top: number | undefined;
  order: Order | undefined;
  metrics: readonly Column[];
  dimensions: readonly Column[];
  periods: PeriodReading;
  hasMove: boolean;
  isShare: boolean;
  isWhy: boolean;
}

/** Reads a question by rules alone. `previous` gives follow-up questions their filters and period. */
export function readQuestion(question: string, table: Table, previous?: Plan): QuestionReading {
  const rest = new Remaining(narrow(question).toLowerCase());
  const spoken = spokenIn(rest, table, question);
  const unknown = rest.text.split(/[\s\p{P}\p{S}]+/u).filter((word) => /\p{Script=Han}|[a-z]{2,}|\d/iu.test(word));
  const { refusal } = spoken.periods;
  return { plan: planOf(spoken, table, previous), unknown, ...(refusal === undefined ? {} : { refusal }) };
}

function spokenIn(rest: Remaining, table: Table, question: string): Spoken {
  const limits = takeLimits(rest, table);
  const members = takeMembers(rest, table);
  // A column called 完成率 or 同比 is that column, not a wish for a comparison.
  const named = takeColumns(
    rest,
    metricsOf(table).filter(
      ({ name, isPlan }) => !isPlan && comparisonWords.some(([, words]) => name.match(words) !== null),
    ),
  );
  const comparison = comparisonWords.find(([, pattern]) => rest.take(pattern).length > 0)?.[0];
  const counted = takeCounted(rest, table);
  const aggregation = takeAggregation(rest);
  const isEither = /哪[个家一]|谁|\bwhich\b/iu.test(rest.text);
  const isShare = /占比|占多少|比重|份额|\bshares?\b|\bpercent(age)? of\b/iu.test(rest.text);
  const isWhy = /为什么|为啥|为何|怎么回事|\bwhy\b/iu.test(rest.text);
  const kinds = kindWords.filter(([, pattern]) => rest.take(pattern).length > 0).map(([kind]) => kind);
  const top = takeTop(rest);
  const isSmallest = rest.take(smallestWords).length > 0;
  const isLargest = rest.take(largestWords).length > 0;
  const isContrast = rest.take(contrastWords).length > 0 || isEither;
  const metrics = [...named, ...takeColumns(rest, metricsOf(table))];
  if (metrics.length === 0) metrics.push(...takeByUnit(rest, metricsOf(table)));
  const dimensions = takeColumns(
    rest,
    table.columns.filter((column) => column.role === "dimension" || column.role === "id"),
  );
  const periods = takePeriods(rest, timeColumn(table));
  // "Break sales down by region" speaks of no fall.
  if (rest.take(/\b(break|broken|split)\b/giu).length > 0) rest.take(/\bdown\b/giu);
  const hasMove = rest.take(moveWords).length > 0;
  takeColumns(
    rest,
    table.columns.filter((column) => column.role === "time"),
  );
  rest.take(fillers);
  const isRanked = isSmallest || isLargest || top !== undefined;
  return {
    filters: [...members, ...limits],
    comparison: comparison ?? periods.comparison,
    aggregation: counted === undefined ? aggregation : "distinct",
    kinds: isRanked && kinds.length === 0 && !hasMove ? ["ranking"] : kinds,
    isContrast,
    trendGrain: takeTrendGrain(question),
    top,
    order: isSmallest ? "smallest" : undefined,
    metrics: counted === undefined ? metrics : [counted],
    dimensions,
    periods,
    hasMove,
    isShare,
    isWhy,
  };
}

function planOf(spoken: Spoken, table: Table, previous: Plan | undefined): PlanInput {
  const { comparison, aggregation, metrics, periods, top, order } = spoken;
  const { filters, breakdown } = partsAsked(spoken);
  const kind = kindAsked(spoken, breakdown.length > 0, previous);
  const metric =
    metrics.find((column) => !column.isPlan || comparison !== "plan") ??
    (previous === undefined ? undefined : columnNamed(table, previous.metric));
  // Broken down by what was fixed before, the question widens: 各区域 after 华东 means all regions again.
  const kept = (previous?.filters ?? []).filter(({ column }) => !breakdown.includes(column));
  const plan: PlanInput = { kind, filters: mergeFilters(kept, filters), breakdown };
  if (aggregation === "count" && metric === undefined) plan.metric = "*";
  else if (metric !== undefined) plan.metric = metric.name;
  if (aggregation !== undefined) plan.aggregation = aggregation;
  if (comparison !== undefined) plan.comparison = comparison;
  else if (previous?.comparison !== undefined && kind === previous.kind) plan.comparison = previous.comparison;
  if (top !== undefined) plan.top = top;
  if (order !== undefined) plan.order = order;
  if (metrics.length > 1 && (kind === "correlation" || kind === "price_volume"))
    plan.versus = metrics.find((column) => column !== metric)?.name ?? "";
  const period = periodAsked({ periods, trendGrain: spoken.trendGrain }, kind, table, previous);
  if (period !== undefined) plan.period = period;
  // "Why?" again goes one dimension further down, inside what was already found.
  const isWhyAgain =
    kind === "change" && previous?.kind === "change" && spoken.filters.length === 0 && metrics.length === 0;
  if (isWhyAgain && breakdown.length === 0) plan.breakdown = nextDown(table, previous);
  return plan;
}

/** What is broken down, and what only narrows. "华东占比" and "华东和华南对比" name the members of what they break down. */
function partsAsked({ filters, dimensions, kinds, isContrast, isShare, comparison }: Spoken): {
  filters: readonly Filter[];
  breakdown: string[];
} {
  const breakdown = dimensions.map((column) => column.name);
  if (breakdown.length > 0 || comparison !== undefined) return { filters, breakdown };
  const several = filters.find((filter) => "values" in filter && filter.is === "in" && filter.values.length > 1);
  if (several !== undefined && (isContrast || kinds.includes("trend") || kinds.includes("ranking")))
    return { filters, breakdown: [several.column] };
  const last = filters.findLast((filter) => filter.is === "in");
  if (isShare && last !== undefined && kinds[0] === "ranking")
    return { filters: filters.filter((filter) => filter !== last), breakdown: [last.column] };
  return { filters, breakdown };
}

function kindAsked(
  { kinds, comparison, hasMove, periods, isContrast, metrics }: Spoken,
  hasBreakdown: boolean,
  previous: Plan | undefined,
): PlanKind {
  if (comparison !== undefined || (hasMove && kinds.length === 0))
    return kinds.includes("price_volume") ? "price_volume" : "change";
  const [kind] = kinds;
  if (kind !== undefined) return kind;
  // "按渠道" after an attribution attributes by channel; "各渠道的销售额" asks for the figures themselves.
  if (hasBreakdown) return previous?.kind === "change" && !isContrast && metrics.length === 0 ? "change" : "ranking";
  return previous === undefined ? "total" : periods.period !== undefined || !hasMove ? previous.kind : "total";
}

function periodAsked(
  { periods, trendGrain }: Pick<Spoken, "periods" | "trendGrain">,
  kind: PlanKind,
  table: Table,
  previous: Plan | undefined,
): (Partial<PlanPeriod> & { column: string; grain: Grain }) | undefined {
  const time = timeColumn(table);
  if (time === undefined) return undefined;
  const { period } = periods;
  if (kind !== "trend") return period === undefined ? previous?.period : planPeriod(time, period);
  if (period === undefined) return trendGrain === undefined ? undefined : { column: time.name, grain: trendGrain };
  // "2025年各月": the trend inside one period.
  const grain = trendGrain ?? finerGrain[period.grain];
  const { start = "" } = planPeriod(time, period);
  return { column: time.name, grain, within: { grain: period.grain, start } };
}

const finerGrain: Readonly<Record<Grain, Grain>> = {
  year: "month",
  half: "month",
  quarter: "month",
  month: "day",
  week: "day",
  day: "day",
};

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

/** "多少个客户", "how many customers": different values of a dimension are counted. */
function takeCounted(rest: Remaining, table: Table): Column | undefined {
  for (const column of table.columns) {
    if (column.type !== "text") continue;
    const name = column.name.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const pattern = new RegExp(
      `(?:多少|几)\\s*[个家种位名款]?(?:不同的)?\\s*${name}|${name}(?:的)?不同值的个数|(?:how many|number of)(?: different| distinct)? ${name}s?(?![\\p{L}])|distinct values of ${name}|${name}(?:的)?(?:数量|个数)`,
      "giu",
    );
    if (rest.take(pattern).length > 0) return column;
  }
  return undefined;
}

function takeAggregation(rest: Remaining): Plan["aggregation"] | undefined {
  if (rest.take(/平均值?|均值|\b(average|mean|avg)\b/giu).length > 0) return "average";
  if (rest.take(/中位数|\bmedian\b/giu).length > 0) return "median";
  const single = rest.take(/单笔|单条|单次|\bsingle\b/giu).length > 0;
  if (
    rest.take(single ? /最大值?|最高|\b(largest|biggest|highest|max(imum)?)\b/giu : /最大值|\bmax(imum)?\b/giu).length >
    0
  )
    return "max";
  if (rest.take(single ? /最小值?|最低|\b(smallest|lowest|min(imum)?)\b/giu : /最小值|\bmin(imum)?\b/giu).length > 0)
    return "min";
  if (
    rest.take(/多少(条|笔|行)(记录|数据)?|记录数|笔数|行数|\b(how many|number of|count of) (rows|records|lines)\b/giu)
      .length > 0
  )
    return "count";
  rest.take(/\btotal of\b/giu);
  return undefined;
}

const numberWords: Readonly<Record<string, number>> = {
  ...chineseDigit,
  十五: 15,
  二十: 20,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  twelve: 12,
  fifteen: 15,
  twenty: 20,
};
const chineseCount = "\\d{1,3}|十五|二十|[一二两三四五六七八九十]";
const englishCount = "\\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty";
const countPatterns: readonly RegExp[] = [
  new RegExp(`[前头]\\s*(${chineseCount})\\s*大?[名个位款家项]?`, "giu"),
  new RegExp(`(?:最[高多大好低少小差][的]?|倒数第?|末尾?|后)\\s*(${chineseCount})\\s*[名个位款家项]?`, "giu"),
  new RegExp(`(?<![\\d\\p{Script=Han}])(${chineseCount})大(?=[\\p{Script=Han}])`, "giu"),
  new RegExp(
    `\\b(?:top|first|bottom|last|best|worst|lowest|highest|largest|smallest)[\\s-]+(${englishCount})\\b`,
    "giu",
  ),
  new RegExp(`\\b(${englishCount})\\s+(?=(?:best|worst|lowest|highest|largest|smallest|biggest|top)\\b)`, "giu"),
];

/** "前五", "top five", "最低的3个". The words for the direction stay, for whoever asks about it next. */
function takeTop(rest: Remaining): number | undefined {
  for (const pattern of countPatterns) {
    const match = pattern.exec(rest.text);
    pattern.lastIndex = 0;
    const count = match?.[1];
    if (match === null || count === undefined) continue;
    const isDirection = smallestStart.test(match[0]);
    const from = match[0].indexOf(count);
    if (isDirection) rest.blot(match.index + from, match.index + match[0].length);
    else rest.blot(match.index, match.index + match[0].length);
    return numberWords[count] ?? Number(count);
  }
  return undefined;
}

const smallestStart = /^(最|倒数|末|bottom|worst|lowest|smallest|best|highest|largest)/i;

function takeTrendGrain(question: string): Grain | undefined {
  if (/按月|逐月|[每各哪]一?个?月|which month|月度|\b(by|per|each|every) month|month by month|monthly/i.test(question))
    return "month";
  if (
    /按季|逐季|[每各哪]一?个?季|which quarter|季度趋势|\b(by|per|each|every) quarter|quarter by quarter|quarterly/i.test(
      question,
    )
  )
    return "quarter";
  if (/按周|[每各]周|\b(by|per|each|every) week|weekly/i.test(question)) return "week";
  if (/按半年|by half-year/i.test(question)) return "half";
  if (/按[天日]|每[天日]|\b(by|per|each|every) day|daily/i.test(question)) return "day";
  return /按年|[每各]年|\b(by|per|each|every) year|yearly|annual/i.test(question) ? "year" : undefined;
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
        hint: `Metrics: ${metrics.join(", ")}. Dimensions: ${dimensions.join(", ")}. One may ask: ${example} by ${dimensions[0] ?? ""}.`,
      });
}
