// Results as a numbered list of facts: each a sentence, its numbers with their roles, the formula, and the cells. The model is given
// these and nothing else; its text is held against them (check-numbers.ts); where it fails, the sentences here stand in.
import type { Result, TrendPoint } from "./aggregate.ts";
import type { Contribution } from "./attribution.ts";
import { type Citations, type CitedCells, citeCells, type Which } from "./cells.ts";
import { formatNumber, formatPercent, formatQuantity } from "./format-number.ts";
import type { Plan } from "./plan.ts";
import { comparedPeriods, filterWords, metricWords } from "./plan-in-words.ts";
import { type Column, columnNamed, type Table } from "./table.ts";
import { periodName } from "./time.ts";
import { percentUnit, plainUnit, type Unit } from "./unit.ts";
import { type Language, listed } from "./words.ts";

/** What a number of a fact says about its subject. */
export type Role = "current" | "previous" | "change" | "rate" | "part" | "share" | "count" | "other";

export interface FactNumber {
  role: Role;
  value: number;
  unit: Unit;
  /** As it should be written. */
  text: string;
}

export interface Fact {
  /** "F1". */
  id: string;
  /** The member it is about; "" is the whole. */
  subject: string;
  sentence: string;
  numbers: readonly FactNumber[];
  /** How the numbers came about, in words and signs. */
  formula: string;
  cells: CitedCells;
  /** First days of periods the sentence may name. */
  periods: readonly number[];
}

interface Draft {
  subject?: string;
  sentence: string;
  numbers: FactNumber[];
  formula: string;
  cells?: CitedCells;
  periods?: readonly number[];
}

/** Writes numbers in the metric's unit and keeps them with their role. */
class Writer {
  readonly language: Language;
  readonly unit: Unit;

  constructor(plan: Plan, table: Table, language: Language) {
    this.language = language;
    this.unit = unitOfPlan(plan, table, language);
  }

  quantity(role: Role, value: number, isSigned = false): FactNumber {
    // The difference of two percentages is in percentage points, not in percent.
    if (this.unit.kind === "percent" && (role === "change" || role === "part")) {
      const points = formatNumber(value, { unit: "points", decimals: 1, isSigned });
      return {
        role,
        value,
        unit: { ...percentUnit, symbol: "pp" },
        text: this.language === "zh" ? `${points}个百分点` : `${points} percentage points`,
      };
    }
    return { role, value, unit: this.unit, text: formatQuantity(value, this.unit, this.language, isSigned) };
  }

  percent(role: Role, value: number, isSigned = false): FactNumber {
    return { role, value, unit: percentUnit, text: formatPercent(value, isSigned) };
  }

  count(value: number): FactNumber {
    return { role: "count", value, unit: plainUnit, text: formatNumber(value) };
  }

  plain(role: Role, value: number, decimals: number): FactNumber {
    return { role, value, unit: plainUnit, text: formatNumber(value, { decimals }) };
  }

  say(zh: string, en: string): string {
    return this.language === "zh" ? zh : en;
  }
}

export function unitOfPlan(plan: Plan, table: Table, language: Language): Unit {
  if (plan.aggregation === "count" || plan.aggregation === "distinct")
    return { symbol: language === "zh" ? "条" : "", kind: "count", scale: 1, base: "" };
  return columnNamed(table, plan.metric)?.unit ?? plainUnit;
}

/** "华东手机" / "手机 in 华东": what the figures are about; "" for all data. */
export function scopeName(plan: Plan, language: Language): string {
  const values = plan.filters.flatMap((filter) =>
    "values" in filter && filter.is === "in" ? [listed(filter.values, language)] : [],
  );
  return language === "zh" ? values.join("") : values.join(", ");
}

export function otherLabel(language: Language, count: number): string {
  return language === "zh" ? `其他 ${count} 项` : `${count} others`;
}

export function factsOf(result: Result, plan: Plan, table: Table, language: Language): Fact[] {
  const writer = new Writer(plan, table, language);
  const cite = citeCells(plan, table);
  const drafts = draftsOf(result, { plan, table, writer, cite });
  const scopeCells = cite.of("", "current");
  return drafts.map(
    (draft, index): Fact => ({
      id: `F${index + 1}`,
      subject: draft.subject ?? "",
      sentence: draft.sentence,
      numbers: draft.numbers,
      formula: draft.formula,
      cells: draft.cells ?? scopeCells,
      periods: draft.periods ?? [],
    }),
  );
}

