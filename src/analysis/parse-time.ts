// Text as people type it into cells, read as a date or a period. Each reader returns undefined rather than a guess; what a column is
// made of is decided in column-reading.ts from all its cells together.
import { narrow } from "./narrow.ts";

export type Grain = "day" | "week" | "month" | "quarter" | "half" | "year";

export interface ParsedPeriod {
  grain: Grain;
  /** First day, in days since 1970-01-01. Periods without a year (7月, Q3) are put into the year 2000: `hasYear` is false. */
  start: number;
  hasYear: boolean;
  isFiscal?: boolean;
}

export function daysOf(year: number, month: number, day: number): number | undefined {
  const date = Date.UTC(year, month - 1, day);
  const back = new Date(date);
  if (back.getUTCMonth() !== month - 1 || back.getUTCDate() !== day) return undefined;
  return Math.round(date / 86_400_000);
}

export type DateOrder = "ymd" | "mdy" | "dmy";

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

function monthOf(word: string): number {
  return monthNames.indexOf(word.slice(0, 3).toLowerCase()) + 1;
}

/** A day: 2025-07-03, 2025/7/3, 2025.7.3, 2025年7月3日, 20250703, 3 Jul 2025, Jul 3, 2025, and 7/3/2025 in the order given. */
export function parseDate(text: string, order: DateOrder = "mdy"): number | undefined {
  const given = narrow(text);
  if (given.length < 6 || given.length > 40) return undefined;
  const range = /^(.{6,20}?)\s*(?:~|～|至|–|—|\sto\s|\s-\s)\s*(.{6,20})$/i.exec(given);
  if (range) {
    // "2025-07-01 ~ 2025-07-07": a stretch of days is told by its first.
    const first = parseDate(range[1] ?? "", order);
    return parseDate(range[2] ?? "", order) === undefined ? undefined : first;
  }
  const clean = given
    .replace(/[T\s]+\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(am|pm|z|[+-]\d{2}:?\d{2})?$/i, "")
    .replace(/\s*(星期|周)[一二三四五六日天]$/, "");
  const iso = /^(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?$/.exec(clean);
  if (iso) return inRange(Number(iso[1]), Number(iso[2]), Number(iso[3]));
  const compact = /^((?:19|20)\d{2})(\d{2})(\d{2})$/.exec(clean);
  if (compact) return inRange(Number(compact[1]), Number(compact[2]), Number(compact[3]));
  const parts = /^(\d{1,2})([/\-.])(\d{1,2})\2(\d{4}|\d{2})$/.exec(clean);
  if (parts) {
    const [first, second] = [Number(parts[1]), Number(parts[3])];
    const year = Number(parts[4]) + ((parts[4] ?? "").length === 2 ? 2000 : 0);
    // Where points part a date the day stands first (03.07.2025); nobody writes the month first with points.
    return order === "dmy" || parts[2] === "." ? inRange(year, second, first) : inRange(year, first, second);
  }
  const dayFirst = /^(\d{1,2})(?:st|nd|rd|th)?[\s-]+([A-Za-z]{3,9})\.?,?[\s-]+(\d{4})$/.exec(clean);
  if (dayFirst) return inRange(Number(dayFirst[3]), monthOf(dayFirst[2] ?? ""), Number(dayFirst[1]));
  const monthFirst = /^([A-Za-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})$/.exec(clean);
  if (monthFirst) return inRange(Number(monthFirst[3]), monthOf(monthFirst[1] ?? ""), Number(monthFirst[2]));
  return undefined;
}

function inRange(year: number, month: number, day: number): number | undefined {
  if (year < 1900 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31) return undefined;
  return daysOf(year, month, day);
}

/** Whether 3/4/2025-like text settles the order of day and month: a first part above 12 means day first, a second month first. */
export function dateOrderHint(text: string): DateOrder | undefined {
  const parts = /^(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})(?:\s|$)/.exec(narrow(text));
  if (!parts) return undefined;
  if (Number(parts[1]) > 12) return "dmy";
  return Number(parts[2]) > 12 ? "mdy" : undefined;
}

const chineseDigits = "〇一二三四五六七八九十";

function smallChinese(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const ten = /^(.)?十(.)?$/.exec(text);
  if (ten) return (ten[1] ? chineseDigits.indexOf(ten[1]) : 1) * 10 + (ten[2] ? chineseDigits.indexOf(ten[2]) : 0);
  const at = chineseDigits.indexOf(text);
  return at > 0 ? at : undefined;
}

