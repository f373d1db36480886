// Pixels: turning, levelling, cutting out a line and bringing it to the size a model takes. Images are RGB, 3 bytes a pixel.
import sharp from "sharp";
import type { RasterImage } from "../pdfium.ts";

export interface PixelBox {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The image rotated clockwise about its middle; corners that come free are white. */
export async function rotated(image: RasterImage, degrees: number): Promise<RasterImage> {
  if (degrees === 0) return image;
  const { data, info } = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .rotate(degrees, { background: "#ffffff" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

export async function resized(image: RasterImage, width: number, height: number): Promise<RasterImage> {
  if (image.width === width && image.height === height) return image;
  const data = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(width, height, { fit: "fill", kernel: "cubic" })
    .raw()
    .toBuffer();
  return { width, height, data };
}

/**
 * Cuts `box` out, scaled to `height` rows and `width` columns, as planes in blue, green, red order (what the models were trained on)
 * with values -1..1, into `into` at `offset`; `stride` is the row length there. Each target pixel averages the source it covers: rows
 * first, then columns, which is a quarter of the work of doing both at once.
 */
export function cutInto(
  image: RasterImage,
  box: PixelBox,
  target: { into: Float32Array; offset: number; width: number; height: number; stride: number },
): void {
  const { into, offset, width, height, stride } = target;
  const { data } = image;
  const columns = samplesAlong({ from: box.left, to: box.right, count: width, most: image.width });
  const rows = samplesAlong({ from: box.top, to: box.bottom, count: height, most: image.height });
  const first = columns.low[0] ?? 0;
  const last = columns.high.at(-1) ?? 0;
  const mixed = new Float32Array((last - first + 1) * 3);
  const plane = height * stride;
  const share = 1 / (columns.each * rows.each * 127.5);
  for (let y = 0; y < height; y++) {
    mixed.fill(0);
    for (let sample = y * rows.each; sample < (y + 1) * rows.each; sample++) {
      const above = ((rows.low[sample] ?? 0) * image.width + first) * 3;
      const below = ((rows.high[sample] ?? 0) * image.width + first) * 3;
      const part = rows.part[sample] ?? 0;
      for (let at = 0; at < mixed.length; at++) {
        const value = data[above + at] ?? 0;
        mixed[at] = (mixed[at] ?? 0) + value + ((data[below + at] ?? 0) - value) * part;
      }
    }
    for (let x = 0, place = offset + y * stride; x < width; x++, place++) {
      let [red, green, blue] = [0, 0, 0];
      for (let sample = x * columns.each; sample < (x + 1) * columns.each; sample++) {
        const left = ((columns.low[sample] ?? 0) - first) * 3;
        const right = ((columns.high[sample] ?? 0) - first) * 3;
        const part = columns.part[sample] ?? 0;
        red += (mixed[left] ?? 0) * (1 - part) + (mixed[right] ?? 0) * part;
        green += (mixed[left + 1] ?? 0) * (1 - part) + (mixed[right + 1] ?? 0) * part;
        blue += (mixed[left + 2] ?? 0) * (1 - part) + (mixed[right + 2] ?? 0) * part;
      }
      into[place] = blue * share - 1;
      into[place + plane] = green * share - 1;
      into[place + 2 * plane] = red * share - 1;
    }
  }
}

/** Along one direction: for each of `count` target pixels, `each` places in the source, each between two pixels. */
function samplesAlong({ from, to, count, most }: { from: number; to: number; count: number; most: number }): {
  each: number;
  low: Int32Array;
  high: Int32Array;
  /** Share of the higher pixel. */
  part: Float32Array;
} {
  const step = (to - from) / count;
  const each = Math.min(4, Math.max(1, Math.round(step)));
  const low = new Int32Array(count * each);
  const high = new Int32Array(count * each);
  const part = new Float32Array(count * each);
  for (let index = 0; index < low.length; index++) {
    const at = from + ((index + 0.5) / each) * step - 0.5;
    const pixel = Math.min(most - 1, Math.max(0, Math.floor(at)));
    low[index] = pixel;
    high[index] = Math.min(pixel + 1, most - 1);
    part[index] = Math.min(1, Math.max(0, at - pixel));
  }
  return { each, low, high, part };
}
