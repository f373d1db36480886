// What a column is made of, decided from its header and all its cells together, each decision with its reason. Callers may overrule
// any of it by a ColumnOverride. Texts are parsed once each, not once a cell: a column of 100,000 cells has few distinct texts.
import { addressOf, cellKind, type Grid, isoDate } from "./grid.ts";
import {
  type DateOrder,
  dateOrderHint,
  daysOf,
  type Grain,
  narrow,
  type ParsedNumber,
  type ParsedPeriod,
  parseDate,
  parseNumber,
  parsePeriod,
} from "./parse-value.ts";
import type { CellProblem, Column, ColumnRole, ColumnType } from "./table.ts";
import { parseUnit, percentUnit, plainUnit, splitHeaderUnit, type Unit } from "./unit.ts";
import type { Words } from "./words.ts";

export interface ColumnOverride {
  type?: ColumnType;
  role?: ColumnRole;
  /** "万元", "%", "kg"; "" takes the unit away. */
  unit?: string;
  dateOrder?: "mdy" | "dmy";
}

export interface ColumnSource {
  id: string;
  header: string;
  sheetColumn: number;
  /** 0-based sheet rows of the records. */
  rows: Int32Array;
  /** Sheet row to take a blank cell's value from (merged cells), by sheet row. */
  filledFrom: ReadonlyMap<number, number>;
  /** From a "单位：万元" line above the table. */
  tableUnit: Unit | undefined;
  override: ColumnOverride;
}