interface Context {
  plan: Plan;
  table: Table;
  writer: Writer;
  cite: Citations;
}

function draftsOf(result: Result, context: Context): Draft[] {
  switch (result.kind) {
    case "total":
      return [totalDraft(result, context)];
    case "ranking":
    case "pareto":
      return rankingDrafts(result, context);
    case "change":
      return changeDrafts(result, context);
    case "trend":
      return trendDrafts(result, context);
    case "distribution":
      return distributionDrafts(result, context);
    case "correlation":
      return correlationDrafts(result, context);
    case "price_volume":
      return priceVolumeDrafts(result, context);
  }
}

/** "2025年第三季度，华东手机的销售额" / "sales of 手机 in 华东 in Q3 2025". */
function subjectWords({ plan, table, writer }: Context): { lead: string; metric: string; where: string } {
  const { language } = writer;
  const { current } = comparedPeriods(plan, table, language);
  const scope = scopeName(plan, language);
  const limits = plan.filters
    .filter((filter) => "value" in filter || filter.is === "not_in")
    .map((filter) => filterWords(filter, language));
  const metric = metricWords(plan, language);
  const limited = limits.length === 0 ? "" : language === "zh" ? `（${limits.join("，")}）` : ` (${limits.join(", ")})`;
  return {
    lead: current === undefined ? "" : language === "zh" ? `${current}，` : `In ${current}, `,
    metric:
      language === "zh"
        ? `${scope === "" ? "" : `${scope}的`}${metric}${limited}`
        : `${metric}${scope === "" ? "" : ` of ${scope}`}${limited}`,
    where: plan.filters.map((filter) => filterWords(filter, language)).join(language === "zh" ? "，" : ", "),
  };
}

function aggregateName({ plan }: Context): string {
  const name = {
    sum: "SUM",
    average: "AVERAGE",
    count: "COUNT",
    distinct: "COUNT DISTINCT",
    min: "MIN",
    max: "MAX",
    median: "MEDIAN",
  }[plan.aggregation];
  return `${name}(${plan.metric === "*" ? "*" : plan.metric})`;
}

function formulaOf(context: Context, member?: string): string {
  const { plan, writer } = context;
  const conditions = plan.filters.map((filter) => filterWords(filter, writer.language));
  const [outer] = plan.breakdown;
  if (member !== undefined && outer !== undefined) conditions.push(`${outer} = ${member}`);
  return conditions.length === 0
    ? aggregateName(context)
    : `${aggregateName(context)} ${writer.say("其中", "where")} ${conditions.join(writer.say("，", ", "))}`;
}

function totalDraft(result: Result & { kind: "total" }, context: Context): Draft {
  const { writer } = context;
  const value = writer.quantity("current", result.value);
  const records = writer.count(result.records);
  const { lead, metric } = subjectWords(context);
  return {
    sentence: writer.say(
      `${lead}${metric}为${value.text}，来自${records.text}条记录。`,
      `${lead}${lead === "" ? capital(metric) : metric} is ${value.text}, from ${records.text} records.`,
    ),
    numbers: [value, records],
    formula: formulaOf(context),
  };
}

export const capital = (text: string): string => (text[0] ?? "").toUpperCase() + text.slice(1);

