// Holds a sentence against the facts. A number passes when some fact states it for the subject the sentence is speaking of, in the
// role the words give it (change, contribution, previous value), with the right sign, and rounded rightly. Periods must be those of
// the analysis. What cannot be shown to be right counts as wrong: a template sentence is better than a doubtful one.
import type { Fact, FactNumber, Role } from "./facts.ts";
import { type Mention, namePattern, type PeriodMention, scanNumbers } from "./number-mentions.ts";
import type { Grain } from "./parse-time.ts";
import { startOf } from "./time.ts";

export interface CheckContext {
  facts: readonly Fact[];
  /** Columns and titles: names whose digits are no figures. */
  names: readonly string[];
  /** All members of the table's dimensions. A number said of one that no fact is about cannot be right. */
  members: readonly string[];
  /** Names that stand for the whole: filter values, 整体, total. */
  wholeNames: readonly string[];
  /** Periods the analysis is about. */
  periods: readonly { start: number; grain: Grain; hasYear: boolean }[];
  /** -1, 0 or 1: where the whole went; undefined when the analysis compares nothing. */
  direction: number | undefined;
}

export interface Citation {
  /** Place of the number in the sentence. */
  start: number;
  end: number;
  factId: string;
  numberIndex: number;
}

export interface NumberFault {
  text: string;
  reason: "unknown" | "other_subject" | "other_role" | "wrong_sign" | "wrong_period" | "wrong_direction" | "unreadable";
}

export interface CheckResult {
  citations: Citation[];
  faults: NumberFault[];
}

const wholeWords = /整体|总体|合计|全部|总计|总额|总量|总的|共计|overall|in total|in all|altogether|the whole/giu;
const otherWords = /其他\s*\d*\s*项?|其余|others?\b|the rest\b/giu;
const upWords =
  /增长|增加|上升|上涨|提升|提高|扩大|增至|升至|拉升|带动|拉动|高于|高出|超出|超过|涨|升|rose|rise[sn]?|rising|grew|grow(?:s|n|th)?|increas\w*|up\b|gain\w*|climb\w*|add(?:s|ed|ing)\b|above|exceed\w*|higher/giu;
const downWords =
  /下降|减少|下滑|下跌|降低|回落|萎缩|缩水|拖累|低于|不及|未达|降至|跌|降|亏|fell|fall(?:s|en|ing)?\b|declin\w*|decreas\w*|drop\w*|down\b|los[est]\w*|shrank|shr[iu]nk\w*|below|short of|drag\w*|lower(?:s|ed|ing)?/giu;
const shareWords =
  /贡献|拖累|拉动|drag\w*|占比|占|比重|份额|构成|contribut\w*|shares?\b|account\w* for|make[s]? up|made up/giu;
/** Words for a rate of change, as against a part in one. */
const growthWords =
  /增长|增加|上升|上涨|提升|提高|增至|升至|涨|下降|减少|下滑|下跌|降低|回落|跌|rose|rise[sn]?|rising|grew|grow(?:s|n|th)?|increas\w*|up\b|fell|fall(?:s|en|ing)?\b|declin\w*|decreas\w*|drop\w*|down\b/giu;
const previousWords =
  /上期|上一期|上季度?|上个季度|上月|上个月|去年同期|上年同期|前一|此前|基期|计划|目标|预算|\bprevious(?:ly)?\b|\bprior\b|\bearlier\b|\bbefore\b|\bfrom\b|\blast\b|\bplan(?:ned)?\b|\btarget\b|\bbudget\b/giu;
const currentWords =
  /本期|本季度?|本月|当期|目前|达到|增至|升至|降至|current(?:ly)?|\bnow\b|\breach\w*|(?<!(?:up|due|owing|compared|according|relative|close|equal|next|thanks|added|contributed|contribution|contributions|compared|led|leading) )\bto\b(?! (?:the|be|a|an|its|their)\b)/giu;

interface Subject {
  /** "" is the whole; undefined: a name that no fact is about. */
  name: string | undefined;
  start: number;
  end: number;
}

export function checkSentence(sentence: string, context: CheckContext): CheckResult {
  const { mentions, periods, masked } = scanNumbers(sentence, [...context.names, ...context.members]);
  const citations: Citation[] = [];
  const faults: NumberFault[] = [];
  for (const period of periods)
    if (!isKnownPeriod(period, context)) faults.push({ text: period.text, reason: "wrong_period" });
  if (contradictsDirection(sentence, context)) faults.push({ text: sentence, reason: "wrong_direction" });
  const subjects = subjectsIn(sentence, context);
  for (const [index, mention] of mentions.entries()) {
    const from = mentions[index - 1]?.end ?? 0;
    const found = support(mention, { sentence, masked, subjects, from, context });
    if ("reason" in found) faults.push({ text: mention.text, reason: found.reason });
    else citations.push({ start: mention.start, end: mention.end, ...found });
  }
  return { citations, faults };
}

