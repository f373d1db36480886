// The raw material of page layout, the same for a PDF's text layer and for recognised text: runs (pieces of text on one line, in one
// size) and rulings (drawn lines). Units are the page's, y grows downwards.
import type { Box, SegmentContent, SegmentPlace } from "../document.ts";

export interface Run {
  text: string;
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** Font size. */
  size: number;
  isBold: boolean;
  /** Left edge of each UTF-16 unit of `text`, so that a run can be split at a table's ruling. */
  lefts: readonly number[];
  /** 0..1, for recognised text. */
  confidence?: number;
  isMonospaced?: boolean;
  /** Written at a slant, as watermarks are. */
  isSlanted?: boolean;
}

export interface Ruling {
  isHorizontal: boolean;
  /** y of a horizontal line, x of a vertical one. */
  at: number;
  from: number;
  to: number;
}

/** A segment on its way: it still knows its lines and type size, for headings and cleaning. */
export type DraftSegment = SegmentContent &
  Pick<SegmentPlace, "page" | "box" | "confidence" | "removed" | "original"> & {
    lines?: readonly string[];
    size?: number;
    isBold?: boolean;
    isSlanted?: boolean;
  };

export interface Line {
  runs: Run[];
  left: number;
  top: number;
  right: number;
  bottom: number;
  size: number;
}

export function boxOf(parts: Iterable<Pick<Run, "left" | "top" | "right" | "bottom">>): Box {
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -Infinity, -Infinity];
  for (const part of parts) {
    left = Math.min(left, part.left);
    top = Math.min(top, part.top);
    right = Math.max(right, part.right);
    bottom = Math.max(bottom, part.bottom);
  }
  return [left, top, right, bottom].map((value) => Math.round(value * 10) / 10) as unknown as Box;
}

/** Runs gathered into lines, top to bottom, each line left to right. */
export function linesOf(runs: readonly Run[]): Line[] {
  const lines: Line[] = [];
  for (const run of runs.toSorted((a, b) => middle(a) - middle(b))) {
    // A line is looked for among the last few only: runs come sorted by their middles.
    const line = lines.slice(-4).findLast((candidate) => isOnLine(candidate, run));
    if (!line) {
      lines.push({ runs: [run], left: run.left, top: run.top, right: run.right, bottom: run.bottom, size: run.size });
      continue;
    }
    line.runs.push(run);
    line.left = Math.min(line.left, run.left);
    line.right = Math.max(line.right, run.right);
    // A superscript must not stretch the line.
    if (run.size > line.size * 0.8) {
      line.top = Math.min(line.top, run.top);
      line.bottom = Math.max(line.bottom, run.bottom);
    }
    line.size = Math.max(line.size, run.size);
  }
  for (const line of lines) line.runs.sort((a, b) => a.left - b.left);
  return lines.sort((a, b) => a.top - b.top);
}

function middle(run: Pick<Run, "top" | "bottom">): number {
  return (run.top + run.bottom) / 2;
}

function isOnLine(line: Line, run: Run): boolean {
  const overlap = Math.min(line.bottom, run.bottom) - Math.max(line.top, run.top);
  const smaller = Math.min(line.bottom - line.top, run.bottom - run.top);
  if (overlap < smaller * 0.55) return false;
  // Two runs of one size on top of each other are two lines set tight, not one.
  return !line.runs.some((other) => {
    const shared = Math.min(other.right, run.right) - Math.max(other.left, run.left);
    return shared > Math.min(other.right - other.left, run.right - run.left) * 0.5 && overlap < smaller * 0.8;
  });
}

/** Chinese in program text comes from another font; its signs are all of one width anyway. */
export function isMonospacedLine(line: Line): boolean {
  return (
    line.runs.some((run) => run.isMonospaced) &&
    line.runs.every((run) => run.isMonospaced || [...run.text].every(isCjk))
  );
}

/** The words of a line, a space where the page shows a gap. */
export function textOf(line: Pick<Line, "runs">): string {
  let text = "";
  let before: Run | undefined;
  for (const run of line.runs) {
    if (before && needsSpace(before, run)) text += " ";
    text += run.text;
    before = run;
  }
  return text.replaceAll(/[ \t\u00a0]+/g, " ").trim();
}

function needsSpace(before: Run, run: Run): boolean {
  const gap = run.left - before.right;
  const size = Math.min(before.size, run.size);
  const isCjkJoint = isCjk(before.text.at(-1) ?? "") && isCjk(run.text.at(0) ?? "");
  // Between Han characters a blank is a whole em; less is the line's justification.
  return gap > size * (isCjkJoint ? 0.9 : 0.18);
}

/** Han, kana, full-width signs: scripts written without spaces. */
export function isCjk(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return (
    (code >= 0x2e80 && code <= 0x9fff) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe4f) ||
    (code >= 0xff00 && code <= 0xffef) ||
    (code >= 0x20000 && code <= 0x3ffff)
  );
}

export function confidenceOf(runs: readonly Run[]): number | undefined {
  let sum = 0;
  let characters = 0;
  for (const run of runs) {
    if (run.confidence === undefined) continue;
    sum += run.confidence * run.text.length;
    characters += run.text.length;
  }
  return characters === 0 ? undefined : Math.round((sum / characters) * 1000) / 1000;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
