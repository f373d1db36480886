// Names in a question: values of dimensions ("华东", "小米" where it begins one value only), left-out values ("除了华东", "excluding East"),
// limits ("销售额 ≥ 1000"), and columns, by their own names or by the words people use for them.
import { parseNumber } from "./parse-number.ts";
import type { Filter } from "./plan.ts";
import { synonyms } from "./question-words.ts";
import type { Remaining } from "./remaining.ts";
import { type Column, columnNamed, type Table } from "./table.ts";

interface Candidate {
  column: Column;
  label: string;
  text: string;
}

/** Filters for the values that the question names. */
export function takeMembers(rest: Remaining, table: Table): Filter[] {
  const dimensions = table.columns.filter(
    (column) =>
      (column.role === "dimension" || column.role === "id") && column.type === "text" && column.labels.length <= 20_000,
  );
  const candidates = dimensions.flatMap((column) =>
    column.labels.map((label): Candidate => ({ column, label, text: label.toLowerCase() })),
  );
  const haystack = rest.text.replace(/\s+/g, "");
  const mentioned = candidates
    .filter(({ text }) => text.length >= 2 && haystack.includes(text.replace(/\s+/g, "")))
    .filter(({ label }) => columnNamed(table, label) === undefined)
    .sort((a, b) => b.text.length - a.text.length);
  takeNamesBefore(rest, mentioned);
  const out = takeExcluded(rest, mentioned);
  const inside = new Map<string, string[]>();
  for (const { column, label, text } of mentioned)
    if (rest.takeLiteral(text)) inside.set(column.name, [...(inside.get(column.name) ?? []), label]);
  takeBrands(rest, candidates, inside);
  const ordered = (map: ReadonlyMap<string, string[]>, is: "in" | "not_in"): Filter[] =>
    table.columns.flatMap(({ name, labels }) => {
      const values = map.get(name);
      return values === undefined
        ? []
        : [{ column: name, is, values: labels.filter((label) => values.includes(label)) }];
    });
  return [...ordered(inside, "in"), ...ordered(out, "not_in")];
}

const escaped = (text: string): string => text.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** "区域为华东", "region not East": the column before its value is no wish for a breakdown. */
function takeNamesBefore(rest: Remaining, mentioned: readonly Candidate[]): void {
  for (const [column, members] of Map.groupBy(mentioned, ({ column }) => column)) {
    const values = members.map(({ text }) => escaped(text)).join("|");
    const before = new RegExp(
      `${escaped(column.name)}(?=\\s*(?:不是|不为|不等于|not)\\s*(?:${values})|\\s*(?:为|是|等于|=|:|is|in)?\\s*(?:${values}))`,
      "giu",
    );
    rest.take(before);
    rest.take(new RegExp(`(?:为|等于|=)(?=\\s*(?:${values}))`, "giu"));
  }
}

const excluding =
  /除去|除了?|非|不看|不要|别看|去掉|撇开|不考虑|不含|不包括|不包含|不算|不计|排除|剔除|不是|excluding|exclude|except(?:\s+for)?|other than|without|but not|not including|\bnot\b/giu;
const joints = /^[\s、,，和与及或]*(?:and\s|or\s)?\s*/iu;

/** "除了华东、华南以外": the values right behind the word. */
function takeExcluded(rest: Remaining, mentioned: readonly Candidate[]): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const match of rest.text.matchAll(excluding)) {
    let at = match.index + match[0].length;
    let hasSome = false;
    for (;;) {
      const tail = rest.text.slice(at);
      const joint = joints.exec(tail)?.[0].length ?? 0;
      const next = mentioned.find(({ text }) => tail.slice(joint).startsWith(text));
      if (next === undefined) break;
      out.set(next.column.name, [...(out.get(next.column.name) ?? []), next.label]);
      at += joint + next.text.length;
      hasSome = true;
    }
    if (!hasSome) continue;
    const closing = /^\s*(?:以外|之外|外)/u.exec(rest.text.slice(at))?.[0].length ?? 0;
    rest.blot(match.index, at + closing);
  }
  return out;
}

/** "小米" finds 小米 14 系列 when it begins one value only. */
function takeBrands(rest: Remaining, candidates: readonly Candidate[], inside: Map<string, string[]>): void {
  const brands = Map.groupBy(candidates, ({ column, text }) => `${column.id}\0${text.split(/[\s\-_]/)[0]}`);
  const named = new Set(inside.keys());
  for (const [key, group] of brands) {
    const [first] = group;
    const brand = key.slice(key.indexOf("\0") + 1);
    const isUnique = first !== undefined && group.length === 1 && brand.length >= 2 && brand !== first.text;
    // Beside a value in full, its first word elsewhere is more likely a part of another name.
    if (!isUnique || named.has(first.column.name) || !rest.takeLiteral(brand)) continue;
    inside.set(first.column.name, [...(inside.get(first.column.name) ?? []), first.label]);
  }
}

/** "销售额 ≥ 1000": a limit on single records, written as the plan in words writes it. */
export function takeLimits(rest: Remaining, table: Table): Filter[] {
  const limits: Filter[] = [];
  for (const column of table.columns) {
    if (column.type !== "number") continue;
    const name = escaped(column.name);
    for (const text of rest.take(new RegExp(`${name}\\s*(?:≥|≤|>=|<=)\\s*-?\\d[\\d,]*(?:\\.\\d+)?`, "giu"))) {
      const value = parseNumber(text.replace(/^.*[≥≤=]/u, ""))?.value;
      if (value !== undefined)
        limits.push({ column: column.name, is: /≥|>=/.test(text) ? "at_least" : "at_most", value });
    }
  }
  return limits;
}

/** "卖了多少台": the figure that is counted in 台; 多少钱 is money. Nothing is taken when no figure is in that unit. */
export function takeByUnit(rest: Remaining, metrics: readonly Column[]): Column[] {
  const found = /(?:多少|几)\s*(钱|[\p{Script=Han}a-z]{1,3}?)(?![\p{Script=Han}a-z])/iu.exec(rest.text);
  const unit = found?.[1];
  if (found === null || unit === undefined) return [];
  const column = metrics.find(
    ({ unit: own, isPlan }) => !isPlan && (unit === "钱" ? own.kind === "money" : own.symbol === unit),
  );
  if (column === undefined) return [];
  rest.blot(found.index, found.index + found[0].length);
  return [column];
}

/** The columns named, in the order of their names in the question. */
export function takeColumns(rest: Remaining, columns: readonly Column[]): Column[] {
  const found: { column: Column; at: number }[] = [];
  const names = columns.flatMap((column) => {
    const group =
      synonyms.find((words) => words.some((word) => column.name.toLowerCase() === word)) ??
      synonyms.find((words) => words.some((word) => /\p{Script=Han}/u.test(word) && column.name.includes(word)));
    return [column.name.toLowerCase(), ...(group ?? [])].map((name, index) => ({ column, name, isOwn: index === 0 }));
  });
  const order = names.sort((a, b) => Number(b.isOwn) - Number(a.isOwn) || b.name.length - a.name.length);
  for (const { column, name } of order) {
    if (found.some((entry) => entry.column === column)) continue;
    const at = rest.text.indexOf(name);
    if (rest.takeLiteral(name)) found.push({ column, at: at < 0 ? 1e6 : at });
  }
  return found.sort((a, b) => a.at - b.at).map(({ column }) => column);
}
