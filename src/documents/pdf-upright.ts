// A page whose text runs sideways or upside down (a landscape table printed on a portrait page, a scan's text layer) is turned as a
// whole, so that layout always sees upright lines.
import type { Ruling } from "./layout/runs.ts";
import type { PageBox } from "./pdf-geometry.ts";
import type { Character, PdfPage } from "./pdf-page.ts";

export type QuarterTurn = 0 | 90 | 180 | 270;

/** How far the page's text is turned clockwise, when most of it is turned by the same quarter. */
export function textTurn(page: PdfPage): QuarterTurn {
  const counts = { 0: 0, 90: 0, 180: 0, 270: 0 };
  for (const { style } of page.characters) {
    const quarter = ((Math.round(style.angle / 90) * 90 + 360) % 360) as QuarterTurn;
    if (Math.abs(((style.angle - quarter + 540) % 360) - 180) <= 5) counts[quarter]++;
  }
  for (const turn of [90, 180, 270] as const) if (counts[turn] > page.characters.length * 0.6) return turn;
  return 0;
}

export function uprightPage(page: PdfPage): PdfPage & { turnedBy: QuarterTurn } {
  const turn = textTurn(page);
  return turn === 0
    ? { ...page, turnedBy: 0 }
    : { ...turnedPage(page, turn), turnedBy: ((360 - turn) % 360) as QuarterTurn };
}

/** The page turned back by `turn` degrees clockwise. */
export function turnedPage(page: PdfPage, turn: 90 | 180 | 270): PdfPage {
  const { width, height } = page;
  const point = (x: number, y: number): [number, number] =>
    turn === 90 ? [y, width - x] : turn === 180 ? [width - x, height - y] : [height - y, x];
  const box = ({ left, top, right, bottom }: PageBox): PageBox => {
    const [x1, y1] = point(left, top);
    const [x2, y2] = point(right, bottom);
    return { left: Math.min(x1, x2), right: Math.max(x1, x2), top: Math.min(y1, y2), bottom: Math.max(y1, y2) };
  };
  const character = (given: Character): Character => {
    const [originX, baseline] = point(given.originX, given.baseline);
    const angle = ((given.style.angle - turn + 540) % 360) - 180;
    return { ...given, ...box(given), originX, baseline, style: { ...given.style, angle } };
  };
  const ruling = ({ isHorizontal, at, from, to }: Ruling): Ruling => {
    const ends = box(
      isHorizontal ? { left: from, right: to, top: at, bottom: at } : { left: at, right: at, top: from, bottom: to },
    );
    const isLevel = turn === 180 ? isHorizontal : !isHorizontal;
    return isLevel
      ? { isHorizontal: true, at: ends.top, from: ends.left, to: ends.right }
      : { isHorizontal: false, at: ends.left, from: ends.top, to: ends.bottom };
  };
  return {
    ...page,
    width: turn === 180 ? width : height,
    height: turn === 180 ? height : width,
    characters: page.characters.map(character),
    rulings: page.rulings.map(ruling),
    images: page.images.map(box),
    dots: page.dots.map(box),
  };
}
