// Images: decoded and turned upright by sharp, then recognised. A TIFF or GIF of several frames has a page for each.
import sharp from "sharp";
import { AppError } from "../../base/errors.ts";
import { confidenceOf, type DraftSegment } from "../layout/runs.ts";
import { withHeadings } from "../pdf.ts";
import type { RasterImage } from "../pdfium.ts";
import type { Draft, DraftPage, ReadContext, Recognise } from "../reader.ts";
import { segmentsOfRecognised } from "../recognised.ts";
import { sideBySide } from "../side-by-side.ts";

export async function readImage(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const { name, limits, signal, warn, recognise } = context;
  const { frames, pixels } = await framesOf(bytes, context);
  if (!recognise)
    throw new AppError("unsupported", `${name} is an image, and text recognition is off.`, {
      hint: "Switch recognition on to read images.",
    });
  const last = Math.min(frames, limits.pages);
  if (last < frames)
    warn({
      code: "pages_left_out",
      message: `${name} has ${frames} frames; those after ${last} were not read.`,
      page: last + 1,
    });
  const readFrame = async (frame: number): Promise<DraftPage> => {
    signal.throwIfAborted();
    const number = frame + 1;
    context.progress({ page: number, pages: last, step: "recognising" });
    const found = await recognise(await decodeImage(bytes, { name, frame, pixels: limits.pixels }));
    const segments = segmentsOfRecognised(found, number);
    return {
      ...(found.turnedBy === 0 ? {} : { turnedBy: found.turnedBy }),
      ...(found.levelledBy === 0 ? {} : { levelledBy: found.levelledBy }),
      number,
      width: Math.round(found.width),
      height: Math.round(found.height),
      unit: "px",
      source: segments.length > 0 ? "ocr" : "blank",
      confidence: confidenceOf(found.runs) ?? 1,
      segments,
    };
  };
  const pages = await sideBySide(last, readFrame, { atOnce: pixels > mostPixelsTwice ? 1 : 2 });
  return { kind: "image", pages: withHeadings(pages) };
}

/** Larger frames are read one at a time: each takes up to ten bytes a pixel. */
const mostPixelsTwice = 25e6;

async function framesOf(bytes: Uint8Array, { name, limits }: ReadContext): Promise<{ frames: number; pixels: number }> {
  try {
    const { width, height, pages = 1, format } = await sharp(bytes, { limitInputPixels: false }).metadata();
    if (width * height > limits.pixels)
      throw new AppError(
        "too_large",
        `${name} is ${width} × ${height} pixels; the limit is ${Math.floor(limits.pixels / 1e6)} megapixels.`,
        { hint: "Scale the image down." },
      );
    return { frames: format === "tiff" || format === "gif" ? pages : 1, pixels: width * height };
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("unreadable", `${name} cannot be decoded: the image is damaged or of a kind that is not read.`, {
      hint: "Readable: PNG, JPEG, WebP, TIFF, GIF.",
      cause,
    });
  }
}

export async function decodeImage(
  bytes: Uint8Array,
  { name, frame, pixels }: { name: string; frame: number; pixels: number },
): Promise<RasterImage> {
  try {
    const { data, info } = await sharp(bytes, { page: frame, limitInputPixels: pixels, failOn: "error" })
      .autoOrient()
      .flatten({ background: "#ffffff" })
      .toColourspace("srgb")
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return {
      width: info.width,
      height: info.height,
      data: info.channels === 3 ? data : threeChannels(data, info.channels),
    };
  } catch (cause) {
    throw new AppError(
      "unreadable",
      `${name}${frame > 0 ? `, frame ${frame + 1}` : ""}: the image is damaged or cut off.`,
      { hint: "Save or photograph it again.", cause },
    );
  }
}

function threeChannels(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let pixel = 0; pixel < pixels; pixel++)
    for (let channel = 0; channel < 3; channel++)
      rgb[pixel * 3 + channel] = data[pixel * channels + (channels >= 3 ? channel : 0)] ?? 0;
  return rgb;
}

/** Logos, bullets and rules are smaller. */
const leastPicture = { width: 120, height: 40 };

/**
 * Text in a picture that is part of a document; none for what is too small to hold any. Boxes are left out: they would be places in the
 * picture, not on the page. Throws AppError when the picture cannot be decoded.
 */
export async function pictureSegments(
  bytes: Uint8Array,
  { page, context, recognise }: { page: number; context: ReadContext; recognise: Recognise },
): Promise<DraftSegment[]> {
  const { name, limits, signal } = context;
  const { width, height } = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => {
      throw new AppError("unreadable", `A picture in ${name} cannot be decoded.`, { cause });
    });
  if (width < leastPicture.width || height < leastPicture.height || width * height > limits.pixels) return [];
  signal.throwIfAborted();
  const found = await recognise(await decodeImage(bytes, { name, frame: 0, pixels: limits.pixels }));
  return segmentsOfRecognised(found, page).map(({ box: _box, ...segment }) => segment as DraftSegment);
}
