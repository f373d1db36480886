// Columns that tell time: cells that are dates or periods as they stand, and numbers that are years, months, quarters or days by the
// column's name.

import type { Reading } from "./column-reading.ts";
import { mostCells, type Tally } from "./column-tally.ts";
import type { ColumnSource } from "./columns.ts";
import { cellKind } from "./grid.ts";
import { narrow } from "./narrow.ts";
import { parseNumber } from "./parse-number.ts";
import {
  type DateOrder,
  dateOrderHint,
  daysOf,
  type Grain,
  type ParsedPeriod,
  parseDate,
  parsePeriod,
} from "./parse-time.ts";
import type { Words } from "./words.ts";

/** Spreadsheets count days from 1899-12-30; 20000 to 80000 is 1954 to 2119. */
export const isDayNumber = (value: number): boolean => value >= 20_000 && value <= 80_000;
export const dayOfNumber = (value: number): number => Math.floor(value) - 25_569;

export function holdsDayNumbers(
  values: Float64Array | undefined,
  kinds: Uint8Array | undefined,
  { rows }: ColumnSource,
): boolean {
  return rows.every((row) => kinds?.[row] !== cellKind.number || isDayNumber(values?.[row] ?? Number.NaN));
}

/** Numbers that are years, months, quarters or days by the column's name: 2025, 7, 202507, 20250703, and Excel day numbers. */
export function namedNumbers(
  name: string,
  counts: Tally,
  values: Float64Array | undefined,
  kinds: Uint8Array | undefined,
  source: ColumnSource,
): Omit<Reading, "ofTexts"> | undefined {
  if (counts.number < mostCells * counts.filled || counts.number === 0) return undefined;
  const fits = (test: (value: number) => boolean): boolean => {
    for (const row of source.rows)
      if (kinds?.[row] === cellKind.number && !test(values?.[row] ?? Number.NaN)) return false;
    return true;
  };
  const period = (
    grain: Grain,
    hasYear: boolean,
    ofNumber: (value: number) => number,
    reason: Words,
  ): Omit<Reading, "ofTexts"> => ({ type: "period", ofNumber, ofDate: () => Number.NaN, grain, hasYear, reason });
  const isYear = (value: number): boolean => Number.isInteger(value) && value >= 1900 && value <= 2200;
  if (/^(年|年份|年度|财年|.*年份|year|fiscal year|fy)$/i.test(name) && fits(isYear)) {
    return period("year", true, (value) => daysOf(value, 1, 1) ?? Number.NaN, {
      zh: "列名是年份，值在 1900 到 2200 之间",
      en: "named as a year, with values from 1900 to 2200",
    });
  }
  if (/^(月|月份|month)$/i.test(name) && fits((value) => Number.isInteger(value) && value >= 1 && value <= 12)) {
    return period("month", false, (value) => daysOf(2000, value, 1) ?? Number.NaN, {
      zh: "列名是月份，值为 1 到 12",
      en: "named as a month, with values 1 to 12",
    });
  }
  if (/^(季|季度|quarter|qtr)$/i.test(name) && fits((value) => Number.isInteger(value) && value >= 1 && value <= 4)) {
    return period("quarter", false, (value) => daysOf(2000, value * 3 - 2, 1) ?? Number.NaN, {
      zh: "列名是季度，值为 1 到 4",
      en: "named as a quarter, with values 1 to 4",
    });
  }
  const isTimeName = /日期|时间|年月|月份|期间|账期|日$|\b(date|day|month|period|time)\b/i.test(name);
  if (!isTimeName) return undefined;
  const dayOf = (value: number): number =>
    daysOf(Math.floor(value / 10_000), Math.floor(value / 100) % 100, value % 100) ?? Number.NaN;
  if (fits((value) => value >= 19_000_101 && value <= 22_001_231 && !Number.isNaN(dayOf(value)))) {
    return {
      type: "date",
      ofNumber: dayOf,
      ofDate: (days) => Math.floor(days),
      grain: "day",
      hasYear: true,
      reason: { zh: "八位数字是日期（20250703）", en: "eight digits are a date (20250703)" },
    };
  }
  const monthOf = (value: number): number => daysOf(Math.floor(value / 100), value % 100, 1) ?? Number.NaN;
  if (fits((value) => value >= 190_001 && value <= 220_012 && !Number.isNaN(monthOf(value)))) {
    return period("month", true, monthOf, { zh: "六位数字是年月（202507）", en: "six digits are a month (202507)" });
  }
  if (holdsDayNumbers(values, kinds, source)) {
    return {
      type: "date",
      ofNumber: dayOfNumber,
      ofDate: (days) => Math.floor(days),
      grain: "day",
      hasYear: true,
      reason: { zh: "列名是日期，数字是 Excel 的日期序号", en: "named as a date; the numbers are Excel day numbers" },
    };
  }
  return undefined;
}

