// Facts of a total and of its parts: how much in all, who makes how much of it, how few make most of it.
import type { Result } from "./aggregate.ts";
import { capital, type Draft, type FactContext, formulaOf, otherLabel, subjectWords } from "./fact-writer.ts";

export function totalDraft(result: Result & { kind: "total" }, context: FactContext): Draft {
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

export function rankingDrafts(result: Result & { kind: "ranking" | "pareto" }, context: FactContext): Draft[] {
  const { writer, plan, cite } = context;
  const { lead, metric } = subjectWords(context);
  const total = writer.quantity("current", result.total);
  const count = writer.count(result.memberCount);
  const by = plan.breakdown[0] ?? "";
  const drafts: Draft[] = [
    {
      sentence: writer.say(
        `${lead}${metric}${plan.aggregation === "average" ? "总平均" : "合计"}${total.text}，按${by}分为${count.text}项。`,
        `${lead}${lead === "" ? capital(metric) : metric} is ${total.text} in all, over ${count.text} values of ${by}.`,
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
        share === undefined
          ? `${capital(member.label)} is at ${value.text}.`
          : `${capital(member.label)} accounts for ${value.text}, a share of ${share.text}.`,
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
