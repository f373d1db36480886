import assert from "node:assert/strict";
import test from "node:test";
import { splitAtGaps } from "./gaps.ts";

/** White with dark boxes: [left, top, right, bottom]. */
function picture(width: number, height: number, marks: readonly (readonly [number, number, number, number])[]) {
  const data = new Uint8Array(width * height * 3).fill(255);
  for (const [left, top, right, bottom] of marks)
    for (let y = top; y < bottom; y++) data.fill(20, (y * width + left) * 3, (y * width + right) * 3);
  return { width, height, data };
}

const letters = (from: number, to: number): [number, number, number, number][] =>
  Array.from({ length: Math.floor((to - from) / 20) }, (_, index) => [
    from + index * 20,
    10,
    from + index * 20 + 15,
    28,
  ]);

test("a box over a column's gutter is cut in two, and a blank end is cut off", () => {
  const image = picture(600, 40, [...letters(10, 200), ...letters(280, 480)]);
  const boxes = splitAtGaps(image, [{ left: 0, top: 4, right: 600, bottom: 34 }]);
  assert.equal(boxes.length, 2);
  const [left, right] = boxes;
  assert.ok(left && left.right >= 185 && left.right < 230, String(left?.right));
  assert.ok(right && right.left > 250 && right.left <= 280 && right.right < 520, JSON.stringify(right));
});

test("word spaces do not cut, and a thin stroke is not blank", () => {
  const stroke: [number, number, number, number] = [212, 18, 232, 21];
  const image = picture(600, 40, [...letters(10, 200), stroke, ...letters(250, 590)]);
  assert.equal(splitAtGaps(image, [{ left: 0, top: 4, right: 600, bottom: 34 }]).length, 1);
});
