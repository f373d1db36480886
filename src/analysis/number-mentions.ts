// Finds every number a text states: digits with their sign, separators, magnitude and unit, and number words (七成, 一半, 翻倍,
// doubled). Names of members and columns are masked first: the 14 of "小米 14 系列" is no figure.

import { type ParsedPeriod, parseDate, parsePeriod } from "./parse-time.ts";
import { chineseDigit } from "./words.ts";

export type MentionKind = "percent" | "points" | "quantity" | "multiple" | "vague";

export interface Mention {
  start: number;
  end: number;
  text: string;
  kind: MentionKind;
  /** Percent and points as fractions; quantities with their magnitude multiplied out; without the sign. */
  value: number;
  /** Half a unit of the last digit written, on the same scale as `value`. */
  tolerance: number;
  sign: "+" | "-" | undefined;
  /** The unit written after it ("元", "台", "kg"), "" if none. */
  unit: string;
  magnitude: number;
}

export interface PeriodMention {
  start: number;
  end: number;
  text: string;
  period: ParsedPeriod;
}

export interface NumberScan {
  mentions: Mention[];
  periods: PeriodMention[];
  /** The text with names, periods and ordinals blotted out, of the same length. */
  masked: string;
}

const magnitudes: Record<string, number> = {
  百亿: 1e10,
  十亿: 1e9,
  亿: 1e8,
  千万: 1e7,
  百万: 1e6,
  十万: 1e5,
  万: 1e4,
  千: 1e3,
  billion: 1e9,
  bn: 1e9,
  million: 1e6,
  mn: 1e6,
  thousand: 1e3,
  k: 1e3,
  m: 1e6,
  b: 1e9,
};

const numberPattern =
  /(?<sign>[+＋\-−－])?\s?(?<currency>US\$|[¥￥$€£])?\s?(?<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s?(?<points>个?百分点|percentage[\s-]points?|pp\b|ppts?\b)|\s?(?<percent>%|％|percent\b|per cent\b)|\s?(?<magnitude>百亿|十亿|千万|百万|十万|亿|万|千|billion\b|million\b|thousand\b|bn\b|mn\b|[kKmMbB](?![A-Za-z]))?\s?(?<unit>元|美元|欧元|台|件|个|人次|人|笔|单|条|kg|公斤|吨|天|小时|㎡|yuan\b|dollars?\b|records?\b|rows?\b|units?\b|倍|成|times\b|-?fold\b|x\b)?)/gu;

/** Number words, each with the figure it claims and how far off the truth may be. */
const wordPatterns: readonly (readonly [
  RegExp,
  (match: RegExpExecArray) => Pick<Mention, "kind" | "value" | "tolerance">,
])[] = [
  [
    /百分之([零〇一二两三四五六七八九十百点]+)/gu,
    (match) => ({ kind: "percent", value: chineseNumber(match[1] ?? "") / 100, tolerance: 0.005 }),
  ],
  [
    /([一二两三四五六七八九])成([一二三四五六七八九半])?/gu,
    (match) => ({
      kind: "percent",
      value:
        ((chineseDigit[match[1] ?? ""] ?? 0) +
          (match[2] === "半" ? 0.5 : match[2] ? (chineseDigit[match[2]] ?? 0) / 10 : 0)) /
        10,
      tolerance: 0.03,
    }),
  ],
  [
    /([一二两三四五六七八九十百]+)个?百分点/gu,
    (match) => ({ kind: "points", value: chineseNumber(match[1] ?? "") / 100, tolerance: 0.005 }),
  ],
  [
    /([一二两三四五六七八九十百千]+)(万|亿)元?/gu,
    (match) => ({
      kind: "quantity",
      value: chineseNumber(match[1] ?? "") * (magnitudes[match[2] ?? ""] ?? 1),
      tolerance: 0.5 * (magnitudes[match[2] ?? ""] ?? 1),
    }),
  ],
  [
    /([二两三四五六七八九十]+)倍/gu,
    (match) => ({ kind: "multiple", value: chineseNumber(match[1] ?? ""), tolerance: 0.05 }),
  ],
  [
    /翻了?[一两三]?番|翻倍|倍增|\bdoubl(?:ed|es|ing|e)\b|\btwice\b/giu,
    () => ({ kind: "multiple", value: 2, tolerance: 0.05 }),
  ],
  [/\btripl(?:ed|es|ing|e)\b|\bthree times\b/giu, () => ({ kind: "multiple", value: 3, tolerance: 0.05 })],
  [
    /一半|半数|过半|近半|对半|腰斩|减半|\bhal(?:f|ved|ves)\b/giu,
    () => ({ kind: "percent", value: 0.5, tolerance: 0.01 }),
  ],
  [
    /([二三四五])分之([一二三四])|\b(?:one|a) third\b|\btwo[- ]thirds\b|\b(?:one|a) quarter of\b|\bthree[- ]quarters\b/giu,
    (match) => ({ kind: "percent", value: fraction(match), tolerance: 0.01 }),
  ],
  [
    /\b(?:ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))? (?:percent|per cent)\b/giu,
    () => ({ kind: "vague", value: Number.NaN, tolerance: 0 }),
  ],
  [
    /\b(?:hundreds|thousands|millions|billions|dozens) of\b|数[十百千万亿]|上[百千万亿]|几[十百千万亿倍]/giu,
    () => ({ kind: "vague", value: Number.NaN, tolerance: 0 }),
  ],
];