function isKnownPeriod({ period }: PeriodMention, { periods }: CheckContext): boolean {
  return periods.some((known) => {
    if (!period.hasYear || !known.hasYear) {
      const monthOf = (days: number): number => new Date(days * 86_400_000).getUTCMonth();
      return (
        monthOf(startOf(known.start, period.grain)) === monthOf(period.start) ||
        (period.grain !== known.grain && covers(period.start, period.grain, known.start))
      );
    }
    return startOf(known.start, period.grain) === period.start;
  });
}

const covers = (start: number, grain: Grain, day: number): boolean => {
  const month = (days: number): number => new Date(days * 86_400_000).getUTCMonth();
  return month(startOf(day, grain)) === month(start);
};

/** "下降主要来自…" about a whole that grew. */
function contradictsDirection(sentence: string, { direction }: CheckContext): boolean {
  if (direction === undefined || direction === 0) return false;
  const claim =
    /(增长|上升|提升|增加|下降|下滑|减少|下跌)(?:的)?(?:主要)?(?:来自|由|因|源于|原因|得益于|归因于)|the (growth|increase|rise|gain|decline|decrease|fall|drop) (?:was|is|came|comes|in|mainly|of)/iu.exec(
      sentence,
    );
  if (!claim) return false;
  const isDown = /下降|下滑|减少|下跌|decline|decrease|fall|drop/i.test(claim[0]);
  return isDown !== direction < 0;
}

function subjectsIn(sentence: string, { facts, wholeNames, members: known }: CheckContext): Subject[] {
  const found: Subject[] = [];
  const taken = (start: number, end: number): boolean =>
    found.some((subject) => start < subject.end && end > subject.start);
  const add = (pattern: RegExp, name: string | undefined): void => {
    for (const match of sentence.matchAll(pattern)) {
      const end = match.index + match[0].length;
      if (match[0] !== "" && !taken(match.index, end)) found.push({ name, start: match.index, end });
    }
  };
  const members = new Set(facts.map((fact) => fact.subject).filter((subject) => subject !== ""));
  const whole = new Set(wholeNames);
  const all = [...new Set([...known, ...members, ...whole])].filter((name) => name.length >= 2 || members.has(name));
  for (const name of all.toSorted((a, b) => b.length - a.length)) {
    if (!mayOccur(sentence, name)) continue;
    add(namePattern(name), members.has(name) ? name : whole.has(name) ? "" : undefined);
  }
  add(wholeWords, "");
  const others = [...members].find((member) => /^(其他|\d+ others)/.test(member));
  add(otherWords, others);
  return found.sort((a, b) => a.start - b.start);
}

/** A cheap look before a pattern is made: tables may have thousands of members. */
function mayOccur(sentence: string, name: string): boolean {
  return sentence.toLowerCase().includes((name.trim().split(/\s/)[0] ?? name).slice(0, 2).toLowerCase());
}

interface Place {
  sentence: string;
  masked: string;
  subjects: readonly Subject[];
  /** Where the previous number ends. */
  from: number;
  context: CheckContext;
}

type Support = { factId: string; numberIndex: number } | { reason: NumberFault["reason"] };

function support(mention: Mention, place: Place): Support {
  const { subjects, context } = place;
  const candidates = context.facts
    .flatMap((fact) => fact.numbers.map((number, numberIndex) => ({ fact, number, numberIndex })))
    .filter(({ number }) => hasValue(mention, number));
  if (candidates.length === 0) return { reason: "unknown" };
  const before = subjects.findLast((subject) => subject.end <= mention.start);
  const inName = subjects.some((subject) => subject.start <= mention.start && subject.end >= mention.end);
  if (inName) return { factId: candidates[0]?.fact.id ?? "", numberIndex: candidates[0]?.numberIndex ?? 0 };
  const subject = before === undefined ? "" : before.name;
  const ofSubject = candidates.filter(({ fact }) => fact.subject === subject);
  if (subject === undefined || ofSubject.length === 0) return { reason: "other_subject" };
  const start = Math.max(place.from, before?.end ?? 0);
  const wanted = roleWanted(mention, start, place);
  const ofRole = wanted === undefined ? ofSubject : ofSubject.filter(({ number }) => wanted.includes(number.role));
  if (ofRole.length === 0) return { reason: "other_role" };
  const signed = ofRole.find(({ number }) =>
    hasSign(mention, number, { ...place, from: Math.max(before?.end ?? 0, lastStop(place.sentence, mention.start)) }),
  );
  if (signed === undefined) return { reason: "wrong_sign" };
  return { factId: signed.fact.id, numberIndex: signed.numberIndex };
}

function lastStop(sentence: string, at: number): number {
  return Math.max(...["。", "；", "; ", "\n"].map((stop) => sentence.lastIndexOf(stop, at - 1))) + 1;
}

