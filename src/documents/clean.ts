// Takes out what the pages repeat and the reader does not want: running headers and footers, page numbers, watermarks, repeated
// disclaimers; joins lines that were broken for the page and words that were hyphenated. Nothing is deleted: a removed segment keeps
// its text and gets a reason, a joined one keeps its `original`; `restore` undoes either. Anything else is left as it is.
//
// The rule against taking too much: a segment goes only when it stands in the same band at the top or bottom of several pages and its
// text (figures aside) repeats there, or when it is nothing but a page number in that band.
import { assemble, type Document, plainTextOf, type RemovalReason, type Segment } from "./document.ts";
import type { DraftSegment } from "./layout/runs.ts";
import { isCjk } from "./layout/runs.ts";
import type { DraftPage } from "./reader.ts";

/** Share of the page's height at its top and bottom where running lines stand. */
const band = 0.1;
const fewestRepeats = 3;

export function cleanPages(pages: readonly DraftPage[]): DraftPage[] {
  const reasons = new Map<DraftSegment, RemovalReason>();
  markPageNumbers(pages, reasons);
  markRunning(pages, reasons);
  markCounted(pages, reasons);
  markWatermarks(pages, reasons);
  markDisclaimers(pages, reasons);
  return pages.map((page) => ({
    ...page,
    segments: page.segments.map((segment) => {
      const removed = reasons.get(segment);
      return removed ? { ...segment, removed } : joined(segment);
    }),
  }));
}

/** The document with one segment put back (into the text) or its lines as they stood. */
export function restore(document: Document, at: { page: number; segment: number }): Document {
  return changeSegment(document, at, (segment) => {
    const { removed: _removed, original, ...kept } = segment;
    return original !== undefined && "text" in kept ? ({ ...kept, text: original } as Segment) : (kept as Segment);
  });
}

/** The document with one segment taken out of the text by a person. */
export function remove(document: Document, at: { page: number; segment: number }, reason: RemovalReason): Document {
  return changeSegment(document, at, (segment) => ({ ...segment, removed: reason }));
}

function changeSegment(
  document: Document,
  at: { page: number; segment: number },
  change: (segment: Segment) => Segment,
): Document {
  const pages = document.pages.map((page) =>
    page.number === at.page
      ? { ...page, segments: page.segments.map((segment, index) => (index === at.segment ? change(segment) : segment)) }
      : page,
  );
  return assemble({ ...document, pages });
}

function isInTopBand(segment: DraftSegment, page: DraftPage): boolean {
  return page.height > 0 && segment.box !== undefined && segment.box[3] < page.height * band;
}

function isInBottomBand(segment: DraftSegment, page: DraftPage): boolean {
  return page.height > 0 && segment.box !== undefined && segment.box[1] > page.height * (1 - band);
}

/** The text with figures as "#", so that "Page 3 of 9" repeats as "Page # of #". */
function shapeOf(segment: DraftSegment): string {
  return plainTextOf(segment).normalize("NFKC").replaceAll(/\s+/g, "").replaceAll(/\d+/g, "#").toLowerCase();
}

const longestRunning = 120;

function markRunning(pages: readonly DraftPage[], reasons: Map<DraftSegment, RemovalReason>): void {
  for (const [isInBand, reason] of [
    [isInTopBand, "running_header"],
    [isInBottomBand, "running_footer"],
  ] as const) {
    const places = new Map<string, Place>();
    for (const page of pages)
      for (const segment of page.segments) {
        if (reasons.has(segment) || segment.kind === "table" || segment.kind === "footnote" || !isInBand(segment, page))
          continue;
        const shape = shapeOf(segment);
        if (shape === "" || shape.length > longestRunning || shape === "#") continue;
        const place = places.get(shape) ?? { pages: new Set(), tops: [], segments: [] };
        place.pages.add(page.number);
        place.tops.push((segment.box?.[1] ?? 0) / page.height);
        place.segments.push(segment);
        places.set(shape, place);
      }
    for (const place of [...places.values()].flatMap(constantPlaces)) {
      if (!repeatsOften(place.pages, pages.length)) continue;
      const usual = place.tops.toSorted((a, b) => a - b)[Math.floor(place.tops.length / 2)] ?? 0;
      // Same height on the page, or it is a body line that happens to say the same.
      for (const [index, segment] of place.segments.entries())
        if (Math.abs((place.tops[index] ?? 0) - usual) < 0.02) reasons.set(segment, reason);
    }
  }
}

