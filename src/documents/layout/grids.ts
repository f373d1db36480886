// Ruled tables: turns drawn lines into grids, a grid's missing inner lines into merged cells, and puts runs into the cells by their
// centres. A run that crosses a vertical ruling (cells set close together) is split at the ruling first.
import type { TableCell } from "../document.ts";
import { boxOf, confidenceOf, type DraftSegment, linesOf, type Ruling, type Run, textOf } from "./runs.ts";

export interface Grid {
  /** Ascending edges: columns + 1 and rows + 1 of them. */
  xs: number[];
  ys: number[];
  rulings: Ruling[];
}

/** Lines that are one line drawn in pieces or twice become one. */
export function joinRulings(rulings: readonly Ruling[], tolerance: number): Ruling[] {
  const joined: Ruling[] = [];
  for (const ruling of rulings.toSorted(
    (a, b) => Number(a.isHorizontal) - Number(b.isHorizontal) || a.at - b.at || a.from - b.from,
  )) {
    const before = joined.findLast(
      (other) =>
        other.isHorizontal === ruling.isHorizontal &&
        Math.abs(other.at - ruling.at) <= tolerance &&
        ruling.from <= other.to + tolerance * 2 &&
        ruling.to >= other.from - tolerance * 2,
    );
    if (before) {
      before.from = Math.min(before.from, ruling.from);
      before.to = Math.max(before.to, ruling.to);
    } else joined.push({ ...ruling });
  }
  return joined;
}

/** Groups of rulings that touch and enclose at least two cells. */
export function gridsOf(drawn: readonly Ruling[], tolerance: number): Grid[] {
  const rulings = joinRulings(drawn, tolerance);
  if (rulings.length > 4000) return [];
  const group = rulings.map((_, index) => index);
  const root = (index: number): number => {
    let at = index;
    while (group[at] !== at) at = group[at] ?? at;
    return at;
  };
  for (const [i, a] of rulings.entries())
    for (let j = 0; j < i; j++) {
      const b = rulings[j];
      if (b && a.isHorizontal !== b.isHorizontal && touch(a, b, tolerance)) group[root(i)] = root(j);
    }
  const members = Map.groupBy(rulings, (_, index) => root(index));
  return [...members.values()].flatMap((lines) => {
    const ys = edges(lines, true, tolerance);
    const xs = edges(lines, false, tolerance);
    return ys.length >= 2 && xs.length >= 2 && (ys.length - 1) * (xs.length - 1) >= 2
      ? [{ xs, ys, rulings: lines }]
      : [];
  });
}

function touch(a: Ruling, b: Ruling, tolerance: number): boolean {
  return (
    a.at >= b.from - tolerance && a.at <= b.to + tolerance && b.at >= a.from - tolerance && b.at <= a.to + tolerance
  );
}

function edges(lines: readonly Ruling[], isHorizontal: boolean, tolerance: number): number[] {
  const found: number[] = [];
  for (const line of lines.filter((each) => each.isHorizontal === isHorizontal).toSorted((a, b) => a.at - b.at))
    if (line.at - (found.at(-1) ?? Number.NEGATIVE_INFINITY) > tolerance * 2) found.push(line.at);
  return found;
}

/** The grid's runs as a table segment, or undefined when fewer than two of its cells hold text (a box, a rule, a picture frame). */
export function tableFromGrid(grid: Grid, inside: readonly Run[], page: number): DraftSegment | undefined {
  const { xs, ys } = grid;
  const columns = xs.length - 1;
  const rows = ys.length - 1;
  const owner = mergedCells(grid);
  const runsByCell = new Map<number, Run[]>();
  for (const run of inside.flatMap((each) => splitAt(each, xs))) {
    const row = indexIn(ys, (run.top + run.bottom) / 2);
    const column = indexIn(xs, (run.left + run.right) / 2);
    const cell = owner[row * columns + column] ?? 0;
    const held = runsByCell.get(cell);
    if (held) held.push(run);
    else runsByCell.set(cell, [run]);
  }
  if (runsByCell.size < 2) return undefined;
  const cells: TableCell[] = [];
  for (let at = 0; at < rows * columns; at++) {
    if (owner[at] !== at) continue;
    const [row, column] = [Math.floor(at / columns), at % columns];
    let columnSpan = 1;
    while (column + columnSpan < columns && owner[at + columnSpan] === at) columnSpan++;
    let rowSpan = 1;
    while (row + rowSpan < rows && owner[at + rowSpan * columns] === at) rowSpan++;
    const runs = runsByCell.get(at) ?? [];
    const confidence = confidenceOf(runs);
    cells.push({
      row,
      column,
      ...(rowSpan > 1 ? { rowSpan } : {}),
      ...(columnSpan > 1 ? { columnSpan } : {}),
      text: joinCellLines(linesOf(runs).map(textOf)),
      ...(confidence === undefined ? {} : { confidence }),
    });
  }
  const confidence = confidenceOf(inside);
  const box = boxOf([{ left: xs[0] ?? 0, top: ys[0] ?? 0, right: xs.at(-1) ?? 0, bottom: ys.at(-1) ?? 0 }]);
  return { kind: "table", page, rows, columns, cells, box, ...(confidence === undefined ? {} : { confidence }) };
}