/** Units of a mention that name a currency or measure; a fact in another one cannot support it. */
const unitGroups: readonly (readonly string[])[] = [
  ["元", "yuan"],
  ["$", "美元", "dollar", "dollars"],
  ["€", "欧元"],
  ["kg", "公斤"],
  ["t", "吨"],
  ["天"],
  ["小时"],
  ["㎡"],
];

function hasValue(mention: Mention, { value, unit, role }: FactNumber): boolean {
  const size = Math.abs(value);
  const isPercent = unit.kind === "percent";
  if (mention.kind === "vague") return false;
  if (mention.kind === "multiple") {
    // "1.5 倍" may be the ratio of current to previous or, loosely, its growth: only the ratio is right.
    return role === "rate" && within(mention, 1 + value);
  }
  if (mention.kind === "points") return isPercent && unit.symbol === "pp" && within(mention, size);
  if (mention.kind === "percent") return isPercent && unit.symbol !== "pp" && within(mention, size);
  if (isPercent) return false;
  const group = unitGroups.find((names) => names.includes(mention.unit));
  if (group !== undefined && !group.includes(unit.base)) return false;
  if (
    group === undefined &&
    /^(台|件|个|人|笔|单|条|records?|rows?|units?)/.test(mention.unit) &&
    unit.kind === "money"
  )
    return false;
  if (within(mention, size * unit.scale)) return true;
  // "1,230" for a column in 万元 may leave the unit out, or write it as the column does.
  return unit.scale !== 1 && mention.magnitude === 1 && mention.unit === "" && within(mention, size);
}

/** Equal at the digits written, and those digits say enough: 1 % for 0.6 % would be rounding to nothing. */
function within(mention: Mention, size: number): boolean {
  const difference = Math.abs(mention.value - size);
  return difference <= mention.tolerance * (1 + 1e-9) + 1e-9 * size && difference <= Math.max(0.05 * size, 1e-12);
}

/** Roles that the words before the number allow; undefined when they say nothing. */
function roleWanted(mention: Mention, start: number, { masked, sentence }: Place): readonly Role[] | undefined {
  const text = sentence.slice(start, mention.start);
  const at = (pattern: RegExp): number => Math.max(-1, ...[...text.matchAll(pattern)].map((match) => match.index));
  const share = at(shareWords);
  const move = Math.max(at(growthWords), at(/变化|变动|变动率|增幅|降幅|涨幅|增速|change\w*|growth/giu));
  const after = masked.slice(mention.end, mention.end + 12);
  if (mention.kind === "percent" || mention.kind === "points") {
    if (/^\s*(?:of the (?:whole )?(?:change|growth|increase|decline|total)|的?(?:贡献|占比|份额))/iu.test(after))
      return ["share"];
    if (share < 0 && move < 0) return undefined;
    // "占总变化的 68 %": the later word decides, but a change that is shared out is a share.
    if (share >= 0 && (share > move || /占[^，,；;]*变化|contribut\w* (?:to|of)|shares? of/iu.test(text.slice(share))))
      return ["share", "part"];
    return move > share ? ["rate", "change", "other", "part"] : ["share", "part"];
  }
  const previous = at(previousWords);
  const current = at(currentWords);
  if (previous >= 0 && previous > current && previous > Math.max(share, move))
    return ["previous", "other", "count", "part"];
  if (current >= 0 && current > previous && current > Math.max(share, move))
    return ["current", "other", "count", "part"];
  return undefined;
}

/** Whether the sign written, or the words around it, agree with the sign of the fact. Levels carry their own sign. */
function hasSign(mention: Mention, { value, role }: FactNumber, { sentence, from, context }: Place): boolean {
  const isLevel = role === "current" || role === "previous" || role === "count" || role === "other";
  if (mention.sign === "-") return value < 0;
  if (mention.sign === "+") return value > 0;
  if (isLevel) return value >= 0;
  // A negative share is written with its sign: "占 -5 %".
  if (role === "share")
    return value >= 0 || /拖累|抵消|负|drag|offset|lower/iu.test(sentence.slice(from, mention.start));
  if (value === 0) return true;
  const before = sentence.slice(from, mention.start);
  const last = (pattern: RegExp): number => Math.max(-1, ...[...before.matchAll(pattern)].map((match) => match.index));
  const [up, down] = [last(upWords), last(downWords)];
  if (up >= 0 || down >= 0) return down > up ? value < 0 : value > 0;
  const after = sentence.slice(mention.end, mention.end + 10);
  if (new RegExp(downWords.source, "iu").test(after)) return value < 0;
  if (new RegExp(upWords.source, "iu").test(after)) return value > 0;
  // Nothing says which way: the whole's own direction is what a reader takes it for.
  return value > 0 || (context.direction ?? 1) < 0;
}
