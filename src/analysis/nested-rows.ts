// Rows that repeat what other rows hold, told by how a sheet is written: 其中 rows, names set in by spaces below a row that is their sum,
// and lone headings between the records ("一、手机"). Counting them in would count the same money twice.
import { cellAt, type Grid, isBlank } from "./grid.ts";
import { parseNumber } from "./parse-number.ts";
import { filledCells, isNumeric, type Region, width } from "./region.ts";

export interface NestedRows {
  /** Row that is the sum of the rows from `start` to `end` below it, which are set in. */
  parents: { row: number; start: number; end: number }[];
  /** Rows that are part of the row above them: 其中：…, "of which …". */
  details: number[];
  /** Headings of the rows below them. */
  sections: number[];
}

const detailLabel = /^\s*(其中|of which|including|thereof)\s*[:：]?/i;

export function nestedRows(grid: Grid, region: Region, rows: readonly number[]): NestedRows {
  const found: NestedRows = { parents: [], details: [], sections: [] };
  const column = labelColumn(grid, region, rows);
  if (column === undefined) return found;
  const depths = rows.map((row) => depthOf(grid, row, column));
  const labels = rows.map((row) => textAt(grid, row, column));
  for (const [index, row] of rows.entries()) {
    const before = found.details.at(-1);
    const follows = before !== undefined && before === rows[index - 1] && (depths[index] ?? 0) > 0;
    if (detailLabel.test(labels[index] ?? "") || (follows && !isParent(found, row))) {
      if (index > 0) found.details.push(row);
      continue;
    }
    let end = index;
    while (end + 1 < rows.length && (depths[end + 1] ?? 0) > (depths[index] ?? 0)) end++;
    if (end === index || detailLabel.test(labels[index + 1] ?? "")) continue;
    const children = rows.slice(index + 1, end + 1).filter((_, at) => depths[index + 1 + at] === depths[index + 1]);
    if (isSumOf(grid, row, children, region)) found.parents.push({ row, start: index + 1, end });
  }
  found.sections.push(...sectionsOf(grid, region, rows));
  return found;
}

const isParent = ({ parents }: NestedRows, row: number): boolean => parents.some((parent) => parent.row === row);

/** The first column of texts: it names the rows. */
function labelColumn(grid: Grid, region: Region, rows: readonly number[]): number | undefined {
  const sample = rows.slice(0, 200);
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const isText = sample.some((row) => cellAt(grid, row, column).kind === "text" && !isNumeric(grid, row, column));
    // Only texts that are written in a way that means something need the careful look.
    if (isText) {
      const texts = grid.columns[column]?.texts ?? [];
      const matters = texts.some((text) => /^[\s\u3000]+\S/.test(text) || detailLabel.test(text));
      return matters || mayHoldSections(grid, region, rows) ? column : undefined;
    }
  }
  return undefined;
}

function textAt(grid: Grid, row: number, column: number): string {
  const cell = cellAt(grid, row, column);
  return cell.kind === "text" ? cell.value : "";
}

/** Spaces before the name; a full-width one is as wide as two. */
function depthOf(grid: Grid, row: number, column: number): number {
  const lead = /^[\s\u3000]*/.exec(textAt(grid, row, column))?.[0] ?? "";
  return [...lead].reduce((depth, sign) => depth + (sign === "\u3000" ? 2 : 1), 0);
}

function valueAt(grid: Grid, row: number, column: number): number | undefined {
  const cell = cellAt(grid, row, column);
  if (cell.kind === "number") return cell.value;
  return cell.kind === "text" ? parseNumber(cell.value)?.value : undefined;
}

/** At least one numeric column, and every one that is no rate, adds up. */
function isSumOf(grid: Grid, row: number, children: readonly number[], region: Region): boolean {
  let sums = 0;
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const whole = valueAt(grid, row, column);
    const parts = children.map((child) => valueAt(grid, child, column));
    if (whole === undefined || whole === 0 || parts.every((part) => part === undefined)) continue;
    const sum = parts.reduce<number>((total, part) => total + (part ?? 0), 0);
    if (Math.abs(sum - whole) <= Math.max(0.01, 0.005 * Math.abs(whole))) sums++;
  }
  return sums > 0;
}

/** "一、", "(二)", "3." before a heading. */
export const numbering = /^(?:第?[一二三四五六七八九十]+[章节、.．]|[(（][一二三四五六七八九十\d]+[)）]|\d+[、.．])\s*/;

const mayHoldSections = (grid: Grid, region: Region, rows: readonly number[]): boolean =>
  width(region) >= 3 && rows[0] !== undefined && isLone(grid, rows[0], region);

const isLone = (grid: Grid, row: number, region: Region): boolean =>
  filledCells(grid, row, region) === 1 &&
  cellAt(grid, row, region.startColumn).kind === "text" &&
  !isNumeric(grid, row, region.startColumn);

/** Headings: the body begins with one, there are at least two, and each has records below it. */
function sectionsOf(grid: Grid, region: Region, rows: readonly number[]): number[] {
  if (!mayHoldSections(grid, region, rows)) return [];
  const lone: number[] = [];
  for (const [index, row] of rows.entries()) {
    if (!isLone(grid, row, region)) continue;
    const next = rows[index + 1];
    if (next === undefined || isLone(grid, next, region) || isBlank(grid, next, region.startColumn)) return [];
    lone.push(row);
  }
  // Unnumbered, they are headings only if each stands over some records: a product without figures is none.
  const areNumbered = lone.every((row) => numbering.test(textAt(grid, row, region.startColumn).trim()));
  return lone.length >= 2 && (areNumbered || rows.length - lone.length >= 2 * lone.length) ? lone : [];
}
