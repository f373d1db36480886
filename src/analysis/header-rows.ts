// Title lines and header rows: how many rows head the columns (merged or not), and the name that each column gets from them.

import { noteLabel } from "./excluded-rows.ts";
import { cellAt, cellText, type Grid, isBlank } from "./grid.ts";
import { narrow } from "./narrow.ts";
import { parseNumber } from "./parse-number.ts";
import { parseDate } from "./parse-time.ts";
import {
  distinctTexts,
  filledCells,
  hasNumbers,
  headerText,
  isNumeric,
  isPeriodHeader,
  type Region,
  width,
} from "./region.ts";
import { parseUnit } from "./unit.ts";

export function isTitleRow(grid: Grid, row: number, region: Region): boolean {
  const texts = distinctTexts(grid, row, region);
  if (texts.length === 0) return true;
  if (width(region) === 1) return false;
  if (texts.length === 1) {
    // A single merged cell over one column only may be a group header of the next row; over most columns it is a title.
    return !isNumericText(texts[0] ?? "") || filledCells(grid, row, region) === 1;
  }
  const isLabelled = texts.every((text) => /[:：]/.test(text) || noteLabel.test(text) || parseDate(text) !== undefined);
  return isLabelled && texts.length <= Math.max(2, width(region) / 2);
}

function isNumericText(text: string): boolean {
  return parseNumber(text) !== undefined;
}

function isHeaderLike(grid: Grid, row: number, region: Region): boolean {
  let filled = 0;
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const text = headerText(grid, row, column);
    if (text === "") continue;
    filled++;
    if (isNumeric(grid, row, column) && !isPeriodHeader(text)) return false;
  }
  return filled > 0;
}

export function headerDepth(grid: Grid, row: number, region: Region): number {
  if (!isHeaderLike(grid, row, region)) return 0;
  const next = row + 1;
  if (next > region.endRow) return 1;
  // All-text tables, and period cells that are data: the first row is a header only if some column differs below, or all is text.
  if (!differsBelow(grid, row, region) && allText(grid, row, region) === false) return 0;
  let depth = 1;
  for (const merge of grid.merges) {
    if (merge.startRow !== row || merge.startColumn < region.startColumn || merge.startColumn > region.endColumn)
      continue;
    if (merge.endRow > merge.startRow && merge.endRow < region.endRow && merge.endRow - row < 4)
      depth = Math.max(depth, merge.endRow - row + 1);
    if (merge.endColumn > merge.startColumn && isHeaderLike(grid, next, region)) depth = Math.max(depth, 2);
  }
  if (
    depth === 1 &&
    hasGaps(grid, row, region) &&
    isHeaderLike(grid, next, region) &&
    !hasGapsAt(grid, next, row, region) &&
    next < region.endRow &&
    hasNumbers(grid, next + 1, region)
  )
    depth = 2;
  while (
    depth > 1 &&
    depth < 4 &&
    hasMergeAcross(grid, row + depth - 1, region) &&
    isHeaderLike(grid, row + depth, region)
  )
    depth++;
  if (isUnitRow(grid, row + depth, region) && row + depth < region.endRow) depth++;
  return Math.min(depth, region.endRow - row);
}

/** A row below the names that holds a unit for some of them and nothing else: 元 | 台 | （万元） | %. */
function isUnitRow(grid: Grid, row: number, region: Region): boolean {
  let units = 0;
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    if (isBlank(grid, row, column)) continue;
    const text = narrow(cellText(grid, row, column));
    if (parseUnit(bare(text)) !== undefined) units++;
    else if (!/^(单位|units?)[:：]?$/i.test(text)) return false;
  }
  return units > 0;
}

const bare = (text: string): string => text.replace(/^[(（[【]\s*(?:单位[:：]?)?|[)）\]】]$/g, "").trim();

function hasMergeAcross(grid: Grid, row: number, region: Region): boolean {
  return grid.merges.some(
    (m) =>
      m.startRow === row &&
      m.endRow === row &&
      m.endColumn > m.startColumn &&
      m.startColumn >= region.startColumn &&
      m.endColumn <= region.endColumn,
  );
}

