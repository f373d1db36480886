// The detection model joins what stands on one line even across a column's gutter when the page is noisy. Boxes are cut where the picture
// shows a blank strip much wider than a word space; layout joins again what belongs together.
import type { RasterImage } from "../pdfium.ts";
import type { PixelBox } from "./raster.ts";

/** Width of a strip that separates, in parts of the box's height (the type is about 0.6 of it). */
const separating = 0.95;

export function splitAtGaps(image: RasterImage, boxes: readonly PixelBox[]): PixelBox[] {
  return boxes.flatMap((box) => splitBox(image, box));
}

function splitBox(image: RasterImage, box: PixelBox): PixelBox[] {
  const height = box.bottom - box.top;
  const left = Math.max(0, Math.floor(box.left));
  const right = Math.min(image.width, Math.ceil(box.right));
  const wanted = height * separating;
  if (right - left < height * 4) return [box];
  const darkest = darkestByColumn(image, { ...box, left, right });
  const sorted = darkest.toSorted();
  const paper = sorted[Math.floor(sorted.length * 0.98)] ?? 255;
  const ink = sorted[Math.floor(sorted.length * 0.3)] ?? 0;
  const threshold = paper - Math.max(8, (paper - ink) * 0.4);
  const parts: PixelBox[] = [];
  const margin = height * 0.2;
  let start = box.left;
  let blankFrom = -1;
  for (let x = 0; x < darkest.length; x++) {
    if ((darkest[x] ?? 0) >= threshold) {
      if (blankFrom < 0) blankFrom = x;
      continue;
    }
    if (blankFrom >= 0 && x - blankFrom >= wanted) {
      // Blank at the beginning of the box separates nothing, but the box begins behind it.
      if (blankFrom > 0) parts.push({ ...box, left: start, right: left + blankFrom + margin });
      start = left + x - margin;
    }
    blankFrom = -1;
  }
  // Blank at the end would make the line seem to reach into the next column.
  const hasBlankEnd = blankFrom > 0 && darkest.length - blankFrom >= wanted / 2;
  parts.push({ ...box, left: start, right: hasBlankEnd ? left + blankFrom + margin : box.right });
  return parts;
}

/**
 * Brightness (green) of each column's darkest spot in the box's middle part, averaged over 5 × 3 pixels against noise. The darkest and
 * not the mean: a thin stroke ("一") must not pass for blank.
 */
function darkestByColumn({ data, width, height }: RasterImage, box: PixelBox): Float32Array {
  const inset = (box.bottom - box.top) * 0.18;
  const top = Math.max(0, Math.round(box.top + inset));
  const bottom = Math.min(height, Math.round(box.bottom - inset));
  const columns = box.right - box.left;
  const darkest = new Float32Array(columns).fill(255);
  const brightness = (x: number, y: number): number => data[(y * width + box.left + x) * 3 + 1] ?? 255;
  const triple = new Float32Array(columns);
  for (let y = top + 1; y < bottom - 1; y++) {
    for (let x = 0; x < columns; x++) triple[x] = brightness(x, y - 1) + brightness(x, y) + brightness(x, y + 1);
    for (let x = 2; x < columns - 2; x++) {
      const sum =
        (triple[x - 2] ?? 0) + (triple[x - 1] ?? 0) + (triple[x] ?? 0) + (triple[x + 1] ?? 0) + (triple[x + 2] ?? 0);
      if (sum / 15 < (darkest[x] ?? 255)) darkest[x] = sum / 15;
    }
  }
  return darkest;
}
