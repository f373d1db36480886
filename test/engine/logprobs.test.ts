import assert from "node:assert/strict";
import { test } from "node:test";
import { plainSampling } from "../../src/engine/contract.ts";
import { ask, computes, greedy, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 2 }, (engine, name) => {
  test("each token comes with its own log-probability and as many alternatives as asked, likeliest first", async () => {
    const { ids, logprobs } = await hear(engine().generate(ask({ topLogprobs: 5, maxTokens: 8 })));
    assert.deepEqual(
      logprobs.map(({ id }) => id),
      ids,
    );
    for (const { id, logprob, top } of logprobs) {
      assert.ok(logprob <= 0 && Number.isFinite(logprob));
      assert.equal(top.length, 5);
      assert.equal(top[0]?.id, id, "greedy takes the likeliest");
      assert.equal(top[0]?.logprob, logprob);
      assert.ok(top.every((each, place) => place === 0 || each.logprob <= (top[place - 1]?.logprob ?? 0)));
    }
  });

  test("none are reported unless asked for; zero alternatives may be asked for", async () => {
    const without = await hear(engine().generate(ask({ maxTokens: 2 })));
    assert.deepEqual(without.logprobs, []);
    const own = await hear(engine().generate(ask({ maxTokens: 2, topLogprobs: 0 })));
    assert.deepEqual(
      own.logprobs.map(({ top }) => top.length),
      [0, 0],
    );
  });

  const byHeart = !computes(name) && "what is known by heart has no probabilities of its own";

  test("they are the model's own, whatever the sampling settings, and asking changes no draw", {
    skip: byHeart,
  }, async () => {
    const plain = await hear(engine().generate(ask({ topLogprobs: 3, maxTokens: 1 })));
    const settings = {
      ...greedy,
      repeatPenalty: 1.5,
      presencePenalty: 1,
      logitBias: new Map([[plain.ids[0] ?? 0, -100]]),
    };
    const biased = await hear(engine().generate(ask({ sampling: settings, topLogprobs: 3, maxTokens: 1 })));
    assert.notEqual(biased.ids[0], plain.ids[0]);
    for (const [place, each] of (biased.logprobs[0]?.top ?? []).entries()) {
      const same = plain.logprobs[0]?.top[place];
      assert.equal(each.id, same?.id);
      assert.ok(Math.abs(each.logprob - (same?.logprob ?? 0)) < 1e-3);
    }
    const hot = { ...plainSampling, temperature: 2, seed: 5 };
    const asked = await hear(engine().generate(ask({ sampling: hot, topLogprobs: 3, maxTokens: 10 })));
    const unasked = await hear(engine().generate(ask({ sampling: hot, maxTokens: 10 })));
    assert.deepEqual(asked.ids, unasked.ids);
  });

  test("a token far from the top has its own probability too", { skip: byHeart }, async () => {
    const [rare = 0] = await engine().tokenize("Z");
    const settings = { ...greedy, logitBias: new Map([[rare, 100]]) };
    const { ids, logprobs } = await hear(engine().generate(ask({ sampling: settings, topLogprobs: 2, maxTokens: 1 })));
    assert.deepEqual(ids, [rare]);
    const [own] = logprobs;
    assert.ok(own && own.logprob < -3 && own.logprob > -200, String(own?.logprob));
    assert.ok(own.top.every(({ id }) => id !== rare));
  });
});
