// Reading order: finds the columns of a page. Runs that cross a gutter (titles, wide figures) cut the page into bands; inside a band
// the left side is read to its end before the right one begins. Tables have gutters too, so a side counts as a column only when its
// lines are prose: several em wide and mostly filling the side.
import { cellsOf } from "./aligned-tables.ts";
import { linesOf, median, type Run } from "./runs.ts";

/** The page's runs as regions in reading order; inside a region, lines simply go from top to bottom. */
export function regionsInOrder(runs: readonly Run[], depth = 0): Run[][] {
  if (runs.length < 6 || depth > 4) return runs.length > 0 ? [[...runs]] : [];
  const gutter = bestGutter(runs);
  if (!gutter) return [[...runs]];
  const regions: Run[][] = [];
  const whole = runs.flatMap((run) => splitAtGutter(run, gutter));
  let single: Run[] = [];
  const flush = (): void => {
    if (single.length > 0) regions.push(single);
    single = [];
  };
  for (const band of bandsOf(whole, gutter)) {
    if (!band.isColumns) {
      single.push(...band.runs);
      continue;
    }
    flush();
    const isLeft = (run: Run): boolean => run.right <= gutter.to;
    regions.push(...regionsInOrder(band.runs.filter(isLeft), depth + 1));
    regions.push(
      ...regionsInOrder(
        band.runs.filter((run) => !isLeft(run)),
        depth + 1,
      ),
    );
  }
  flush();
  return regions;
}

interface Gutter {
  from: number;
  to: number;
}

/** A recognised line that runs through the gutter without a letter in it is two lines, read as one. */
function splitAtGutter(run: Run, { from, to }: Gutter): Run[] {
  if (run.confidence === undefined || run.left >= from || run.right <= to || run.lefts.length !== run.text.length)
    return [run];
  const index = run.lefts.findIndex((left) => left > from);
  const before = run.lefts[index - 1];
  const after = run.lefts[index];
  // Positions are those of letters' beginnings, to within a part of a letter.
  if (before === undefined || after === undefined || after < to - run.size * 0.4 || after - before < run.size * 1.6)
    return [run];
  return [
    {
      ...run,
      text: run.text.slice(0, index).trimEnd(),
      lefts: run.lefts.slice(0, run.text.slice(0, index).trimEnd().length),
      right: from,
    },
    { ...run, text: run.text.slice(index), lefts: run.lefts.slice(index), left: after },
  ];
}

interface Band {
  runs: Run[];
  isColumns: boolean;
}

function bestGutter(runs: readonly Run[], depth = 0): Gutter | undefined {
  const size = median(runs.map((run) => run.size));
  const left = Math.min(...runs.map((run) => run.left));
  const right = Math.max(...runs.map((run) => run.right));
  const width = right - left;
  if (runs.length < 4 || width < size * 20) return undefined;
  let best: Gutter | undefined;
  let bestScore = 0;
  for (const gutter of gaps(runs, { left, right, size })) {
    const centre = (gutter.from + gutter.to) / 2;
    if (centre < left + width * 0.12 || centre > right - width * 0.12) continue;
    const inColumns = bandsOf(runs, gutter, depth)
      .filter((band) => band.isColumns)
      .reduce((sum, band) => sum + band.runs.length, 0);
    if (inColumns > bestScore) {
      bestScore = inColumns;
      best = gutter;
    }
  }
  return best;
}

/** Candidates are tried one by one against all runs. */
const mostCandidates = 12;
/** Newspapers have five columns or six. */
const mostColumnsBeside = 4;

/**
 * Stretches of x that fewer runs cross than stand on both sides of them. Which count is "few" differs from page to page (titles cross,
 * short lines do not reach), so every level is looked at and the stretches that stand out most are kept.
 */
