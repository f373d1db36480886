// From runs and rulings of one page to its segments in reading order: ruled tables first, then columns, then per column the aligned
// tables, lists, footnotes and paragraphs. Headings are decided later, over all pages (headings.ts), because "large" needs the
// document's usual size.
import { splitAlignedTables } from "./aligned-tables.ts";
import { regionsInOrder } from "./columns.ts";
import { gridsOf, tableFromGrid } from "./grids.ts";
import {
  boxOf,
  confidenceOf,
  type DraftSegment,
  isCjk,
  isMonospacedLine,
  type Line,
  linesOf,
  median,
  type Ruling,
  type Run,
  textOf,
} from "./runs.ts";

export interface PageContent {
  page: number;
  width: number;
  height: number;
  runs: readonly Run[];
  rulings: readonly Ruling[];
  /** How far two drawn lines may be apart and still meet. */
  tolerance: number;
}

export function segmentsOfPage(content: PageContent): DraftSegment[] {
  const slanted = content.runs.filter((run) => run.isSlanted);
  let rest = content.runs.filter((run) => !run.isSlanted);
  const tables: DraftSegment[] = [];
  for (const grid of gridsOf(content.rulings, content.tolerance)) {
    const [left = 0, right = 0] = [grid.xs[0], grid.xs.at(-1)];
    const [top = 0, bottom = 0] = [grid.ys[0], grid.ys.at(-1)];
    const isInside = (run: Run): boolean => {
      const [x, y] = [(run.left + run.right) / 2, (run.top + run.bottom) / 2];
      return x > left && x < right && y > top && y < bottom;
    };
    const table = tableFromGrid(grid, rest.filter(isInside), content.page);
    if (!table) continue;
    tables.push(table);
    rest = rest.filter((run) => !isInside(run));
  }
  const segments: DraftSegment[] = [];
  for (const region of regionsInOrder([...rest, ...tables.map(standIn)])) {
    const lines = linesOf(region);
    let open: Line[] = [];
    const flush = (): void => {
      if (open.length > 0) segments.push(...segmentsOfLines(open, content));
      open = [];
    };
    for (const line of lines) {
      const standing = line.runs.find((run) => run.text.startsWith(tableMark));
      if (!standing) {
        open.push(line);
        continue;
      }
      flush();
      for (const run of line.runs) {
        const table = run.text.startsWith(tableMark) ? tables[Number(run.text.slice(tableMark.length))] : undefined;
        if (table) segments.push(table);
      }
      const beside = line.runs.filter((run) => !run.text.startsWith(tableMark));
      if (beside.length > 0) segments.push(...linesOf(beside).flatMap((each) => segmentsOfLines([each], content)));
    }
    flush();
  }
  for (const run of slanted)
    segments.push({
      kind: "paragraph",
      page: content.page,
      text: run.text.trim(),
      lines: [run.text],
      box: boxOf([run]),
      isSlanted: true,
    });
  return segments;
}

// A table that has been taken out keeps its place in the reading order through a run that stands in for it.
const tableMark = "\u0000table ";

function standIn(table: DraftSegment, index: number): Run {
  const [left = 0, top = 0, right = 0, bottom = 0] = table.box ?? [];
  return { text: `${tableMark}${index}`, left, top, right, bottom, size: 10, isBold: false, lefts: [] };
}

function segmentsOfLines(lines: readonly Line[], content: PageContent): DraftSegment[] {
  return splitAlignedTables(lines, content.page).flatMap((part) =>
    Array.isArray(part) ? blocksOf(part, content) : [part],
  );
}

