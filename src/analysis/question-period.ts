// Periods in a question: "2025年第三季度", "Q3", "7月", 本月, last quarter. Those without a year and the relative ones count from the latest data.
// Two of them are a comparison: "Q3 vs Q2".
import { type Grain, parseDate, parsePeriod } from "./parse-time.ts";
import { type Comparison, dateText, type PlanPeriod } from "./plan.ts";
import type { Remaining } from "./remaining.ts";
import type { Column } from "./table.ts";
import { periodName, periodsOf, shifted, startOf, yearBefore } from "./time.ts";
import type { Words } from "./words.ts";

export interface SpokenPeriod {
  grain: Grain;
  start: number;
}

export interface PeriodReading {
  period?: SpokenPeriod;
  /** What two periods say about each other. */
  comparison?: Comparison;
  /** Said to the person when the periods cannot be compared. */
  refusal?: Words;
}

const relative: readonly (readonly [RegExp, Grain, number])[] = [
  [/本月|这个?月|当月|最近一个月|最新一?个?月|this month|(the )?latest month|most recent month/giu, "month", 0],
  [/上上个?月|the month before last/giu, "month", -2],
  [/上个?月|(the )?(last|previous|prior) month/giu, "month", -1],
  [
    /本季度?|这个?季度|当季|最近一个季度|最新一?个?季度|this quarter|(the )?latest quarter|most recent quarter/giu,
    "quarter",
    0,
  ],
  [/上个?季度?|(the )?(last|previous|prior) quarter/giu, "quarter", -1],
  [/今年|本年度?|this year/giu, "year", 0],
  [/前年|the year before last/giu, "year", -2],
  [/去年|上一?年度?|(the )?(last|previous|prior) year/giu, "year", -1],
  [/本周|这一?周|this week/giu, "week", 0],
  [/上个?周|(the )?(last|previous|prior) week/giu, "week", -1],
];

const months =
  "january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec";
const quarterOrHalf = "第?\\s*[一二三四1-4]\\s*季度?|q[1-4]|[上下]半年|h[12](?!\\d)";
const named = new RegExp(
  [
    `(?:19|20)\\d{2}\\s*[年\\-/.]\\s*\\d{1,2}\\s*[月\\-/.]\\s*\\d{1,2}(?!\\d)\\s*日?`,
    // A year may stand before or after: 2025年第三季度, Q3 2025, the third quarter of 2025.
    `(?:(?:19|20)\\d{2}\\s*年?\\s*[-/]?\\s*)?(?:${quarterOrHalf})(?:\\s*(?:of\\s+)?(?:19|20)\\d{2})?`,
    `\\b(?:first|second|third|fourth)\\s+(?:quarter|half)(?:\\s+(?:of\\s+)?(?:19|20)\\d{2})?`,
    `(?:19|20)\\d{2}\\s*[年\\-/]\\s*(?:1[0-2]|0?[1-9])\\s*月?(?!\\d)`,
    `(?:1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])\\s*月份?`,
    `\\b(?:${months})\\b\\.?\\s*(?:(?:19|20)\\d{2})?`,
    `\\bfy\\s?\\d{2,4}\\b`,
    `(?:19|20)\\d{2}\\s*年(?:度|全年)?|(?<![\\d.,])(?:19|20)\\d{2}(?![\\d%]|[.,]\\d)`,
  ].join("|"),
  "giu",
);

/** A stretch of several periods: understood, but neither one period nor two to compare. */
const stretch =
  /(?:最?近|过去|前)\s*(?:\d{1,3}|[一二两三四五六七八九十]{1,3})\s*(?:个月|个季度|季度|年|周|天|日)|(?:last|past|previous)\s+(?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twelve)\s+(?:months|quarters|years|weeks|days)/giu;

