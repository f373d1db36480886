import assert from "node:assert/strict";
import test from "node:test";
import { sideBySide } from "./side-by-side.ts";

test("results and reports come in order, and no more than two run at once", async () => {
  const done: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  let [running, most] = [0, 0];
  const all = sideBySide(
    5,
    async (index) => {
      most = Math.max(most, ++running);
      await gates[index]?.promise;
      running--;
      return index * 10;
    },
    { after: (index) => done.push(index) },
  );
  for (const index of [1, 0, 3, 2, 4]) gates[index]?.resolve();
  assert.deepEqual(await all, [0, 10, 20, 30, 40]);
  assert.deepEqual(done, [0, 1, 2, 3, 4]);
  assert.equal(most, 2);
});

test("a failure is thrown when what runs beside it has ended", async () => {
  const beside = Promise.withResolvers<void>();
  let hasEnded = false;
  const all = sideBySide(9, async (index) => {
    if (index === 1) await beside.promise.then(() => (hasEnded = true));
    else throw new Error(`page ${index}`);
  });
  beside.resolve();
  await assert.rejects(all, /page 0/);
  assert.ok(hasEnded);
});
