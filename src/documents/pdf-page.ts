// What PDFium tells of a page before anything is made of it: characters with their positions, drawn lines, pictures. Points, y downwards,
// in the upright page (rotation and crop box applied).
import type { Ruling } from "./layout/runs.ts";
import type { PageBox } from "./pdf-geometry.ts";

export interface Character {
  text: string;
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** Where the pen starts, on the baseline. */
  originX: number;
  baseline: number;
  style: Style;
}

/** What the characters of one text object share. */
export interface Style {
  size: number;
  isBold: boolean;
  /** All letters of one width, as in program text. */
  isMonospaced: boolean;
  isInvisible: boolean;
  /** 0 = upright; degrees clockwise as seen on the page, -180..180. */
  angle: number;
}

export interface PdfPage {
  width: number;
  height: number;
  characters: Character[];
  /** Characters whose code the font does not map to text. */
  unmapped: number;
  rulings: Ruling[];
  images: PageBox[];
  /** Small round or square shapes: bullets, when they stand before a line. */
  dots: PageBox[];
  /** Filled or stroked paths; text turned into outlines makes thousands. */
  pathCount: number;
}
