// What is wrong with the data, said before any result: missing and unreadable cells, duplicates, outliers, labels that differ only
// in spelling, and totals of the sheet that do not add up. Every finding names cells.

import { formatNumber } from "./format-number.ts";
import { columnLetters, quotedSheet } from "./grid.ts";
import { type Store, safeId } from "./store.ts";
import { type Column, recordAddress, type Table, type TotalRow } from "./table.ts";
import type { Words } from "./words.ts";

export type FindingKind =
  | "missing"
  | "unreadable"
  | "duplicates"
  | "duplicate_ids"
  | "outliers"
  | "totals"
  | "labels"
  | "formulas";

export interface Finding {
  kind: FindingKind;
  /** `error`: figures may be wrong because of it. */
  severity: "note" | "warning" | "error";
  column?: string;
  count: number;
  /** The first cells concerned, at most ten. */
  addresses: readonly string[];
  words: Words;
}

const shownAddresses = 10;

export async function checkQuality(table: Table, store: Store, signal?: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const column of table.columns) {
    findings.push(...missingIn(table, column), ...unreadableIn(table, column), ...similarLabels(column));
  }
  findings.push(...uncomputed(table));
  findings.push(...(await duplicates(table, store, signal)));
  findings.push(...(await outliers(table, store, signal)));
  findings.push(...table.totals.flatMap((total) => totalMismatches(table, total)));
  const rank = { error: 0, warning: 1, note: 2 };
  return findings.sort((a, b) => rank[a.severity] - rank[b.severity]);
}

function missingIn(table: Table, column: Column): Finding[] {
  const count = column.missingCount - column.unreadableCount;
  if (count <= 0 || column.sheetColumn === undefined) return [];
  const addresses: string[] = [];
  for (let record = 0; record < table.recordCount && addresses.length < shownAddresses; record++) {
    if (Number.isNaN(column.values[record])) addresses.push(recordAddress(table, record, column));
  }
  const percent = formatNumber(count / table.recordCount, { unit: "percent", decimals: 1 });
  return [
    {
      kind: "missing",
      severity: count > table.recordCount * 0.05 ? "warning" : "note",
      column: column.name,
      count,
      addresses,
      words: {
        zh: `“${column.name}”有 ${count} 个空值（${percent}）`,
        en: `"${column.name}" has ${count} missing values (${percent})`,
      },
    },
  ];
}

function unreadableIn(table: Table, column: Column): Finding[] {
  if (column.unreadableCount === 0) return [];
  const examples = [...new Set(column.unreadable.map(({ text }) => text))].slice(0, 3);
  const kind = {
    number: { zh: "同一单位的数字", en: "a number in its unit" },
    date: { zh: "日期", en: "a date" },
    period: { zh: "期间", en: "a period" },
    text: { zh: "文字", en: "text" },
    boolean: { zh: "真假值", en: "true or false" },
  }[column.type];
  return [
    {
      kind: "unreadable",
      // One cell in ten left out is no longer a detail of the figures.
      severity: column.unreadableCount > 0.1 * table.recordCount && table.recordCount >= 4 ? "error" : "warning",
      column: column.name,
      count: column.unreadableCount,
      addresses: column.unreadable.slice(0, shownAddresses).map(({ address }) => address),
      words: {
        zh: `“${column.name}”有 ${column.unreadableCount} 个单元格不能读作${kind.zh}（如“${examples.join("”“")}”），按空值处理`,
        en: `${column.unreadableCount} cells of "${column.name}" cannot be read as ${kind.en} (such as "${examples.join('", "')}") and count as missing`,
      },
    },
  ];
}

function uncomputed({ emptyFormulas = [] }: Table): Finding[] {
  const count = emptyFormulas.length;
  if (count === 0) return [];
  return [
    {
      kind: "formulas",
      severity: "error",
      count,
      addresses: emptyFormulas.slice(0, shownAddresses),
      words: {
        zh: `${count} 个公式单元格没有保存计算结果，按空值处理；在表格软件里打开、保存后再上传`,
        en: `${count} formula cells have no saved result and count as missing; open the file in a spreadsheet program, save it and upload it again`,
      },
    },
  ];
}

