// From a PDF page's characters to runs for the layout, and the judgement whether its text layer can be trusted.
import type { Run } from "./layout/runs.ts";
import { isCjk } from "./layout/runs.ts";
import type { Character, PdfPage } from "./pdf-page.ts";

/** What to do with a page's text layer. */
export type TextLayer =
  | { verdict: "real" }
  | { verdict: "blank" }
  /** A picture of text: nothing, or almost nothing, can be taken from the text layer. */
  | { verdict: "scan" }
  /** Somebody's OCR lies invisibly over the picture. */
  | { verdict: "invisible" }
  /** The codes do not map to text (broken or missing font tables). */
  | { verdict: "garbage" };

export function judgeTextLayer(page: PdfPage): TextLayer {
  const area = page.width * page.height;
  const pictured = page.images.reduce((sum, box) => sum + (box.right - box.left) * (box.bottom - box.top), 0) / area;
  const marks = page.characters.filter((character) => character.text.trim() !== "");
  const visible = marks.filter((character) => !character.style.isInvisible);
  if (visible.length === 0 && marks.length === 0) {
    if (pictured > 0.02) return { verdict: "scan" };
    // Letters drawn as outlines: many small paths and no text.
    return { verdict: page.pathCount > 60 ? "scan" : "blank" };
  }
  if (marks.length > 20 && visible.length < marks.length * 0.3 && pictured > 0.3) return { verdict: "invisible" };
  if (pictured > 0.5 && visible.length < 20) return { verdict: "scan" };
  if (visible.length >= 20 && isGarbage(visible, page.unmapped)) return { verdict: "garbage" };
  return { verdict: "real" };
}

function isGarbage(characters: readonly Character[], unmapped: number): boolean {
  let bad = 0;
  for (const { text } of characters) {
    const code = text.codePointAt(0) ?? 0;
    const isPrivate = (code >= 0xe000 && code <= 0xf8ff) || code >= 0xf0000;
    const isControl = code < 32 || (code >= 0x7f && code < 0xa0) || code === 0xfffd;
    // Latin-1's upper half is what undecoded bytes look like; real text of such languages also has plain letters.
    if (isPrivate || isControl || (code >= 0xa1 && code <= 0xff && !/\p{L}/u.test(text))) bad++;
  }
  return bad + unmapped > characters.length * 0.2;
}

const upright = 8;

/** Runs of the visible characters (or of all, for an invisible layer that is to be used after all). */
export function runsOf(page: PdfPage, { withInvisible = false }: { withInvisible?: boolean } = {}): Run[] {
  const runs: Run[] = [];
  let open: { run: Run; text: string[]; lefts: number[]; baseline: number; last: Character } | undefined;
  const close = (): void => {
    if (open && open.text.join("").trim() !== "")
      runs.push({ ...open.run, text: open.text.join(""), lefts: open.lefts });
    open = undefined;
  };
  for (const character of page.characters) {
    const { style } = character;
    if (style.isInvisible && !withInvisible) continue;
    const isSpace = character.text.trim() === "";
    if (isSpace) {
      if (open) {
        open.text.push(" ");
        open.lefts.push(open.run.right);
      }
      continue;
    }
    if (open && breaksRun(open, character)) close();
    if (!open) {
      const run: Run = {
        text: "",
        lefts: [],
        left: character.left,
        right: character.right,
        top: 0,
        bottom: 0,
        size: style.size,
        isBold: style.isBold,
      };
      if (style.isMonospaced) run.isMonospaced = true;
      if (Math.abs(style.angle) > upright) run.isSlanted = true;
      run.top = character.baseline - style.size * 0.86;
      run.bottom = character.baseline + style.size * 0.16;
      open = { run, text: [], lefts: [], baseline: character.baseline, last: character };
    }
    open.text.push(character.text);
    for (let unit = 0; unit < character.text.length; unit++) open.lefts.push(character.left);
    open.run.left = Math.min(open.run.left, character.left);
    open.run.right = Math.max(open.run.right, character.right);
    if (open.run.isSlanted) {
      open.run.top = Math.min(open.run.top, character.baseline - style.size);
      open.run.bottom = Math.max(open.run.bottom, character.baseline);
    }
    open.last = character;
  }
  close();
  return [...runs.map(trimmed), ...bulletsOf(page, runs)];
}

/** Bullets are often drawn, not written: a dot close before the first run of a line is one. */
function bulletsOf(page: PdfPage, runs: readonly Run[]): Run[] {
  if (page.dots.length > 400) return [];
  return page.dots.flatMap((dot) => {
    const middle = (dot.top + dot.bottom) / 2;
    const beside = runs.filter((run) => run.top < middle && run.bottom > middle);
    const next = beside.find((run) => run.left >= dot.right && run.left - dot.right < run.size * 2.5);
    const isFirst =
      next !== undefined && !beside.some((run) => run.left < dot.left && dot.left - run.right < run.size * 8);
    if (!next || !isFirst) return [];
    const { top, bottom, size, isBold } = next;
    // Set close to its line, so that the gap behind it does not look like a column.
    return [
      {
        text: "•",
        left: next.left - size * 0.6,
        right: next.left - size * 0.3,
        top,
        bottom,
        size,
        isBold,
        lefts: [dot.left],
      },
    ];
  });
}

function breaksRun(open: { run: Run; baseline: number; last: Character }, character: Character): boolean {
  const { style } = character;
  const before = open.last.style;
  if (style.angle !== before.angle) return true;
  // Slanted text climbs from letter to letter; it ends only with its object's style.
  if (open.run.isSlanted) return Math.abs(style.size - before.size) > 0.5;
  const size = Math.max(style.size, before.size);
  if (Math.abs(style.size - before.size) > size * 0.1 || style.isBold !== before.isBold) return true;
  if (style.isMonospaced !== before.isMonospaced) return true;
  if (Math.abs(character.baseline - open.baseline) > size * 0.25) return true;
  const gap = character.left - open.last.right;
  const isCjkPair = isCjk(character.text) && isCjk(open.last.text);
  return gap > size * (isCjkPair ? 0.9 : 1.0) || gap < -size * 1.5;
}

function trimmed(run: Run): Run {
  const start = run.text.length - run.text.trimStart().length;
  const end = run.text.trimEnd().length;
  return start === 0 && end === run.text.length
    ? run
    : { ...run, text: run.text.slice(start, end), lefts: run.lefts.slice(start, end) };
}
