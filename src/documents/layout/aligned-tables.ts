// Tables without drawn cells: stretches of lines whose pieces stand in the same columns. Horizontal rules alone (as scientific tables
// have) do not matter here. Two columns need three rows, so that a heading with a page reference is not called a table.
import type { TableCell } from "../document.ts";
import { joinCellLines } from "./grids.ts";
import {
  boxOf,
  confidenceOf,
  type DraftSegment,
  isMonospacedLine,
  type Line,
  median,
  type Run,
  textOf,
} from "./runs.ts";

/** Cuts a region's lines into tables and the lines between them, in order. */
export function splitAlignedTables(lines: readonly Line[], page: number): (Line[] | DraftSegment)[] {
  const parts: (Line[] | DraftSegment)[] = [];
  let prose: Line[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = endOfTable(lines, at);
    const table = end > at ? tableOf(lines.slice(at, end), page) : undefined;
    if (!table) {
      const line = lines[at];
      if (line) prose.push(line);
      at++;
      continue;
    }
    if (prose.length > 0) parts.push(prose);
    prose = [];
    parts.push(table);
    at = end;
  }
  if (prose.length > 0) parts.push(prose);
  return parts;
}

interface Cell {
  runs: Run[];
  left: number;
  right: number;
}

/** A line's pieces: runs with more than a word space between them. */
export function cellsOf(line: Line): Cell[] {
  const cells: Cell[] = [];
  for (const run of line.runs) {
    const last = cells.at(-1);
    if (last && run.left - last.right < run.size * 1.1) {
      last.runs.push(run);
      last.right = Math.max(last.right, run.right);
    } else cells.push({ runs: [run], left: run.left, right: run.right });
  }
  return cells;
}

function endOfTable(lines: readonly Line[], start: number): number {
  const first = lines[start];
  // Program text is aligned too, by its own rules.
  if (!first || cellsOf(first).length < 2 || isMonospacedLine(first)) return start;
  const height = first.bottom - first.top;
  let columns = cellsOf(first).map(({ left, right }) => ({ left, right }));
  let end = start + 1;
  let rows = 1;
  for (; end < lines.length; end++) {
    const line = lines[end];
    const before = lines[end - 1];
    if (!line || !before || line.top - before.bottom > height * 2.5) break;
    const merged = mergeColumns(columns, cellsOf(line));
    if (!merged) break;
    columns = merged;
    if (cellsOf(line).length >= 2) rows++;
  }
  // Trailing single-piece lines belong to what follows unless they sit inside one column other than the first.
  while (end > start + 1 && isLoose(lines[end - 1], columns) && !isSetClose(lines.slice(start, end))) end--;
  return rows >= (columns.length >= 3 ? 2 : 3) ? end : start;
}

/** The columns with another line's pieces taken in, or undefined when a piece reaches over two columns. */
function mergeColumns(columns: readonly { left: number; right: number }[], cells: readonly Cell[]) {
  const merged = columns.map((column) => ({ ...column }));
  for (const cell of cells) {
    const hit = merged.filter((column) => cell.left < column.right && cell.right > column.left);
    if (hit.length > 1) return undefined;
    const [column] = hit;
    if (column) {
      column.left = Math.min(column.left, cell.left);
      column.right = Math.max(column.right, cell.right);
    } else merged.push({ left: cell.left, right: cell.right });
  }
  merged.sort((a, b) => a.left - b.left);
  // A widened column may now run into its neighbour: then these lines do not share columns.
  return merged.some((column, index) => column.right > (merged[index + 1]?.left ?? Number.POSITIVE_INFINITY))
    ? undefined
    : merged;
}

function isLoose(line: Line | undefined, columns: readonly { left: number; right: number }[]): boolean {
  if (!line) return true;
  const cells = cellsOf(line);
  const [first] = columns;
  return cells.length < 2 && (first === undefined || line.left < first.right);
}

/** Whether the last of the lines stands closer to the one before than rows do: then it is the second line of that row. */
function isSetClose(lines: readonly Line[]): boolean {
  const steps = stepsOf(lines);
  return (steps.at(-1) ?? 0) < median(steps) * 0.75;
}

function stepsOf(lines: readonly Line[]): number[] {
  return lines.slice(1).map((line, index) => line.top - (lines[index]?.top ?? 0));
}

function tableOf(lines: readonly Line[], page: number): DraftSegment | undefined {
  const columns = lines.reduce<{ left: number; right: number }[]>(
    (all, line) => mergeColumns(all, cellsOf(line)) ?? all,
    [],
  );
  const rowLines = rowsOf(lines, columns);
  if (columns.length < 2 || rowLines.length < 2 || isProseInColumns(lines, columns.length)) return undefined;
  const cells: TableCell[] = [];
  for (const [row, group] of rowLines.entries())
    for (const [column, { left, right }] of columns.entries()) {
      const pieces = group.flatMap((line) => cellsOf(line).filter((cell) => cell.left < right && cell.right > left));
      const confidence = confidenceOf(pieces.flatMap((piece) => piece.runs));
      const text = joinCellLines(pieces.map((piece) => textOf(piece)));
      cells.push({ row, column, text, ...(confidence === undefined ? {} : { confidence }) });
    }
  const runs = lines.flatMap((line) => line.runs);
  const confidence = confidenceOf(runs);
  return {
    kind: "table",
    page,
    rows: rowLines.length,
    columns: columns.length,
    cells,
    box: boxOf(runs),
    ...(confidence === undefined ? {} : { confidence }),
  };
}

/**
 * Lines of one row: those set closer than the table's usual step, and, where rows are set as close as lines, single pieces that go on with
 * what stands above them. A label whose other cells are empty is a row of its own.
 */
function rowsOf(lines: readonly Line[], columns: readonly { left: number; right: number }[]): Line[][] {
  const steps = stepsOf(lines);
  const usual = median(steps);
  const isTight = usual < median(lines.map((line) => line.size)) * 1.9;
  const rows: Line[][] = [];
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1];
    const step = steps[index - 1] ?? Number.POSITIVE_INFINITY;
    const isClose = step < usual * 0.75;
    if (before && (isClose || (isTight && step <= usual * 1.05 && goesOn(line, before, columns))))
      rows.at(-1)?.push(line);
    else rows.push([line]);
  }
  return rows;
}

/** A single piece below a piece of the same column: of any but the first column, or where the piece above had filled the column. */
function goesOn(line: Line, before: Line, columns: readonly { left: number; right: number }[]): boolean {
  const [piece, second] = cellsOf(line);
  if (!piece || second) return false;
  const column = columns.findIndex(({ left, right }) => piece.left < right && piece.right > left);
  const above = cellsOf(before).find((cell) => cell.left < piece.right && cell.right > piece.left);
  return above !== undefined && (column > 0 || above.right > (columns[column]?.right ?? 0) - line.size * 1.5);
}

/** Running text in two columns that the gutter search did not take: long pieces that mostly fill their columns. */
function isProseInColumns(lines: readonly Line[], columns: number): boolean {
  if (columns > 2) return false;
  const pieces = lines.flatMap(cellsOf);
  const size = median(lines.map((line) => line.size));
  return median(pieces.map((piece) => piece.right - piece.left)) > size * 18;
}
