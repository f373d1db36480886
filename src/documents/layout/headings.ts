// Headings from type size, weight and numbering, over the whole document: the usual size is the one most characters have; what is
// clearly larger, short and not a sentence is a heading, and the distinct larger sizes make the levels.
import { segmentText } from "../segment.ts";
import type { DraftSegment } from "./runs.ts";

const longestHeading = 90;

export function markHeadings(segments: readonly DraftSegment[]): DraftSegment[] {
  const bodySize = usualSize(segments);
  const sizes = [
    ...new Set(segments.filter((each) => isLarge(each, bodySize)).map((each) => Math.round(each.size ?? 0))),
  ];
  sizes.sort((a, b) => b - a);
  return segments.map((segment): DraftSegment => {
    if (segment.kind !== "paragraph" || segment.isSlanted) return segment;
    const text = segment.text.replaceAll("\n", " ");
    if (isLarge(segment, bodySize)) {
      const level = Math.min(4, sizes.indexOf(Math.round(segment.size ?? 0)) + 1);
      return { ...segment, kind: "heading", level, text };
    }
    const isOneLine = (segment.lines?.length ?? 1) === 1;
    const [numbered] = isOneLine ? segmentText(segment.text, { format: "plain" }) : [];
    if (numbered?.kind === "heading" && (segment.isBold || segment.size === undefined || bodySize === 0))
      return { ...segment, kind: "heading", level: numbered.level ?? 3, text };
    if (segment.isBold && isOneLine && text.length <= 40 && !endsAsSentence(text))
      return { ...segment, kind: "heading", level: Math.min(4, sizes.length + 1), text };
    return segment.isBold && text.length > 0 ? { ...segment, kind: "emphasis" } : segment;
  });
}

function isLarge(segment: DraftSegment, bodySize: number): boolean {
  if (segment.kind !== "paragraph" || segment.isSlanted || bodySize === 0) return false;
  const isShort = segment.text.length <= longestHeading && (segment.lines?.length ?? 1) <= 3;
  // Recognised text has no exact size: boxes differ by a tenth from line to line.
  const factor = segment.confidence === undefined ? 1.15 : 1.35;
  return isShort && (segment.size ?? 0) >= bodySize * factor && !endsAsSentence(segment.text);
}

function endsAsSentence(text: string): boolean {
  return /[。；;，,]$/.test(text.trim()) || (/[.]$/.test(text.trim()) && text.length > 40);
}

function usualSize(segments: readonly DraftSegment[]): number {
  const characters = new Map<number, number>();
  for (const segment of segments) {
    if (segment.size === undefined || segment.kind === "table") continue;
    const size = Math.round(segment.size * 2) / 2;
    const length = segment.lines?.reduce((sum, line) => sum + line.length, 0) ?? 0;
    characters.set(size, (characters.get(size) ?? 0) + length);
  }
  let [usual, most] = [0, 0];
  for (const [size, count] of characters) if (count > most) [usual, most] = [size, count];
  return usual;
}