/** Labels equal but for width, case and spaces: they would be counted as different members. */
function similarLabels(column: Column): Finding[] {
  if (column.type !== "text" || column.role !== "dimension") return [];
  const groups = Map.groupBy(column.labels, (label) =>
    label
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[\s·・._-]+/g, ""),
  );
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .slice(0, 5)
    .map((group) => ({
      kind: "labels" as const,
      severity: "warning" as const,
      column: column.name,
      count: group.length,
      addresses: [],
      words: {
        zh: `“${column.name}”里 ${group.map((label) => `“${label}”`).join("、")} 写法相近，按不同的值计算`,
        en: `In "${column.name}", ${group.map((label) => `"${label}"`).join(" and ")} look alike and are counted apart`,
      },
    }));
}

async function duplicates(table: Table, store: Store, signal: AbortSignal | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const id = table.columns.find((column) => column.role === "id" && column.missingCount < table.recordCount / 2);
  // A table turned from wide to long repeats nothing that its sheet did not repeat.
  const columns = table.columns.map((column) => safeId(column.id)).join(", ");
  if (table.columns.length >= 3) {
    const from = safeId(table.id);
    // Hashes tell cheaply that nothing repeats, which is the common case; only otherwise the rows themselves are compared.
    const [hashes] = await store.query(
      { sql: `select count(*), count(distinct hash(${columns})) from ${from}`, values: [] },
      signal,
    );
    const exact = `select r from (select r, row_number() over (partition by ${columns} order by r) as n from ${from}) where n > 1 order by r`;
    const rows = hashes?.[0] === hashes?.[1] ? [] : await store.query({ sql: exact, values: [] }, signal);
    if (rows.length > 0) {
      findings.push({
        kind: "duplicates",
        severity: "warning",
        count: rows.length,
        addresses: rows.slice(0, shownAddresses).map(([record]) => rowAddress(table, record ?? 0)),
        words: {
          zh: `${rows.length} 行与前面的行完全相同，仍计入数据`,
          en: `${rows.length} rows repeat an earlier row exactly; they are still counted`,
        },
      });
    }
  }
  if (id !== undefined && !/序号/.test(id.name)) {
    const rows = await store.query(
      {
        sql: `select r from (select r, ${safeId(id.id)} as v, row_number() over (partition by ${safeId(id.id)} order by r) as n from ${safeId(table.id)}) where n > 1 and v is not null order by r`,
        values: [],
      },
      signal,
    );
    if (rows.length > 0 && rows.length < table.recordCount * 0.2) {
      findings.push({
        kind: "duplicate_ids",
        severity: "warning",
        column: id.name,
        count: rows.length,
        addresses: rows.slice(0, shownAddresses).map(([record]) => recordAddress(table, record ?? 0, id)),
        words: {
          zh: `“${id.name}”有 ${rows.length} 个重复的编号`,
          en: `"${id.name}" repeats ${rows.length} identifiers`,
        },
      });
    }
  }
  return findings;
}

function rowAddress(table: Table, record: number): string {
  const row = (table.sheetRows[record] ?? 0) + 1;
  return table.hasSheets ? `${quotedSheet(table.sheet)}!${row}:${row}` : `${row}:${row}`;
}

