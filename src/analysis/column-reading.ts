// One way to read a column, chosen from its name and all its cells together: dates, periods, numbers, truth values, else text. Nine
// cells in ten must agree; the rest are listed as unreadable rather than dragged along.

import { idNames } from "./column-names.ts";
import { isMissingWord, mostCells, sumWhere, type Tally } from "./column-tally.ts";
import {
  dateOrder,
  dayOfNumber,
  holdsDayNumbers,
  isDayNumber,
  namedNumbers,
  periodReading,
  withTexts,
} from "./column-time.ts";
import type { ColumnSource } from "./columns.ts";
import { cellKind, isoDate } from "./grid.ts";
import { type DecimalMark, decimalMark, type ParsedNumber, parseNumber } from "./parse-number.ts";
import { type Grain, parseDate, parsePeriod } from "./parse-time.ts";
import type { ColumnType } from "./table.ts";
import type { Unit } from "./unit.ts";
import type { Words } from "./words.ts";

export interface Reading {
  type: ColumnType;
  /** The value of a numeric cell, NaN if the type cannot hold it. */
  ofNumber: (value: number) => number;
  /** The value of each text, by index. */
  ofTexts: Float64Array;
  ofDate: (days: number) => number;
  labels?: readonly string[];
  grain?: Grain;
  hasYear?: boolean;
  isFiscal?: boolean;
  /** The unit most of the cells write, if they write one. */
  unit?: Unit;
  /** Of a number: each text as it was parsed, by index. What it is worth in the column's unit is told by textsInUnit. */
  numbers?: readonly (ParsedNumber | undefined)[];
  reason: Words;
}

export function readColumn(
  name: string,
  texts: readonly string[],
  counts: Tally,
  values: Float64Array | undefined,
  kinds: Uint8Array | undefined,
  source: ColumnSource,
): Reading {
  const wanted = source.override.type;
  const asText = (reason: Words): Reading => textReading(texts, reason, { counts, values, kinds, source });
  if (wanted === "text") return asText({ zh: "按你的设定读作文字", en: "text, as you set it" });
  if (counts.filled === 0) return asText({ zh: "整列为空", en: "the column is empty" });

  const special =
    wanted === undefined || wanted === "period" || wanted === "date"
      ? namedNumbers(name, counts, values, kinds, source)
      : undefined;
  if (special !== undefined) return withTexts(special, texts);
  if (wanted === undefined && idNames.test(name))
    return asText({
      zh: `列名“${name}”是编号，不参与求和`,
      en: `"${name}" is an identifier by its name and is not added up`,
    });

  const mark = decimalMark(texts.filter((_, code) => (counts.byText[code] ?? 0) > 0));
  const numbers = texts.map((text) => parseNumber(text, mark));
  const numericTexts = sumWhere(counts, (code) => numbers[code] !== undefined);
  const order = dateOrder(texts, counts, source.override.dateOrder);
  const dates = Float64Array.from(texts, (text) => parseDate(text, order.order) ?? Number.NaN);
  const dateTexts = sumWhere(counts, (code) => !Number.isNaN(dates[code] ?? Number.NaN));
  const numeric = counts.number + numericTexts;

  const dated = counts.date + dateTexts;
  const isDate =
    (dated >= mostCells * counts.filled && dated >= numeric) ||
    (dated + counts.number >= mostCells * counts.filled &&
      dated >= strayDates * counts.filled &&
      holdsDayNumbers(values, kinds, source));
  if (wanted === "date" || (wanted === undefined && isDate))
    return dateReading(dates, { dated, dayNumbers: dated < mostCells * counts.filled ? counts.number : 0, order });
  const periods = texts.map((text) => parsePeriod(text));
  const periodTexts = sumWhere(counts, (code) => periods[code] !== undefined);
  if (wanted === "period" || (wanted === undefined && periodTexts >= mostCells * counts.filled))
    return periodReading(periods, counts);
  if (wanted === "number" || (wanted === undefined && numeric >= mostCells * counts.filled))
    return numberReading(numbers, counts, { numericTexts, mark });
  if (counts.boolean >= mostCells * counts.filled || wanted === "boolean") {
    return {
      type: "boolean",
      ofNumber: () => Number.NaN,
      ofTexts: new Float64Array(texts.length).fill(Number.NaN),
      ofDate: () => Number.NaN,
      labels: ["FALSE", "TRUE"],
      reason: { zh: "真假值", en: "true or false" },
    };
  }
  const percent = Math.round((100 * numeric) / counts.filled);
  return asText(
    percent >= 30
      ? {
          zh: `只有 ${percent}% 的单元格能读作数字，按文字处理`,
          en: `only ${percent}% of its cells read as numbers, so it is text`,
        }
      : { zh: "单元格是文字", en: "its cells are text" },
  );
}

