// Facts of a shape: the course of a trend with its hint of a season, the spread of a column, how two columns move together.
import type { Result, TrendPoint } from "./aggregate.ts";
import { capital, type Draft, type FactContext, formulaOf, otherLabel, subjectWords } from "./fact-writer.ts";
import type { Plan } from "./plan.ts";
import type { StackLayer } from "./stack.ts";
import { type Column, columnNamed } from "./table.ts";
import { periodName } from "./time.ts";
import type { Language } from "./words.ts";

export function trendDrafts(result: Result & { kind: "trend" }, context: FactContext): Draft[] {
  const { writer, plan, table } = context;
  const column = plan.period === undefined ? undefined : columnNamed(table, plan.period.column);
  const { metric } = subjectWords(context);
  const { first, last, highest, lowest, growth, seasonality } = result.shape;
  const name = (point: TrendPoint): string => pointName(point, plan, column, writer.language);
  const [firstValue, lastValue, highValue, lowValue] = [first, last, highest, lowest].map((point) =>
    writer.quantity("other", point.value),
  );
  const change = writer.move(first.value, last.value, growth);
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
  for (const layer of result.layers ?? [])
    if (!Number.isNaN(layer.values[0]) && !Number.isNaN(layer.values.at(-1)))
      drafts.push(layerDraft(layer, { first, last, name, context, points: result.points }));
  const latest = result.points.at(-1);
  const beforeLatest = result.points.at(-2);
  const recent =
    latest?.growth === undefined || beforeLatest === undefined
      ? undefined
      : writer.move(beforeLatest.value, latest.value, latest.growth);
  if (latest !== undefined && recent !== undefined && result.points.length > 2) {
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

/** One member of the breakdown, from the first point to the last. */
function layerDraft(
  { label, values, memberCount = 0 }: StackLayer,
  { first, last, name, context, points }: LayerPlace,
): Draft {
  const { writer } = context;
  const member = label === "" ? otherLabel(writer.language, memberCount) : label;
  const [from, to] = [values[0] ?? 0, values.at(-1) ?? 0].map((value) => writer.quantity("other", value));
  const [before, now] = [values[0] ?? 0, values.at(-1) ?? 0];
  const rate = writer.move(before, now, before > 0 ? (now - before) / before : undefined);
  const pace = rate === undefined ? "" : rate.text.replace(/^[+-]/, "");
  const verb =
    now === before
      ? writer.say("持平", "did not change")
      : now > before
        ? writer.say(`增长${pace}`, `rose ${pace}`.trim())
        : writer.say(`下降${pace}`, `fell ${pace}`.trim());
  return {
    subject: member,
    sentence: writer.say(
      `从${name(first)}到${name(last)}，${member}${verb}，从${from?.text}到${to?.text}。`,
      `From ${name(first)} to ${name(last)}, ${member} ${verb}, from ${from?.text} to ${to?.text}.`,
    ),
    numbers: [...(rate === undefined || now === before ? [] : [rate]), ...(from ? [from] : []), ...(to ? [to] : [])],
    formula: formulaOf(context, member),
    cells: context.cite.of(member, "current"),
    periods: points.map(({ start }) => start),
  };
}

interface LayerPlace {
  first: TrendPoint;
  last: TrendPoint;
  name: (point: TrendPoint) => string;
  context: FactContext;
  points: readonly TrendPoint[];
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

export function distributionDrafts({ shape }: Result & { kind: "distribution" }, context: FactContext): Draft[] {
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

export function correlationDrafts({ shape }: Result & { kind: "correlation" }, context: FactContext): Draft[] {
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
