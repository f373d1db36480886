// Which piece of a page a citation means: the one that shares the most pairs of characters with the sentence before the citation.
import type { DocumentSegment } from "../../src/server/api-types.ts";

/** Index of the segment, -1 when none is alike. */
export function closestSegment(passage: string, segments: readonly DocumentSegment[]): number {
  const wanted = pairsOf(passage);
  if (wanted.size === 0) return -1;
  let best = -1;
  let bestShare = 0.1;
  for (const [index, segment] of segments.entries()) {
    if (segment.removed) continue;
    const pairs = pairsOf(plainText(segment));
    let shared = 0;
    for (const pair of wanted) if (pairs.has(pair)) shared++;
    const share = shared / wanted.size;
    if (share > bestShare) [best, bestShare] = [index, share];
  }
  return best;
}

export function plainText({ text, items, cells }: DocumentSegment): string {
  return text ?? (items ?? cells ?? []).map((each) => each.text).join("\n");
}

function pairsOf(text: string): Set<string> {
  const letters = [...text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "")];
  return new Set(letters.slice(1).map((letter, index) => `${letters[index]}${letter}`));
}
