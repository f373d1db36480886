// Where the tables of a sheet are: blocks of cells parted by blank rows and columns, and in each the title lines, the header rows
// (several, merged or not), the body, the total rows and the notes below. Nothing is removed: what is left out of the body is listed.
import { cellAt, cellKind, cellText, type Grid, isBlank } from "./grid.ts";
import { narrow, parseDate, parseNumber, parsePeriod } from "./parse-value.ts";

export interface Region {
  startRow: number;
  endRow: number; // inclusive
  startColumn: number;
  endColumn: number; // inclusive
}

export type ExcludedKind = "subtotal" | "total" | "repeated_header" | "note" | "blank";

export interface ExcludedRow {
  row: number;
  kind: ExcludedKind;
  label: string;
}

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

const totalLabel =
  /^(?:[^0-9]{0,12}?)(合\s*计|总\s*计|小\s*计|共\s*计|累\s*计|汇\s*总)\s*[:：]?$|^(?:grand\s+|sub)?totals?\s*[:：]?$|^(sub-?totals?|sums?)\s*[:：]?$|^.{1,24}\s(sub-?total|total)$/i;
const subtotalLabel = /小\s*计|sub-?total/i;
const noteLabel = /^(注|备注|说明|数据来源|来源|制表|审核|填表|单位|note|source|remark|prepared|\*)/i;

/** Label of a total row, or undefined. */
export function totalKind(label: string): "subtotal" | "total" | undefined {
  if (label.length > 40 || !/[计总汇]|total|sum/i.test(label)) return undefined;
  const clean = narrow(label);
  if (!totalLabel.test(clean)) return undefined;
  if (subtotalLabel.test(clean)) return "subtotal";
  // "华东合计" and "East total" are totals of a group; 合计 alone is the total of all.
  return /^(合\s*计|总\s*计|共\s*计|累\s*计|汇\s*总|全部.*|全国.*|grand\s+totals?|totals?|sums?)\s*[:：]?$|^(grand|overall)\s/i.test(
    clean,
  )
    ? "total"
    : "subtotal";
}

export function detectTables(grid: Grid): TableLayout[] {
  return findRegions(grid)
    .map((region) => layoutOf(grid, region))
    .filter((layout) => layout !== undefined);
}

/** Row blocks parted by blank rows, each split at columns that are blank all through it. */
function findRegions(grid: Grid): Region[] {
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
    const above = joined.findLast(
      (region) =>
        region.endRow < block.startRow &&
        block.startColumn <= region.endColumn &&
        block.endColumn >= region.startColumn,
    );
    const isTitle =
      above !== undefined && above.endRow - above.startRow < 4 && looksLikeTitles(grid, above) && width(block) > 1;
    const continues =
      above !== undefined &&
      !isTitle &&
      width(above) === width(block) &&
      above.startColumn === block.startColumn &&
      continuesBody(grid, above, block);
    if (above !== undefined && (isTitle || continues)) {
      above.endRow = block.endRow;
      above.startColumn = Math.min(above.startColumn, block.startColumn);
      above.endColumn = Math.max(above.endColumn, block.endColumn);
    } else joined.push({ ...block });
  }
  return joined;
}

function width(region: Region): number {
  return region.endColumn - region.startColumn + 1;
}

function looksLikeTitles(grid: Grid, region: Region): boolean {
  for (let row = region.startRow; row <= region.endRow; row++)
    if (distinctTexts(grid, row, region).length > 2 || hasNumbers(grid, row, region)) return false;
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

function isNumeric(grid: Grid, row: number, column: number): boolean {
  const cell = cellAt(grid, row, column);
  if (cell.kind === "number" || cell.kind === "date" || cell.kind === "boolean") return true;
  return cell.kind === "text" && (parseNumber(cell.value) !== undefined || parseDate(cell.value) !== undefined);
}

function hasNumbers(grid: Grid, row: number, region: Region): boolean {
  for (let column = region.startColumn; column <= region.endColumn; column++)
    if (isNumeric(grid, row, column)) return true;
  return false;
}

function distinctTexts(grid: Grid, row: number, region: Region): string[] {
  const found = new Set<string>();
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const text = headerText(grid, row, column);
    if (text !== "") found.add(text);
  }
  return [...found];
}

/** A cell's text, or that of the merged range it lies in. */
function headerText(grid: Grid, row: number, column: number): string {
  if (!isBlank(grid, row, column)) return narrow(cellText(grid, row, column)).replace(/\s+/g, " ");
  const merge = grid.merges.find(
    (m) => row >= m.startRow && row <= m.endRow && column >= m.startColumn && column <= m.endColumn,
  );
  return merge ? narrow(cellText(grid, merge.startRow, merge.startColumn)).replace(/\s+/g, " ") : "";
}

