// What every fact is written with: numbers in the metric's unit together with their role, the words for the subject, and the formula.
import type { Citations, CitedCells } from "./cells.ts";
import type { FactNumber, Role } from "./facts.ts";
import { formatNumber, formatPercent, formatQuantity, roundTo } from "./format-number.ts";
import type { Plan } from "./plan.ts";
import { comparedPeriods, filterWords, metricWords } from "./plan-in-words.ts";
import { columnNamed, type Table } from "./table.ts";
import { percentUnit, plainUnit, type Unit } from "./unit.ts";
import { type Language, listed } from "./words.ts";

/** A fact before it has its number and, unless it names its own, its cells. */
export interface Draft {
  subject?: string;
  sentence: string;
  numbers: FactNumber[];
  formula: string;
  cells?: CitedCells;
  periods?: readonly number[];
}

export interface FactContext {
  plan: Plan;
  table: Table;
  writer: FactWriter;
  cite: Citations;
}

/** Writes numbers in the metric's unit and keeps them with their role. */
export class FactWriter {
  readonly language: Language;
  readonly unit: Unit;

  constructor(plan: Plan, table: Table, language: Language) {
    this.language = language;
    this.unit = unitOfPlan(plan, table, language);
  }

  quantity(role: Role, value: number, isSigned = false): FactNumber {
    // The difference of two percentages is in percentage points, not in percent.
    if (this.unit.kind === "percent" && (role === "change" || role === "part")) {
      const decimals = roundTo(value * 100, 1) % 1 === 0 ? 0 : 1;
      const points = formatNumber(value, { unit: "points", decimals, isSigned });
      return {
        role,
        value,
        unit: { ...percentUnit, symbol: "pp" },
        text: this.language === "zh" ? `${points}个百分点` : `${points} percentage points`,
      };
    }
    return { role, value, unit: this.unit, text: formatQuantity(value, this.unit, this.language, isSigned) };
  }

  /** How far a value moved: as a rate, or in percentage points where the values are percentages themselves. */
  move(from: number, to: number, rate: number | undefined): FactNumber | undefined {
    if (this.unit.kind === "percent") return this.quantity("change", to - from, true);
    return rate === undefined ? undefined : this.percent("rate", rate, true);
  }

  percent(role: Role, value: number, isSigned = false): FactNumber {
    return { role, value, unit: percentUnit, text: formatPercent(value, isSigned) };
  }

  count(value: number): FactNumber {
    return { role: "count", value, unit: plainUnit, text: formatNumber(value) };
  }

  plain(role: Role, value: number, decimals: number): FactNumber {
    return { role, value, unit: plainUnit, text: formatNumber(value, { decimals }) };
  }

  say(zh: string, en: string): string {
    return this.language === "zh" ? zh : en;
  }
}

export function unitOfPlan(plan: Plan, table: Table, language: Language): Unit {
  if (plan.aggregation === "count" || plan.aggregation === "distinct")
    return { symbol: language === "zh" ? "条" : "", kind: "count", scale: 1, base: "" };
  return columnNamed(table, plan.metric)?.unit ?? plainUnit;
}

/** "华东手机" / "手机 in 华东": what the figures are about; "" for all data. */
export function scopeName(plan: Plan, language: Language): string {
  const values = plan.filters.flatMap((filter) =>
    "values" in filter && filter.is === "in" ? [listed(filter.values, language)] : [],
  );
  return language === "zh" ? values.join("") : values.join(", ");
}

export function otherLabel(language: Language, count: number): string {
  return language === "zh" ? `其他 ${count} 项` : `${count} others`;
}

/** "2025年第三季度，华东手机的销售额" / "sales of 手机 in 华东 in Q3 2025". */
export function subjectWords({ plan, table, writer }: FactContext): { lead: string; metric: string; where: string } {
  const { language } = writer;
  const { current } = comparedPeriods(plan, table, language);
  const scope = scopeName(plan, language);
  const limits = plan.filters
    .filter((filter) => "value" in filter || filter.is === "not_in")
    .map((filter) => filterWords(filter, language));
  const metric = metricWords(plan, language);
  const limited = limits.length === 0 ? "" : language === "zh" ? `（${limits.join("，")}）` : ` (${limits.join(", ")})`;
  return {
    lead: current === undefined ? "" : language === "zh" ? `${current}，` : `In ${current}, `,
    metric:
      language === "zh"
        ? `${scope === "" ? "" : `${scope}的`}${metric}${limited}`
        : `${metric}${scope === "" ? "" : ` of ${scope}`}${limited}`,
    where: plan.filters.map((filter) => filterWords(filter, language)).join(language === "zh" ? "，" : ", "),
  };
}

function aggregateName({ plan }: FactContext): string {
  const name = {
    sum: "SUM",
    average: "AVERAGE",
    count: "COUNT",
    distinct: "COUNT DISTINCT",
    min: "MIN",
    max: "MAX",
    median: "MEDIAN",
  }[plan.aggregation];
  return `${name}(${plan.metric === "*" ? "*" : plan.metric})`;
}

export function formulaOf(context: FactContext, member?: string): string {
  const { plan, writer } = context;
  const conditions = plan.filters.map((filter) => filterWords(filter, writer.language));
  const [outer] = plan.breakdown;
  if (member !== undefined && outer !== undefined) conditions.push(`${outer} = ${member}`);
  return conditions.length === 0
    ? aggregateName(context)
    : `${aggregateName(context)} ${writer.say("其中", "where")} ${conditions.join(writer.say("，", ", "))}`;
}

export const capital = (text: string): string => (text[0] ?? "").toUpperCase() + text.slice(1);

export function periodDays(plan: Plan, table: Table): number[] {
  const column = plan.period === undefined ? undefined : columnNamed(table, plan.period.column);
  if (plan.period?.start === undefined || column === undefined) return [];
  const start = Math.round(Date.parse(`${plan.period.start}T00:00:00Z`) / 86_400_000);
  return [start];
}
