import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, hear, onEachEngine, question } from "./engines.ts";

onEachEngine({ parallel: 2 }, (engine) => {
  test("usage counts the prompt's tokens and every token handed out, the end of turn included", async () => {
    const { done, ids, text } = await hear(engine().generate(ask()));
    const promptTokens = (await engine().tokenize(question, { special: true })).length;
    assert.equal(done.usage.promptTokens, promptTokens);
    assert.equal(done.usage.completionTokens, ids.length);
    assert.ok(
      engine()
        .status()
        .model.eosTokenIds.includes(ids.at(-1) ?? -1),
      "the last id is the end of turn",
    );
    assert.equal(await engine().detokenize(ids), text);
  });

  test("prefill events lead from the reused tokens to the whole prompt", async () => {
    const { events, done } = await hear(engine().generate(ask()));
    const steps = events.filter((event) => event.type === "prefill");
    assert.ok(steps.length > 0);
    assert.equal(steps.at(-1)?.processedTokens, done.usage.promptTokens);
    for (const step of steps) assert.equal(step.cachedTokens, done.usage.cachedTokens);
    const firstTokens = events.findIndex(({ type }) => type === "tokens");
    assert.ok(
      events.slice(firstTokens).every(({ type }) => type !== "prefill"),
      "prefill after a token",
    );
  });

  test("the totals grow by what each request used", async () => {
    const before = engine().status().totals;
    const { done } = await hear(engine().generate(ask({ maxTokens: 5 })));
    await hear(engine().generate(ask({ prompt: { kind: "tokens", ids: [] } }))).catch(() => undefined);
    const { totals } = engine().status();
    assert.deepEqual(totals, {
      requests: before.requests + 2,
      promptTokens: before.promptTokens + done.usage.promptTokens,
      cachedTokens: before.cachedTokens + done.usage.cachedTokens,
      completionTokens: before.completionTokens + 5,
      failures: before.failures + 1,
      aborts: before.aborts,
    });
  });

  test("timings are there, and speeds after work", async () => {
    const { done } = await hear(engine().generate(ask()));
    for (const ms of Object.values(done.timings)) assert.ok(ms >= 0 && Number.isFinite(ms));
    assert.ok(engine().status().speed.decodeTokensPerSecond > 0);
    assert.equal(engine().status().state, "ready");
  });
});