function rankingDrafts(result: Result & { kind: "ranking" | "pareto" }, context: Context): Draft[] {
  const { writer, plan, cite } = context;
  const { lead, metric } = subjectWords(context);
  const total = writer.quantity("current", result.total);
  const count = writer.count(result.memberCount);
  const by = plan.breakdown[0] ?? "";
  const drafts: Draft[] = [
    {
      sentence: writer.say(
        `${lead}${metric}${plan.aggregation === "average" ? "总平均" : "合计"}${total.text}，按${by}分为${count.text}项。`,
        `${lead}${lead === "" ? capital(metric) : metric} is ${total.text} in all, in ${count.text} parts by ${by}.`,
      ),
      numbers: [total, count],
      formula: formulaOf(context),
    },
  ];
  if (result.kind === "pareto" && result.membersForEighty > 0) {
    const eighty = writer.count(result.membersForEighty);
    const reached = result.members[result.membersForEighty - 1]?.cumulative;
    const numbers = [eighty, count, ...(reached === undefined ? [] : [writer.percent("share", reached)])];
    drafts.push({
      sentence: writer.say(
        `前${eighty.text}项合计占${numbers[2]?.text ?? "80%"}，共${count.text}项。`,
        `The first ${eighty.text} of ${count.text} make up ${numbers[2]?.text ?? "80%"}.`,
      ),
      numbers,
      formula: writer.say("从大到小累计，直到达到 80%", "added up from the largest until 80% is reached"),
    });
  }
  for (const member of [
    ...result.members,
    ...(result.others === undefined
      ? []
      : [{ ...result.others, label: otherLabel(writer.language, result.others.memberCount) }]),
  ]) {
    const value = writer.quantity("current", member.value);
    const share = member.share === undefined ? undefined : writer.percent("share", member.share);
    drafts.push({
      subject: member.label,
      sentence: writer.say(
        `${member.label}为${value.text}${share === undefined ? "" : `，占${share.text}`}。`,
        `${capital(member.label)}: ${value.text}${share === undefined ? "" : `, a share of ${share.text}`}.`,
      ),
      numbers: [value, ...(share === undefined ? [] : [share])],
      formula:
        share === undefined
          ? formulaOf(context, member.label)
          : `${formulaOf(context, member.label)}; ${writer.say("占比", "share")} = ${value.text} / ${total.text}`,
      cells: cite.of(member.label, "current"),
    });
  }
  if (result.kind === "ranking") {
    for (const { parent, members } of result.nested) {
      const [best] = members;
      if (best === undefined) continue;
      const value = writer.quantity("current", best.value);
      drafts.push({
        subject: parent,
        sentence: writer.say(
          `${parent}中最高的是${best.label}，为${value.text}。`,
          `Within ${parent}, ${best.label} is the highest with ${value.text}.`,
        ),
        numbers: [value],
        formula: formulaOf(context, `${parent} / ${best.label}`),
        cells: cite.of(parent, "current"),
      });
    }
  }
  return drafts;
}

function comparisonWord({ plan, writer }: Context): string {
  return {
    previous: writer.say("环比", " on the period before"),
    year_ago: writer.say("同比", " year on year"),
    plan: writer.say("较计划", " against plan"),
  }[plan.comparison ?? "previous"];
}

function changeDrafts(result: Result & { kind: "change" }, context: Context): Draft[] {
  const { writer, plan, table, cite } = context;
  const { lead, metric } = subjectWords(context);
  const { before } = comparedPeriods(plan, table, writer.language);
  const isPlan = plan.comparison === "plan";
  const beforeName = isPlan ? writer.say("计划", "plan") : writer.say("上期", "previous");
  const current = writer.quantity("current", result.current);
  const previous = writer.quantity("previous", result.previous);
  const change = writer.quantity("change", result.change, true);
  const rate =
    result.rate === undefined || writer.unit.kind === "percent" ? undefined : writer.percent("rate", result.rate, true);
  const verb =
    result.change === 0
      ? writer.say("持平", "did not change")
      : result.change > 0
        ? writer.say("增长", "rose")
        : writer.say("下降", "fell");
  const size = (rate ?? change).text.replace(/^[+-]/, "");
  const moved = result.change === 0 ? verb : writer.say(`${verb}${size}`, `${verb} ${size}`);
  const drafts: Draft[] = [
    {
      sentence: writer.say(
        `${lead}${metric}${comparisonWord(context)}${moved}，本期为${current.text}，${beforeName}为${previous.text}，变化${change.text}。`,
        `${lead}${lead === "" ? capital(metric) : metric} ${moved}${comparisonWord(context)}, from ${previous.text} to ${current.text}, a change of ${change.text}.`,
      ),
      numbers: [...(rate === undefined ? [] : [rate]), current, previous, change],
      formula: `${writer.say("本期", "current")} − ${beforeName}${before === undefined ? "" : writer.say(`（${before}）`, ` (${before})`)}; ${formulaOf(context)}`,
      periods: periodDays(plan, table),
    },
  ];
  for (const member of result.members) drafts.push(contributionDraft(member, context, { change: change.text }));
  if (result.others !== undefined)
    drafts.push(
      contributionDraft({ ...result.others, label: otherLabel(writer.language, result.others.memberCount) }, context, {
        change: change.text,
      }),
    );
  if (result.isAttributed && result.memberCount > 1) {
    const falling = result.members.filter((member) => member.part < 0).length;
    const rising = result.members.filter((member) => member.part > 0).length;
    const numbers = [writer.count(result.memberCount), writer.count(rising), writer.count(falling)];
    drafts.push({
      sentence: writer.say(
        `${plan.breakdown[0]}共${numbers[0]?.text}项，列出的项中${numbers[1]?.text}项拉升、${numbers[2]?.text}项拖累。`,
        `Of ${numbers[0]?.text} parts by ${plan.breakdown[0]}, those listed include ${numbers[1]?.text} that raised it and ${numbers[2]?.text} that lowered it.`,
      ),
      numbers,
      formula: writer.say("各项贡献之和等于总变化", "the parts add up to the whole change"),
    });
  }
  for (const { parent, members } of result.nested) {
    for (const member of members.slice(0, 3))
      drafts.push({
        ...contributionDraft(member, context, { change: change.text }),
        subject: member.label,
        sentence: nestedSentence(parent, member, writer),
        cells: cite.of(parent, "current"),
      });
  }
  return drafts;
}