function hasGaps(grid: Grid, row: number, region: Region): boolean {
  for (let column = region.startColumn; column <= region.endColumn; column++)
    if (headerText(grid, row, column) === "") return true;
  return false;
}

/** Whether `row` leaves blank a column that `upper` leaves blank too. */
function hasGapsAt(grid: Grid, row: number, upper: number, region: Region): boolean {
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    if (headerText(grid, upper, column) === "" && headerText(grid, row, column) === "") return true;
  }
  return false;
}

function differsBelow(grid: Grid, row: number, region: Region): boolean {
  const last = Math.min(region.endRow, row + 12);
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const isHeaderNumeric = cellAt(grid, row, column).kind !== "text";
    const isPeriod = isPeriodHeader(headerText(grid, row, column));
    let numbers = 0;
    let periods = 0;
    let filled = 0;
    for (let below = row + 1; below <= last; below++) {
      if (isBlank(grid, below, column)) continue;
      filled++;
      if (isNumeric(grid, below, column)) numbers++;
      if (isPeriodHeader(narrow(cellText(grid, below, column)))) periods++;
    }
    if (filled === 0) continue;
    if (!isHeaderNumeric && !isPeriod && numbers + periods >= filled * 0.5) return true;
    if (isPeriod && numbers >= filled * 0.5 && periods < filled * 0.5) return true;
  }
  return false;
}

/** Whether the row is all text without a period among it (a header over text columns), and its texts do not repeat below. */
function allText(grid: Grid, row: number, region: Region): boolean {
  const texts = new Set<string>();
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const text = headerText(grid, row, column);
    if (text === "" || isPeriodHeader(text) || texts.has(text)) return false;
    texts.add(text);
  }
  for (let below = row + 1; below <= Math.min(region.endRow, row + 40); below++) {
    for (let column = region.startColumn; column <= region.endColumn; column++)
      if (texts.has(headerText(grid, below, column))) return false;
  }
  return true;
}

export function headerNames(grid: Grid, headerRows: readonly number[], region: Region): string[] {
  const columns = Array.from({ length: width(region) }, (_, index) => region.startColumn + index);
  const last = headerRows.at(-1) ?? -1;
  const hasUnits = headerRows.length > 1 && isUnitRow(grid, last, region);
  const rows = hasUnits ? headerRows.slice(0, -1) : headerRows;
  const unitOf = (column: number): string => {
    const text = hasUnits && !isBlank(grid, last, column) ? bare(narrow(cellText(grid, last, column))) : "";
    return parseUnit(text) === undefined ? "" : `（${text}）`;
  };
  const levels = rows.map((row, level) => {
    const texts = columns.map((column) => headerText(grid, row, column));
    // A group header without a merge ("2024", "", "") reaches to the right as long as the level below names its own columns.
    if (level < rows.length - 1) {
      for (let i = 1; i < texts.length; i++) {
        const below = headerText(grid, rows[level + 1] ?? row, columns[i] ?? 0);
        if (
          texts[i] === "" &&
          below !== "" &&
          texts[i - 1] !== "" &&
          headerText(grid, rows[level + 1] ?? row, columns[i - 1] ?? 0) !== texts[i - 1]
        )
          texts[i] = texts[i - 1] ?? "";
      }
    }
    return texts;
  });
  const seen = new Map<string, number>();
  return columns.map((column, index) => {
    const parts: string[] = [];
    for (const texts of levels) {
      const text = texts[index] ?? "";
      if (text !== "" && parts.at(-1) !== text) parts.push(text);
    }
    const name = parts.join(" / ") || letters(column);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return `${count === 1 ? name : `${name} (${count})`}${unitOf(column)}`;
  });
}

function letters(column: number): string {
  return column < 26
    ? String.fromCharCode(65 + column)
    : `${String.fromCharCode(64 + Math.floor(column / 26))}${String.fromCharCode(65 + (column % 26))}`;
}