/** Lines into paragraphs, list items and footnotes. */
function blocksOf(lines: readonly Line[], content: PageContent): DraftSegment[] {
  const steps = lines.slice(1).map((line, index) => line.top - (lines[index]?.top ?? 0));
  const usualStep = median(steps.filter((step) => step > 0));
  const left = Math.min(...lines.map((line) => line.left));
  const right = Math.max(...lines.map((line) => line.right));
  // Two lines that end at one edge make it a margin: text was broken there because the line was full.
  const hasMargin = lines.filter((line) => right - line.right < line.size * 1.5).length >= 2;
  const blocks: Line[][] = [];
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1];
    const block = blocks.at(-1);
    if (before && block && !startsBlock(line, before, { usualStep, left, right, hasMargin, first: block[0] ?? before }))
      block.push(line);
    else blocks.push([line]);
  }
  return joinLists(blocks.map((block) => segmentOf(block, content)));
}

interface Setting {
  usualStep: number;
  left: number;
  right: number;
  hasMargin: boolean;
  first: Line;
}

function startsBlock(line: Line, before: Line, { usualStep, left, right, hasMargin, first }: Setting): boolean {
  const size = Math.max(line.size, before.size);
  // The size of recognised type is that of its box, which varies from line to line.
  const sameSize = line.runs[0]?.confidence === undefined ? 0.12 : 0.3;
  if (Math.abs(line.size - before.size) > size * sameSize) return true;
  if (isBoldLine(line) !== isBoldLine(before)) return true;
  const isProgram = isMonospacedLine(line);
  if (isProgram !== isMonospacedLine(before)) return true;
  const step = line.top - before.top;
  if (isProgram) return step > Math.max(usualStep, size * 1.1) * 3.2;
  if (step > Math.max(usualStep, size * 1.1) * 1.3) return true;
  const text = textOf(line);
  if (markerOf(text) || noteMarkerOf(line, text)) return true;
  const endedEarly = before.right < right - size * 2.5;
  const endsSentence = /[。．.!?！？：:；;]["”’』」）)]?$/.test(textOf(before));
  // "按照本合同 / 第三条的规定": a line of prose may begin like a clause.
  if (isClause(text) && (endedEarly || endsSentence || /^第\S{2,6}\s/.test(text))) return true;
  if (isField(text) && (endedEarly || isField(textOf(before)))) return true;
  if (hasMargin && before.right + firstWordWidth(line) < right - size * 1.5) return true;
  if (endedEarly && endsSentence) return true;
  // First line indented, as in books: this line stands right of the block's margin and the one before reached the edge or ended early.
  const margin = markerOf(textOf(first)) ? before.left : left;
  const isIndented = line.left - margin > size * 1.2 && line.left - margin < size * 6;
  const wasFlush = before.left - margin < size * 0.6;
  if (isIndented && wasFlush && !markerOf(textOf(first))) return true;
  // A centred or short line followed by a longer one that starts elsewhere.
  return (
    endedEarly && before.right - before.left < (right - left) * 0.5 && Math.abs(before.left - line.left) > size * 3
  );
}

/** How far the line before would have reached had this one's first word stood on it: Han characters break anywhere, words only whole. */
function firstWordWidth(line: Line): number {
  const [run] = line.runs;
  if (!run) return 0;
  const word = /^(?:[\p{Script=Han}，。、；：]|[^\s\p{Script=Han}]+)/u.exec(run.text)?.[0] ?? run.text;
  return Math.min(run.right - run.left, word.length * (isCjk(word) ? line.size : line.size * 0.6) + line.size * 0.3);
}

function isBoldLine(line: Line): boolean {
  const characters = line.runs.reduce((sum, run) => sum + run.text.length, 0);
  const bold = line.runs.reduce((sum, run) => sum + (run.isBold ? run.text.length : 0), 0);
  return bold > characters * 0.7;
}

/** "• ", "- ", "1. ", "(2)", "（一）", "①": what opens a list item. */
export function markerOf(text: string): string | undefined {
  return /^(?:[•●◦▪■◆–·]|[-*](?=\s)|\d{1,2}[.)](?=[\s\p{Script=Han}])(?!\d)|\d{1,2}、|[(（](?:\d{1,2}|[a-z]|[一二三四五六七八九十]{1,3})[)）]|[①-⑳])/u.exec(
    text,
  )?.[0];
}