/** Tukey's far-out fence: beyond three interquartile ranges from the quartiles. Two queries tell for all columns at once. */
async function outliers(table: Table, store: Store, signal: AbortSignal | undefined): Promise<Finding[]> {
  const columns = table.columns.filter(
    (column) => column.type === "number" && column.role !== "id" && table.recordCount - column.missingCount >= 20,
  );
  if (columns.length === 0) return [];
  const from = safeId(table.id);
  const ids = columns.map((column) => safeId(column.id));
  const [quartiles = []] = await store.query(
    {
      sql: `select ${ids.map((id) => `quantile_cont(${id}, 0.25), quantile_cont(${id}, 0.75)`).join(", ")} from ${from}`,
      values: [],
    },
    signal,
  );
  const fences = columns.flatMap((column, index) => {
    const [low, high] = [quartiles[index * 2], quartiles[index * 2 + 1]];
    return low === null || low === undefined || high === null || high === undefined || high <= low
      ? []
      : [{ column, low: low - 3 * (high - low), high: high + 3 * (high - low) }];
  });
  if (fences.length === 0) return [];
  const values = fences.flatMap(({ low, high }) => [low, high]);
  const counts = fences.map(
    ({ column }, index) =>
      `count(*) filter (where ${column.id} < $${index * 2 + 1} or ${column.id} > $${index * 2 + 2})`,
  );
  const [counted = []] = await store.query({ sql: `select ${counts.join(", ")} from ${from}`, values }, signal);
  const findings: Finding[] = [];
  for (const [index, fence] of fences.entries()) {
    const count = counted[index] ?? 0;
    // Many values beyond the fence mean a skewed column, not errors.
    if (count > 0 && count <= Math.max(3, table.recordCount * 0.01))
      findings.push(await outlierFinding(table, fence, { store, count, signal }));
  }
  return findings;
}

async function outlierFinding(
  table: Table,
  { column, low, high }: { column: Column; low: number; high: number },
  { store, count, signal }: { store: Store; count: number; signal: AbortSignal | undefined },
): Promise<Finding> {
  const id = safeId(column.id);
  const rows = await store.query(
    {
      sql: `select r, ${id} from ${safeId(table.id)} where ${id} < $1 or ${id} > $2 order by abs(${id} - $3) desc limit ${shownAddresses}`,
      values: [low, high, (low + high) / 2],
    },
    signal,
  );
  const extreme = formatNumber(rows[0]?.[1] ?? 0, { decimals: 2 });
  return {
    kind: "outliers",
    severity: "note",
    column: column.name,
    count,
    addresses: rows.map(([record]) => recordAddress(table, record ?? 0, column)),
    words: {
      zh: `“${column.name}”有 ${count} 个离群值（最极端的是 ${extreme}），仍计入数据`,
      en: `"${column.name}" has ${count} outliers (the most extreme is ${extreme}); they are still counted`,
    },
  };
}

/** A total of the sheet against the sum of the records it covers. */
function totalMismatches(table: Table, total: TotalRow): Finding[] {
  const findings: Finding[] = [];
  for (const [id, stated] of total.values) {
    const column = table.columns.find((candidate) => candidate.id === id);
    if (column === undefined || column.role !== "metric") continue;
    const computed = sumOf(column.values, total.start, total.end);
    const tolerance = Math.max(0.01, 1e-9 * Math.abs(computed), 0.0051 * Math.sqrt(total.end - total.start));
    if (Math.abs(computed - stated) <= tolerance) continue;
    const address = column.sheetColumn === undefined ? rowOf(table, total) : cellOf(table, total, column.sheetColumn);
    const [shownStated, shownComputed] = [stated, computed].map((value) => formatNumber(value, { decimals: 2 }));
    findings.push({
      kind: "totals",
      severity: "error",
      column: column.name,
      count: 1,
      addresses: [address],
      words: {
        zh: `${address} 的“${total.label || "合计"}”（${column.name}）写的是 ${shownStated}，各行相加是 ${shownComputed}`,
        en: `"${total.label || "total"}" at ${address} (${column.name}) says ${shownStated}; its rows add up to ${shownComputed}`,
      },
    });
  }
  return findings;
}

function cellOf(table: Table, total: TotalRow, sheetColumn: number): string {
  const cell = `${columnLetters(sheetColumn)}${total.sheetRow + 1}`;
  return table.hasSheets ? `${quotedSheet(table.sheet)}!${cell}` : cell;
}

function rowOf(table: Table, total: TotalRow): string {
  const row = `${total.sheetRow + 1}:${total.sheetRow + 1}`;
  return table.hasSheets ? `${quotedSheet(table.sheet)}!${row}` : row;
}

/** Neumaier's compensated sum, so that the order of rows cannot change the last digit shown. */
export function sumOf(values: Float64Array | readonly number[], start = 0, end = values.length): number {
  let sum = 0;
  let lost = 0;
  for (let i = start; i < end; i++) {
    const value = values[i] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}
