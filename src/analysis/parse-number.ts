// Text as people type it into cells, read as a number: separators, brackets or a trailing minus for negative, percent, currency,
// 万 and 亿, k and m. Undefined rather than a guess; what a column is made of is decided from all its cells together.
import { narrow } from "./narrow.ts";
import { parseUnit, percentUnit, type Unit } from "./unit.ts";

export interface ParsedNumber {
  value: number;
  /** The unit written in the cell: "35%", "1.2万", "¥300". */
  unit?: Unit;
  /** Whether the cell writes a magnitude (万, k); it is multiplied out in `value`. */
  hasMagnitude?: boolean;
}

/** What parts the whole from the fraction: "1,234.5" or "1.234,5". A column has one style, settled by decimalMark. */
export type DecimalMark = "." | ",";

const plainNumber = /^[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,4}(?:,\d{4})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?$/i;
/** 1 234 567: spaces, also narrow ones, and apostrophes part thousands. */
const parted = /(?<!\d)\d{1,3}(?:[\s\u202f\u2009'’]\d{3})+(?!\d)/;
const commaNumber = /\d{1,3}(?:\.\d{3})+(?:,\d+)?(?![\d.,])|\d+,\d+(?![\d.,])/;

export function parseNumber(text: string, mark: DecimalMark = "."): ParsedNumber | undefined {
  let rest = narrow(text);
  if (rest === "" || rest.length > 40 || !/\d/.test(rest)) return undefined;
  rest = rest.replace(parted, (digits) => digits.replace(/[^\d]/g, ""));
  if (mark === ",") {
    if (/\d\.\d{1,2}(?!\d)/.test(rest)) return undefined; // 12.5 has no place in a column of 12,5
    rest = rest.replace(commaNumber, (digits) => digits.replaceAll(".", "").replace(",", "."));
  }
  let sign = 1;
  const bracket = /^([^\d(]{0,4}?)\(([^()]+)\)\s*([%]?)$/.exec(rest);
  if (bracket) {
    sign = -1;
    rest = `${bracket[1]}${bracket[2]}${bracket[3]}`.trim();
    if (/^[+-]/.test(rest)) return undefined;
  }
  const minus = /^[-−–]\s*(?=[\d¥￥$€£.])/.exec(rest);
  if (minus) {
    sign = -sign;
    rest = rest.slice(minus[0].length);
  } else if (/^\+(?=[\d¥￥$€£.])/.test(rest)) rest = rest.slice(1);
  else if (/^[\d,.]+-$/.test(rest)) {
    sign = -sign;
    rest = rest.slice(0, -1);
  }
  const currency = /^(¥|￥|US\$|\$|€|£|RMB|CNY|USD|EUR|GBP|HKD)\s*/i.exec(rest);
  const currencyUnit = currency ? parseUnit(currency[1] ?? "") : undefined;
  if (currency) rest = rest.slice(currency[0].length);
  if (currency && /^-\d/.test(rest)) {
    sign = -sign;
    rest = rest.slice(1);
  }
  const digits = /^[+-]?[\d.,]+(?:e[+-]?\d+)?/i.exec(rest)?.[0];
  if (digits === undefined || !plainNumber.test(digits) || !/\d/.test(digits)) return undefined;
  const value = sign * Number(digits.replaceAll(",", ""));
  if (!Number.isFinite(value)) return undefined;
  return withTail(value, rest.slice(digits.length).trim(), currencyUnit);
}

/** Letters for magnitudes mean one only beside a currency: "$1.2M" is money, "5 m" is a length. */
const letterMagnitudes: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, mn: 1e6, b: 1e9, bn: 1e9 };

function withTail(value: number, tail: string, currency: Unit | undefined): ParsedNumber | undefined {
  if (tail === "") return currency === undefined ? { value } : { value, unit: currency };
  if (tail === "%") return currency === undefined ? { value: tidy(value / 100), unit: percentUnit } : undefined;
  const magnitude = letterMagnitudes[tail.toLowerCase()];
  if (currency !== undefined && magnitude !== undefined)
    return { value: tidy(value * magnitude), unit: currency, hasMagnitude: true };
  const written = parseUnit(tail);
  if (written === undefined || written.kind === "percent") return undefined;
  if (currency !== undefined && written.kind !== "plain" && written.base !== currency.base) return undefined;
  if (written.scale === 1) return { value, unit: written };
  // "1.2万元" is 12,000 元: a magnitude in the cell is taken out, so that a column may mix 元 and 万元.
  const base =
    written.kind === "plain" ? currency : (parseUnit(written.base) ?? { ...written, symbol: tail, scale: 1 });
  const unit: Unit = base === undefined ? { symbol: "", kind: "plain", scale: 1, base: "" } : { ...base, scale: 1 };
  return { value: tidy(value * written.scale), unit, hasMagnitude: true };
}

/** Removes the noise of a binary product (1.1 * 10000 = 11000.000000000002). */
export function tidy(value: number): number {
  return Number(value.toPrecision(15));
}

/** A comma parts the fraction when some text can be read in no other way ("12,5", "1.234,50") and none speaks against it. */
export function decimalMark(texts: Iterable<string>): DecimalMark {
  let hasComma = false;
  for (const text of texts) {
    const clean = narrow(text);
    if (clean.length > 40) continue;
    if (/\d,\d{3}\.\d|^\D{0,4}\d+\.\d{1,2}\D{0,4}$|\d(,\d{3}){2}/.test(clean)) return ".";
    hasComma ||= /^\D{0,4}\d{1,3}(?:[.\s]\d{3})*,\d{1,2}\s?\D{0,4}$|\d\.\d{3},\d/.test(clean);
  }
  return hasComma ? "," : ".";
}
