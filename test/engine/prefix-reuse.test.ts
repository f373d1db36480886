// That a reused prefix gives the answer of a computed one is shown in golden.test.ts, where the right answer is known.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, hear, onEachEngine, question } from "./engines.ts";

const sharedTokens = 2000;

onEachEngine({ contextTokens: 4096, parallel: 2 }, (engine) => {
  test("the second request on a shared beginning computes only its tail", async () => {
    const filler = await engine().tokenize("本季度的项目进度、预算和人员安排如下。".repeat(400));
    const shared = filler.slice(0, sharedTokens);
    const tail = await engine().tokenize(question, { special: true });
    const prompt = (mark: number) => ({ kind: "tokens" as const, ids: [...shared, mark, ...tail] });
    const first = await hear(engine().generate(ask({ prompt: prompt(40), maxTokens: 4 })));
    assert.equal(first.done.usage.cachedTokens, 0);
    const second = await hear(engine().generate(ask({ prompt: prompt(41), maxTokens: 4 })));
    assert.ok(second.done.usage.cachedTokens >= 0.95 * sharedTokens, `reused ${second.done.usage.cachedTokens}`);
    const computed = second.events.flatMap((event) => (event.type === "prefill" ? [event.processedTokens] : []));
    assert.equal(computed.at(-1), sharedTokens + 1 + tail.length);
    assert.ok((computed[0] ?? 0) >= second.done.usage.cachedTokens);
  });

  test("a whole prompt said again computes its last token only", async () => {
    const prompt = { kind: "text" as const, pieces: [question] };
    await hear(engine().generate(ask({ prompt, maxTokens: 4 })));
    const { done } = await hear(engine().generate(ask({ prompt, maxTokens: 4 })));
    assert.equal(done.usage.promptTokens - done.usage.cachedTokens <= 64, true);
  });

  test("an aborted prompt leaves a prefix that is as good as any", async () => {
    const ids = (await engine().tokenize("预算审批流程说明。".repeat(300))).slice(0, 1800);
    const tail = await engine().tokenize(question, { special: true });
    const prompt = { kind: "tokens" as const, ids: [...ids, ...tail] };
    const abort = new AbortController();
    await hear(engine().generate(ask({ prompt, maxTokens: 12 }), { signal: abort.signal }), (event) => {
      if (event.type === "prefill" && event.processedTokens > 0) abort.abort();
    });
    const resumed = await hear(engine().generate(ask({ prompt, maxTokens: 12 })));
    const again = await hear(engine().generate(ask({ prompt, maxTokens: 12 })));
    assert.deepEqual(again.ids, resumed.ids);
    assert.equal(engine().status().kv.usedTokens, 0);
  });
});
