// Plane geometry for PDF pages: PDF coordinates to the upright page, and which drawn shapes are rulings or bullets.
import type { Ruling } from "./layout/runs.ts";

export interface PageBox {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Points: a filled box no thicker is a line; lines and boxes shorter than the second are marks of something else. */
export const thinnest = 2.5;
export const shortest = 6;

/** Of a filled shape only the strips count: two parallel sides close together are one drawn line (a border painted as polygons). */
export function bordersOf(sides: readonly Ruling[]): Ruling[] {
  return sides.flatMap((side, index) => {
    const partner = sides.findIndex(
      (other, at) =>
        at > index &&
        other.isHorizontal === side.isHorizontal &&
        Math.abs(other.at - side.at) <= thinnest &&
        Math.min(other.to, side.to) > Math.max(other.from, side.from),
    );
    const other = sides[partner];
    return other ? [{ ...side, at: (side.at + other.at) / 2 }] : [];
  });
}

export function addRuling(from: { x: number; y: number }, to: { x: number; y: number }, into: Ruling[]): void {
  const [dx, dy] = [Math.abs(from.x - to.x), Math.abs(from.y - to.y)];
  if (dx > shortest && dy < 1)
    into.push({
      isHorizontal: true,
      at: (from.y + to.y) / 2,
      from: Math.min(from.x, to.x),
      to: Math.max(from.x, to.x),
    });
  if (dy > shortest && dx < 1)
    into.push({
      isHorizontal: false,
      at: (from.x + to.x) / 2,
      from: Math.min(from.y, to.y),
      to: Math.max(from.y, to.y),
    });
}

/** x' = a·x + c·y + x, y' = b·x + d·y + y. */
export interface Mapping {
  a: number;
  b: number;
  c: number;
  d: number;
  x: number;
  y: number;
}

export function apply(mapping: Mapping, x: number, y: number): { x: number; y: number } {
  return { x: mapping.a * x + mapping.c * y + mapping.x, y: mapping.b * x + mapping.d * y + mapping.y };
}

/** First `inner`, then `outer`. */
export function then(inner: Mapping, outer: Mapping): Mapping {
  return {
    a: outer.a * inner.a + outer.c * inner.b,
    b: outer.b * inner.a + outer.d * inner.b,
    c: outer.a * inner.c + outer.c * inner.d,
    d: outer.b * inner.c + outer.d * inner.d,
    ...apply(outer, inner.x, inner.y),
  };
}

export function isDot(box: PageBox): boolean {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  return width >= 1.5 && width <= 7 && height >= 1.5 && Math.abs(width - height) < 0.8;
}

export function bounds(mapping: Mapping, box: PageBox): PageBox {
  const one = apply(mapping, box.left, box.top);
  const two = apply(mapping, box.right, box.bottom);
  return {
    left: Math.min(one.x, two.x),
    right: Math.max(one.x, two.x),
    top: Math.min(one.y, two.y),
    bottom: Math.max(one.y, two.y),
  };
}

export function clip(box: PageBox, page: { width: number; height: number }) {
  const within = (value: number, limit: number): number => Math.min(limit, Math.max(0, value));
  return {
    left: within(box.left, page.width),
    right: within(box.right, page.width),
    top: within(box.top, page.height),
    bottom: within(box.bottom, page.height),
  };
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
