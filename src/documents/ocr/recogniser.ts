// Recognition of one image, whole: which way up, how askew, the lines, their text, drawn table borders, QR and bar codes.
import { setImmediate as turn } from "node:timers/promises";
import { median, type Run } from "../layout/runs.ts";
import type { RasterImage } from "../pdfium.ts";
import type { Recognise, RecognisedPage } from "../reader.ts";
import { readBarcodes } from "./barcodes.ts";
import { detectLines } from "./detect.ts";
import { drawnLines } from "./drawn-lines.ts";
import { splitAtGaps } from "./gaps.ts";
import { loadOcrModels } from "./models.ts";
import { type PixelBox, rotated } from "./raster.ts";
import { isUpsideDown, recogniseLines, typeSize } from "./recognise-lines.ts";

/** Text this unsure is noise in a picture, not a reading. */
const leastConfidence = 0.3;
const leastConfidenceShort = 0.55;

export function openRecogniser({ threads, signal }: { threads: number; signal: AbortSignal }): Recognise {
  return async (image) => recognise(image, threads, signal);
}

async function recognise(given: RasterImage, threads: number, signal: AbortSignal): Promise<RecognisedPage> {
  const models = await loadOcrModels(threads);
  signal.throwIfAborted();
  let turnedBy = 0;
  let image = given;
  let lines = await detectLines(image, models);
  if (lines.uprightShare > 0.6 && lines.boxes.length > 1) {
    turnedBy = 90;
    image = await rotated(given, 90);
    signal.throwIfAborted();
    lines = await detectLines(image, models);
  }
  let level = await rotated(image, -lines.skew);
  if (await isUpsideDown(level, lines.boxes, models)) {
    turnedBy += 180;
    image = await rotated(image, 180);
    lines = await detectLines(image, models);
    level = await rotated(image, -lines.skew);
  }
  signal.throwIfAborted();
  const boxes = splitAtGaps(level, lines.boxes);
  const reading = recogniseLines(level, boxes, { models, signal });
  // While the threads read the lines, this one looks for borders and codes.
  const [runs, rulings, barcodes] = await Promise.all([
    reading,
    turn().then(() => drawnLines(level, typeHeight(boxes))),
    readBarcodes(level),
  ]);
  return {
    width: level.width,
    height: level.height,
    turnedBy,
    levelledBy: -lines.skew,
    runs: runs.filter(isReading),
    rulings,
    barcodes,
  };
}

function typeHeight(boxes: readonly PixelBox[]): number {
  return median(boxes.map((box) => typeSize(box))) || 20;
}

function isReading({ text, confidence = 1 }: Run): boolean {
  return text.trim() !== "" && confidence >= (text.length <= 2 ? leastConfidenceShort : leastConfidence);
}