function periodDays(plan: Plan, table: Table): number[] {
  const column = plan.period === undefined ? undefined : columnNamed(table, plan.period.column);
  if (plan.period?.start === undefined || column === undefined) return [];
  const start = Math.round(Date.parse(`${plan.period.start}T00:00:00Z`) / 86_400_000);
  return [start];
}

function contributionNumbers(
  member: Contribution,
  writer: Writer,
): { part: FactNumber; share?: FactNumber; rate?: FactNumber; current: FactNumber; previous: FactNumber } {
  return {
    part: writer.quantity("part", member.part, true),
    current: writer.quantity("current", member.current),
    previous: writer.quantity("previous", member.previous),
    ...(member.share === undefined ? {} : { share: writer.percent("share", member.share) }),
    ...(member.rate === undefined || writer.unit.kind === "percent"
      ? {}
      : { rate: writer.percent("rate", member.rate, true) }),
  };
}

function contributionDraft(member: Contribution, context: Context, whole: { change: string }): Draft {
  const { writer, cite } = context;
  const { part, share, rate, current, previous } = contributionNumbers(member, writer);
  const own = rate === undefined ? "" : writer.say(`变化${rate.text}，`, `change ${rate.text}, `);
  const size = part.text.replace("-", "");
  const bySize =
    member.part < 0
      ? writer.say(`拖累${size}`, `lowering it by ${size}`)
      : writer.say(`贡献${size.replace("+", "")}`, `adding ${size.replace("+", "")}`);
  const byShare =
    share === undefined ? "" : writer.say(`，占总变化的${share.text}`, `, a contribution of ${share.text}`);
  return {
    subject: member.label,
    sentence: writer.say(
      `${member.label}${own}${bySize}${byShare}。`,
      `${capital(member.label)}: ${own}${bySize}${byShare}.`,
    ),
    numbers: [part, ...(share === undefined ? [] : [share]), ...(rate === undefined ? [] : [rate]), current, previous],
    formula: `${writer.say("贡献", "contribution")} = ${current.text} − ${previous.text}${share === undefined ? "" : `; ${writer.say("占比", "share")} = ${part.text} / ${whole.change}`}`,
    cells: cite.of(member.label, "current" satisfies Which),
  };
}

function nestedSentence(parent: string, member: Contribution, writer: Writer): string {
  const { part, share } = contributionNumbers(member, writer);
  const byShare =
    share === undefined ? "" : writer.say(`，占总变化的${share.text}`, `, ${share.text} of the whole change`);
  return writer.say(
    `${parent}中，${member.label}${member.part < 0 ? "拖累" : "贡献"}${part.text.replace(/^[+-]/, "")}${byShare}。`,
    `Within ${parent}, ${member.label} contributed ${part.text}${byShare}.`,
  );
}

