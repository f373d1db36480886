// How figures are written: thousands separators, 万 and 亿 in Chinese, percent and percentage points. Rounding is half away from
// zero on the decimal digits, as people and spreadsheets round, not on the binary value (1.005 is 1.01, not 1.00).
import type { Unit } from "./unit.ts";
import type { Language } from "./words.ts";

export function roundTo(value: number, decimals: number): number {
  if (!Number.isFinite(value)) return value;
  const shifted = Number(`${Math.abs(value).toPrecision(15)}e${decimals}`);
  // toPrecision writes very small numbers with an exponent, which cannot take a second one.
  const scaled = Number.isNaN(shifted) ? Math.abs(value) * 10 ** decimals : shifted;
  const rounded = Math.sign(value) * (Math.round(Number(scaled.toPrecision(15))) / 10 ** decimals);
  return rounded === 0 ? 0 : rounded;
}

export interface NumberStyle {
  unit?: "percent" | "points";
  decimals?: number;
  /** Write + before positive values. */
  isSigned?: boolean;
}

/** 1,234.5 or 12.3%; zeros after the point are dropped except in percents with a stated number of decimals. */
export function formatNumber(value: number, { unit, decimals, isSigned = false }: NumberStyle = {}): string {
  const scaled = unit === undefined ? value : value * 100;
  const digits = decimals ?? (Number.isInteger(scaled) ? 0 : 2);
  const rounded = roundTo(scaled, digits);
  const text = Math.abs(rounded).toLocaleString("en-US", {
    minimumFractionDigits: unit === undefined ? 0 : digits,
    maximumFractionDigits: digits,
  });
  const sign = rounded < 0 ? "-" : isSigned && rounded > 0 ? "+" : "";
  return `${sign}${text}${unit === "percent" ? "%" : ""}`;
}

/** A rate of change or share: one decimal, none when it has none (23%, 22.5%). */
export function formatPercent(value: number, isSigned = false): string {
  return formatNumber(value, { unit: "percent", decimals: roundTo(value * 100, 1) % 1 === 0 ? 0 : 1, isSigned });
}

/** Decimals that keep about four digits. */
function decimalsFor(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude >= 1000 || Number.isInteger(roundTo(value, 6)))
    return magnitude >= 1000 ? 0 : Number.isInteger(roundTo(value, 2)) ? 0 : 2;
  if (magnitude >= 10) return 1;
  if (magnitude >= 1) return 2;
  return magnitude === 0 ? 0 : Math.min(6, 2 - Math.floor(Math.log10(magnitude)));
}

/** A value in its column's unit, in the magnitude a person would choose: 1,230万元, 12.3亿元, $4.6M. */
export function formatQuantity(value: number, unit: Unit, language: Language, isSigned = false): string {
  if (unit.kind === "percent") return formatPercent(value, isSigned);
  const sign = value < 0 ? "-" : isSigned && value > 0 ? "+" : "";
  const base = Math.abs(value) * unit.scale;
  const { amount, magnitude } = inMagnitude(base, unit, language);
  const digits = Math.min(decimalsFor(amount), 6);
  const text = roundTo(amount, digits).toLocaleString("en-US", { maximumFractionDigits: digits });
  const isPrefix = unit.isPrefix === true || (unit.base === "$" && unit.scale !== 1);
  if (isPrefix) return `${sign}${unit.base}${text}${magnitude}`;
  const spaced = language === "en" && /^[\p{Script=Han}A-Za-z]/u.test(unit.base) ? " " : "";
  const symbol = unit.kind === "count" && unit.scale === 1 ? unit.symbol : spokenBase(unit.base, language);
  const countSpace = language === "en" && symbol !== "" ? " " : spaced;
  return `${sign}${text}${magnitude}${symbol === "" ? "" : countSpace}${symbol}`;
}

function inMagnitude(base: number, unit: Unit, language: Language): { amount: number; magnitude: string } {
  if (unit.kind === "mass" || unit.kind === "length" || unit.kind === "time")
    return { amount: base / unit.scale, magnitude: "" };
  if (language === "zh") {
    if (base >= 99_995_000) return { amount: base / 1e8, magnitude: "亿" };
    // A column in 万元 keeps its 万 for small values too.
    if (base >= (unit.scale >= 1e4 ? 1000 : 100_000)) return { amount: base / 1e4, magnitude: "万" };
    return { amount: base, magnitude: "" };
  }
  if (base >= 999_950_000) return { amount: base / 1e9, magnitude: " billion" };
  if (base >= 1_000_000) return { amount: base / 1e6, magnitude: " million" };
  return { amount: base, magnitude: "" };
}

/** 元 is said "yuan" in English text. */
export function spokenBase(base: string, language: Language): string {
  return language === "en" && base === "元" ? "yuan" : base;
}
