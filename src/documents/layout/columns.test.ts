import assert from "node:assert/strict";
import test from "node:test";
import { regionsInOrder } from "./columns.ts";
import type { Run } from "./runs.ts";

function run(text: string, left: number, top: number, right: number): Run {
  return { text, left, right, top, bottom: top + 12, size: 10, isBold: false, lefts: [], confidence: 0.9 };
}

const columns = Array.from({ length: 8 }, (_, line) => [
  run(`left ${line}`, 60, 100 + line * 16, 280),
  run(`right ${line}`, 310, 100 + line * 16, 530),
]).flat();
const read = (runs: readonly Run[]): string[] =>
  regionsInOrder(runs).map((region) =>
    region
      .map((each) => each.text.split(" ")[0])
      .filter((word, index, all) => all.indexOf(word) === index)
      .join("+"),
  );

test("two columns are two regions, below the title over both", () => {
  assert.deepEqual(read([run("title", 60, 60, 530), ...columns]), ["title", "left", "right"]);
});

test("a speck in the gutter does not break the columns", () => {
  const regions = regionsInOrder([...columns, run("341", 288, 150, 302)]);
  const lefts = regions[0]?.filter((each) => each.text.startsWith("left")).length;
  assert.equal(lefts, 8);
});

test("rows of short pieces are not columns", () => {
  const rows = Array.from({ length: 8 }, (_, line) => [
    run(`a${line}`, 60, 100 + line * 16, 90),
    run(`b${line}`, 310, 100 + line * 16, 340),
  ]).flat();
  assert.equal(regionsInOrder(rows).length, 1);
});
