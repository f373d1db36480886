// Finds straight drawn lines (table borders) in an image: pixels darker than what lies a few pixels to both sides, in long stretches.
// Contrast against both sides, not darkness, so that pale borders and shaded header rows work alike.
import type { Ruling } from "../layout/runs.ts";
import type { RasterImage } from "../pdfium.ts";

export function drawnLines(image: RasterImage, textHeight: number): Ruling[] {
  const luma = lumaOf(image);
  const reach = Math.max(3, Math.round(textHeight * 0.18));
  const shortest = Math.max(24, textHeight * 1.6);
  const { width, height } = image;
  const horizontal = linesAlong({ luma, length: width, count: height, step: 1, stride: width, reach, shortest });
  const vertical = linesAlong({ luma, length: height, count: width, step: width, stride: 1, reach, shortest });
  return [
    ...horizontal.map((line) => ({ ...line, isHorizontal: true })),
    ...vertical.map((line) => ({ ...line, isHorizontal: false })),
  ];
}

const contrast = 14;
/** Pixels averaged along the line, against noise. */
const smoothing = 7;
const largestGap = 2;

interface Direction {
  luma: Uint8Array;
  /** Pixels along a line, and how many lines there are. */
  length: number;
  count: number;
  /** Index distance between neighbours along a line, and between lines. */
  step: number;
  stride: number;
  reach: number;
  shortest: number;
}

function linesAlong({ luma, length, count, step, stride, reach, shortest }: Direction): Omit<Ruling, "isHorizontal">[] {
  const smooth = new Uint8Array(luma.length);
  for (let line = 0; line < count; line++) {
    let sum = 0;
    const from = line * stride;
    for (let at = 0; at < length; at++) {
      sum += luma[from + at * step] ?? 0;
      if (at >= smoothing) sum -= luma[from + (at - smoothing) * step] ?? 0;
      const centre = Math.max(0, at - (smoothing >> 1));
      smooth[from + centre * step] = sum / Math.min(at + 1, smoothing);
    }
  }
  const found: Omit<Ruling, "isHorizontal">[] = [];
  // Open stretches of the line before: a thick or slightly sloping border is one ruling, not many.
  let previous: { from: number; to: number; ruling: Omit<Ruling, "isHorizontal">; thickness: number }[] = [];
  for (let line = reach; line < count - reach; line++) {
    const current: typeof previous = [];
    let start = -1;
    let last = -1;
    const end = (): void => {
      if (start >= 0 && last - start + 1 >= shortest) {
        const stretch = { from: start, to: last };
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
      start = -1;
    };
    const centre = line * stride;
    const [above, below] = [(line - reach) * stride, (line + reach) * stride];
    for (let at = 0; at < length; at++) {
      const place = at * step;
      const here = (smooth[centre + place] ?? 0) + contrast;
      if (here <= (smooth[above + place] ?? 0) && here <= (smooth[below + place] ?? 0)) {
        if (start < 0) start = at;
        last = at;
      } else if (start >= 0 && at - last > largestGap) end();
    }
    end();
    previous = current;
  }
  return found;
}

function lumaOf({ data, width, height }: RasterImage): Uint8Array {
  const luma = new Uint8Array(width * height);
  for (let pixel = 0, at = 0; pixel < luma.length; pixel++, at += 3)
    luma[pixel] = ((data[at] ?? 0) * 77 + (data[at + 1] ?? 0) * 151 + (data[at + 2] ?? 0) * 28) >> 8;
  return luma;
}
