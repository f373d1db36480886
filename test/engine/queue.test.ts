import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { Engine, Priority } from "../../src/engine/contract.ts";
import { ask, endless, hear, onEachEngine, until } from "./engines.ts";

/** Takes the one sequence and keeps it until told to let go. */
async function occupy(engine: Engine): Promise<() => Promise<unknown>> {
  const stream = engine.generate(ask(endless))[Symbol.asyncIterator]();
  await until(stream, "tokens");
  return async () => stream.return?.();
}

onEachEngine({ parallel: 1, queueLimit: 3 }, (engine) => {
  test("who waits is told the position, and again when it changes; priorities go first", async () => {
    const letGo = await occupy(engine());
    const started: Priority[] = [];
    const positions: number[][] = [];
    const waiting = (["background", "batch", "interactive"] as const).map(async (priority, place) => {
      const list: number[] = [];
      positions[place] = list;
      await hear(engine().generate(ask({ priority, maxTokens: 3 })), (event) => {
        if (event.type === "queued") list.push(event.position);
        if (event.type === "prefill" && event.processedTokens === event.cachedTokens) started.push(priority);
      });
    });
    while (engine().status().queuedRequests < 3) await new Promise(setImmediate);
    await letGo();
    await Promise.all(waiting);
    assert.deepEqual(started, ["interactive", "batch", "background"]);
    const [background = [], batch = [], interactive = []] = positions;
    assert.equal(interactive[0], 1);
    assert.ok(batch.includes(2) || batch.includes(1));
    assert.equal(background.at(-1), 1);
    assert.ok(background.includes(3), `background stood at ${background}`);
  });

  test("a full queue refuses at once, with the seconds to come back", async () => {
    const letGo = await occupy(engine());
    const waiting = [1, 2, 3].map(() =>
      engine()
        .generate(ask({ maxTokens: 1 }))
        [Symbol.asyncIterator](),
    );
    for (const each of waiting) await until(each, "queued");
    await assert.rejects(hear(engine().generate(ask())), (error) => {
      assert.ok(error instanceof AppError && error.code === "busy" && error.isRetryable);
      assert.ok(Number(error.details?.retryAfterSeconds) >= 1);
      return true;
    });
    assert.equal(engine().status().queuedRequests, 3);
    await letGo();
    for (const each of waiting) await until(each, "done");
  });

  test("once requests have been measured, a wait is estimated", async () => {
    const letGo = await occupy(engine());
    const waiting = engine()
      .generate(ask({ maxTokens: 1 }))
      [Symbol.asyncIterator]();
    const event = await until(waiting, "queued");
    assert.ok(event.type === "queued" && (event.estimatedWaitMs ?? -1) >= 0);
    await letGo();
    await waiting.return?.();
  });
});