/**
 * A header that changes too often to repeat ("Chapter 2: Basics 17") is known by its place and its figure: it stands where running lines
 * stand, and its first or last number is the page's, by the same count that the other pages follow.
 */
function markCounted(pages: readonly DraftPage[], reasons: Map<DraftSegment, RemovalReason>): void {
  const offsets = new Map<number, number>();
  const tops: number[] = [];
  for (const page of pages)
    for (const segment of page.segments) {
      if (!reasons.has(segment) || !segment.box) continue;
      tops.push(segment.box[1] / page.height);
      for (const value of figuresAtEnds(segment))
        offsets.set(value - page.number, (offsets.get(value - page.number) ?? 0) + 1);
    }
  const [usual] = [...offsets].sort((a, b) => b[1] - a[1]);
  if (!usual || usual[1] < fewestRepeats) return;
  for (const page of pages)
    for (const segment of page.segments) {
      if (
        reasons.has(segment) ||
        !segment.box ||
        segment.kind === "table" ||
        plainTextOf(segment).length > longestRunning
      )
        continue;
      const isTop = isInTopBand(segment, page);
      const top = segment.box[1] / page.height;
      if (!(isTop || isInBottomBand(segment, page)) || !tops.some((other) => Math.abs(other - top) < 0.006)) continue;
      if (figuresAtEnds(segment).includes(page.number + usual[0]))
        reasons.set(segment, isTop ? "running_header" : "running_footer");
    }
}

function figuresAtEnds(segment: DraftSegment): number[] {
  const text = plainTextOf(segment).normalize("NFKC").trim();
  return [/^\d{1,5}(?!\d|[.,]\d)/.exec(text), /(?<![\d.,])\d{1,5}$/.exec(text)].flatMap((match) =>
    match ? [Number(match[0])] : [],
  );
}

interface Place {
  pages: Set<number>;
  /** Share of the page's height, per segment. */
  tops: number[];
  segments: DraftSegment[];
}

/**
 * Figures in a running line are the same everywhere or count with the pages. Lines of one wording whose figures differ otherwise are
 * data ("Amount: 1,200"), and only those with the very same text belong together.
 */
function constantPlaces(place: Place): Place[] {
  const figures = place.segments.map((segment) =>
    (plainTextOf(segment).normalize("NFKC").match(/\d+/g) ?? []).map(Number),
  );
  const isRunning = (figures[0] ?? []).every((first, position) =>
    figures.every((each, index) => {
      const value = each[position] ?? Number.NaN;
      const pagesOn = (place.segments[index]?.page ?? 0) - (place.segments[0]?.page ?? 0);
      return value === first || value - first === pagesOn;
    }),
  );
  if (isRunning) return [place];
  const indexes = Map.groupBy(place.segments.keys(), (index) => plainTextOf(place.segments[index] ?? emptySegment));
  return [...indexes.values()].map((members) => ({
    pages: new Set(members.map((index) => place.segments[index]?.page ?? 0)),
    tops: members.map((index) => place.tops[index] ?? 0),
    segments: members.flatMap((index) => place.segments[index] ?? []),
  }));
}

const emptySegment: DraftSegment = { kind: "paragraph", page: 0, text: "" };

/** Headers change from chapter to chapter and differ on left and right pages: three pages near one another are enough. */
function repeatsOften(on: ReadonlySet<number>, pageCount: number): boolean {
  if (pageCount < 3) return pageCount === 2 && on.size === 2;
  if (on.size < fewestRepeats) return false;
  const numbers = [...on].sort((a, b) => a - b);
  return numbers.some(
    (number, index) => (numbers[index + fewestRepeats - 1] ?? Number.POSITIVE_INFINITY) - number <= fewestRepeats * 2,
  );
}

const pageNumberShape =
  /^[-–—·•\s]*(?:第\s*)?(?:p\.?|page|页码[:：]?)?\s*(\d{1,4}|[ivxlc]{1,7})\s*(?:[/／]|of|页\s*[/／,，]?\s*共)?\s*(\d{1,4})?\s*(?:页)?[-–—·•\s]*$/i;

