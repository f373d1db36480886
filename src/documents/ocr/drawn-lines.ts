// Finds straight drawn lines (table borders) in an image: pixels darker than what lies a few pixels to both sides, in long stretches.
// Contrast against both sides, not darkness, so that pale borders and shaded header rows work alike.
import type { Ruling } from "../layout/runs.ts";
import type { RasterImage } from "../pdfium.ts";

export function drawnLines(image: RasterImage, textHeight: number): Ruling[] {
  const luma = lumaOf(image);
  const reach = Math.max(3, Math.round(textHeight * 0.18));
  const shortest = Math.max(24, textHeight * 1.6);
  const { width, height } = image;
  return [
    ...linesAlong({ luma, length: width, count: height, reach, shortest }).map((line) => ({
      ...line,
      isHorizontal: true,
    })),
    // Columns as rows, so that the memory is read in order.
    ...linesAlong({ luma: transposed(luma, width, height), length: height, count: width, reach, shortest }).map(
      (line) => ({ ...line, isHorizontal: false }),
    ),
  ];
}

const contrast = 14;
/** Pixels averaged along the line, against noise. */
const smoothing = 7;
const largestGap = 2;

interface Direction {
  /** Row after row. */
  luma: Uint8Array;
  /** Pixels of a row, and how many rows there are. */
  length: number;
  count: number;
  reach: number;
  shortest: number;
}

interface Stretch {
  from: number;
  to: number;
}

/** A stretch with the ruling it belongs to: a thick or slightly sloping border is one ruling, not many. */
interface OpenStretch extends Stretch {
  ruling: Omit<Ruling, "isHorizontal">;
  thickness: number;
}

function linesAlong({ luma, length, count, reach, shortest }: Direction): Omit<Ruling, "isHorizontal">[] {
  const smooth = smoothed(luma, length, count);
  const found: Omit<Ruling, "isHorizontal">[] = [];
  let previous: OpenStretch[] = [];
  for (let line = reach; line < count - reach; line++) {
    const current: OpenStretch[] = [];
    for (const stretch of stretchesOf(smooth, { at: line * length, length, away: reach * length, shortest })) {
      const before = previous.find(
        (other) => Math.min(other.to, stretch.to) - Math.max(other.from, stretch.from) > -largestGap,
      );
      if (before && before.thickness < reach * 2) {
        before.ruling.from = Math.min(before.ruling.from, stretch.from);
        before.ruling.to = Math.max(before.ruling.to, stretch.to);
        before.ruling.at += 0.5;
        current.push({ ...stretch, ruling: before.ruling, thickness: before.thickness + 1 });
      } else {
        const ruling = { at: line, ...stretch };
        found.push(ruling);
        current.push({ ...stretch, ruling, thickness: 1 });
      }
    }
    previous = current;
  }
  return found;
}

/** Where the row at `at` is darker than those `away` before and behind it. */
function stretchesOf(
  smooth: Uint8Array,
  { at, length, away, shortest }: { at: number; length: number; away: number; shortest: number },
): Stretch[] {
  const found: Stretch[] = [];
  let [start, last] = [-1, -1];
  for (let index = 0; index < length; index++) {
    const place = at + index;
    const here = (smooth[place] ?? 0) + contrast;
    if (here <= (smooth[place - away] ?? 0) && here <= (smooth[place + away] ?? 0)) {
      if (start < 0) start = index;
      last = index;
    } else if (start >= 0 && index - last > largestGap) {
      if (last - start + 1 >= shortest) found.push({ from: start, to: last });
      start = -1;
    }
  }
  if (start >= 0 && last - start + 1 >= shortest) found.push({ from: start, to: last });
  return found;
}

function smoothed(luma: Uint8Array, length: number, count: number): Uint8Array {
  const smooth = new Uint8Array(luma.length);
  for (let line = 0; line < count; line++) {
    let sum = 0;
    const from = line * length;
    for (let at = 0; at < length; at++) {
      sum += luma[from + at] ?? 0;
      if (at >= smoothing) sum -= luma[from + at - smoothing] ?? 0;
      const centre = Math.max(0, at - (smoothing >> 1));
      smooth[from + centre] = sum / Math.min(at + 1, smoothing);
    }
  }
  return smooth;
}

/** In squares of 64, which stay in the cache. */
function transposed(luma: Uint8Array, width: number, height: number): Uint8Array {
  const square = 64;
  const turned = new Uint8Array(luma.length);
  for (let top = 0; top < height; top += square)
    for (let left = 0; left < width; left += square) {
      const [bottom, right] = [Math.min(height, top + square), Math.min(width, left + square)];
      for (let x = left; x < right; x++)
        for (let y = top; y < bottom; y++) turned[x * height + y] = luma[y * width + x] ?? 0;
    }
  return turned;
}

function lumaOf({ data, width, height }: RasterImage): Uint8Array {
  const luma = new Uint8Array(width * height);
  for (let pixel = 0, at = 0; pixel < luma.length; pixel++, at += 3)
    luma[pixel] = ((data[at] ?? 0) * 77 + (data[at + 1] ?? 0) * 151 + (data[at + 2] ?? 0) * 28) >> 8;
  return luma;
}