export function withTexts(reading: Omit<Reading, "ofTexts">, texts: readonly string[]): Reading {
  const isDate = reading.type === "date";
  const ofTexts = Float64Array.from(
    texts,
    (text) => (isDate ? parseDate(text) : parsePeriod(text)?.start) ?? parsedAs(reading, text),
  );
  return { ...reading, ofTexts };
}

function parsedAs(reading: Omit<Reading, "ofTexts">, text: string): number {
  const value = parseNumber(text)?.value;
  return value === undefined ? Number.NaN : reading.ofNumber(value);
}

export function dateOrder(
  texts: readonly string[],
  counts: Tally,
  given: "mdy" | "dmy" | undefined,
): { order: DateOrder; words: Words } {
  const none = { zh: "", en: "" };
  if (given !== undefined)
    return { order: given, words: { zh: "（日月顺序由你设定）", en: " (order of day and month as you set it)" } };
  const hints = new Set(texts.filter((_, code) => (counts.byText[code] ?? 0) > 0).map((text) => dateOrderHint(text)));
  if (hints.has("dmy") && !hints.has("mdy"))
    return {
      order: "dmy",
      words: { zh: "（日在前：有大于 12 的首位数）", en: " (day first: some first parts exceed 12)" },
    };
  if (hints.has("mdy")) return { order: "mdy", words: { zh: "（月在前）", en: " (month first)" } };
  const isAmbiguous = texts.some(
    (text, code) => (counts.byText[code] ?? 0) > 0 && /^\d{1,2}[/-]\d{1,2}[/-]\d{2,4}/.test(narrow(text)),
  );
  return {
    order: "mdy",
    words: isAmbiguous
      ? { zh: "（日月顺序不明，按月在前读）", en: " (day and month could be either way; read month first)" }
      : none,
  };
}

const grainOrder: readonly Grain[] = ["day", "week", "month", "quarter", "half", "year"];

export function periodReading(periods: readonly (ParsedPeriod | undefined)[], counts: Tally): Reading {
  const weights = new Map<Grain, number>();
  let withoutYear = 0;
  let fiscal = 0;
  for (const [code, period] of periods.entries()) {
    const count = counts.byText[code] ?? 0;
    if (period === undefined || count === 0) continue;
    weights.set(period.grain, (weights.get(period.grain) ?? 0) + count);
    if (!period.hasYear) withoutYear += count;
    if (period.isFiscal === true) fiscal += count;
  }
  const grain =
    [...weights].sort((a, b) => b[1] - a[1] || grainOrder.indexOf(a[0]) - grainOrder.indexOf(b[0]))[0]?.[0] ?? "month";
  const hasYear = withoutYear === 0;
  return {
    type: "period",
    ofNumber: () => Number.NaN,
    ofTexts: Float64Array.from(periods, (period) =>
      period !== undefined && period.grain === grain && period.hasYear === hasYear ? period.start : Number.NaN,
    ),
    ofDate: () => Number.NaN,
    grain,
    hasYear,
    isFiscal: fiscal > 0,
    reason: {
      zh: `单元格是期间（${grainWords[grain].zh}${hasYear ? "" : "，没有年份"}）`,
      en: `its cells are periods (${grainWords[grain].en}${hasYear ? "" : ", without a year"})`,
    },
  };
}

export const grainWords: Record<Grain, Words> = {
  day: { zh: "日", en: "day" },
  week: { zh: "周", en: "week" },
  month: { zh: "月", en: "month" },
  quarter: { zh: "季度", en: "quarter" },
  half: { zh: "半年", en: "half-year" },
  year: { zh: "年", en: "year" },
};