/** "一、…", "第三条 …", "第二章 …": clauses of contracts and reports. */
function isClause(text: string): boolean {
  return /^(?:[一二三四五六七八九十]{1,3}、|第[一二三四五六七八九十百零〇\d]{1,5}[条章节款编])/.test(text);
}

/** "甲方：…", "Invoice no.: …": a line of a form. */
function isField(text: string): boolean {
  return /^[\p{L}\d ()（）.]{1,16}[：:]/u.test(text);
}

/** A small raised figure or sign before small text. */
function noteMarkerOf(line: Line, text: string): boolean {
  const [first, second] = line.runs;
  if (first && second && first.size < second.size * 0.8 && /^[\d*†‡①-⑳[\]]{1,4}$/.test(first.text.trim())) return true;
  return /^(?:\[\d{1,3}\]|[*†‡]\s?\S|注[：:\d])/.test(text);
}

function segmentOf(block: readonly Line[], content: PageContent): DraftSegment {
  const runs = block.flatMap((line) => line.runs);
  const lines = block.map((line) => textOf(line)).filter((text) => text !== "");
  const text = lines.join("\n");
  const confidence = confidenceOf(runs);
  const base = {
    page: content.page,
    box: boxOf(runs),
    lines,
    size: median(block.map((line) => line.size)),
    isBold: block.every(isBoldLine),
    ...(confidence === undefined ? {} : { confidence }),
  };
  const [first] = block;
  // One line may be a name or an address; two or more are program text, whose lines and indents count.
  if (block.length >= 2 && block.every(isMonospacedLine)) return { ...base, kind: "code", text: programText(block) };
  const marker = markerOf(text);
  if (marker) {
    const item = { text: text.slice(marker.length).trim(), level: 0, marker };
    return { ...base, kind: "list", items: [item] };
  }
  if (first && first.top > content.height * 0.6 && noteMarkerOf(first, text))
    return { ...base, kind: "footnote", text };
  return { ...base, kind: "paragraph", text };
}

/** Lines as they stand, indents and gaps as blanks. */
function programText(block: readonly Line[]): string {
  const runs = block.flatMap((line) => line.runs);
  const width =
    median(runs.filter((run) => run.text.length > 3).map((run) => (run.right - run.left) / run.text.length)) ||
    (runs[0]?.size ?? 10) * 0.6;
  const left = Math.min(...block.map((line) => line.left));
  return block
    .map((line) => {
      let text = "";
      for (const run of line.runs) text = text.padEnd(Math.round((run.left - left) / width)) + run.text;
      return text;
    })
    .join("\n");
}

/** List items one under the other become one list; deeper left edges become deeper levels. */
function joinLists(segments: readonly DraftSegment[]): DraftSegment[] {
  const joined: DraftSegment[] = [];
  let lefts: number[] = [];
  for (const segment of segments) {
    const before = joined.at(-1);
    if (segment.kind !== "list" || before?.kind !== "list" || !segment.box || !before.box) {
      joined.push(segment);
      lefts = segment.box ? [segment.box[0]] : [];
      continue;
    }
    const left = segment.box[0];
    const step = (segment.size ?? 10) * 0.8;
    while (lefts.length > 1 && left < (lefts.at(-1) ?? 0) - step) lefts.pop();
    if (left > (lefts.at(-1) ?? 0) + step) lefts.push(left);
    const level = lefts.length - 1;
    const confidence =
      segment.confidence === undefined ? {} : { confidence: Math.min(segment.confidence, before.confidence ?? 1) };
    joined[joined.length - 1] = {
      ...before,
      ...confidence,
      items: [...before.items, ...segment.items.map((item) => ({ ...item, level }))],
      box: boxOf([before.box, segment.box].map(([l, top, right, bottom]) => ({ left: l, top, right, bottom }))),
      lines: [...(before.lines ?? []), ...(segment.lines ?? [])],
    };
  }
  return joined;
}