function trendDrafts(result: Result & { kind: "trend" }, context: Context): Draft[] {
  const { writer, plan, table } = context;
  const column = plan.period === undefined ? undefined : columnNamed(table, plan.period.column);
  const { metric } = subjectWords(context);
  const { first, last, highest, lowest, growth, seasonality } = result.shape;
  const name = (point: TrendPoint): string => pointName(point, plan, column, writer.language);
  const [firstValue, lastValue, highValue, lowValue] = [first, last, highest, lowest].map((point) =>
    writer.quantity("other", point.value),
  );
  const change = growth === undefined ? undefined : writer.percent("rate", growth, true);
  const periods = result.points.map((point) => point.start);
  const verb =
    result.shape.direction === "flat"
      ? writer.say("基本持平", "hardly changed")
      : result.shape.direction === "up"
        ? writer.say("上升", "rose")
        : writer.say("下降", "fell");
  const drafts: Draft[] = [
    {
      sentence: writer.say(
        `从${name(first)}到${name(last)}，${metric}${verb}${change === undefined || result.shape.direction === "flat" ? "" : change.text.replace(/^[+-]/, "")}，从${firstValue?.text}到${lastValue?.text}。`,
        `From ${name(first)} to ${name(last)}, ${metric} ${verb}${change === undefined || result.shape.direction === "flat" ? "" : ` ${change.text.replace(/^[+-]/, "")}`}, from ${firstValue?.text} to ${lastValue?.text}.`,
      ),
      numbers: [
        ...(change === undefined ? [] : [change]),
        ...(firstValue ? [firstValue] : []),
        ...(lastValue ? [lastValue] : []),
      ],
      formula: `${formulaOf(context)}${writer.say("，按期间", ", by period")}`,
      periods,
    },
    {
      sentence: writer.say(
        `最高是${name(highest)}的${highValue?.text}，最低是${name(lowest)}的${lowValue?.text}。`,
        `The highest is ${highValue?.text} in ${name(highest)}, the lowest ${lowValue?.text} in ${name(lowest)}.`,
      ),
      numbers: [...(highValue ? [highValue] : []), ...(lowValue ? [lowValue] : [])],
      formula: `MAX, MIN`,
      periods,
    },
  ];
  const latest = result.points.at(-1);
  if (latest?.growth !== undefined && result.points.length > 2) {
    const recent = writer.percent("rate", latest.growth, true);
    drafts.push({
      subject: "",
      sentence: writer.say(
        `${name(latest)}较上一期变化${recent.text}。`,
        `${name(latest)} changed ${recent.text} on the period before.`,
      ),
      numbers: [recent],
      formula: writer.say("本期 / 上期 − 1", "current / previous − 1"),
      periods,
    });
  }
  if (seasonality !== undefined) {
    const cycles = writer.count(seasonality.cycles);
    const above = writer.percent("other", seasonality.index - 1);
    const position =
      plan.period?.grain === "quarter"
        ? writer.say(`第${seasonality.position + 1}季度`, `Q${seasonality.position + 1}`)
        : writer.say(
            `${seasonality.position + 1}月`,
            new Date(Date.UTC(2000, seasonality.position, 1)).toLocaleString("en-US", {
              month: "long",
              timeZone: "UTC",
            }),
          );
    drafts.push({
      sentence: writer.say(
        `有季节性迹象：连续${cycles.text}年${position}至少高出全年均值${above.text}。`,
        `A hint of seasonality: ${position} is at least ${above.text} above the year's mean in ${cycles.text} years running.`,
      ),
      numbers: [cycles, above],
      formula: writer.say("各年该期 / 全年均值的最小值", "least of that period / the year's mean"),
      periods: [
        ...periods,
        Math.round(
          Date.UTC(2000, plan.period?.grain === "quarter" ? seasonality.position * 3 : seasonality.position, 1) /
            86_400_000,
        ),
      ],
    });
  }
  return drafts;
}

function pointName(point: TrendPoint, plan: Plan, column: Column | undefined, language: Language): string {
  return periodName(
    point.start,
    {
      grain: plan.period?.grain ?? "month",
      hasYear: column?.hasYear ?? true,
      isFiscal: column?.isFiscal === true && plan.period?.grain === "year",
    },
    language,
  );
}

function distributionDrafts({ shape }: Result & { kind: "distribution" }, context: Context): Draft[] {
  const { writer } = context;
  const { metric } = subjectWords({ ...context, plan: { ...context.plan, aggregation: "sum" } });
  const [mean, median, min, max, low, high] = [
    shape.mean,
    shape.median,
    shape.min,
    shape.max,
    shape.lowerQuartile,
    shape.upperQuartile,
  ].map((value) => writer.quantity("other", value));
  const count = writer.count(shape.count);
  const drafts: Draft[] = [
    {
      sentence: writer.say(
        `${metric}共${count.text}个值，平均${mean?.text}，中位数${median?.text}。`,
        `${capital(metric)} has ${count.text} values, a mean of ${mean?.text} and a median of ${median?.text}.`,
      ),
      numbers: [count, ...(mean ? [mean] : []), ...(median ? [median] : [])],
      formula: "COUNT, AVERAGE, MEDIAN",
    },
    {
      sentence: writer.say(
        `四分位区间为${low?.text}到${high?.text}，最小${min?.text}，最大${max?.text}。`,
        `The interquartile range is ${low?.text} to ${high?.text}; the least is ${min?.text}, the most ${max?.text}.`,
      ),
      numbers: [low, high, min, max].filter((number) => number !== undefined),
      formula: "QUARTILE, MIN, MAX",
    },
  ];
  return drafts;
}

