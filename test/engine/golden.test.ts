// Numeric truth: the bundled model's golden vectors, computed in float32 from the same weights, hold for every engine that computes.
// The tolerance is for the arithmetic of the engine: llama.cpp on a CPU quantises activations to 8 bits, the GPU kernels use 16.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ask, computes, engines, hear, onEachEngine } from "./engines.ts";

interface Golden {
  prompts: readonly {
    name: string;
    prompt: string;
    ids: readonly number[];
    top20: { ids: readonly number[]; logprobs: readonly number[] };
    greedy: { ids: readonly number[]; margins: readonly number[] };
  }[];
  tokenisations: readonly { text: string; ids: readonly number[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../models/quern-mini/golden.json", import.meta.url), "utf8"),
) as Golden;

/** Of a log-probability, for tokens with at least a thousandth of the probability. */
const tolerance = 0.2;
/** Greedy answers must agree up to the first step whose best two tokens are closer than this. */
const thinMargin = 0.1;

onEachEngine({ contextTokens: 4096, parallel: 2 }, (engine, name) => {
  const skip = !computes(name) && "it computes nothing";

  test("every golden text has the golden token ids", { skip }, async () => {
    for (const { text, ids } of golden.tokenisations) {
      assert.deepEqual(await engine().tokenize(text, { special: true }), ids, JSON.stringify(text));
    }
    for (const { prompt, ids } of golden.prompts) {
      assert.deepEqual(await engine().tokenize(prompt, { special: true }), ids);
    }
  });

  for (const { name: prompt, ids, top20, greedy } of golden.prompts) {
    test(`${prompt}: the next token's log-probabilities and the greedy answer are the golden ones`, {
      skip,
    }, async () => {
      // Long prompts in two parts, so that the golden numbers also hold for a prefix taken over from an earlier request.
      const earlier = ids.slice(0, -100);
      if (ids.length > 1000)
        await hear(engine().generate(ask({ prompt: { kind: "tokens", ids: earlier }, maxTokens: 0 })));
      const request = ask({ prompt: { kind: "tokens", ids }, topLogprobs: 20, maxTokens: greedy.ids.length });
      const heard = await hear(engine().generate(request));
      if (ids.length > 1000) assert.ok(heard.done.usage.cachedTokens >= earlier.length - 64, "nothing was reused");
      const found = new Map(heard.logprobs[0]?.top.map(({ id, logprob }) => [id, logprob]));
      let worst = 0;
      for (const [place, id] of top20.ids.entries()) {
        const expected = top20.logprobs[place] ?? 0;
        if (expected < Math.log(1e-3)) continue;
        const logprob = found.get(id);
        assert.ok(logprob !== undefined, `token ${id} is not among the top 20`);
        worst = Math.max(worst, Math.abs(logprob - expected));
      }
      assert.ok(worst <= tolerance, `off by ${worst}`);
      const thin = greedy.margins.findIndex((margin) => margin < thinMargin);
      const sure = thin < 0 ? greedy.ids.length : thin;
      assert.deepEqual(heard.ids.slice(0, sure), greedy.ids.slice(0, sure));
    });
  }
});

test("an engine that computes is among those checked", () => {
  assert.ok(engines.some(({ name, missing }) => computes(name) && !missing));
});
