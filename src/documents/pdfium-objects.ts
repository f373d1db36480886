// Drawn lines, pictures and dots of a PDF page.
import type { Ruling } from "./layout/runs.ts";
import {
  addRuling,
  apply,
  bordersOf,
  bounds,
  clip,
  isDot,
  type Mapping,
  type PageBox,
  shortest,
  then,
  thinnest,
} from "./pdf-geometry.ts";
import type { PdfPage } from "./pdf-page.ts";
import type { PdfiumAccess } from "./pdfium-module.ts";

/** Drawn lines, pictures and dots of a page. */
export function readObjects(
  access: PdfiumAccess,
  page: number,
  toPage: Mapping,
  size: { width: number; height: number },
): Pick<PdfPage, "rulings" | "images" | "dots" | "pathCount"> {
  const rulings: Ruling[] = [];
  const images: PdfPage["images"] = [];
  const dots: PdfPage["dots"] = [];
  let pathCount = 0;
  const visit = (object: number, mapping: Mapping, depth: number): void => {
    const type = access.native("FPDFPageObj_GetType", object);
    if (type === 2) {
      pathCount++;
      if (pathCount > 20_000) return;
      const box = boundsOf(access, object, mapping);
      if (box && isDot(box)) dots.push(box);
      else if (box) rulingsOf(access, object, { box, mapping, into: rulings });
    } else if (type === 3) {
      const box = boundsOf(access, object, mapping);
      if (box) images.push(clip(box, size));
    } else if (type === 5 && depth < 4) {
      const inner = then(matrixOf(access, object), mapping);
      const count = Math.min(20_000, access.native("FPDFFormObj_CountObjects", object));
      for (let index = 0; index < count; index++)
        visit(access.native("FPDFFormObj_GetObject", object, index), inner, depth + 1);
    }
  };
  const count = Math.min(50_000, access.native("FPDFPage_CountObjects", page));
  for (let index = 0; index < count; index++) visit(access.native("FPDFPage_GetObject", page, index), toPage, 0);
  return { rulings, images, dots, pathCount };
}

function boundsOf(access: PdfiumAccess, object: number, mapping: Mapping): PageBox | undefined {
  const at = access.scratch;
  if (access.native("FPDFPageObj_GetBounds", object, at, at + 4, at + 8, at + 12) === 0) return undefined;
  const view = access.view();
  return bounds(mapping, {
    left: view.getFloat32(at, true),
    bottom: view.getFloat32(at + 4, true),
    right: view.getFloat32(at + 8, true),
    top: view.getFloat32(at + 12, true),
  });
}

function matrixOf(access: PdfiumAccess, object: number): Mapping {
  const at = access.scratch;
  if (access.native("FPDFPageObj_GetMatrix", object, at) === 0) return { a: 1, b: 0, c: 0, d: 1, x: 0, y: 0 };
  const view = access.view();
  const [a = 1, b = 0, c = 0, d = 1, x = 0, y = 0] = [0, 1, 2, 3, 4, 5].map((part) =>
    view.getFloat32(at + part * 4, true),
  );
  return { a, b, c, d, x, y };
}

/** Thin filled boxes and the straight lines of stroked paths. */
function rulingsOf(
  access: PdfiumAccess,
  path: number,
  { box, mapping, into }: { box: PageBox; mapping: Mapping; into: Ruling[] },
): void {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  if (height <= thinnest && width > shortest) {
    into.push({ isHorizontal: true, at: (box.top + box.bottom) / 2, from: box.left, to: box.right });
    return;
  }
  if (width <= thinnest && height > shortest) {
    into.push({ isHorizontal: false, at: (box.left + box.right) / 2, from: box.top, to: box.bottom });
    return;
  }
  if (width <= shortest && height <= shortest) return;
  access.native("FPDFPath_GetDrawMode", path, access.scratch, access.scratch + 4);
  const isStroked = access.view().getInt32(access.scratch + 4, true) !== 0;
  const segments = access.native("FPDFPath_CountSegments", path);
  if (segments > 4000) return;
  const toPage = then(matrixOf(access, path), mapping);
  const curve = 1;
  const move = 2;
  let before: { x: number; y: number } | undefined;
  let start: { x: number; y: number } | undefined;
  const found: Ruling[] = [];
  for (let index = 0; index < segments; index++) {
    const segment = access.native("FPDFPath_GetPathSegment", path, index);
    access.native("FPDFPathSegment_GetPoint", segment, access.scratch, access.scratch + 4);
    const view = access.view();
    const point = apply(toPage, view.getFloat32(access.scratch, true), view.getFloat32(access.scratch + 4, true));
    const type = access.native("FPDFPathSegment_GetType", segment);
    if (type === curve) return;
    if (type === move) start = point;
    else if (before) addRuling(before, point, found);
    before = point;
    if (start && access.native("FPDFPathSegment_GetClose", segment) !== 0) addRuling(point, start, found);
  }
  if (isStroked) into.push(...found);
  else into.push(...bordersOf(found));
}
