// What a column is made of, decided from its header and all its cells together, each decision with its reason. Callers may overrule
// any of it by a ColumnOverride. Texts are parsed once each, not once a cell: a column of 100,000 cells has few distinct texts.
import { planNames, roleOf } from "./column-names.ts";
import { readColumn } from "./column-reading.ts";
import { isMissingWord, tally } from "./column-tally.ts";
import { percentDivisor, textsInUnit, unitOf } from "./column-unit.ts";
import { addressOf, cellKind, type Grid, isoDate } from "./grid.ts";
import type { CellProblem, Column, ColumnRole, ColumnType } from "./table.ts";
import { plainUnit, splitHeaderUnit, type Unit } from "./unit.ts";
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

/** Types one column of a sheet. */
export function typeColumn(grid: Grid, source: ColumnSource): Column {
  const data = grid.columns[source.sheetColumn];
  const texts = data?.texts ?? [];
  const counts = tally(grid, source);
  const { name, unit: headerUnit } = splitHeaderUnit(source.header);
  const decisions: Words[] = [];
  const reading = readColumn(name, texts, counts, data?.values, data?.kinds, source);
  decisions.push(reading.reason);

  const unit =
    reading.type === "number"
      ? unitOf({ name, headerUnit, reading, source, formats: data?.formats ?? new Map(), decisions })
      : plainUnit;
  const divisor =
    reading.type === "number" && unit.kind === "percent"
      ? percentDivisor({ reading, source, grid, decisions, counts })
      : 1;
  const ofTexts =
    reading.numbers === undefined
      ? reading.ofTexts
      : textsInUnit(reading.numbers, { unit, divisor, counts, decisions });

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
    else if (kind === cellKind.text) value = ofTexts[raw] ?? Number.NaN;
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