/** Takes the periods out of the question. Without a time column there is nothing to take. */
export function takePeriods(rest: Remaining, column: Column | undefined): PeriodReading {
  if (column === undefined) return {};
  const [long] = rest.take(stretch);
  if (long !== undefined)
    return {
      refusal: {
        zh: `还不能只看“${long}”这样的一段；可以问按月的趋势，或某一个月、季度、年。`,
        en: `A stretch such as "${long}" cannot be chosen; ask for the trend by month, or for one month, quarter or year.`,
      },
    };
  const found: { at: number; spoken: SpokenPeriod }[] = [];
  for (const [pattern, grain, step] of relative) {
    const latest = periodsOf(column, grain).at(-1);
    for (const at of rest.places(pattern))
      if (latest !== undefined) found.push({ at, spoken: { grain, start: shifted(latest, grain, step) } });
  }
  for (const { text, at } of rest.takeAt(named)) {
    const spoken = spokenPeriod(text, column);
    if (spoken !== undefined) found.push({ at, spoken });
  }
  // "2025年的第三季度" in two pieces, and the second period of "2025年6月和7月", take the year that was said.
  const [first, second, ...more] = found.sort((a, b) => a.at - b.at).map(({ spoken }) => spoken);
  if (first === undefined) return {};
  if (second === undefined || isSame(first, second)) return { period: first };
  if (first.grain !== second.grain || more.some((other) => other.grain === first.grain))
    return mixed([first, second, ...more], column);
  const [earlier, later] = first.start < second.start ? [first, second] : [second, first];
  if (shifted(later.start, later.grain, -1) === earlier.start) return { period: later, comparison: "previous" };
  if (yearBefore(later.start, later.grain) === earlier.start) return { period: later, comparison: "year_ago" };
  const [from, to] = [earlier, later].map(({ start, grain }) => ({
    zh: periodName(start, { grain, hasYear: column.hasYear ?? true }, "zh"),
    en: periodName(start, { grain, hasYear: column.hasYear ?? true }, "en"),
  }));
  return {
    refusal: {
      zh: `只能与上一期或去年同期对比，${from?.zh}与${to?.zh}两者都不是。`,
      en: `A period is compared with the one before it or with the same one a year before; ${from?.en} and ${to?.en} are neither.`,
    },
  };
}

/** A year and a part of it: the part is meant, in that year. Anything else of two sizes cannot be told apart. */
function mixed(spoken: readonly SpokenPeriod[], column: Column): PeriodReading {
  const years = spoken.filter(({ grain }) => grain === "year");
  const others = spoken.filter(({ grain }) => grain !== "year");
  const [year, part] = [years[0], others[0]];
  if (year !== undefined && part !== undefined && years.length === 1 && others.length === 1) {
    const start = new Date(part.start * 86_400_000);
    const moved = Math.round(
      Date.UTC(new Date(year.start * 86_400_000).getUTCFullYear(), start.getUTCMonth(), start.getUTCDate()) /
        86_400_000,
    );
    return { period: { grain: part.grain, start: startOf(moved, part.grain) } };
  }
  const names = spoken.map(({ start, grain }) => ({ grain, hasYear: column.hasYear ?? true, start }));
  return {
    refusal: {
      zh: `一次只能看一个期间或对比两个期间，这里有：${names.map(({ start, ...style }) => periodName(start, style, "zh")).join("、")}。`,
      en: `One period, or two to compare, at a time; here are ${names.map(({ start, ...style }) => periodName(start, style, "en")).join(", ")}.`,
    },
  };
}

const isSame = (a: SpokenPeriod, b: SpokenPeriod): boolean => a.grain === b.grain && a.start === b.start;

const ordinals: Readonly<Record<string, string>> = { first: "1", second: "2", third: "3", fourth: "4" };

function spokenPeriod(text: string, column: Column): SpokenPeriod | undefined {
  const plain = text
    .trim()
    .replace(
      /\b(first|second|third|fourth)\s+(quarter|half)/i,
      (_, ordinal: string, part: string) => `${part === "quarter" ? "q" : "h"}${ordinals[ordinal.toLowerCase()]}`,
    )
    .replace(/\s+of\s+/i, " ")
    .replace(/^(q[1-4]|h[12])\s*((?:19|20)\d{2})$/i, "$2$1")
    .replace(/^((?:19|20)\d{2})(?:全年|年全年)?$/, "$1年")
    .replace(/年全年$/, "年");
  const day = column.hasYear === false ? undefined : parseDate(plain);
  if (day !== undefined) return { grain: "day", start: day };
  const period = parsePeriod(plain);
  if (period === undefined) return undefined;
  if (period.hasYear || column.hasYear === false)
    return { grain: period.grain, start: startOf(period.start, period.grain) };
  const month = new Date(period.start * 86_400_000).getUTCMonth();
  const present = periodsOf(column, period.grain).filter(
    (start) => new Date(start * 86_400_000).getUTCMonth() === month,
  );
  const year = new Date((periodsOf(column, "month").at(-1) ?? 0) * 86_400_000).getUTCFullYear();
  return { grain: period.grain, start: present.at(-1) ?? Math.round(Date.UTC(year, month, 1) / 86_400_000) };
}

export const planPeriod = (column: Column, { grain, start }: SpokenPeriod): PlanPeriod => ({
  column: column.name,
  grain,
  start: dateText(start),
});
