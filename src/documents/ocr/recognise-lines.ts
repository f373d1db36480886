// Reads the text of line images with the recognition model (CTC): for each of many narrow strips it gives the likeliest character or
// none; repeats are one character. The strips also tell where each character stands, which tables need.
import type { Run } from "../layout/runs.ts";
import type { RasterImage } from "../pdfium.ts";
import { type LineAnswer, lineHeight } from "./line-worker.ts";
import { type OcrModels, runModel } from "./models.ts";
import { cutInto, type PixelBox } from "./raster.ts";

const narrowest = 48;
const widest = 3200;

interface LineCut {
  box: PixelBox;
  width: number;
}

/** Lines one by one, a few side by side: batches of lines took 1.6 times as long on a CPU (their tensors leave the cache). */
export async function recogniseLines(
  image: RasterImage,
  boxes: readonly PixelBox[],
  { models, signal }: { models: OcrModels; signal: AbortSignal },
): Promise<Run[]> {
  const found: (Run | undefined)[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < boxes.length) {
      signal.throwIfAborted();
      const index = next++;
      const box = boxes[index];
      if (box) found[index] = await recogniseLine(image, box, models);
    }
  };
  // Twice as many as there are threads: each finds its next line cut out, also while this thread looks for borders and bar codes.
  await Promise.all(Array.from({ length: models.lines.threads * 2 }, lane));
  return found.flatMap((run) => run ?? []);
}

async function recogniseLine(image: RasterImage, box: PixelBox, models: OcrModels): Promise<Run | undefined> {
  const ratio = (box.right - box.left) / Math.max(1, box.bottom - box.top);
  const width = Math.min(widest, Math.max(narrowest, Math.ceil((lineHeight * ratio) / 16) * 16));
  const input = new Float32Array(3 * lineHeight * width);
  cutInto(image, box, { into: input, offset: 0, width, height: lineHeight, stride: width });
  const answer = await models.lines.recognise(input, width);
  const run = decode(answer, { cut: { box, width }, characters: models.characters });
  return run ? { ...run, ...withSpaces(run, { box, width, input }) } : undefined;
}

function decode(
  { classes, scores }: LineAnswer,
  { cut, characters }: { cut: LineCut; characters: readonly string[] },
): Run | undefined {
  const text: string[] = [];
  const lefts: number[] = [];
  let confidence = 0;
  let before = 0;
  const { box } = cut;
  for (const [step, best] of classes.entries()) {
    if (best !== 0 && best !== before) {
      const character = characters[best] ?? "";
      for (let index = 0; index < character.length; index++)
        lefts.push(box.left + (step / classes.length) * (box.right - box.left));
      text.push(character);
      confidence += scores[step] ?? 0;
    }
    before = best;
  }
  if (text.length === 0) return undefined;
  const height = box.bottom - box.top;
  const inset = height * 0.14;
  return {
    // The model often gives the wide comma inside a number.
    text: text.join("").replaceAll(/(?<=\d)，(?=\d)/g, ","),
    lefts,
    left: box.left + inset,
    right: box.right - inset,
    top: box.top + inset,
    bottom: box.bottom - inset,
    size: typeSize(box),
    isBold: false,
    confidence: confidence / text.length,
  };
}

/** The detected box is wider than the type by the detection's widening. */
export function typeSize(box: PixelBox): number {
  return (box.bottom - box.top) * 0.62;
}

/** Least width of a word space, in parts of the line's height. */
const wordSpace = 0.15;

/**
 * The model drops many spaces between Latin words. They are put back where the picture shows a blank strip between two letters that is
 * wide enough for a word space; the strips' positions say which letters stand beside it.
 */
function withSpaces(
  run: Run,
  { box, width, input }: { box: PixelBox; width: number; input: Float32Array },
): Pick<Run, "text" | "lefts"> {
  if (!/[A-Za-z\d,.;:)][A-Za-z(]/.test(run.text)) return run;
  const perPixel = (box.right - box.left) / width;
  const blanks = blankStrips(input, width).map(({ from, to }) => box.left + ((from + to) / 2) * perPixel);
  let { text } = run;
  const lefts = [...run.lefts];
  for (const centre of blanks) {
    const index = lefts.findIndex((left) => left > centre - (lineHeight / 8) * perPixel * 0.6);
    const [before = "", after = ""] = [text[index - 1], text[index]];
    if (index < 1 || !/[A-Za-z\d,.;:!?)%]/.test(before) || !/[A-Za-z\d(]/.test(after)) continue;
    // Figures keep together: "1,234.5" set wide is still one number.
    if (/[\d,.]/.test(before) && /\d/.test(after) && !/[A-Za-z]/.test(before + after)) continue;
    text = `${text.slice(0, index)} ${text.slice(index)}`;
    lefts.splice(index, 0, centre);
  }
  return { text, lefts };
}

/** Stretches of columns without ink that are at least a word space wide, inside the line. */
function blankStrips(input: Float32Array, width: number): { from: number; to: number }[] {
  const ink = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    let [darkest, lightest] = [1, -1];
    for (let y = 4; y < lineHeight - 4; y++) {
      // The green plane stands for brightness.
      const value = input[(lineHeight + y) * width + x] ?? 1;
      darkest = Math.min(darkest, value);
      lightest = Math.max(lightest, value);
    }
    ink[x] = lightest - darkest;
  }
  const sorted = ink.toSorted();
  const threshold = (sorted[Math.floor(width * 0.9)] ?? 1) * 0.3;
  const found: { from: number; to: number }[] = [];
  let from = -1;
  for (let x = 0; x <= width; x++) {
    if (x < width && (ink[x] ?? 0) < threshold) {
      if (from < 0) from = x;
    } else {
      if (from > 0 && x < width && x - from >= lineHeight * wordSpace) found.push({ from, to: x });
      from = -1;
    }
  }
  return found;
}

/** Whether the lines stand on their heads: asks the direction model about the longest ones. */
export async function isUpsideDown(
  image: RasterImage,
  boxes: readonly PixelBox[],
  models: OcrModels,
): Promise<boolean> {
  const [height, width] = [48, 192];
  const longest = boxes.toSorted((a, b) => b.right - b.left - (a.right - a.left)).slice(0, 9);
  if (longest.length === 0) return false;
  const input = new Float32Array(longest.length * 3 * height * width);
  for (const [index, box] of longest.entries()) {
    // The beginning of the line, undistorted.
    const part = { ...box, right: Math.min(box.right, box.left + (box.bottom - box.top) * (width / height)) };
    const shown = Math.max(
      8,
      Math.min(width, Math.round(((part.right - part.left) / (part.bottom - part.top)) * height)),
    );
    cutInto(image, part, { into: input, offset: index * 3 * height * width, width: shown, height, stride: width });
  }
  const { data } = await runModel(models.direction, input, [longest.length, 3, height, width]);
  let turned = 0;
  for (let index = 0; index < longest.length; index++) if ((data[index * 2 + 1] ?? 0) > 0.7) turned++;
  return turned > longest.length / 2;
}
