import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, ask, endless, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 1, queueLimit: 2 }, (engine) => {
  test("leaving the loop early frees the sequence for the next request", async () => {
    for await (const event of engine().generate(ask(endless))) if (event.type === "tokens") break;
    const { text, events } = await hear(engine().generate(ask()));
    assert.equal(text, answer);
    assert.ok(events.filter(({ type }) => type === "queued").length <= 1, "it waited for more than one step");
    assert.equal(engine().status().runningRequests, 0);
    assert.equal(engine().status().kv.usedTokens, 0);
  });

  test("leaving while waiting gives up the place in the queue", async () => {
    const running = engine().generate(ask(endless))[Symbol.asyncIterator]();
    await running.next();
    for await (const event of engine().generate(ask())) if (event.type === "queued") break;
    const waiting = engine().generate(ask())[Symbol.asyncIterator]();
    const { value } = await waiting.next();
    assert.deepEqual(value?.type === "queued" && value.position, 1);
    await Promise.all([running.return?.(), waiting.return?.()]);
  });

  test("a stream that nobody reads does not begin", async () => {
    engine().generate(ask(endless));
    await hear(engine().generate(ask({ maxTokens: 1 })));
    assert.equal(engine().status().runningRequests, 0);
  });
});
