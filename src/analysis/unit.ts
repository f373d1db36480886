// Units as they stand in headers, unit lines, number formats and cells: what they measure and how they scale to their base.

export type UnitKind = "money" | "percent" | "count" | "mass" | "length" | "time" | "plain";

export interface Unit {
  /** As shown after a number: "万元", "%", "kg", "" for a plain number. */
  symbol: string;
  kind: UnitKind;
  /** Values times this are in `base`. */
  scale: number;
  /** "元", "$", "kg", "件", "" . */
  base: string;
  /** Whether the symbol stands before the number ("$"). */
  isPrefix?: boolean;
}

export const plainUnit: Unit = Object.freeze({ symbol: "", kind: "plain", scale: 1, base: "" });
/** Percent columns hold fractions: 0.23 is shown as 23 %. */
export const percentUnit: Unit = Object.freeze({ symbol: "%", kind: "percent", scale: 1, base: "%" });

const magnitudes: readonly (readonly [string, number])[] = [
  ["百亿", 1e10],
  ["十亿", 1e9],
  ["亿", 1e8],
  ["千万", 1e7],
  ["百万", 1e6],
  ["十万", 1e5],
  ["万", 1e4],
  ["千", 1e3],
  ["百", 1e2],
];

const bases: readonly (readonly [pattern: RegExp, unit: Omit<Unit, "scale" | "symbol">])[] = [
  [/^(元|人民币|rmb|cny|￥|¥|yuan|块)$/i, { kind: "money", base: "元" }],
  [/^(美元|usd|us\$|\$|dollars?)$/i, { kind: "money", base: "$", isPrefix: true }],
  [/^(欧元|eur|€|euros?)$/i, { kind: "money", base: "€", isPrefix: true }],
  [/^(英镑|gbp|£|pounds?)$/i, { kind: "money", base: "£", isPrefix: true }],
  [/^(港元|港币|hkd)$/i, { kind: "money", base: "港元" }],
  [/^(日元|jpy)$/i, { kind: "money", base: "日元" }],
  [
    /^(件|台|个|只|套|箱|部|辆|瓶|包|条|双|本|张|单|笔|人|人次|户|家|次|份|支|盒|袋|把|块|朵|股|pcs|pieces|units?|orders?|people|persons?)$/i,
    { kind: "count", base: "" },
  ],
  [/^(kg|公斤|千克)$/i, { kind: "mass", base: "kg" }],
  [/^(g|克)$/i, { kind: "mass", base: "g" }],
  [/^(t|吨|tons?|tonnes?)$/i, { kind: "mass", base: "t" }],
  [/^(km|公里|千米)$/i, { kind: "length", base: "km" }],
  [/^(m|米)$/i, { kind: "length", base: "m" }],
  [/^(㎡|平方米|平米|m2|m²|sqm)$/i, { kind: "length", base: "㎡" }],
  [/^(天|日|days?)$/i, { kind: "time", base: "天" }],
  [/^(小时|h|hours?)$/i, { kind: "time", base: "小时" }],
  [/^(分钟|min|minutes?)$/i, { kind: "time", base: "分钟" }],
];

const englishMagnitudes: readonly (readonly [RegExp, number, string])[] = [
  [/^(k|thousand|thousands|'000|000s?)$/i, 1e3, "k"],
  [/^(m|mn|mm|mio|million|millions)$/i, 1e6, "m"],
  [/^(b|bn|billion|billions)$/i, 1e9, "bn"],
];

/** The unit a short text names ("万元", "%", "USD k", "千克"), or undefined when it names none. */
export function parseUnit(text: string): Unit | undefined {
  const given = text.trim();
  if (given === "") return undefined;
  if (/^[%％]$|^(percent|pct|百分比)$/i.test(given)) return percentUnit;
  if (/^[‰]$/.test(given)) return undefined;
  const direct = baseOf(given);
  if (direct !== undefined) return { ...direct, symbol: direct.isPrefix === true ? direct.base : given, scale: 1 };
  for (const [word, scale] of magnitudes) {
    if (!given.startsWith(word)) continue;
    const rest = given.slice(word.length).trim();
    if (rest === "") return { symbol: word, kind: "plain", scale, base: "" };
    const base = baseOf(rest);
    if (base !== undefined) return { symbol: `${word}${rest}`, kind: base.kind, base: base.base, scale };
  }
  // "元/台": money for each piece, a price.
  const [over, under] = given.split(/\s*[/／]\s*/);
  const [money, each] = [baseOf(over ?? ""), baseOf(under ?? "")];
  if (money?.kind === "money" && each !== undefined && each.kind !== "money") {
    const symbol = `${money.isPrefix === true ? money.base : over}/${under}`;
    return { symbol, kind: "money", base: money.base, scale: 1 };
  }
  const parts = given.split(/[\s,/]+|(?<=[$€£])|(?=[$€£])/).filter((part) => part !== "");
  if (parts.length === 2) {
    const [first = "", second = ""] = parts;
    for (const [word, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const magnitude = englishMagnitudes.find(([pattern]) => pattern.test(word));
      const base = baseOf(other);
      if (magnitude && base) return { ...base, symbol: `${base.base}${magnitude[2]}`, scale: magnitude[1] };
    }
  }
  return undefined;
}

function baseOf(text: string): Omit<Unit, "scale" | "symbol"> | undefined {
  return bases.find(([pattern]) => pattern.test(text))?.[1];
}

/** Units that measure the same, each in the first of its row. */
const measures: readonly Readonly<Record<string, number>>[] = [
  { kg: 1, g: 1e-3, t: 1e3 },
  { m: 1, km: 1e3 },
  { 小时: 1, 分钟: 1 / 60, 天: 24 },
];

/** What a value in `from` is multiplied with to be in `to`; undefined where one cannot become the other. */
export function conversion(from: string, to: string): number | undefined {
  const row = measures.find((measure) => measure[from] !== undefined);
  const [a, b] = [row?.[from], row?.[to]];
  return a === undefined || b === undefined ? undefined : a / b;
}

export interface NamedUnit {
  /** The header without its unit. */
  name: string;
  unit?: Unit;
}

/** "销售额（万元）" -> 销售额 in 万元; "占比%" and "重量/kg" too. A bracket that holds no unit stays in the name. */
export function splitHeaderUnit(header: string): NamedUnit {
  const clean = header.replace(/\s+/g, " ").trim();
  const bracket = /^(.*?)[\s]*[(（[【]\s*(?:单位[:：]?)?\s*([^()（）[\]【】]+?)\s*[)）\]】]$/.exec(clean);
  if (bracket) {
    const unit = parseUnit(bracket[2] ?? "");
    if (unit && bracket[1]) return { name: bracket[1].trim(), unit };
  }
  const tail = /^(.+?)\s*([%％])$/.exec(clean);
  if (tail?.[1]) return { name: tail[1], unit: percentUnit };
  const slash = /^(.+?)\s*[/／:：,，]\s*([^/／:：,，]+)$/.exec(clean);
  if (slash?.[1]) {
    const unit = parseUnit(slash[2] ?? "");
    if (unit) return { name: slash[1].trim(), unit };
  }
  return { name: clean };
}