function fraction(match: RegExpExecArray): number {
  if (match[1] !== undefined) return (chineseDigit[match[2] ?? ""] ?? 1) / (chineseDigit[match[1]] ?? 1);
  const text = match[0].toLowerCase();
  if (text.startsWith("two")) return 2 / 3;
  if (text.startsWith("three")) return 3 / 4;
  return text.includes("third") ? 1 / 3 : 1 / 4;
}

/** Up to 九百九十九, with 点 for decimals; enough for what prose says in words. */
function chineseNumber(text: string): number {
  const [whole = "", decimals = ""] = text.split("点");
  let sum = 0;
  let digit = 0;
  for (const sign of whole) {
    if (sign === "十" || sign === "百" || sign === "千") {
      sum += (digit || 1) * { 十: 10, 百: 100, 千: 1000 }[sign];
      digit = 0;
    } else digit = chineseDigit[sign] ?? 0;
  }
  sum += digit;
  for (const [index, sign] of [...decimals].entries()) sum += (chineseDigit[sign] ?? 0) * 10 ** -(index + 1);
  return sum;
}

// A bare year counts as a period only after "in" or "during": "from 2025 to $3,000" is an amount that happens to look like one.
const periodPattern =
  /(?:19|20)\d{2}\s*年?\s*[-/.]?\s*第?\s*(?:[一二三四1-4]\s*季度|[Qq][1-4])|[Qq][1-4]\s*(?:of\s*)?(?:FY\s*)?(?:19|20)\d{2}|(?:19|20)\d{2}\s*年\s*[上下]半年|(?:19|20)\d{2}[-/.年]\s?(?:1[0-2]|0?[1-9])[-/.月]\s?(?:3[01]|[12]\d|0?[1-9])\s?日?(?!\d)|(?:19|20)\d{2}\s?年\s?(?:1[0-2]|0?[1-9])\s?月(?:份)?|(?:19|20)\d{2}-(?:1[0-2]|0[1-9])(?!\d)|(?:19|20)\d{2}\s*(?:年度?|财年)|FY\s?'?\d{2,4}|(?:January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?\s+(?:\d{1,2}(?:st|nd|rd|th)?,\s*)?(?:19|20)\d{2}|第?\s*[一二三四1-4]\s*季度|\bQ[1-4]\b|\bH[12]\b|[上下]半年|(?:1[0-2]|[1-9])\s?月(?:份)?|\b(?:19|20)\d{2}(?=\s*(?:Q[1-4]|H[12])\b)|(?<=\b(?:in|during|year)\s)(?:19|20)\d{2}(?![\d,.%万亿元])/gu;

/** Ordinals, list marks and names of ranks: they order things and claim no amount. */
const ordinalPattern =
  /第\s?(?:\d{1,2}|[一二三四五六七八九十]{1,3})(?!季度)(?:[、，：.]|名|位|大|页|点|个|是|，|为|$)?|\b\d{1,2}(?:st|nd|rd|th)\b|(?<=^|\n)\s*\d{1,2}[.、)）]\s?|\bF\d{1,2}\b|\[\d{1,2}\]|(?<=\b[Tt]op\s)\d{1,2}\b/gu;