function gaps(runs: readonly Run[], page: { left: number; right: number; size: number }): Gutter[] {
  const step = page.size / 4;
  const cells = Math.min(4000, Math.ceil((page.right - page.left) / step) + 1);
  const covered = new Uint32Array(cells);
  for (const run of runs) {
    const from = Math.max(0, Math.floor((run.left - page.left) / step));
    const to = Math.min(cells - 1, Math.floor((run.right - page.left) / step));
    for (let cell = from; cell <= to; cell++) covered[cell] = (covered[cell] ?? 0) + 1;
  }
  const found: (Gutter & { depth: number })[] = [];
  const few = Math.max(1, runs.length * 0.3);
  const narrowest = (page.size * 0.9) / step;
  const beside = Math.ceil((page.size * 10) / step);
  for (const level of new Set(covered.filter((count) => count <= few)))
    for (let cell = 0; cell < cells; cell++) {
      if ((covered[cell] ?? 0) > level) continue;
      let end = cell;
      while (end + 1 < cells && (covered[end + 1] ?? 0) <= level) end++;
      const leftPeak = Math.max(0, ...covered.subarray(Math.max(0, cell - beside), cell));
      const rightPeak = Math.max(0, ...covered.subarray(end + 1, end + 1 + beside));
      const depth = Math.min(leftPeak, rightPeak) - level;
      if (end - cell + 1 >= narrowest && depth > 0)
        found.push({ from: page.left + cell * step, to: page.left + (end + 1) * step, depth });
      cell = end;
    }
  return found.sort((a, b) => b.depth - a.depth).slice(0, mostCandidates);
}

function bandsOf(runs: readonly Run[], gutter: Gutter, depth = 0): Band[] {
  const centre = (gutter.from + gutter.to) / 2;
  const bands: Band[] = [];
  let open: Run[] = [];
  const close = (): void => {
    if (open.length > 0) bands.push({ runs: open, isColumns: areColumns(open, centre, depth) });
    open = [];
  };
  let wasCrossing = false;
  let before: Run | undefined;
  for (const run of runs.toSorted((a, b) => a.top - b.top)) {
    const isCrossing: boolean = crosses(run, runs, centre) || (wasCrossing && endsParagraph(run, before, runs));
    before = run;
    if (isCrossing !== wasCrossing) close();
    wasCrossing = isCrossing;
    open.push(run);
  }
  close();
  return bands.map((band) =>
    band.runs.some((run) => crosses(run, runs, centre)) ? { ...band, isColumns: false } : band,
  );
}

/** The short last line of a paragraph over the full width: alone at its height, set like the line above it. */
function endsParagraph(run: Run, above: Run | undefined, all: readonly Run[]): boolean {
  if (!above || Math.abs(run.left - above.left) > run.size * 0.6 || Math.abs(run.size - above.size) > run.size * 0.1)
    return false;
  if (run.isBold !== above.isBold || run.top - above.top > run.size * 1.9) return false;
  return !all.some(
    (other) => other !== run && other.top < run.bottom - 1 && other.bottom > run.top + 1 && other !== above,
  );
}

/** A speck between the columns, with lines on both sides of it, does not reach over the gutter as a title does. */
function crosses(run: Run, all: readonly Run[], centre: number): boolean {
  if (run.left >= centre || run.right <= centre) return false;
  if (run.right - run.left > run.size * 5) return true;
  const beside = all.filter((other) => other !== run && other.top < run.bottom && other.bottom > run.top);
  return !(
    beside.some((other) => other.right <= run.left + run.size) &&
    beside.some((other) => other.left >= run.right - run.size)
  );
}

/** Prose on both sides, or on one and columns again on the other. */
function areColumns(runs: readonly Run[], centre: number, depth: number): boolean {
  const left = runs.filter((run) => run.right <= centre);
  const right = runs.filter((run) => run.left >= centre);
  if (!overlapInY(left, right)) return false;
  const [isLeftProse, isRightProse] = [isProse(left), isProse(right)];
  if (isLeftProse && isRightProse) return true;
  if ((!isLeftProse && !isRightProse) || depth >= mostColumnsBeside) return false;
  return bestGutter(isLeftProse ? right : left, depth + 1) !== undefined;
}

function isProse(runs: readonly Run[]): boolean {
  const lines = linesOf(runs);
  if (lines.length < 2) return false;
  const sideWidth = Math.max(...lines.map((line) => line.right)) - Math.min(...lines.map((line) => line.left));
  const width = median(lines.map((line) => line.right - line.left));
  const size = median(lines.map((line) => line.size));
  // Lines of a table consist of pieces; in a line of prose one piece is most of it.
  const whole = lines.filter((line) => {
    const widest = Math.max(...cellsOf(line).map((cell) => cell.right - cell.left));
    return widest >= (line.right - line.left) * 0.7;
  }).length;
  return width >= size * 9 && width >= sideWidth * 0.5 && whole >= lines.length * 0.5;
}

function overlapInY(left: readonly Run[], right: readonly Run[]): boolean {
  const top = Math.max(Math.min(...left.map((run) => run.top)), Math.min(...right.map((run) => run.top)));
  const bottom = Math.min(Math.max(...left.map((run) => run.bottom)), Math.max(...right.map((run) => run.bottom)));
  return bottom > top;
}
