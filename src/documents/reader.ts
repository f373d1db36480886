// What every reader takes and gives. A reader turns bytes into draft pages; read.ts does what all have in common: limits, headings,
// cleaning, offsets.
import type { DocumentKind, Page, Warning } from "./document.ts";
import type { DraftSegment, Ruling, Run } from "./layout/runs.ts";
import type { RasterImage } from "./pdfium.ts";

export interface ReadLimits {
  fileBytes: number;
  /** Pages, sheets or slides read; what lies beyond is named in a warning. */
  pages: number;
  /** All entries of an Office file together, unpacked. */
  unpackedBytes: number;
  /** Characters of text kept. */
  characters: number;
  /** Cells of all sheets together. */
  cells: number;
  /** Pixels of one image. */
  pixels: number;
}

export const defaultLimits: ReadLimits = Object.freeze({
  fileBytes: 200 * 2 ** 20,
  pages: 3000,
  unpackedBytes: 1024 * 2 ** 20,
  characters: 50_000_000,
  cells: 5_000_000,
  pixels: 120_000_000,
});

export interface ReadProgress {
  page: number;
  pages: number;
  /** What is being done to the page. */
  step: "reading" | "recognising";
}

/** What recognition found on one image; positions in the pixels of the upright image. */
export interface RecognisedPage {
  width: number;
  height: number;
  /** Degrees clockwise that the image was turned to stand upright: 0, 90, 180, 270. */
  turnedBy: number;
  /** Degrees that the image was rotated to make its lines level. */
  levelledBy: number;
  runs: Run[];
  rulings: Ruling[];
  barcodes: { format: string; text: string; box: readonly [number, number, number, number] }[];
}

export type Recognise = (image: RasterImage) => Promise<RecognisedPage>;

export interface ReadContext {
  name: string;
  password?: string;
  limits: ReadLimits;
  signal: AbortSignal;
  progress: (progress: ReadProgress) => void;
  warn: (warning: Warning) => void;
  /** Absent when recognition is switched off or cannot run here. */
  recognise?: Recognise;
}

export interface DraftPage extends Omit<Page, "segments"> {
  segments: DraftSegment[];
}

export interface Draft {
  kind: DocumentKind;
  pages: DraftPage[];
}

export type Reader = (bytes: Uint8Array, context: ReadContext) => Promise<Draft>;

/** A page without positions, as most formats have one. */
export function flowPage(number: number, segments: DraftSegment[], name?: string): DraftPage {
  return {
    number,
    ...(name === undefined ? {} : { name }),
    width: 0,
    height: 0,
    source: segments.length > 0 ? "text" : "blank",
    confidence: 1,
    segments,
  };
}
