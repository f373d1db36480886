// Periods: bucketing days into them, stepping back, and their names in both languages.

import { type Grain, isoWeekStart, weekday } from "./parse-time.ts";
import type { Column, Table } from "./table.ts";
import type { Language } from "./words.ts";

const monthsEnglish = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const quartersChinese = ["一", "二", "三", "四"];

interface Parts {
  year: number;
  /** 0..11 */
  month: number;
  day: number;
}

function partsOf(days: number): Parts {
  const date = new Date(days * 86_400_000);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth(), day: date.getUTCDate() };
}

const fromParts = (year: number, month: number, day = 1): number => Math.round(Date.UTC(year, month, day) / 86_400_000);

const monthsIn: Record<"month" | "quarter" | "half" | "year", number> = { month: 1, quarter: 3, half: 6, year: 12 };

/** First day of the period that holds `days`. */
export function startOf(days: number, grain: Grain): number {
  if (grain === "day") return Math.floor(days);
  if (grain === "week") return Math.floor(days) - weekday(Math.floor(days));
  const { year, month } = partsOf(days);
  const step = monthsIn[grain];
  return fromParts(year, month - (month % step));
}

/** First day of the period `count` periods later (earlier if negative). */
export function shifted(start: number, grain: Grain, count: number): number {
  if (grain === "day") return start + count;
  if (grain === "week") return start + 7 * count;
  const { year, month } = partsOf(start);
  return fromParts(year, month + monthsIn[grain] * count);
}

/** The same period a year before. A week maps to the week of the same number. */
export function yearBefore(start: number, grain: Grain): number {
  if (grain === "week") {
    const { year } = partsOf(start + 3);
    const index = Math.round((start - isoWeekStart(year, 1)) / 7) + 1;
    return isoWeekStart(year - 1, index);
  }
  const { year, month, day } = partsOf(start);
  return fromParts(year - 1, month, day);
}

/** SQL for the first day of the period of a column of days. */
export function periodSql(columnId: string, grain: Grain): string {
  if (grain === "day") return columnId;
  const date = `(DATE '1970-01-01' + ${columnId})`;
  if (grain === "half")
    return `(make_date(year(${date})::BIGINT, CASE WHEN month(${date}) <= 6 THEN 1 ELSE 7 END, 1) - DATE '1970-01-01')::INTEGER`;
  return `(date_trunc('${grain}', ${date})::DATE - DATE '1970-01-01')::INTEGER`;
}

export interface PeriodStyle {
  grain: Grain;
  hasYear: boolean;
  isFiscal?: boolean;
}

/** "2025年第三季度", "Q3 2025", "7月", "FY2024". */
export function periodName(
  start: number,
  { grain, hasYear, isFiscal = false }: PeriodStyle,
  language: Language,
): string {
  const { year, month, day } = partsOf(start);
  const zh = language === "zh";
  if (grain === "day") return zh ? `${year}年${month + 1}月${day}日` : `${monthsEnglish[month]} ${day}, ${year}`;
  if (grain === "week")
    return zh ? `${year}年${month + 1}月${day}日起的一周` : `the week of ${monthsEnglish[month]} ${day}, ${year}`;
  if (grain === "year") return isFiscal ? `FY${year}` : zh ? `${year}年` : String(year);
  const inYear = {
    month: zh ? `${month + 1}月` : (monthsEnglish[month] ?? ""),
    quarter: zh ? `第${quartersChinese[Math.floor(month / 3)]}季度` : `Q${Math.floor(month / 3) + 1}`,
    half: zh ? (month < 6 ? "上半年" : "下半年") : month < 6 ? "H1" : "H2",
  }[grain];
  if (!hasYear) return inYear;
  return zh ? `${year}年${inYear}` : `${inYear} ${isFiscal ? "FY" : ""}${year}`;
}

/** Short form for axes: "2025-07", "2025Q3". */
export function periodTick(start: number, { grain, hasYear, isFiscal = false }: PeriodStyle): string {
  const { year, month } = partsOf(start);
  const prefix = hasYear ? String(year) : "";
  if (grain === "year") return `${isFiscal ? "FY" : ""}${year}`;
  if (grain === "quarter") return `${prefix}Q${Math.floor(month / 3) + 1}`;
  if (grain === "half") return `${prefix}H${month < 6 ? 1 : 2}`;
  if (grain === "month") return hasYear ? `${year}-${String(month + 1).padStart(2, "0")}` : `${month + 1}月`;
  return new Date(start * 86_400_000).toISOString().slice(0, 10);
}

/** The column that tells time: the finest with a year, if any. */
export function timeColumn(table: Table): Column | undefined {
  const times = table.columns.filter((column) => column.role === "time" && column.missingCount < table.recordCount);
  const rank = (column: Column): number =>
    (column.hasYear === false ? 100 : 0) +
    ["day", "week", "month", "quarter", "half", "year"].indexOf(column.grain ?? "day");
  return times.sort((a, b) => rank(a) - rank(b))[0];
}

/** Distinct period starts of a column, in order. */
export function periodsOf(column: Column, grain: Grain): number[] {
  const starts = new Set<number>();
  const seen = new Set<number>();
  for (const value of column.values) {
    if (Number.isNaN(value) || seen.has(value)) continue;
    seen.add(value);
    starts.add(startOf(value, grain));
  }
  return [...starts].sort((a, b) => a - b);
}