export function scanNumbers(text: string, names: readonly string[]): NumberScan {
  let masked = maskNames(text, names);
  const periods: PeriodMention[] = [];
  masked = masked.replace(periodPattern, (match, offset: number) => {
    const period = periodOf(match);
    if (period === undefined) return match;
    periods.push({ start: offset, end: offset + match.length, text: match, period });
    return blot(match);
  });
  masked = masked.replace(ordinalPattern, blot);
  const mentions: Mention[] = [];
  for (const match of masked.matchAll(numberPattern)) mentions.push(mentionOf(match));
  for (const [pattern, claim] of wordPatterns) {
    for (const match of masked.matchAll(pattern)) {
      const start = match.index;
      if (mentions.some((mention) => start < mention.end && start + match[0].length > mention.start)) continue;
      mentions.push({
        start,
        end: start + match[0].length,
        text: match[0],
        sign: undefined,
        unit: "",
        magnitude: 1,
        ...claim(match),
      });
    }
  }
  return { mentions: mentions.sort((a, b) => a.start - b.start), periods, masked };
}

const blot = (match: string): string => " ".repeat(match.length);

/** Blots out each name, its spaces free to differ ("小米14系列"). */
function maskNames(text: string, names: readonly string[]): string {
  let masked = text;
  for (const name of names
    .filter((candidate) => /\d|[一二两三四五六七八九十半]/.test(candidate))
    .toSorted((a, b) => b.length - a.length)) {
    if (masked.toLowerCase().includes(name.trim().slice(0, 1).toLowerCase()))
      masked = masked.replace(namePattern(name), blot);
  }
  return masked;
}

export function namePattern(name: string): RegExp {
  const body = [...name.replace(/\s+/g, "")].map((sign) => sign.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("\\s*");
  const start = /^[A-Za-z0-9]/.test(name) ? "(?<![A-Za-z0-9.])" : "";
  const end = /[A-Za-z0-9]$/.test(name) ? "(?![A-Za-z0-9])" : "";
  return new RegExp(`${start}${body}${end}`, "giu");
}

function periodOf(text: string): ParsedPeriod | undefined {
  const clean = text.replace(/\s+of\s+/i, " ").trim();
  const day = parseDate(clean.replace(/(\d)(st|nd|rd|th),/i, "$1,"));
  if (day !== undefined) return { grain: "day", start: day, hasYear: true };
  if (/^(19|20)\d{2}$/.test(clean)) return parsePeriod(`${clean}年`);
  const turned = /^(Q[1-4])\s*(FY)?\s*((?:19|20)\d{2})$/i.exec(clean);
  return parsePeriod(turned ? `${turned[3]}${turned[1]}` : clean.replace(/\.(?=\s|$)/, ""));
}

function mentionOf(match: RegExpExecArray): Mention {
  const groups = match.groups ?? {};
  const digits = (groups.digits ?? "0").replaceAll(",", "");
  const decimals = digits.includes(".") ? digits.length - digits.indexOf(".") - 1 : 0;
  const raw = Number(digits);
  const half = 0.5 * 10 ** -decimals;
  const lead = match[0].length - match[0].trimStart().length;
  const text = match[0].trim();
  const start = match.index + lead;
  const sign = groups.sign === undefined ? undefined : /[+＋]/.test(groups.sign) ? ("+" as const) : ("-" as const);
  const place = { start, end: start + text.length, text, sign };
  if (groups.points !== undefined)
    return { ...place, kind: "points", value: raw / 100, tolerance: half / 100, unit: "", magnitude: 1 };
  if (groups.percent !== undefined)
    return { ...place, kind: "percent", value: raw / 100, tolerance: half / 100, unit: "", magnitude: 1 };
  const unit = (groups.unit ?? "").trim();
  if (unit === "成") return { ...place, kind: "percent", value: raw / 10, tolerance: 0.03, unit: "", magnitude: 1 };
  if (/^(倍|times|-?fold|x)$/i.test(unit))
    return { ...place, kind: "multiple", value: raw, tolerance: half, unit: "", magnitude: 1 };
  const magnitude = magnitudes[groups.magnitude ?? ""] ?? magnitudes[(groups.magnitude ?? "").toLowerCase()] ?? 1;
  const currency = { "¥": "元", "￥": "元", $: "$", US$: "$", "€": "€", "£": "£" }[groups.currency ?? ""];
  return {
    ...place,
    kind: "quantity",
    value: raw * magnitude,
    tolerance: half * magnitude,
    unit: currency ?? unit,
    magnitude,
  };
}