const missingWords = /^(-+|—+|–+|\/|\.+|n\/?a|null|none|nil|nan|无|暂无|缺|空|未知|不详|待定|tbd|#n\/a)$/i;
/** Missing words are short; long texts need no look. */
function isMissingWord(text: string): boolean {
  return text.length <= 8 && missingWords.test(narrow(text));
}

const idNames =
  /编号|单号|号码|电话|手机号|邮编|身份证|账号|帐号|工号|条码|编码|序号|学号|货号|^(id|no\.?|sku|code|phone|zip|key)$|[_\s-](id|no\.?|code|number|sku)$|\b(order|invoice|customer|product) ?(id|no|code|number)\b/i;
const ratioNames =
  /率|占比|比例|比重|单价|均价|价格|客单价|折扣|评分|得分|年龄|温度|毛利率|平均|人均|周转天数|\b(price|rate|ratio|margin|average|avg|mean|score|rating|age|discount|percent|percentage|share|temperature)\b|%/i;
const planNames = /计划|目标|预算|\b(plan|planned|target|budget|goal)\b/i;
const countNames =
  /销量|数量|件数|台数|人数|订单量|订单数|客流|次数|户数|\b(quantity|qty|units|count|orders|visits|users)\b/i;
const share = 0.9;

interface Tally {
  blank: number;
  missing: number;
  number: number;
  date: number;
  boolean: number;
  error: number;
  text: number;
  /** Count of each text, by its index. */
  byText: Int32Array;
  filled: number;
}

function tally(grid: Grid, source: ColumnSource): Tally {
  const column = grid.columns[source.sheetColumn];
  const result: Tally = {
    blank: 0,
    missing: 0,
    number: 0,
    date: 0,
    boolean: 0,
    error: 0,
    text: 0,
    byText: new Int32Array(column?.texts.length ?? 0),
    filled: 0,
  };
  for (const sheetRow of source.rows) {
    const row = source.filledFrom.get(sheetRow) ?? sheetRow;
    const kind = column?.kinds[row] ?? cellKind.blank;
    if (kind === cellKind.blank) result.blank++;
    else if (kind === cellKind.number) result.number++;
    else if (kind === cellKind.date) result.date++;
    else if (kind === cellKind.boolean) result.boolean++;
    else {
      if (kind === cellKind.error) result.error++;
      else result.text++;
      const code = column?.values[row] ?? 0;
      result.byText[code] = (result.byText[code] ?? 0) + 1;
    }
  }
  for (const [code, count] of result.byText.entries()) {
    if (count > 0 && isMissingWord(column?.texts[code] ?? "")) {
      result.missing += count;
      result.text -= count;
    }
  }
  result.filled = result.number + result.date + result.boolean + result.text;
  return result;
}

interface Reading {
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
  unit?: Unit;
  reason: Words;
}

/** Types one column of a sheet. */
export function typeColumn(grid: Grid, source: ColumnSource): Column {
  const data = grid.columns[source.sheetColumn];
  const texts = data?.texts ?? [];
  const counts = tally(grid, source);
  const { name, unit: headerUnit } = splitHeaderUnit(source.header);
  const decisions: Words[] = [];
  const reading = read(name, texts, counts, data?.values, data?.kinds, source);
  decisions.push(reading.reason);

  const unit =
    reading.type === "number"
      ? unitOf({ name, headerUnit, reading, source, formats: data?.formats ?? new Map(), decisions })
      : plainUnit;
  const divisor =
    reading.type === "number" && unit.kind === "percent"
      ? percentDivisor({ headerUnit, reading, source, grid, decisions, override: source.override.unit })
      : 1;

  const values = new Float64Array(source.rows.length).fill(Number.NaN);
  const unreadable: CellProblem[] = [];
  let unreadableCount = 0;
  let missingCount = 0;
  let zeroOrOne = 0;
  for (const [record, sheetRow] of source.rows.entries()) {
    const row = source.filledFrom.get(sheetRow) ?? sheetRow;
    const kind = data?.kinds[row] ?? cellKind.blank;
    const raw = data?.values[row] ?? 0;
    let value = Number.NaN;
    if (kind === cellKind.number) value = reading.ofNumber(raw) / (reading.type === "number" ? divisor : 1);
    else if (kind === cellKind.date) value = reading.ofDate(raw);
    else if (kind === cellKind.boolean) value = reading.type === "boolean" ? raw : reading.ofNumber(raw);
    else if (kind === cellKind.text) value = reading.ofTexts[raw] ?? Number.NaN;
    values[record] = value;
    if (!Number.isNaN(value)) zeroOrOne++;
    else {
      missingCount++;
      const text = kind === cellKind.text || kind === cellKind.error ? (texts[raw] ?? "") : String(raw);
      if (kind === cellKind.blank || (kind === cellKind.text && isMissingWord(text))) continue;
      unreadableCount++;
      if (unreadable.length < 20)
        unreadable.push({
          address: addressOf(grid, row, source.sheetColumn),
          text: kind === cellKind.date ? isoDate(raw) : text,
        });
    }
  }
  const labels = reading.labels ?? [];
  return {
    id: source.id,
    name,
    header: source.header,
    type: reading.type,
    role:
      source.override.role ??
      roleOf(name, reading.type, { unit, distinct: labels.length, filled: zeroOrOne, decisions }),
    unit,
    ...(reading.grain === undefined ? {} : { grain: reading.grain }),
    ...(reading.hasYear === undefined ? {} : { hasYear: reading.hasYear }),
    ...(reading.isFiscal === true ? { isFiscal: true } : {}),
    isPlan: reading.type === "number" && planNames.test(name),
    isHidden: grid.hiddenColumns.has(source.sheetColumn),
    values,
    labels,
    sheetColumn: source.sheetColumn,
    missingCount,
    decisions,
    unreadable,
    unreadableCount,
  };
}

function read(
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

  const numbers = texts.map((text) => parseNumber(text));
  const numericTexts = sumWhere(counts, (code) => numbers[code] !== undefined);
  const order = dateOrder(texts, counts, source.override.dateOrder);
  const dates = Float64Array.from(texts, (text) => parseDate(text, order.order) ?? Number.NaN);
  const dateTexts = sumWhere(counts, (code) => !Number.isNaN(dates[code] ?? Number.NaN));
  const numeric = counts.number + numericTexts;

  if (
    wanted === "date" ||
    (wanted === undefined && counts.date + dateTexts >= share * counts.filled && counts.date + dateTexts >= numeric)
  ) {
    const reason =
      dateTexts > 0
        ? {
            zh: `${counts.date + dateTexts} 个单元格是日期${order.words.zh}`,
            en: `${counts.date + dateTexts} cells read as dates${order.words.en}`,
          }
        : { zh: `${counts.date} 个单元格是日期`, en: `${counts.date} cells are dates` };
    return {
      type: "date",
      ofNumber: () => Number.NaN,
      ofTexts: dates,
      ofDate: (days) => Math.floor(days),
      grain: "day",
      hasYear: true,
      reason,
    };
  }
  const periods = texts.map((text) => parsePeriod(text));
  const periodTexts = sumWhere(counts, (code) => periods[code] !== undefined);
  if (wanted === "period" || (wanted === undefined && periodTexts >= share * counts.filled))
    return periodReading(periods, counts);
  if (wanted === "number" || (wanted === undefined && numeric >= share * counts.filled))
    return numberReading(numbers, counts, numericTexts);
  if (counts.boolean >= share * counts.filled || wanted === "boolean") {
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

function sumWhere(counts: Tally, isWanted: (code: number) => boolean): number {
  let sum = 0;
  for (const [code, count] of counts.byText.entries()) if (count > 0 && isWanted(code)) sum += count;
  return sum;
}

/** Numbers that are years, months, quarters or days by the column's name: 2025, 7, 202507, 20250703, and Excel day numbers. */
function namedNumbers(
  name: string,
  counts: Tally,
  values: Float64Array | undefined,
  kinds: Uint8Array | undefined,
  source: ColumnSource,
): Omit<Reading, "ofTexts"> | undefined {
  if (counts.number < share * counts.filled || counts.number === 0) return undefined;
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
  const isTimeName = /日期|时间|年月|月份|期间|账期|^日$|\b(date|day|month|period|time)\b/i.test(name);
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
  if (fits((value) => value >= 20_000 && value <= 80_000)) {
    return {
      type: "date",
      ofNumber: (value) => Math.floor(value) - 25_569,
      ofDate: (days) => Math.floor(days),
      grain: "day",
      hasYear: true,
      reason: { zh: "列名是日期，数字是 Excel 的日期序号", en: "named as a date; the numbers are Excel day numbers" },
    };
  }
  return undefined;
}

function withTexts(reading: Omit<Reading, "ofTexts">, texts: readonly string[]): Reading {
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

function dateOrder(
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
    (text, code) => (counts.byText[code] ?? 0) > 0 && /^\d{1,2}[/\-.]\d{1,2}[/\-.]\d{2,4}/.test(narrow(text)),
  );
  return {
    order: "mdy",
    words: isAmbiguous
      ? { zh: "（日月顺序不明，按月在前读）", en: " (day and month could be either way; read month first)" }
      : none,
  };
}

const grainOrder: readonly Grain[] = ["day", "week", "month", "quarter", "half", "year"];

function periodReading(periods: readonly (ParsedPeriod | undefined)[], counts: Tally): Reading {
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

function numberReading(numbers: readonly (ParsedNumber | undefined)[], counts: Tally, numericTexts: number): Reading {
  const units = new Map<string, { unit: Unit; count: number }>();
  for (const [code, parsed] of numbers.entries()) {
    const count = counts.byText[code] ?? 0;
    if (parsed?.unit === undefined || count === 0) continue;
    const key = parsed.unit.base || parsed.unit.symbol;
    units.set(key, { unit: parsed.unit, count: (units.get(key)?.count ?? 0) + count });
  }
  const commonest = [...units.values()].sort((a, b) => b.count - a.count)[0];
  const reason =
    numericTexts > 0
      ? {
          zh: `${numericTexts} 个单元格的数字存成了文字，已读作数字`,
          en: `${numericTexts} cells hold numbers as text and were read as numbers`,
        }
      : { zh: "单元格是数字", en: "its cells are numbers" };
  return {
    type: "number",
    ofNumber: (value) => value,
    ofTexts: Float64Array.from(numbers, (parsed) => parsed?.value ?? Number.NaN),
    ofDate: () => Number.NaN,
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

interface UnitQuestion {
  name: string;
  headerUnit: Unit | undefined;
  reading: Reading;
  source: ColumnSource;
  formats: ReadonlyMap<string, number>;
  decisions: Words[];
}

function unitOf({ name, headerUnit, reading, source, formats, decisions }: UnitQuestion): Unit {
  if (source.override.unit !== undefined) {
    decisions.push({ zh: "单位由你设定", en: "unit as you set it" });
    return parseUnit(source.override.unit) ?? { ...plainUnit, symbol: source.override.unit };
  }
  if (headerUnit !== undefined) {
    decisions.push({
      zh: `单位“${headerUnit.symbol}”写在列名里`,
      en: `unit "${headerUnit.symbol}" stands in the header`,
    });
    return headerUnit;
  }
  if (reading.unit !== undefined) {
    decisions.push({
      zh: `单位“${reading.unit.symbol || "无"}”写在单元格里`,
      en: `unit "${reading.unit.symbol || "none"}" stands in the cells`,
    });
    return reading.unit;
  }
  const format = [...formats].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "";
  if (format.includes("%")) {
    decisions.push({ zh: "单元格格式是百分比", en: "the cells are formatted as percent" });
    return percentUnit;
  }
  const sign = /[¥￥€£]|\[\$([¥￥$€£])|"([元¥￥$€£])"|(?<!\[)\$(?!-)/
    .exec(format)?.[0]
    ?.replace(/[[\]"$]*([¥￥€£元$])[\]"]*/, "$1");
  const currency = sign === undefined ? undefined : parseUnit(sign);
  if (currency !== undefined) {
    decisions.push({
      zh: `单元格格式是货币（${currency.base}）`,
      en: `the cells are formatted as currency (${currency.base})`,
    });
    return currency;
  }
  if (source.tableUnit !== undefined && !ratioNames.test(name) && !countNames.test(name)) {
    decisions.push({
      zh: `单位“${source.tableUnit.symbol}”写在表格上方`,
      en: `unit "${source.tableUnit.symbol}" stands above the table`,
    });
    return source.tableUnit;
  }
  return plainUnit;
}

interface PercentQuestion {
  headerUnit: Unit | undefined;
  reading: Reading;
  source: ColumnSource;
  grid: Grid;
  decisions: Words[];
  override: string | undefined;
}

/** 100 when the numeric cells of a percent column are written as 23.5 for 23.5 %, 1 when as 0.235. */
function percentDivisor({ headerUnit, source, grid, decisions, override }: PercentQuestion): number {
  const data = grid.columns[source.sheetColumn];
  if (headerUnit?.kind !== "percent" && override === undefined) return 1;
  if ([...(data?.formats ?? [])].some(([format]) => format.includes("%"))) return 1;
  let largest = 0;
  for (const row of source.rows)
    if (data?.kinds[row] === cellKind.number) largest = Math.max(largest, Math.abs(data.values[row] ?? 0));
  if (largest > 1.5) {
    decisions.push({ zh: "百分数写作 23.5 表示 23.5%", en: "percentages are written as 23.5 for 23.5%" });
    return 100;
  }
  if (largest > 0)
    decisions.push({
      zh: "数值都不超过 1.5，按小数（0.235 表示 23.5%）读",
      en: "no value exceeds 1.5, so 0.235 is read as 23.5%",
    });
  return 1;
}

function roleOf(
  name: string,
  type: ColumnType,
  { unit, distinct, filled, decisions }: { unit: Unit; distinct: number; filled: number; decisions: Words[] },
): ColumnRole {
  if (type === "date" || type === "period") return "time";
  if (type === "text" || type === "boolean")
    return idNames.test(name) || (distinct > 200 && distinct > 0.9 * filled) ? "id" : "dimension";
  if (idNames.test(name)) return "id";
  if (unit.kind === "percent" || ratioNames.test(name)) {
    decisions.push({
      zh: "是比率或价格，不能相加，默认取平均",
      en: "a rate or price: not added up, averaged by default",
    });
    return "ratio";
  }
  return "metric";
}
