import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, ask, endless, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 1, queueLimit: 2 }, (engine) => {
  test("an aborted answer ends in done with what it had, and the next request starts", async () => {
    const abort = new AbortController();
    const { done, text, ids } = await hear(engine().generate(ask(endless), { signal: abort.signal }), (event) => {
      if (event.type === "tokens") abort.abort();
    });
    assert.equal(done.reason, "aborted");
    assert.equal(done.usage.completionTokens, ids.length);
    assert.ok(ids.length < 500, `it went on for ${ids.length} tokens`);
    assert.ok(answer.startsWith(text) && text.length > 0, text);
    const next = await hear(engine().generate(ask()));
    assert.equal(next.text, answer);
    assert.equal(engine().status().runningRequests, 0);
  });

  test("a request aborted before it starts ends in done without a token", async () => {
    const { done, ids } = await hear(engine().generate(ask(), { signal: AbortSignal.abort() }));
    assert.equal(done.reason, "aborted");
    assert.deepEqual(ids, []);
  });

  test("a request aborted while it waits ends at once; the running one is not disturbed", async () => {
    const [running, waiting] = [new AbortController(), new AbortController()];
    const order: string[] = [];
    const first = hear(engine().generate(ask(endless), { signal: running.signal }), (event) => {
      if (event.type === "tokens" && order.length > 0) running.abort();
    }).then(({ done }) => order.push(`running ${done.reason}`));
    const second = hear(engine().generate(ask(), { signal: waiting.signal }), (event) => {
      if (event.type === "queued") waiting.abort();
    }).then(({ done, events }) => order.push(`waiting ${done.reason} ${events[0]?.type}`));
    await Promise.all([first, second]);
    assert.deepEqual(order, ["waiting aborted queued", "running aborted"]);
    assert.equal(engine().status().totals.aborts >= 3, true);
  });

  test("text held back for a stop text is shown when the answer is aborted", async () => {
    const abort = new AbortController();
    const { text, done } = await hear(
      engine().generate(ask({ stop: ["我是 Quern 内置的演示模型？"] }), { signal: abort.signal }),
      (event) => {
        if (event.type === "tokens") abort.abort();
      },
    );
    assert.equal(done.reason, "aborted");
    assert.ok(text.length > 0 && answer.startsWith(text), text);
  });
});
