// The one way in which quern-mini puts figures into words: the "facts" task of its recipe, an attribution with up to four contributors.
// It is asked in exactly that wording and with numbers in the forms it has seen (plain digits in English), and what it says must have
// one of the three forms of that task. Anything else is not asked: outside its patterns it writes fluent nonsense.
import type { ChatMessage } from "../models/chat-template.ts";
import { otherLabel } from "./fact-writer.ts";
import { formatNumber, formatPercent, formatQuantity } from "./format-number.ts";
import type { NarrationTask } from "./narration-prompt.ts";
import { namePattern } from "./number-mentions.ts";
import { daysFromText, type Plan } from "./plan.ts";
import { metricWords } from "./plan-in-words.ts";
import { type Language, languageOf } from "./words.ts";

export interface DemonstrationTask {
  messages: ChatMessage[];
  /** Whether a sentence has a form of the task, with the names it was given. */
  readsWell(sentence: string): boolean;
}

interface Names {
  period: string;
  region: string;
  category: string;
  metric: string;
  contributors: readonly string[];
}

/** Undefined where the task does not fit: no attribution, a comparison with plan, names that are not of the language. */
export function demonstrationTask({ plan, result, unit, language }: NarrationTask): DemonstrationTask | undefined {
  const comparison = plan.comparison ?? "previous";
  if (result.kind !== "change" || !result.isAttributed || result.rate === undefined || result.rate === 0)
    return undefined;
  if (comparison === "plan") return undefined;
  const others =
    result.others === undefined ? [] : [{ ...result.others, label: otherLabel(language, result.others.memberCount) }];
  const listed = [...result.members, ...others].filter(({ share }) => share !== undefined && share > 0).slice(0, 4);
  const names = { ...scopeNames(plan, language), contributors: listed.map(({ label }) => label) };
  const said = [names.region, names.category, names.metric, ...names.contributors];
  if (names.period === "" || listed.length === 0 || (language === "en" && languageOf(said.join("")) === "zh"))
    return undefined;

  const zh = language === "zh";
  const colon = zh ? "：" : ": ";
  // English figures in plain digits: it has seen no "$6.27 million". The unit is put back when the sentence is kept.
  const value = (amount: number): string =>
    zh
      ? formatQuantity(amount, unit, language)
      : formatNumber(amount * unit.scale, { decimals: Math.abs(amount * unit.scale) >= 100 ? 0 : 2 });
  const rows: [string, string][] = [
    [zh ? "地区" : "Region", names.region],
    [zh ? "品类" : "Category", names.category],
    [zh ? "周期" : "Period", names.period],
    [zh ? "指标" : "Metric", names.metric],
    [comparisonName(comparison, language), formatPercent(result.rate, true)],
    [zh ? "本期值" : "Current", value(result.current)],
    [zh ? "上期值" : "Previous", value(result.previous)],
  ];
  const contributors = listed.map(({ label, rate, share }) => {
    const own = rate === undefined ? "" : `${zh ? "变化" : "change"} ${formatPercent(rate, true)}${zh ? "，" : ", "}`;
    return `- ${label}${colon}${own}${zh ? "贡献" : "contribution"} ${formatPercent(share ?? 0)}`;
  });
  const content = [
    zh
      ? "根据下面的数据写一段结论，数字照抄："
      : "Write a short conclusion from these facts, copy every number exactly:",
    ...rows.map(([name, text]) => `${name}${colon}${text}`),
    zh ? "主要贡献项：" : "Top contributors:",
    ...contributors,
  ].join("\n");
  const forms = formsOf(names, language);
  return {
    messages: [{ role: "user", content }],
    readsWell: (sentence) => forms.some((form) => form.test(sentence.trim())),
  };
}

function comparisonName(comparison: "previous" | "year_ago", language: Language): string {
  if (language === "zh") return comparison === "previous" ? "环比变化" : "同比变化";
  return comparison === "previous" ? "Change period on period" : "Change year on year";
}

const regionName = /区域|地区|大区|省|城市|国家|市场|region|area|city|country|market/i;

/** What the task calls Region and Category, from the filters; where one is open, words that say that all is meant. */
function scopeNames(plan: Plan, language: Language): Omit<Names, "contributors"> {
  const zh = language === "zh";
  const values = plan.filters.flatMap((filter) =>
    "values" in filter && filter.is === "in" ? filter.values.map((value) => ({ column: filter.column, value })) : [],
  );
  const region = values.find(({ column }) => regionName.test(column))?.value;
  const category = values
    .filter(({ value }) => value !== region)
    .map(({ value }) => value)
    .join(zh ? "" : " ");
  const everything = zh ? (plan.breakdown[0] ?? "数据") : "all records";
  return {
    period: demonstrationPeriod(plan, language),
    metric: metricWords(plan, language),
    region: region ?? (zh ? "全部" : "the whole table"),
    category: category === "" ? everything : category,
  };
}

/** The three sentences of the task: the change, who made it, whom to look at. */
function formsOf({ period, region, category, metric, contributors }: Names, language: Language): RegExp[] {
  const name = (text: string): string => `\\s*${namePattern(text).source}\\s*`;
  const drivers = contributors.map(name).join(".+");
  const first = name(contributors[0] ?? "");
  const number = "[-+\\d.,]+\\s*[万亿]?[\\p{L}$€£%]{0,4}";
  const patterns =
    language === "zh"
      ? [
          `${name(period)}[，,]?${name(region)}${name(category)}的${name(metric)}[同环]比(?:增长|下降)${number}(?:，本期为${number}，上期为${number})?。`,
          `(?:增长|下降)主要来自${drivers}.+[）)](?:，是最大的单项因素)?。`,
          `(?:其中${first}的贡献最为突出，)?建议优先关注(?:${first})?。`,
        ]
      : [
          `In${name(period)}, ${name(metric)}of${name(category)}in${name(region)}(?:rose|fell) ${number} (?:period on period|year on year)(?:, from ${number} to ${number})?\\.`,
          `The main drivers? (?:was|were)${drivers}.+\\)\\.`,
          `${first}deserves attention first\\.`,
        ];
  return patterns.map((pattern) => new RegExp(`^${pattern}$`, "iu"));
}

/** In the forms the model has seen: 2025年第3季度, 2025年7月, Q3 2025, 2025-07. */
function demonstrationPeriod({ period }: Plan, language: Language): string {
  if (period?.start === undefined) return "";
  const date = new Date(daysFromText(period.start) * 86_400_000);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
  const quarter = Math.ceil(month / 3);
  if (language === "zh")
    return {
      quarter: `${year}年第${quarter}季度`,
      month: `${year}年${month}月`,
      year: `${year}年`,
      half: `${year}年${month < 7 ? "上" : "下"}半年`,
      week: period.start,
      day: period.start,
    }[period.grain];
  return {
    quarter: `Q${quarter} ${year}`,
    month: `${year}-${String(month).padStart(2, "0")}`,
    year: String(year),
    half: `the ${month < 7 ? "first" : "second"} half of ${year}`,
    week: period.start,
    day: period.start,
  }[period.grain];
}
