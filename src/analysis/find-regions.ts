// Where tables may be: blocks of rows parted by blank rows, each split at columns that are blank all through it; and put together
// again where a blank row only parts a title from its table, or one half of a body from the other.
import { cellKind, type Grid, isBlank } from "./grid.ts";
import { parseDate } from "./parse-time.ts";
import { distinctTexts, isNumber, isNumeric, type Region, width } from "./region.ts";

/** Row blocks parted by blank rows, each split at columns that are blank all through it. */
export function findRegions(grid: Grid): Region[] {
  const counts = new Int32Array(grid.rowCount);
  for (const column of grid.columns) {
    for (let row = 0; row < grid.rowCount; row++)
      if (column.kinds[row] !== cellKind.blank) counts[row] = (counts[row] ?? 0) + 1;
  }
  const blocks: Region[] = [];
  for (let row = 0; row < grid.rowCount; ) {
    if (counts[row] === 0) {
      row++;
      continue;
    }
    let end = row;
    while (end + 1 < grid.rowCount && counts[end + 1] !== 0) end++;
    blocks.push(...splitColumns(grid, row, end));
    row = end + 1;
  }
  return joinContinuations(grid, blocks);
}

function splitColumns(grid: Grid, startRow: number, endRow: number): Region[] {
  const isUsed = grid.columns.map((column) => {
    for (let row = startRow; row <= endRow; row++) if (column.kinds[row] !== cellKind.blank) return true;
    return false;
  });
  for (const merge of grid.merges) {
    if (merge.startRow < startRow || merge.startRow > endRow || isBlank(grid, merge.startRow, merge.startColumn))
      continue;
    for (let column = merge.startColumn; column <= merge.endColumn; column++) isUsed[column] = true;
  }
  const regions: Region[] = [];
  for (let column = 0; column < isUsed.length; ) {
    if (!isUsed[column]) {
      column++;
      continue;
    }
    let end = column;
    while (isUsed[end + 1]) end++;
    regions.push(trimRows(grid, { startRow, endRow, startColumn: column, endColumn: end }));
    column = end + 1;
  }
  return regions;
}

function trimRows(grid: Grid, region: Region): Region {
  const isEmpty = (row: number): boolean => {
    for (let column = region.startColumn; column <= region.endColumn; column++)
      if (!isBlank(grid, row, column)) return false;
    return true;
  };
  let { startRow, endRow } = region;
  while (startRow < endRow && isEmpty(startRow)) startRow++;
  while (endRow > startRow && isEmpty(endRow)) endRow--;
  return { ...region, startRow, endRow };
}

/** A blank line inside a table, and title lines above one, part what belongs together: joined again here. */
function joinContinuations(grid: Grid, blocks: readonly Region[]): Region[] {
  const joined: Region[] = [];
  for (const block of blocks) {
    const isAbove = (region: Region): boolean =>
      region.endRow < block.startRow && block.startColumn <= region.endColumn && block.endColumn >= region.startColumn;
    // A title at the left and a date at the right of it are two blocks: all of them belong to the table below.
    const titles = width(block) > 1 ? titlesAbove(grid, joined.filter(isAbove)) : [];
    const above = joined.findLast(isAbove);
    const continues =
      above !== undefined &&
      titles.length === 0 &&
      width(above) === width(block) &&
      above.startColumn === block.startColumn &&
      continuesBody(grid, above, block);
    const parts = continues ? [above] : titles;
    for (const part of parts) joined.splice(joined.indexOf(part), 1);
    joined.push({
      startRow: Math.min(block.startRow, ...parts.map(({ startRow }) => startRow)),
      startColumn: Math.min(block.startColumn, ...parts.map(({ startColumn }) => startColumn)),
      endRow: block.endRow,
      endColumn: Math.max(block.endColumn, ...parts.map(({ endColumn }) => endColumn)),
    });
  }
  return joined;
}

/** The blocks right above that only hold titles; none when a table stands between. */
function titlesAbove(grid: Grid, above: readonly Region[]): Region[] {
  const found: Region[] = [];
  for (const region of above.toReversed()) {
    if (region.endRow - region.startRow >= 4 || !looksLikeTitles(grid, region)) break;
    found.push(region);
  }
  return found;
}

function looksLikeTitles(grid: Grid, region: Region): boolean {
  for (let row = region.startRow; row <= region.endRow; row++) {
    const texts = distinctTexts(grid, row, region);
    const isPlain = texts.every((text) => parseDate(text) !== undefined || !isNumber(text));
    if (texts.length > 2 || !isPlain) return false;
  }
  return true;
}

/** The kinds of the block's first row are those of the rows above: no header there. */
function continuesBody(grid: Grid, above: Region, block: Region): boolean {
  let numbers = 0;
  for (let column = block.startColumn; column <= block.endColumn; column++) {
    const upper = isNumeric(grid, above.endRow, column);
    const lower = isNumeric(grid, block.startRow, column);
    if (upper) numbers++;
    if (upper && !lower && !isBlank(grid, block.startRow, column)) return false;
  }
  return numbers > 0;
}
