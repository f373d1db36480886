import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { ask, endless, hear, onEachEngine } from "./engines.ts";

const contextTokens = 256;

onEachEngine({ contextTokens, parallel: 1 }, (engine) => {
  const promptOf = (tokens: number) => ({
    kind: "tokens" as const,
    ids: Array.from({ length: tokens }, (_, i) => 40 + (i % 20)),
  });

  test("a prompt longer than the context is refused with its counts", async () => {
    await assert.rejects(hear(engine().generate(ask({ prompt: promptOf(300) }))), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "context_overflow");
      assert.deepEqual(error.details, { promptTokens: 300, limitTokens: contextTokens, overflowTokens: 45 });
      return true;
    });
  });

  test("a prompt that fills the context leaves no room for an answer and is refused; one token less is answered", async () => {
    const full = hear(engine().generate(ask({ prompt: promptOf(contextTokens) })));
    await assert.rejects(full, { code: "context_overflow" });
    const { ids, done } = await hear(engine().generate(ask({ ...endless, prompt: promptOf(contextTokens - 1) })));
    assert.equal(ids.length, 1);
    assert.equal(done.reason, "length");
  });

  test("an answer ends by length where the context ends, whatever maxTokens says", async () => {
    for (const maxTokens of [undefined, 10_000]) {
      const limit = maxTokens === undefined ? {} : { maxTokens };
      const { ids, done } = await hear(engine().generate(ask({ ...endless, ...limit, prompt: promptOf(200) })));
      assert.equal(ids.length, contextTokens - 200);
      assert.equal(done.reason, "length");
    }
  });

  test("a prompt that fills the context can be prefilled", async () => {
    const { done } = await hear(engine().generate(ask({ maxTokens: 0, prompt: promptOf(contextTokens) })));
    assert.deepEqual(done.usage.promptTokens, contextTokens);
  });
});
