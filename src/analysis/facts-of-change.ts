// Facts of a change: the whole first, then what each member adds to it or takes from it, then the same inside the largest members;
// and the split of a change into volume, price and mix.
import type { Result } from "./aggregate.ts";
import type { Contribution } from "./attribution.ts";
import type { Which } from "./cells.ts";
import {
  capital,
  type Draft,
  type FactContext,
  type FactWriter,
  formulaOf,
  otherLabel,
  periodDays,
  subjectWords,
} from "./fact-writer.ts";
import type { FactNumber } from "./facts.ts";
import { formatQuantity } from "./format-number.ts";
import { comparedPeriods } from "./plan-in-words.ts";
import { columnNamed } from "./table.ts";
import { plainUnit } from "./unit.ts";

function comparisonWord({ plan, writer }: FactContext): string {
  return {
    previous: writer.say("环比", " on the period before"),
    year_ago: writer.say("同比", " year on year"),
    plan: writer.say("较计划", " against plan"),
  }[plan.comparison ?? "previous"];
}

export function changeDrafts(result: Result & { kind: "change" }, context: FactContext): Draft[] {
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

function contributionNumbers(
  member: Contribution,
  writer: FactWriter,
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

function contributionDraft(member: Contribution, context: FactContext, whole: { change: string }): Draft {
  const { writer, cite } = context;
  const { part, share, rate, current, previous } = contributionNumbers(member, writer);
  const pace = rate?.text.replace(/^[+-]/, "") ?? "";
  const own =
    rate === undefined || /^[+-]?0%$/.test(rate.text)
      ? { zh: "", en: "" }
      : rate.value > 0
        ? { zh: `增长${pace}，`, en: `rose ${pace} and ` }
        : { zh: `下降${pace}，`, en: `fell ${pace} and ` };
  const size = part.text.replace("-", "");
  const bySize =
    member.part < 0
      ? writer.say(`拖累${size}`, `took away ${size}`)
      : writer.say(`贡献${size.replace("+", "")}`, `added ${size.replace("+", "")}`);
  const byShare = share === undefined ? "" : writer.say(`，占总变化的${share.text}`, `, ${share.text} of the change`);
  return {
    subject: member.label,
    sentence: writer.say(
      `${member.label}${own.zh}${bySize}${byShare}。`,
      `${capital(member.label)} ${own.en}${bySize}${byShare}.`,
    ),
    numbers: [part, ...(share === undefined ? [] : [share]), ...(rate === undefined ? [] : [rate]), current, previous],
    formula: `${writer.say("贡献", "contribution")} = ${current.text} − ${previous.text}${share === undefined ? "" : `; ${writer.say("占比", "share")} = ${part.text} / ${whole.change}`}`,
    cells: cite.of(member.label, "current" satisfies Which),
  };
}

function nestedSentence(parent: string, member: Contribution, writer: FactWriter): string {
  const { part, share } = contributionNumbers(member, writer);
  const byShare =
    share === undefined ? "" : writer.say(`，占总变化的${share.text}`, `, ${share.text} of the whole change`);
  return writer.say(
    `${parent}中，${member.label}${member.part < 0 ? "拖累" : "贡献"}${part.text.replace(/^[+-]/, "")}${byShare}。`,
    `Within ${parent}, ${member.label} contributed ${part.text}${byShare}.`,
  );
}

export function priceVolumeDrafts(
  { split, current, previous, currentQuantity, previousQuantity }: Result & { kind: "price_volume" },
  context: FactContext,
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
