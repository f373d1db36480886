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
 * with values -1..1, into `into` at `offset`; `stride` is the row length there. Each target pixel averages the source it covers.
 */
export function cutInto(
  image: RasterImage,
  box: PixelBox,
  target: { into: Float32Array; offset: number; width: number; height: number; stride: number; turned?: boolean },
): void {
  const { into, offset, width, height, stride, turned = false } = target;
  const stepX = (box.right - box.left) / width;
  const stepY = (box.bottom - box.top) / height;
  const samplesX = Math.min(4, Math.max(1, Math.round(stepX)));
  const samplesY = Math.min(4, Math.max(1, Math.round(stepY)));
  const share = 1 / (samplesX * samplesY * 127.5);
  const plane = height * stride;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let [red, green, blue] = [0, 0, 0];
      for (let sy = 0; sy < samplesY; sy++)
        for (let sx = 0; sx < samplesX; sx++) {
          const atX = box.left + (x + (sx + 0.5) / samplesX) * stepX - 0.5;
          const atY = box.top + (y + (sy + 0.5) / samplesY) * stepY - 0.5;
          const x0 = clamp(Math.floor(atX), image.width - 1);
          const y0 = clamp(Math.floor(atY), image.height - 1);
          const x1 = Math.min(x0 + 1, image.width - 1);
          const y1 = Math.min(y0 + 1, image.height - 1);
          const fx = Math.min(1, Math.max(0, atX - x0));
          const fy = Math.min(1, Math.max(0, atY - y0));
          const p00 = (y0 * image.width + x0) * 3;
          const p01 = (y0 * image.width + x1) * 3;
          const p10 = (y1 * image.width + x0) * 3;
          const p11 = (y1 * image.width + x1) * 3;
          const [w00, w01, w10, w11] = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy] as const;
          const { data } = image;
          red += at(data, p00) * w00 + at(data, p01) * w01 + at(data, p10) * w10 + at(data, p11) * w11;
          green +=
            at(data, p00 + 1) * w00 + at(data, p01 + 1) * w01 + at(data, p10 + 1) * w10 + at(data, p11 + 1) * w11;
          blue += at(data, p00 + 2) * w00 + at(data, p01 + 2) * w01 + at(data, p10 + 2) * w10 + at(data, p11 + 2) * w11;
        }
      const place = turned ? offset + (height - 1 - y) * stride + (width - 1 - x) : offset + y * stride + x;
      into[place] = blue * share - 1;
      into[place + plane] = green * share - 1;
      into[place + 2 * plane] = red * share - 1;
    }
}

function at(data: Uint8Array, index: number): number {
  return data[index] ?? 0;
}

function clamp(value: number, most: number): number {
  return value < 0 ? 0 : value > most ? most : value;
}
