// What the model is asked to put into words. General models get the numbered facts; quern-mini gets the one wording it was trained
// on (its recipe's "facts" task), because in any other it mangles what it copies.
import type { ChatMessage } from "../models/chat-template.ts";
import type { Result } from "./aggregate.ts";
import { otherLabel, scopeName } from "./fact-writer.ts";
import type { Fact } from "./facts.ts";
import { formatPercent, formatQuantity } from "./format-number.ts";
import { daysFromText, type Plan } from "./plan.ts";
import { metricWords } from "./plan-in-words.ts";
import type { Unit } from "./unit.ts";
import type { Language } from "./words.ts";

export interface NarrationTask {
  plan: Plan;
  result: Result;
  facts: readonly Fact[];
  unit: Unit;
  language: Language;
}

export function narrationMessages({ facts, language }: NarrationTask): ChatMessage[] {
  const list = facts.map((fact, index) => `${index + 1}. ${fact.sentence}`).join("\n");
  if (language === "zh") {
    return [
      {
        role: "system",
        content: "你是数据分析助手。只使用给出的事实；数字、单位和名称原样照抄，不计算、不换算、不推测原因。",
      },
      {
        role: "user",
        content: `根据下面的事实写3到5句结论，先说总体变化，再说主要来源，最后提醒一句值得关注的地方。只输出正文，不用列表和标题。\n\n${list}`,
      },
    ];
  }
  return [
    {
      role: "system",
      content:
        "You are a data analyst. Use only the facts given; copy numbers, units and names exactly; do not compute, convert or guess at reasons.",
    },
    {
      role: "user",
      content: `Write 3 to 5 sentences from the facts below: the overall figure first, then what drives it, then one point that deserves attention. Plain text only, no list, no heading.\n\n${list}`,
    },
  ];
}

export function rewriteMessages(
  task: NarrationTask,
  { sentence, numbers }: { sentence: string; numbers: readonly string[] },
): ChatMessage[] {
  const asked = narrationMessages(task);
  const shown = numbers.join(task.language === "zh" ? "、" : ", ");
  return [
    ...asked,
    { role: "assistant", content: sentence },
    {
      role: "user",
      content:
        task.language === "zh"
          ? `这句话里的“${shown}”与事实不符。只用事实里的数字重写这一句，只输出这一句。`
          : `"${shown}" in that sentence is not in the facts. Rewrite this one sentence with numbers from the facts only, and give nothing else.`,
    },
  ];
}

const regionName = /区域|地区|大区|省|城市|国家|市场|region|area|city|country|market/i;

/** The facts task of quern-mini. It knows Region, Category, Period, Metric, a change and up to four contributors; or plain figures. */
export function demonstrationMessages({ plan, result, facts, unit, language }: NarrationTask): ChatMessage[] {
  const zh = language === "zh";
  const colon = zh ? "：" : ": ";
  const period = demonstrationPeriod(plan, language);
  const ask = zh
    ? "根据下面的数据写一段结论，数字照抄：\n"
    : "Write a short conclusion from these facts, copy every number exactly:\n";
  if (result.kind !== "change" || !result.isAttributed || result.rate === undefined) {
    const rows = facts.slice(0, 5).flatMap((fact) => {
      const number = fact.numbers[0];
      return number === undefined
        ? []
        : [
            [
              fact.subject === "" ? (zh ? metricWords(plan, language) : metricWords(plan, language)) : fact.subject,
              number.text,
            ] as const,
          ];
    });
    const lines = [
      ...(period === "" ? [] : [`${zh ? "周期" : "Period"}${colon}${period}`]),
      ...rows.map(([name, value]) => `${name}${colon}${value}`),
    ];
    return [{ role: "user", content: `${ask}${lines.join("\n")}` }];
  }
  const values = plan.filters.flatMap((filter) =>
    "values" in filter && filter.is === "in" ? filter.values.map((value) => ({ column: filter.column, value })) : [],
  );
  const region = values.find(({ column }) => regionName.test(column))?.value ?? (zh ? "全国" : "Nationwide");
  const category =
    values
      .filter(({ column, value }) => !(regionName.test(column) && value === region))
      .map(({ value }) => value)
      .join(zh ? "" : " ") ||
    plan.breakdown[0] ||
    scopeName(plan, language);
  const comparison = zh
    ? ({ previous: "环比", year_ago: "同比", plan: "" } as const)[plan.comparison ?? "previous"]
    : ({ previous: "period on period", year_ago: "year on year", plan: "" } as const)[plan.comparison ?? "previous"];
  const listed = [
    ...result.members,
    ...(result.others === undefined
      ? []
      : [{ ...result.others, label: otherLabel(language, result.others.memberCount) }]),
  ]
    .filter((member) => member.share !== undefined && member.share > 0)
    .slice(0, 4);
  const rows = zh
    ? [
        ["地区", region],
        ["品类", category],
        ["周期", period],
        ["指标", metricWords(plan, language)],
        [`${comparison}变化`, formatPercent(result.rate, true)],
        ["本期值", formatQuantity(result.current, unit, language)],
        ["上期值", formatQuantity(result.previous, unit, language)],
      ]
    : [
        ["Region", region],
        ["Category", category],
        ["Period", period],
        ["Metric", metricWords(plan, language)],
        [comparison === "" ? "Total change" : `Change ${comparison}`, formatPercent(result.rate, true)],
        ["Current", formatQuantity(result.current, unit, language)],
        ["Previous", formatQuantity(result.previous, unit, language)],
      ];
  const contributors = listed.map((member) => {
    const own =
      member.rate === undefined
        ? ""
        : `${zh ? "变化" : "change"} ${formatPercent(member.rate, true)}${zh ? "，" : ", "}`;
    return `- ${member.label}${colon}${own}${zh ? "贡献" : "contribution"} ${formatPercent(member.share ?? 0)}`;
  });
  return [
    {
      role: "user",
      content: `${ask}${rows.map(([name, value]) => `${name}${colon}${value}`).join("\n")}\n${zh ? "主要贡献项：" : "Top contributors:"}\n${contributors.join("\n")}`,
    },
  ];
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
