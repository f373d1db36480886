// The unit of a column and where it was found, in this order: set by the user, in the header, in the cells, in their number format, in
// a line above the table. And how percentages are written: 23.5 or 0.235.
import { countNames, ratioNames } from "./column-names.ts";
import type { Reading } from "./column-reading.ts";
import type { Tally } from "./column-tally.ts";
import type { ColumnSource } from "./columns.ts";
import { cellKind, type Grid } from "./grid.ts";
import { type ParsedNumber, tidy } from "./parse-number.ts";
import { conversion, parseUnit, percentUnit, plainUnit, type Unit } from "./unit.ts";
import type { Words } from "./words.ts";

interface UnitQuestion {
  name: string;
  headerUnit: Unit | undefined;
  reading: Reading;
  source: ColumnSource;
  formats: ReadonlyMap<string, number>;
  decisions: Words[];
}

export function unitOf({ name, headerUnit, reading, source, formats, decisions }: UnitQuestion): Unit {
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
  reading: Reading;
  source: ColumnSource;
  grid: Grid;
  counts: Tally;
  decisions: Words[];
}

/** 100 when the bare numbers of a percent column are written as 23.5 for 23.5 %, 1 when as 0.235. */
export function percentDivisor({ reading, source, grid, counts, decisions }: PercentQuestion): number {
  const data = grid.columns[source.sheetColumn];
  if ([...(data?.formats ?? [])].some(([format]) => format.includes("%"))) return 1;
  let largest = 0;
  for (const row of source.rows)
    if (data?.kinds[row] === cellKind.number) largest = Math.max(largest, Math.abs(data.values[row] ?? 0));
  for (const [code, parsed] of (reading.numbers ?? []).entries())
    if (parsed !== undefined && parsed.unit === undefined && (counts.byText[code] ?? 0) > 0)
      largest = Math.max(largest, Math.abs(parsed.value));
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

/** What each text is worth in the column's unit: NaN for one in a unit that cannot be turned into it (another currency). */
export function textsInUnit(
  numbers: readonly (ParsedNumber | undefined)[],
  { unit, divisor, counts, decisions }: { unit: Unit; divisor: number; counts: Tally; decisions: Words[] },
): Float64Array {
  const others = new Set<string>();
  const values = Float64Array.from(numbers, (parsed, code) => {
    if (parsed === undefined) return Number.NaN;
    const value = parsed.unit === undefined ? parsed.value / divisor : inUnit(parsed, parsed.unit, unit);
    if ((counts.byText[code] ?? 0) > 0 && parsed.unit !== undefined && parsed.unit.symbol !== unit.symbol)
      others.add(parsed.unit.symbol);
    return value;
  });
  others.delete("");
  if (others.size > 0 && unit.symbol !== "")
    decisions.push({
      zh: `单元格里还写了别的单位（${[...others].join("、")}）：同类的换算成“${unit.symbol}”，不能换算的不计入`,
      en: `some cells are in other units (${[...others].join(", ")}): what can be is converted to "${unit.symbol}", the rest is left out`,
    });
  return values;
}

function inUnit({ value, hasMagnitude }: ParsedNumber, written: Unit, wanted: Unit): number {
  if (wanted.kind === "percent" || written.kind === "percent") return written.kind === wanted.kind ? value : Number.NaN;
  // Under a header in 万元, "1.2万" is 1.2, but "¥300" only repeats the currency.
  const own = hasMagnitude === true ? tidy(value / wanted.scale) : value;
  if (written.base === wanted.base || written.base === "" || wanted.base === "") return own;
  const factor = conversion(written.base, wanted.base);
  return factor === undefined ? Number.NaN : tidy(value * factor);
}