function markPageNumbers(pages: readonly DraftPage[], reasons: Map<DraftSegment, RemovalReason>): void {
  const found: { segment: DraftSegment; page: number; value: number }[] = [];
  for (const page of pages)
    for (const segment of page.segments) {
      if (
        reasons.has(segment) ||
        segment.kind === "table" ||
        !(isInTopBand(segment, page) || isInBottomBand(segment, page))
      )
        continue;
      const match = pageNumberShape.exec(plainTextOf(segment).normalize("NFKC").trim());
      if (match) found.push({ segment, page: page.number, value: Number(match[1]) });
    }
  for (const { segment, page, value } of found) {
    // A number that moves with the pages is a page number; one that does not may be data. Roman numbers are taken as they are.
    const isCounting =
      Number.isNaN(value) || pages.length === 1
        ? pages.length > 1
        : found.some(
            (other) =>
              other.page !== page && Math.abs(other.page - page) <= 4 && other.value - value === other.page - page,
          );
    if (isCounting) reasons.set(segment, "page_number");
  }
}

function markWatermarks(pages: readonly DraftPage[], reasons: Map<DraftSegment, RemovalReason>): void {
  const slanted = pages.flatMap((page) =>
    page.segments.filter((segment) => segment.isSlanted && !reasons.has(segment)),
  );
  const shapes = Map.groupBy(slanted, shapeOf);
  for (const segments of shapes.values()) {
    // Slanted text that repeats on the page or over the pages; a single slanted label may belong to a drawing.
    if (segments.length >= 2 || (pages.length === 1 && isLarge(segments[0])))
      for (const segment of segments) reasons.set(segment, "watermark");
  }
}

/** Spread over the page in both directions. */
function isLarge(segment: DraftSegment | undefined): boolean {
  const [left = 0, top = 0, right = 0, bottom = 0] = segment?.box ?? [];
  return right - left > 100 && bottom - top > 100;
}

const shortestDisclaimer = 40;

/** The same long paragraph on page after page: all but the first go. */
function markDisclaimers(pages: readonly DraftPage[], reasons: Map<DraftSegment, RemovalReason>): void {
  const paragraphs = pages.flatMap((page) =>
    page.segments.filter(
      (segment) => (segment.kind === "paragraph" || segment.kind === "footnote") && !reasons.has(segment),
    ),
  );
  // The very same words and figures: a sentence that repeats with other figures is data.
  for (const [text, segments] of Map.groupBy(paragraphs, (segment) => plainTextOf(segment).replaceAll(/\s+/g, ""))) {
    if (text.length < shortestDisclaimer) continue;
    const onPages = new Set(segments.map((segment) => segment.page));
    if (onPages.size >= fewestRepeats && onPages.size >= pages.length * 0.4)
      for (const segment of segments.slice(1)) reasons.set(segment, "repeated_disclaimer");
  }
}

/** Lines of a paragraph as running text. */
function joined(segment: DraftSegment): DraftSegment {
  if (segment.kind === "list" && segment.items.some((item) => item.text.includes("\n")))
    return {
      ...segment,
      items: segment.items.map((item) => ({ ...item, text: joinLines(item.text.split("\n")) })),
      original: (segment.lines ?? []).join("\n"),
    };
  if (!("text" in segment) || segment.kind === "code" || segment.kind === "formula" || segment.kind === "barcode")
    return segment;
  const lines = segment.lines;
  if (!lines || lines.length < 2) return segment;
  const text = joinLines(lines);
  return text === segment.text ? segment : { ...segment, text, original: lines.join("\n") };
}

export function joinLines(lines: readonly string[]): string {
  let text = "";
  for (const line of lines) {
    const next = line.trim();
    const last = text.at(-1) ?? "";
    if (text === "" || next === "") text += next;
    else if (last === "-" && isHyphenation(text, next)) text = text.slice(0, -1) + next;
    else if (last === "-") text += next;
    else text += isCjk(last) || isCjk(next.charAt(0)) ? next : ` ${next}`;
  }
  return text;
}

/** "infor-" + "mation" is one word; "well-" + "known" keeps its hyphen, which only a word list could tell: common first parts do. */
function isHyphenation(before: string, after: string): boolean {
  const word = /(\p{L}+)-$/u.exec(before)?.[1] ?? "";
  if (word.length < 2 || !/^\p{Ll}{2}/u.test(after)) return false;
  return !/^(?:well|self|non|long|short|high|low|full|half|cross|real|so|up|co|ex|all|multi|single|two|three|first|second|third|year|end|on|off|in|out|part|time|cost|state|data)$/i.test(
    word,
  );
}
