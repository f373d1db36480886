import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, ask, computes, greedy, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 2 }, (engine, name) => {
  test("maxTokens ends the answer by length, with exactly that many tokens", async () => {
    const { ids, done, text } = await hear(engine().generate(ask({ maxTokens: 6 })));
    assert.equal(ids.length, 6);
    assert.equal(done.reason, "length");
    assert.ok(answer.startsWith(text));
  });

  test("maxTokens 0 prefills the prompt and keeps it", async () => {
    const prompt = { kind: "text" as const, pieces: ["一份很长的制度文件，".repeat(40)] };
    const { ids, done, events } = await hear(engine().generate(ask({ prompt, maxTokens: 0 })));
    assert.deepEqual(ids, []);
    assert.equal(done.reason, "length");
    assert.equal(done.usage.completionTokens, 0);
    assert.ok(events.every(({ type }) => type !== "tokens"));
    const after = await hear(engine().generate(ask({ prompt, maxTokens: 1 })));
    assert.ok(after.done.usage.cachedTokens >= done.usage.promptTokens - 64, `reused ${after.done.usage.cachedTokens}`);
  });

  test("ignoreEos goes on after the end of turn", async () => {
    const whole = await hear(engine().generate(ask()));
    const { ids, done } = await hear(engine().generate(ask({ ignoreEos: true, maxTokens: whole.ids.length + 5 })));
    assert.equal(ids.length, whole.ids.length + 5);
    assert.deepEqual(ids.slice(0, whole.ids.length), whole.ids);
    assert.equal(done.reason, "length");
  });

  test("minTokens keeps the answer from ending early", async () => {
    const least = 60;
    const { ids, done } = await hear(engine().generate(ask({ minTokens: least, maxTokens: 200, stop: ["我"] })));
    assert.ok(ids.length > least || done.reason === "length", `${ids.length} tokens`);
    if (name === "scripted") return;
    const ends = new Set(engine().status().model.eosTokenIds);
    assert.ok(
      ids.slice(0, least).every((id) => !ends.has(id)),
      "an end of turn within minTokens",
    );
  });

  test("a biased token is always, or never, said", {
    skip: !computes(name) && "what is known by heart cannot be biased",
  }, async () => {
    const [token = 0] = await engine().tokenize("好");
    const always = { ...greedy, logitBias: new Map([[token, 100]]) };
    assert.deepEqual((await hear(engine().generate(ask({ sampling: always, maxTokens: 3 })))).ids, [
      token,
      token,
      token,
    ]);
    const penalised = { ...always, repeatPenalty: 100, penaltyTokens: 8 };
    const { ids } = await hear(engine().generate(ask({ sampling: penalised, maxTokens: 3 })));
    assert.notDeepEqual(ids, [token, token, token]);
  });
});
