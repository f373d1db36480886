// Prompt slimming: drops politeness and filler from a message, and nothing else. Deterministic and conservative: what is removed are whole
// stretches of the user's own words, named by their place, so that the page can show the difference; no word is added or changed. It never
// touches quotations, code, or what may be the text to be worked on: behind a colon, behind a word like 翻译 or "translate", or in the
// further lines of a message of several. A rule that is not sure does nothing: one kept 请 costs a token, one lost 请假 costs the answer.
import { enRules, materialBefore, materialFollows, protectedPattern, type SlimRule, zhRules } from "./slim-rules.ts";

/** Offsets in UTF-16 units; `end` is behind the last one. */
export interface Span {
  start: number;
  end: number;
}

export interface Slimmed {
  text: string;
  removed: (Span & { text: string })[];
}

export function slim(text: string): Slimmed {
  const open = openSpans(text);
  const found: Span[] = [];
  for (const rule of [...zhRules, ...enRules]) {
    for (const span of matches(text, rule)) {
      const isOpen = open.some(({ start, end }) => start <= span.start && span.end <= end);
      if (isOpen && span.end > span.start) found.push(span);
    }
  }
  const spans = joined(found);
  const kept = without(text, spans);
  // A message that is nothing but politeness is meant.
  if (spans.length === 0 || !/[\p{L}\p{N}]{2}/u.test(kept)) return { text, removed: [] };
  return { text: kept, removed: spans.map((span) => ({ ...span, text: text.slice(span.start, span.end) })) };
}

function* matches(text: string, { pattern }: SlimRule): Generator<Span> {
  for (const match of text.matchAll(pattern)) yield { start: match.index, end: match.index + match[0].length };
}

/** Where something may be removed. */
function openSpans(text: string): Span[] {
  const closed = [...text.matchAll(protectedPattern)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }));
  const lines = linesOf(text);
  const [first] = lines;
  if (!first) return [];
  if (materialBefore.test(blanked(text, closed))) return [];
  const limit = instructionEnd(text, closed);
  const isSingle = lines.length === 1;
  // A word like "translate" further down: whatever stands above it may be the text that is meant.
  if (limit < text.length && limit > first.end) return [];
  const open: Span[] = [{ start: 0, end: Math.min(limit, isSingle ? text.length : first.end) }];
  const last = lines.at(-1);
  if (!isSingle && last && limit === text.length && text.slice(last.start, last.end).length <= 20) {
    open.push({ start: last.start - 1, end: text.length });
  }
  return closed.reduce((spans, hole) => spans.flatMap((span) => cut(span, hole)), open);
}

/** Up to here the message speaks to the model: the first colon or word behind which the material may stand. */
function instructionEnd(text: string, closed: readonly Span[]): number {
  const own = blanked(text, closed);
  const colon = own.search(/：|:(?!\d)/);
  const word = own.search(materialFollows);
  // A quotation or code is material itself: nothing behind it is surely an instruction, but what is before it is.
  return Math.min(...[colon, word].map((at) => (at < 0 ? text.length : at)));
}

/** The text with its quotations and code as blanks: only the user's own words count as words. */
function blanked(text: string, closed: readonly Span[]): string {
  return closed.reduce(
    (rest, { start, end }) => rest.slice(0, start) + " ".repeat(end - start) + rest.slice(end),
    text,
  );
}

function linesOf(text: string): Span[] {
  const lines: Span[] = [];
  for (const match of text.matchAll(/[^\n]+/g)) {
    if (match[0].trim() !== "") lines.push({ start: match.index, end: match.index + match[0].length });
  }
  return lines;
}

function cut(span: Span, hole: Span): Span[] {
  if (hole.end <= span.start || span.end <= hole.start) return [span];
  return [
    { start: span.start, end: hole.start },
    { start: hole.end, end: span.end },
  ].filter(({ start, end }) => start < end);
}

function joined(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else result.push({ ...span });
  }
  return result;
}

function without(text: string, spans: readonly Span[]): string {
  let kept = "";
  let done = 0;
  for (const { start, end } of spans) {
    kept += text.slice(done, start);
    done = end;
  }
  return kept + text.slice(done);
}