function layoutOf(grid: Grid, region: Region): TableLayout | undefined {
  const titles: string[] = [];
  let row = region.startRow;
  while (row < region.endRow && isTitleRow(grid, row, region)) {
    titles.push(distinctTexts(grid, row, region).join(" "));
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

function isTitleRow(grid: Grid, row: number, region: Region): boolean {
  const texts = distinctTexts(grid, row, region);
  if (texts.length === 0) return true;
  if (width(region) === 1) return false;
  if (texts.length === 1) {
    // A single merged cell over one column only may be a group header of the next row; over most columns it is a title.
    return !isNumericText(texts[0] ?? "") || filledCells(grid, row, region) === 1;
  }
  const isLabelled = texts.every((text) => /[:：]/.test(text) || noteLabel.test(text));
  return isLabelled && texts.length <= Math.max(2, width(region) / 2);
}

function isNumericText(text: string): boolean {
  return parseNumber(text) !== undefined;
}

function filledCells(grid: Grid, row: number, region: Region): number {
  let filled = 0;
  for (let column = region.startColumn; column <= region.endColumn; column++) if (!isBlank(grid, row, column)) filled++;
  return filled;
}

/** Text that heads a column although it reads as a number or a date: a year, a month, a quarter. */
function isPeriodHeader(text: string): boolean {
  return parsePeriod(text) !== undefined || /^(19|20)\d{2}$/.test(text) || parseDate(text) !== undefined;
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

function headerDepth(grid: Grid, row: number, region: Region): number {
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
  return Math.min(depth, region.endRow - row);
}

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

function headerNames(grid: Grid, rows: readonly number[], region: Region): string[] {
  const columns = Array.from({ length: width(region) }, (_, index) => region.startColumn + index);
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
    return count === 1 ? name : `${name} (${count})`;
  });
}

function letters(column: number): string {
  return column < 26
    ? String.fromCharCode(65 + column)
    : `${String.fromCharCode(64 + Math.floor(column / 26))}${String.fromCharCode(65 + (column % 26))}`;
}

function excludedRows(grid: Grid, region: Region, firstBodyRow: number, headers: readonly string[]): ExcludedRow[] {
  const columns = Array.from({ length: width(region) }, (_, index) => region.startColumn + index);
  // Labels are judged once per distinct text: a sheet of 100,000 rows has few.
  const labels = columns.map((column) => (grid.columns[column]?.texts ?? []).map((text) => totalKind(text)));
  const mayBeTotal = columns.filter((_, index) => labels[index]?.some((kind) => kind !== undefined));
  const excluded: ExcludedRow[] = [];
  const sumRows = rowsOfSums(grid, region, firstBodyRow);
  for (let row = firstBodyRow; row <= region.endRow; row++) {
    const total = totalOf(grid, row, mayBeTotal, region);
    if (total !== undefined) excluded.push({ row, ...total });
    else if (sumRows.has(row))
      excluded.push({ row, kind: row === region.endRow ? "total" : "subtotal", label: firstText(grid, row, region) });
    else if (isSuspicious(grid, row, columns, headers)) {
      const filled = filledCells(grid, row, region);
      if (filled === 0) excluded.push({ row, kind: "blank", label: "" });
      else if (
        columns.every(
          (column, index) =>
            headerText(grid, row, column) === (headers[index] ?? "").split(" / ").at(-1) ||
            headers[index]?.includes(headerText(grid, row, column) || "\0"),
        )
      )
        excluded.push({ row, kind: "repeated_header", label: "" });
      else if (filled === 1 && columns.length > 2 && isNote(grid, row, region))
        excluded.push({ row, kind: "note", label: firstText(grid, row, region) });
    }
  }
  return excluded;
}

/** Cheap look before the careful ones: few cells filled, or the first cell repeats a header. */
function isSuspicious(grid: Grid, row: number, columns: readonly number[], headers: readonly string[]): boolean {
  let filled = 0;
  let firstFilled = -1;
  for (const column of columns) {
    if (isBlank(grid, row, column)) continue;
    if (firstFilled < 0) firstFilled = column;
    if (++filled > 1) break;
  }
  if (filled <= 1) return true;
  const first = cellAt(grid, row, firstFilled);
  return first.kind === "text" && (headers[firstFilled - (columns[0] ?? 0)] ?? "").endsWith(narrow(first.value));
}

function isNote(grid: Grid, row: number, region: Region): boolean {
  const text = firstText(grid, row, region);
  return (
    noteLabel.test(text) ||
    (row === region.endRow && cellAt(grid, row, region.startColumn).kind === "text" && text.length > 12)
  );
}

function firstText(grid: Grid, row: number, region: Region): string {
  for (let column = region.startColumn; column <= region.endColumn; column++) {
    const cell = cellAt(grid, row, column);
    if (cell.kind === "text") return narrow(cell.value);
  }
  return "";
}

function totalOf(
  grid: Grid,
  row: number,
  columns: readonly number[],
  region: Region,
): { kind: "subtotal" | "total"; label: string } | undefined {
  for (const column of columns) {
    const cell = cellAt(grid, row, column);
    const kind = cell.kind === "text" ? totalKind(cell.value) : undefined;
    if (kind === undefined || cell.kind !== "text") continue;
    // A product called "Total Eclipse" in a full row is no total: a total row names nothing to the right of its label but numbers.
    for (let other = column + 1; other <= region.endColumn; other++) {
      const right = cellAt(grid, row, other);
      if (right.kind === "text" && parseNumber(right.value) === undefined && !/^[-—–/*]+$/.test(right.value.trim()))
        return undefined;
    }
    return { kind, label: narrow(cell.value) };
  }
  return undefined;
}

/** Rows whose formulas add up cells above them in the same column. */
function rowsOfSums(grid: Grid, region: Region, firstBodyRow: number): Set<number> {
  const counts = new Map<number, number>();
  for (const [key, formula] of grid.formulas) {
    const row = Math.floor(key / 16_384);
    const column = key % 16_384;
    if (row < firstBodyRow || row > region.endRow || column < region.startColumn || column > region.endColumn) continue;
    const range = /^(?:SUM|SUBTOTAL)\((?:\d+,)?\$?([A-Z]+)\$?(\d+):\$?([A-Z]+)\$?(\d+)\)$/i.exec(formula);
    if (range && range[1] === range[3] && Number(range[4]) <= row && Number(range[4]) - Number(range[2]) >= 1)
      counts.set(row, (counts.get(row) ?? 0) + 1);
  }
  return new Set(counts.keys());
}
