// Which cells a figure was made of: one pass over the records, so that every fact can point back into the sheet.

import { columnLetters, quotedSheet } from "./grid.ts";
import { daysFromText, type Filter, type Plan } from "./plan.ts";
import { blankLabel, periodStarts } from "./query.ts";
import { type Column, columnNamed, recordAddress, type Table } from "./table.ts";
import { startOf } from "./time.ts";

export interface CitedCells {
  count: number;
  /** The first cells, at most twelve. */
  first: readonly string[];
  /** The column range that holds them all. */
  range: string;
}

export type Which = "current" | "previous";

export interface Citations {
  /** `member` is "" for the whole. */
  of(member: string, which: Which): CitedCells;
}

const shownCells = 12;

interface Collected {
  count: number;
  first: string[];
  low: number;
  high: number;
}

/** Collects the cells behind the plan's figures, by member of the outer breakdown and by period. */
export function citeCells(plan: Plan, table: Table): Citations {
  const metric = columnNamed(table, plan.metric);
  const outer = plan.breakdown[0] === undefined ? undefined : columnNamed(table, plan.breakdown[0]);
  const isWanted = plan.filters.map((filter) => predicate(filter, table));
  const whichOf = periodOf(plan, table);
  const found = new Map<string, Collected>();
  const add = (key: string, record: number): void => {
    const entry = found.get(key) ?? { count: 0, first: [], low: record, high: record };
    entry.count++;
    if (entry.first.length < shownCells) entry.first.push(recordAddress(table, record, metric));
    entry.high = record;
    found.set(key, entry);
  };
  for (let record = 0; record < table.recordCount; record++) {
    if (metric !== undefined && Number.isNaN(metric.values[record])) continue;
    if (!isWanted.every((test) => test(record))) continue;
    const which = whichOf(record);
    if (which === undefined) continue;
    add(`${which}\0`, record);
    if (outer !== undefined) add(`${which}\0${memberOf(outer, record)}`, record);
  }
  return {
    of(member, which) {
      const entry = found.get(`${which}\0${member}`);
      if (entry === undefined) return { count: 0, first: [], range: "" };
      return { count: entry.count, first: entry.first, range: rangeText(table, metric, entry) };
    },
  };
}

function memberOf(column: Column, record: number): string {
  const code = column.values[record] ?? Number.NaN;
  return Number.isNaN(code) ? blankLabel : (column.labels[code] ?? String(code));
}

function predicate(filter: Filter, table: Table): (record: number) => boolean {
  const column = columnNamed(table, filter.column);
  const values = column?.values ?? new Float64Array();
  if ("value" in filter) {
    return filter.is === "at_least"
      ? (record) => (values[record] ?? Number.NaN) >= filter.value
      : (record) => (values[record] ?? Number.NaN) <= filter.value;
  }
  const codes = new Set(filter.values.map((value) => column?.labels.indexOf(value) ?? -1));
  const isIn = filter.is === "in";
  return (record) => codes.has(values[record] ?? Number.NaN) === isIn;
}

function periodOf(plan: Plan, table: Table): (record: number) => Which | undefined {
  const { period } = plan;
  const starts = periodStarts(plan);
  const column = period === undefined ? undefined : columnNamed(table, period.column);
  const within = period?.within;
  if (within !== undefined && column !== undefined) {
    const wanted = daysFromText(within.start);
    return (record) => (startOf(column.values[record] ?? Number.NaN, within.grain) === wanted ? "current" : undefined);
  }
  if (period === undefined || starts === undefined || column === undefined) return () => "current";
  const known = new Map<number, Which | undefined>();
  return (record) => {
    const value = column.values[record] ?? Number.NaN;
    if (Number.isNaN(value)) return undefined;
    if (!known.has(value)) {
      const start = startOf(value, period.grain);
      known.set(value, start === starts.current ? "current" : start === starts.previous ? "previous" : undefined);
    }
    return known.get(value);
  };
}

function rangeText(table: Table, metric: Column | undefined, { low, high }: Collected): string {
  if (table.turnedFrom !== undefined)
    return `${recordAddress(table, low, metric)}:${recordAddress(table, high, metric).split("!").at(-1)}`;
  const [from, to] = [(table.sheetRows[low] ?? 0) + 1, (table.sheetRows[high] ?? 0) + 1];
  const letters = metric?.sheetColumn === undefined ? "" : columnLetters(metric.sheetColumn);
  const range = `${letters}${from}:${letters}${to}`;
  return table.hasSheets ? `${quotedSheet(table.sheet)}!${range}` : range;
}
