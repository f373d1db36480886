// Where the tables of a sheet are: blocks of cells parted by blank rows and columns, and in each the title lines, the header rows
// (several, merged or not), the body, the total rows and the notes below. Nothing is removed: what is left out of the body is listed.
import { type ExcludedRow, excludedRows } from "./excluded-rows.ts";
import { findRegions } from "./find-regions.ts";
import type { Grid } from "./grid.ts";
import { headerDepth, headerNames, isTitleRow } from "./header-rows.ts";
import { distinctTexts, type Region, width } from "./region.ts";

export interface TableLayout {
  region: Region;
  titles: readonly string[];
  /** Text of each column's header, levels joined by " / ". */
  headers: readonly string[];
  /** 0 when the sheet has no header row: names are then column letters. */
  headerRows: readonly number[];
  firstBodyRow: number;
  excluded: readonly ExcludedRow[];
}

export function detectTables(grid: Grid): TableLayout[] {
  return findRegions(grid)
    .map((region) => layoutOf(grid, region))
    .filter((layout) => layout !== undefined);
}

function layoutOf(grid: Grid, region: Region): TableLayout | undefined {
  const titles: string[] = [];
  let row = region.startRow;
  while (row < region.endRow && isTitleRow(grid, row, region)) {
    const title = distinctTexts(grid, row, region).join(" ");
    if (title !== "") titles.push(title);
    row++;
  }
  const depth = headerDepth(grid, row, region);
  const headerRows = Array.from({ length: depth }, (_, index) => row + index);
  const firstBodyRow = row + depth;
  if (firstBodyRow > region.endRow) return undefined;
  const columnCount = width(region);
  if (columnCount < 2 && region.endRow - firstBodyRow < 2) return undefined;
  const headers = headerNames(grid, headerRows, region);
  const layout = {
    region,
    titles,
    headers,
    headerRows,
    firstBodyRow,
    excluded: excludedRows(grid, region, firstBodyRow, headers),
  };
  const bodyRows = region.endRow - firstBodyRow + 1 - layout.excluded.length;
  return bodyRows > 0 ? layout : undefined;
}
