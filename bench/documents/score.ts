// How the bench judges: characters by edit distance (blanks and width forms ignored, as readers do), tables cell by cell.
import type { Segment } from "../../src/documents/document.ts";

export function normalised(text: string): string {
  return text.normalize("NFKC").replaceAll(/[\s\u200b]+/g, "");
}

/** 1 - edit distance ÷ length; order counts. */
export function characterAccuracy(expected: string, found: string): number {
  const a = normalised(expected);
  const b = normalised(found);
  return a.length === 0 ? 1 : Math.max(0, 1 - editDistance(a, b) / a.length);
}

/** Ukkonen's band: cost grows with the distance, not with the square of the length. */
export function editDistance(a: string, b: string): number {
  for (let limit = 64; ; limit *= 4) {
    const distance = bandedDistance(a, b, limit);
    if (distance <= limit || limit > a.length + b.length) return distance;
  }
}

function bandedDistance(a: string, b: string, limit: number): number {
  const far = limit + 1;
  if (Math.abs(a.length - b.length) > limit) return far;
  let before = new Int32Array(b.length + 2).fill(far);
  let row = new Int32Array(b.length + 2).fill(far);
  for (let j = 0; j <= Math.min(b.length, limit); j++) before[j] = j;
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(0, i - limit);
    const to = Math.min(b.length, i + limit);
    if (from > 0) row[from - 1] = far;
    for (let j = from; j <= to; j++) {
      const above = j <= i - 1 + limit ? (before[j] ?? far) : far;
      if (j === 0) row[0] = i;
      else {
        const change = (before[j - 1] ?? far) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
        row[j] = Math.min(change, above + 1, (row[j - 1] ?? far) + 1);
      }
    }
    [before, row] = [row, before];
  }
  return before[b.length] ?? far;
}

/** Share of the expected cells that stand in the right row and column with the right text. */
export function tableAccuracy(
  expected: readonly (readonly string[])[],
  found: Extract<Segment, { kind: "table" }> | undefined,
): { right: number; all: number } {
  let right = 0;
  let all = 0;
  const at = new Map(found?.cells.map((cell) => [`${cell.row},${cell.column}`, normalised(cell.text)]));
  for (const [row, cells] of expected.entries())
    for (const [column, text] of cells.entries()) {
      all++;
      if (at.get(`${row},${column}`) === normalised(text)) right++;
    }
  return { right, all };
}
