import assert from "node:assert/strict";
import { test } from "node:test";
import { plainSampling } from "../../src/engine/contract.ts";
import { ask, computes, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 8 }, (engine, name) => {
  const hot = (seed: number) => ask({ sampling: { ...plainSampling, temperature: 3, topK: 50, seed }, maxTokens: 24 });

  test("the same seed gives the same answer, alone and beside others", async () => {
    const alone = await hear(engine().generate(hot(7)));
    const again = await hear(engine().generate(hot(7)));
    const [beside] = await Promise.all([7, 8, 9, 10, 11, 12].map((seed) => hear(engine().generate(hot(seed)))));
    assert.deepEqual(again.ids, alone.ids);
    assert.deepEqual(beside?.ids, alone.ids);
  });

  test("another seed gives another answer", {
    skip: !computes(name) && "what is known by heart is not drawn",
  }, async () => {
    const answers = await Promise.all([1, 2, 2 ** 40 + 1].map((seed) => hear(engine().generate(hot(seed)))));
    assert.equal(new Set(answers.map(({ ids }) => ids.join())).size, 3);
  });
});