function correlationDrafts({ shape }: Result & { kind: "correlation" }, context: Context): Draft[] {
  const { writer, plan } = context;
  const count = writer.count(shape.count);
  if (shape.r === undefined)
    return [
      {
        sentence: writer.say(
          `${plan.metric}与${plan.versus}之间无法计算相关系数（${count.text}条记录，有一列不变化）。`,
          `No correlation of ${plan.metric} and ${plan.versus} can be computed (${count.text} records, one of them does not vary).`,
        ),
        numbers: [count],
        formula: "CORREL",
      },
    ];
  const r = writer.plain("other", shape.r, 2);
  const size = Math.abs(shape.r);
  const strength =
    size >= 0.8
      ? writer.say("强", "strong")
      : size >= 0.5
        ? writer.say("中等", "moderate")
        : size >= 0.3
          ? writer.say("弱", "weak")
          : writer.say("几乎没有", "hardly any");
  const sign = shape.r >= 0 ? writer.say("正", "positive") : writer.say("负", "negative");
  return [
    {
      sentence: writer.say(
        `${plan.metric}与${plan.versus}的相关系数为${r.text}（${count.text}条记录），${strength}${size >= 0.3 ? `${sign}相关` : "线性关系"}；相关不等于因果。`,
        `The correlation of ${plan.metric} and ${plan.versus} is ${r.text} (${count.text} records): ${strength} ${size >= 0.3 ? `${sign} correlation` : "linear relation"}; correlation is not causation.`,
      ),
      numbers: [r, count],
      formula: `CORREL(${plan.metric}, ${plan.versus})`,
    },
  ];
}

function priceVolumeDrafts(
  { split, current, previous, currentQuantity, previousQuantity }: Result & { kind: "price_volume" },
  context: Context,
): Draft[] {
  const { writer, plan, table } = context;
  const { lead, metric } = subjectWords(context);
  const quantityUnit = columnNamed(table, plan.versus ?? "")?.unit ?? plainUnit;
  const change = writer.quantity("change", split.change, true);
  const [now, before] = [writer.quantity("current", current), writer.quantity("previous", previous)];
  const [volume, price, mix] = [split.volume, split.price, split.mix].map((value) =>
    writer.quantity("part", value, true),
  );
  const quantities = [currentQuantity, previousQuantity].map(
    (value, index): FactNumber => ({
      role: index === 0 ? "current" : "previous",
      value,
      unit: quantityUnit,
      text: formatQuantity(value, quantityUnit, writer.language),
    }),
  );
  return [
    {
      sentence: writer.say(
        `${lead}${metric}变化${change.text}，从${before.text}到${now.text}。`,
        `${lead}${lead === "" ? capital(metric) : metric} changed by ${change.text}, from ${before.text} to ${now.text}.`,
      ),
      numbers: [change, before, now],
      formula: formulaOf(context),
      periods: periodDays(plan, table),
    },
    {
      sentence: writer.say(
        `其中销量影响${volume?.text}，价格影响${price?.text}，结构影响${mix?.text}。`,
        `Volume accounts for ${volume?.text}, price for ${price?.text} and mix for ${mix?.text}.`,
      ),
      numbers: [volume, price, mix].filter((number) => number !== undefined),
      formula: writer.say(
        "销量 = (Q1−Q0)×P0；价格 = Σ(p1−p0)×q1；结构 = 其余",
        "volume = (Q1−Q0)×P0; price = Σ(p1−p0)×q1; mix = the rest",
      ),
    },
    {
      sentence: writer.say(
        `${plan.versus}从${quantities[1]?.text}到${quantities[0]?.text}。`,
        `${plan.versus} went from ${quantities[1]?.text} to ${quantities[0]?.text}.`,
      ),
      numbers: quantities,
      formula: `SUM(${plan.versus})`,
    },
  ];
}
