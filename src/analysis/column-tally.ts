// How many cells of a column are of which kind, counted once; and the question put to every text of it: how many cells say yes.
import type { ColumnSource } from "./columns.ts";
import { cellKind, type Grid } from "./grid.ts";
import { narrow } from "./narrow.ts";

const missingWords = /^(-+|—+|–+|\/|\.+|n\/?a|null|none|nil|nan|无|暂无|缺|空|未知|不详|待定|tbd|#n\/a)$/i;
/** Missing words are short; long texts need no look. */
export function isMissingWord(text: string): boolean {
  return text.length <= 8 && missingWords.test(narrow(text));
}

/** Part of the filled cells that must read as a type for the column to have it. */
export const mostCells = 0.9;

export interface Tally {
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

export function tally(grid: Grid, source: ColumnSource): Tally {
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

export function sumWhere(counts: Tally, isWanted: (code: number) => boolean): number {
  let sum = 0;
  for (const [code, count] of counts.byText.entries()) if (count > 0 && isWanted(code)) sum += count;
  return sum;
}
