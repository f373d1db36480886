// Chinese and Japanese set in columns from right to left: the page is laid out as if turned, so that columns are lines, and the boxes
// are turned back. The glyphs stand upright; only their order runs downwards.
import type { DraftSegment } from "./layout/runs.ts";
import type { Character, PdfPage } from "./pdf-page.ts";
import { turnedPage } from "./pdf-upright.ts";

/** Most letters stand below the one before, in columns of square letters. */
export function isVertical({ characters }: PdfPage): boolean {
  let [down, along] = [0, 0];
  let before: Character | undefined;
  for (const character of characters) {
    if (character.text.trim() === "" || character.style.angle !== 0) continue;
    if (before) {
      const { size } = character.style;
      const [stepX, stepY] = [
        Math.abs(middleOf(character).x - middleOf(before).x),
        middleOf(character).y - middleOf(before).y,
      ];
      if (stepX < size * 0.5 && stepY > size * 0.4 && stepY < size * 2.5) down++;
      else if (stepX > size * 0.2 && Math.abs(stepY) < size * 0.5) along++;
    }
    before = character;
  }
  return down > 10 && down > along * 2;
}

export function verticalPage(page: PdfPage): PdfPage & { turnedBy: 0 } {
  const turned = turnedPage(page, 90);
  const characters = turned.characters.map((character): Character => {
    const middle = middleOf(character).y;
    // A line's letters stand on one baseline; here they share their middles.
    return {
      ...character,
      originX: character.left,
      baseline: middle + character.style.size * 0.35,
      style: { ...character.style, angle: 0 },
    };
  });
  return { ...turned, characters, turnedBy: 0 };
}

/** A segment of the turned page on the page as it is. */
export function turnedBack(segment: DraftSegment, { width }: PdfPage): DraftSegment {
  if (!segment.box) return segment;
  const [left, top, right, bottom] = segment.box;
  return { ...segment, box: [width - bottom, left, width - top, right] };
}

function middleOf({ left, right, top, bottom }: Character): { x: number; y: number } {
  return { x: (left + right) / 2, y: (top + bottom) / 2 };
}