/** Wrapped lines of a cell as one text: a space between words, nothing between Chinese characters. */
export function joinCellLines(lines: readonly string[]): string {
  return lines.reduce((text, line) => {
    if (text === "") return line;
    const needsSpace = /[\p{Script=Latin}\d,.;:%)]$/u.test(text) && /^[\p{Script=Latin}\d(]/u.test(line);
    return text + (needsSpace ? " " : "") + line;
  }, "");
}

/** For each place of the grid the index of the cell that covers it. */
function mergedCells(grid: Grid): number[] {
  const columns = grid.xs.length - 1;
  const rows = grid.ys.length - 1;
  const owner = Array.from({ length: rows * columns }, (_, index) => index);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      const left = owner[at - 1];
      const above = owner[at - columns];
      if (column > 0 && left !== undefined && isOpenEdge(grid, row, column)) owner[at] = left;
      else if (row > 0 && above !== undefined && isOpenTop(grid, row, column)) owner[at] = above;
    }
  return owner;
}

/** Whether no line separates the places left and right of vertical edge `edge` in `row`. */
function isOpenEdge(grid: Grid, row: number, edge: number): boolean {
  const [top = 0, bottom = 0] = [grid.ys[row], grid.ys[row + 1]];
  return !covers(grid, { isHorizontal: false, at: grid.xs[edge] ?? 0, from: top, to: bottom });
}

function isOpenTop(grid: Grid, row: number, column: number): boolean {
  const [left = 0, right = 0] = [grid.xs[column], grid.xs[column + 1]];
  return !covers(grid, { isHorizontal: true, at: grid.ys[row] ?? 0, from: left, to: right });
}

function covers(grid: Grid, wanted: Ruling): boolean {
  const middle = (wanted.from + wanted.to) / 2;
  const near = Math.max(3, (wanted.to - wanted.from) * 0.1);
  return grid.rulings.some(
    (line) =>
      line.isHorizontal === wanted.isHorizontal &&
      Math.abs(line.at - wanted.at) <= near &&
      line.from <= middle &&
      line.to >= middle,
  );
}

function indexIn(ascending: readonly number[], value: number): number {
  let index = 0;
  while (index < ascending.length - 2 && value >= (ascending[index + 1] ?? 0)) index++;
  return index;
}

/** Pieces that land in one merged cell are joined again by `textOf`. */
function splitAt(run: Run, xs: readonly number[]): Run[] {
  const crossed = xs.filter((x) => x > run.left + run.size * 0.3 && x < run.right - run.size * 0.3);
  if (crossed.length === 0 || run.lefts.length !== run.text.length) return [run];
  const parts: Run[] = [];
  let start = 0;
  for (const x of [...crossed, Number.POSITIVE_INFINITY]) {
    let end = start;
    while (end < run.text.length && (run.lefts[end] ?? 0) < x - run.size * 0.25) end++;
    const text = run.text.slice(start, end);
    if (text.trim() !== "")
      parts.push({
        ...run,
        text,
        lefts: run.lefts.slice(start, end),
        left: run.lefts[start] ?? run.left,
        right: Math.min(run.right, run.lefts[end] ?? run.right),
      });
    start = end;
  }
  return parts;
}
