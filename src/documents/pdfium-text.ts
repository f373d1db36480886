// Characters of a PDF page with their places and styles.
import { AppError } from "../base/errors.ts";
import { apply, bounds, type Mapping } from "./pdf-geometry.ts";
import type { Character, PdfPage, Style } from "./pdf-page.ts";
import type { PdfiumAccess } from "./pdfium-module.ts";

const latin1 = new TextDecoder("latin1");

/** The characters of a page, in the file's order. Must be called before the same page object is rendered. */
export function readText(
  access: PdfiumAccess,
  page: number,
  toPage: Mapping,
): Pick<PdfPage, "characters" | "unmapped"> {
  const { native } = access;
  const textPage = native("FPDFText_LoadPage", page);
  if (textPage === 0) return { characters: [], unmapped: 0 };
  const characters: Character[] = [];
  let unmapped = 0;
  const styles = new Map<number, { style: Style; isMapped: boolean; baseline: number | undefined }>();
  const {
    FPDFText_GetUnicode: unicode,
    FPDFText_GetTextObject: textObject,
    FPDFText_GetCharOrigin: origin,
    FPDFText_GetLooseCharBox: looseBox,
    FPDFText_HasUnicodeMapError: mapError,
  } = access.module.wasmExports;
  if (!unicode || !textObject || !origin || !looseBox || !mapError)
    throw new AppError("internal", "PDFium lacks its text functions.");
  try {
    const count = native("FPDFText_CountChars", textPage);
    const at = access.scratch;
    for (let index = 0; index < count; index++) {
      const code = unicode(textPage, index);
      if (code === 13 || code === 10) continue;
      if (code === 0) {
        unmapped++;
        continue;
      }
      const object = textObject(textPage, index);
      let shared = styles.get(object);
      if (!shared) {
        const style = styleOf(access, textPage, index, object, toPage);
        shared = { style, isMapped: mapError(textPage, index) !== 1, baseline: undefined };
        if (object !== 0) styles.set(object, shared);
      }
      if (!shared.isMapped && mapError(textPage, index) === 1) unmapped++;
      // PDFium writes U+0002 for a hyphen that it takes for the end of a broken word.
      const text = code === 2 ? "-" : code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code);
      const isBoxed = looseBox(textPage, index, at) !== 0;
      let view = access.view();
      const box = isBoxed
        ? bounds(toPage, {
            left: view.getFloat32(at, true),
            top: view.getFloat32(at + 4, true),
            right: view.getFloat32(at + 8, true),
            bottom: view.getFloat32(at + 12, true),
          })
        : { left: 0, top: 0, right: 0, bottom: 0 };
      // Upright letters of one object stand on one line: its place is asked for once.
      let { baseline } = shared;
      let originX = box.left;
      if (baseline === undefined) {
        origin(textPage, index, at + 16, at + 24);
        view = access.view();
        const start = apply(toPage, view.getFloat64(at + 16, true), view.getFloat64(at + 24, true));
        baseline = start.y;
        originX = start.x;
        if (shared.style.angle === 0 && object !== 0) shared.baseline = baseline;
      }
      characters.push({ text, ...box, originX, baseline, style: shared.style });
    }
  } finally {
    native("FPDFText_ClosePage", textPage);
  }
  return { characters, unmapped };
}

function styleOf(access: PdfiumAccess, textPage: number, index: number, object: number, toPage: Mapping): Style {
  const { native } = access;
  const at = access.scratch + 64;
  const fontSize = native("FPDFText_GetFontSize", textPage, index);
  native("FPDFText_GetMatrix", textPage, index, at);
  let view = access.view();
  const matrix = [0, 1, 2, 3].map((part) => view.getFloat32(at + part * 4, true)) as [number, number, number, number];
  const [a, b, c, d] = matrix;
  const nameBytes = native("FPDFText_GetFontInfo", textPage, index, at, 200, at + 204);
  const fontName = latin1.decode(access.module.HEAPU8.subarray(at, at + Math.max(0, Math.min(200, nameBytes) - 1)));
  const weight = native("FPDFText_GetFontWeight", textPage, index);
  const mode = object === 0 ? 0 : native("FPDFTextObj_GetTextRenderMode", object);
  const isFilled = native("FPDFText_GetFillColor", textPage, index, at, at + 4, at + 8, at + 12) !== 0;
  view = access.view();
  const alpha = isFilled ? view.getUint32(at + 12, true) : 255;
  // Direction of the baseline on the upright page.
  const along = { x: a * toPage.a + b * toPage.c, y: a * toPage.b + b * toPage.d };
  return {
    size: fontSize * (Math.hypot(c, d) || 1),
    isBold: weight >= 600 || /bold|black|heavy|semibold|demi/i.test(fontName) || mode === 2,
    isMonospaced: /mono|courier|consol|cmtt|typewriter|menlo|fixed/i.test(fontName),
    isInvisible: mode === 3 || mode === 7 || alpha === 0,
    angle: Math.round((Math.atan2(along.y, along.x) * 180) / Math.PI),
  };
}
