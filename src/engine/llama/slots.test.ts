import assert from "node:assert/strict";
import { test } from "node:test";
import { Slots } from "./slots.ts";

const ids = (from: number, count: number) => Array.from({ length: count }, (_, place) => from + place);

function filled(...contents: number[][]): Slots {
  const slots = new Slots(contents.length);
  for (const [place, tokens] of contents.entries()) {
    const slot = slots.all[place];
    assert.ok(slot);
    slot.tokens = tokens;
  }
  return slots;
}

test("a prompt goes where most of it is already", () => {
  const slots = filled(ids(0, 50), ids(0, 200), []);
  const taken = slots.take([...ids(0, 180), 9999]);
  assert.deepEqual([taken?.slot.sequence, taken?.cachedTokens], [1, 180]);
});

test("a short common beginning does not cost somebody else's long prefix", () => {
  const slots = filled([1, 2, 3, ...ids(100, 5000)], []);
  const taken = slots.take([1, 2, 3, ...ids(9000, 80)]);
  assert.deepEqual([taken?.slot.sequence, taken?.cachedTokens], [1, 0]);
});

test("the last prompt token is never taken from a prefix", () => {
  const slots = filled(ids(0, 10));
  assert.equal(slots.take(ids(0, 10))?.cachedTokens, 9);
});

test("running sequences are not taken; of equals the one idle longest is", () => {
  const slots = new Slots(3);
  const order = [1, 2, 3].map(() => slots.take([1])?.slot.sequence);
  assert.deepEqual([...order].sort(), [0, 1, 2]);
  assert.equal(slots.take([1]), undefined);
  for (const slot of [...slots.all].reverse()) slots.release(slot);
  assert.equal(slots.take([7])?.slot.sequence, order[0]);
});

test("tokens count as used while their sequence runs and as cached after", () => {
  const slots = filled(ids(0, 10), ids(50, 5));
  const taken = slots.take(ids(0, 12));
  assert.deepEqual(slots.counts(), { usedTokens: 10, cachedTokens: 5 });
  if (taken) slots.release(taken.slot);
  assert.deepEqual(slots.counts(), { usedTokens: 0, cachedTokens: 15 });
});
