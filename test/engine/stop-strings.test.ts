import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, ask, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 2 }, (engine) => {
  // Each spans several tokens of every engine.
  for (const stop of ["quern-mini", "，规模很小，", "4B-Instruct-2507"]) {
    test(`the answer ends before the stop text "${stop}", which is split over tokens`, async () => {
      const { text, done } = await hear(engine().generate(ask({ stop: [stop, "never said"] })));
      assert.equal(text, answer.slice(0, answer.indexOf(stop)));
      assert.equal(done.reason, "stop");
      assert.equal(done.stopText, stop);
    });
  }

  test("the stop text is part of the answer when asked for", async () => {
    const { text } = await hear(engine().generate(ask({ stop: ["演示模型"], includeStop: true })));
    assert.equal(text, answer.slice(0, answer.indexOf("演示模型") + "演示模型".length));
  });

  test("a stop text that only begins in the answer changes nothing", async () => {
    const { text, done } = await hear(engine().generate(ask({ stop: ["2507。再见"] })));
    assert.equal(text, answer);
    assert.equal(done.stopText, undefined);
  });

  test("no text of a stop text is shown before it is known to be one", async () => {
    const { events } = await hear(engine().generate(ask({ stop: ["quern-mini"] })));
    const shown = events.map((event) => (event.type === "tokens" ? event.text : "")).join("");
    assert.ok(!shown.includes("quern"), shown);
  });

  test("a stop token id ends the answer without its text", async () => {
    const ids = await engine().tokenize("模型");
    const first = ids[0] ?? -1;
    const all = await hear(engine().generate(ask()));
    const place = all.ids.indexOf(first);
    assert.ok(place > 0, "the token is not in the answer");
    const { ids: heard, done, text } = await hear(engine().generate(ask({ stopTokenIds: [first] })));
    assert.deepEqual(heard, all.ids.slice(0, place + 1));
    assert.equal(text, await engine().detokenize(all.ids.slice(0, place)));
    assert.equal(done.reason, "stop");
  });
});
