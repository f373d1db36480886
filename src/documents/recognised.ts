// From recognised lines of one image to segments, in the units of the page the image shows.
import { segmentsOfPage } from "./layout/blocks.ts";
import type { DraftSegment, Run } from "./layout/runs.ts";
import type { RecognisedPage } from "./reader.ts";

/** The recognition of an image that shows a page at `scale` pixels per unit, in the page's units. */
export function scaledRecognition(found: RecognisedPage, scale: number): RecognisedPage {
  const unit = (value: number): number => value / scale;
  return {
    ...found,
    width: unit(found.width),
    height: unit(found.height),
    runs: found.runs.map((run) => ({
      ...run,
      left: unit(run.left),
      right: unit(run.right),
      top: unit(run.top),
      bottom: unit(run.bottom),
      size: unit(run.size),
      lefts: run.lefts.map(unit),
    })),
    rulings: found.rulings.map((ruling) => ({
      ...ruling,
      at: unit(ruling.at),
      from: unit(ruling.from),
      to: unit(ruling.to),
    })),
    barcodes: found.barcodes.map((code) => ({ ...code, box: code.box.map(unit) as unknown as (typeof code)["box"] })),
  };
}

/** Segments of a recognised image; `origin` is where the image stands on the page. */
export function segmentsOfRecognised(
  found: RecognisedPage,
  page: number,
  origin: { left: number; top: number } = { left: 0, top: 0 },
): DraftSegment[] {
  const moved = (run: Run): Run => ({
    ...run,
    left: run.left + origin.left,
    right: run.right + origin.left,
    top: run.top + origin.top,
    bottom: run.bottom + origin.top,
    lefts: run.lefts.map((left) => left + origin.left),
  });
  const usual = found.runs.map((run) => run.size).toSorted((a, b) => a - b)[Math.floor(found.runs.length / 2)] ?? 10;
  const segments = segmentsOfPage({
    page,
    width: found.width + origin.left,
    height: found.height + origin.top,
    runs: found.runs.map(moved),
    rulings: found.rulings.map((ruling) => {
      const [along, across] = ruling.isHorizontal ? [origin.left, origin.top] : [origin.top, origin.left];
      return { ...ruling, at: ruling.at + across, from: ruling.from + along, to: ruling.to + along };
    }),
    tolerance: usual * 0.3,
  });
  const codes = found.barcodes.map(({ format, text, box: [left, top, right, bottom] }): DraftSegment => {
    const box = [left + origin.left, top + origin.top, right + origin.left, bottom + origin.top] as const;
    return { kind: "barcode", page, format, text, box };
  });
  return [...segments, ...codes];
}