/** So many dates among day numbers show what the numbers are. */
const strayDates = 0.1;

function dateReading(
  dates: Float64Array,
  { dated, dayNumbers, order }: { dated: number; dayNumbers: number; order: ReturnType<typeof dateOrder> },
): Reading {
  const also =
    dayNumbers === 0
      ? { zh: "", en: "" }
      : { zh: `，${dayNumbers} 个是 Excel 的日期序号`, en: `, ${dayNumbers} are Excel day numbers` };
  return {
    type: "date",
    ofNumber: (value) => (isDayNumber(value) ? dayOfNumber(value) : Number.NaN),
    ofTexts: dates,
    ofDate: (days) => Math.floor(days),
    grain: "day",
    hasYear: true,
    reason: {
      zh: `${dated} 个单元格是日期${order.words.zh}${also.zh}`,
      en: `${dated} cells read as dates${order.words.en}${also.en}`,
    },
  };
}

function numberReading(
  numbers: readonly (ParsedNumber | undefined)[],
  counts: Tally,
  { numericTexts, mark }: { numericTexts: number; mark: DecimalMark },
): Reading {
  const units = new Map<string, { unit: Unit; count: number }>();
  for (const [code, parsed] of numbers.entries()) {
    const count = counts.byText[code] ?? 0;
    if (parsed?.unit === undefined || count === 0) continue;
    const key = parsed.unit.base || parsed.unit.symbol;
    units.set(key, { unit: parsed.unit, count: (units.get(key)?.count ?? 0) + count });
  }
  const [first] = [...units.values()].sort((a, b) => b.count - a.count);
  // A few percentages among amounts do not make the amounts percentages.
  const isMinority = first?.unit.kind === "percent" && first.count < 0.5 * (counts.number + numericTexts);
  const commonest = isMinority ? undefined : first;
  const comma = mark === "," ? { zh: "，逗号是小数点", en: ", the comma parting the fraction" } : { zh: "", en: "" };
  const reason =
    numericTexts > 0
      ? {
          zh: `${numericTexts} 个单元格的数字存成了文字，已读作数字${comma.zh}`,
          en: `${numericTexts} cells hold numbers as text and were read as numbers${comma.en}`,
        }
      : { zh: "单元格是数字", en: "its cells are numbers" };
  return {
    type: "number",
    ofNumber: (value) => value,
    ofTexts: Float64Array.from(numbers, (parsed) => parsed?.value ?? Number.NaN),
    ofDate: () => Number.NaN,
    numbers,
    ...(commonest === undefined ? {} : { unit: commonest.unit }),
    reason,
  };
}

/** Text cells keep their text; numbers and dates among them become text as shown. */
function textReading(
  texts: readonly string[],
  reason: Words,
  {
    counts,
    values,
    kinds,
    source,
  }: { counts: Tally; values: Float64Array | undefined; kinds: Uint8Array | undefined; source: ColumnSource },
): Reading {
  const isPlain = texts.every((text) => !/\s/.test(text) || text === text.replace(/\s+/g, " ").trim());
  if (isPlain && counts.number === 0 && counts.date === 0 && counts.error === 0) {
    // The sheet's own texts are the labels: nothing to merge, so no second dictionary of perhaps a million texts.
    const used: string[] = [];
    const ofTexts = Float64Array.from(texts, (text, code) =>
      (counts.byText[code] ?? 0) === 0 || isMissingWord(text) ? Number.NaN : used.push(text) - 1,
    );
    return { type: "text", ofNumber: () => Number.NaN, ofTexts, ofDate: () => Number.NaN, labels: used, reason };
  }
  const labels: string[] = [];
  const codes = new Map<string, number>();
  const codeOf = (label: string): number => {
    const known = codes.get(label);
    if (known !== undefined) return known;
    codes.set(label, labels.length);
    labels.push(label);
    return labels.length - 1;
  };
  const used = new Uint8Array(texts.length);
  for (const sheetRow of source.rows) {
    const row = source.filledFrom.get(sheetRow) ?? sheetRow;
    if (kinds?.[row] === cellKind.text) used[values?.[row] ?? 0] = 1;
  }
  const ofTexts = Float64Array.from(texts, (text, code) => {
    const clean = text.replace(/\s+/g, " ").trim();
    return used[code] === 0 || isMissingWord(clean) ? Number.NaN : codeOf(clean);
  });
  return {
    type: "text",
    ofNumber: (value) => codeOf(String(value)),
    ofTexts,
    ofDate: (days) => codeOf(isoDate(days)),
    labels,
    reason,
  };
}
