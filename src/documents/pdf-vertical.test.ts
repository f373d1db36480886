import assert from "node:assert/strict";
import test from "node:test";
import { segmentsOfPage } from "./layout/blocks.ts";
import type { Character, PdfPage } from "./pdf-page.ts";
import { runsOf } from "./pdf-runs.ts";
import { isVertical, turnedBack, verticalPage } from "./pdf-vertical.ts";

const style = { size: 14, isBold: false, isMonospaced: false, isInvisible: false, angle: 0 };

function pageOf(characters: Character[]): PdfPage {
  return { width: 400, height: 600, characters, unmapped: 0, rulings: [], images: [], dots: [], pathCount: 0 };
}

function letter(text: string, left: number, top: number): Character {
  return { text, left, top, right: left + 14, bottom: top + 14, originX: left, baseline: top + 12, style };
}

const columns = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"];
const vertical = pageOf(
  columns.flatMap((column, index) =>
    Array.from(column, (text, place) => letter(text, 340 - index * 40, 50 + place * 14)),
  ),
);

test("columns from right to left are read one after the other, and their boxes stand where they are on the page", () => {
  assert.ok(isVertical(vertical));
  const turned = verticalPage(vertical);
  const { width, height, rulings } = turned;
  const found = segmentsOfPage({ page: 1, width, height, rulings, runs: runsOf(turned), tolerance: 2 });
  assert.equal(
    found.map((segment) => ("text" in segment ? segment.text : segment.kind)).join("\n"),
    columns.join("\n"),
  );
  const [first] = found.map((segment) => turnedBack(segment, vertical));
  const [left = 0, top = 0, right = 0, bottom = 0] = first?.box ?? [];
  assert.ok(left > 290 && right < 365 && top >= 48 && bottom <= 220, JSON.stringify(first?.box));
});

test("lines from left to right and a table's columns of figures are not vertical text", () => {
  const lines = columns.flatMap((line, index) =>
    Array.from(line, (text, place) => letter(text, 50 + place * 14, 50 + index * 20)),
  );
  assert.ok(!isVertical(pageOf(lines)));
  const figures = Array.from({ length: 20 }, (_, row) => [
    letter("1", 300, 50 + row * 20),
    letter("2", 308, 50 + row * 20),
  ]).flat();
  assert.ok(!isVertical(pageOf([...lines, ...figures])));
});