const fullYear = (text: string): number => {
  const year = Number(text);
  return text.length === 2 ? 2000 + year : year;
};

/** A period: 2025年, FY24, 2025Q3, 2025年第三季度, Q3, 上半年, 2025H1, 2025-07, 2025年7月, 7月, Jul 2025, July, 2025W27. */
export function parsePeriod(text: string): ParsedPeriod | undefined {
  const given = narrow(text).replace(/\s+/g, "");
  if (given === "" || given.length > 16) return undefined;
  const make = (grain: Grain, year: number | undefined, month: number, isFiscal = false): ParsedPeriod | undefined => {
    if (month < 1 || month > 12 || (year !== undefined && (year < 1900 || year > 2200))) return undefined;
    const start = daysOf(year ?? 2000, month, 1);
    if (start === undefined) return undefined;
    return { grain, start, hasYear: year !== undefined, ...(isFiscal ? { isFiscal } : {}) };
  };
  const yearMatch = /^((?:19|20)\d{2})(年度?|财年)?$/.exec(given);
  if (yearMatch?.[2]) return make("year", Number(yearMatch[1]), 1, yearMatch[2] === "财年");
  const fiscal = /^FY'?(\d{2}|\d{4})$/i.exec(given);
  if (fiscal) return make("year", fullYear(fiscal[1] ?? ""), 1, true);
  const quarter = /^(?:(FY)?'?((?:19|20)?\d{2})年?[-/.]?)?第?(?:Q([1-4])|([一二三四1-4])季度?)$/i.exec(given);
  if (quarter) {
    const index = Number(quarter[3] ?? smallChinese(quarter[4] ?? "") ?? 0);
    return make("quarter", quarter[2] ? fullYear(quarter[2]) : undefined, index * 3 - 2, quarter[1] !== undefined);
  }
  const quarterFirst = /^Q([1-4])[-/.']?((?:19|20)?\d{2})$/i.exec(given) ?? /^([1-4])Q((?:19|20)?\d{2})$/i.exec(given);
  if (quarterFirst) return make("quarter", fullYear(quarterFirst[2] ?? ""), Number(quarterFirst[1]) * 3 - 2);
  const half = /^(?:((?:19|20)\d{2})年?[-/.]?)?(?:H([12])|([上下])半年)$/i.exec(given);
  if (half) return make("half", half[1] ? Number(half[1]) : undefined, half[2] === "2" || half[3] === "下" ? 7 : 1);
  const month = /^((?:19|20)\d{2})(?:年|[-/.])?(0[1-9]|1[0-2]|[1-9])月?份?$/.exec(given);
  if (month && /[年\-/.月]|^\d{6}$/.test(given)) return make("month", Number(month[1]), Number(month[2]));
  const shortYear = /^(\d{2})年(0?[1-9]|1[0-2])月$/.exec(given);
  if (shortYear) return make("month", fullYear(shortYear[1] ?? ""), Number(shortYear[2]));
  const monthOnly = /^([〇一二三四五六七八九十]{1,3}|\d{1,2})月份?$/.exec(given);
  if (monthOnly) return make("month", undefined, smallChinese(monthOnly[1] ?? "") ?? 0);
  const named = /^([A-Za-z]{3,9})[-.']?((?:19|20)\d{2}|\d{2})?$/.exec(given);
  if (
    named &&
    /^(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?)$/i.test(
      named[1] ?? "",
    )
  ) {
    return make("month", named[2] ? fullYear(named[2]) : undefined, monthOf(named[1] ?? ""));
  }
  const week = /^((?:19|20)\d{2})年?[-]?(?:W|第)(\d{1,2})周?$/i.exec(given);
  if (week) {
    const index = Number(week[2]);
    if (index < 1 || index > 53) return undefined;
    return { grain: "week", start: isoWeekStart(Number(week[1]), index), hasYear: true };
  }
  return undefined;
}

/** Monday of an ISO week. */
export function isoWeekStart(year: number, week: number): number {
  const fourth = Math.round(Date.UTC(year, 0, 4) / 86_400_000); // 4 January is always in week 1
  return fourth - weekday(fourth) + (week - 1) * 7;
}

/** 0 Monday .. 6 Sunday. */
export function weekday(days: number): number {
  return (((days + 3) % 7) + 7) % 7;
}
