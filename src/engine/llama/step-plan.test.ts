import assert from "node:assert/strict";
import { test } from "node:test";
import { promptBudget, shareBudget, toBatches } from "./step-plan.ts";

test("a step takes as many prompt tokens as its time allows, fewer beside running answers", () => {
  const machine = { limitTokens: 512, promptTokensPerSecond: 800 };
  assert.equal(promptBudget({ ...machine, decoding: 0 }), 400);
  assert.equal(promptBudget({ ...machine, decoding: 3 }), 80);
});

test("a slow machine still moves on, and a fast one stays within the batch", () => {
  assert.equal(promptBudget({ limitTokens: 512, promptTokensPerSecond: 3, decoding: 1 }), 16);
  assert.equal(promptBudget({ limitTokens: 512, promptTokensPerSecond: 100_000, decoding: 4 }), 508);
});

test("prompts share the budget evenly, and what short ones leave goes to the long", () => {
  assert.deepEqual(shareBudget(300, [1000, 1000, 1000]), [100, 100, 100]);
  assert.deepEqual(shareBudget(300, [1000, 20, 60]), [220, 20, 60]);
  assert.deepEqual(shareBudget(300, [10, 10]), [10, 10]);
  assert.deepEqual(shareBudget(0, [5]), [0]);
});

test("what a seed keeps reproducible runs in batches that its neighbours cannot change", () => {
  const row = (name: string, isReproducible: boolean, isPrompt = false) => ({ name, isReproducible, isPrompt });
  const step = [
    row("a", false),
    ...["s1", "s2", "s3", "s4"].map((name) => row(name, true)),
    row("p", false, true),
    row("sp", true, true),
  ];
  const names = toBatches(step).map((batch) => batch.map(({ name }) => name));
  assert.deepEqual(names, [["a", "p"], ["s1", "s2", "s3"], ["sp"], ["s4"]]);
  assert.deepEqual(toBatches([]), []);
});
