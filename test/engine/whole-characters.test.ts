import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, hear, onEachEngine } from "./engines.ts";

onEachEngine({ parallel: 1 }, (engine) => {
  const said = "😀🧪👩‍🔬𠮷";

  test("a character spread over several tokens is shown once, whole", async () => {
    const { events, text, ids } = await hear(engine().generate(ask({ grammar: { kind: "choice", options: [said] } })));
    assert.equal(text, said);
    assert.ok(ids.length > [...said].length, "no character was spread over tokens: the test shows nothing");
    for (const event of events) {
      if (event.type === "tokens") assert.ok(event.text.isWellFormed() && !event.text.includes("\uFFFD"), event.text);
    }
  });

  test("an answer cut by maxTokens in the middle of a character shows U+FFFD, not nothing", async () => {
    const { text } = await hear(engine().generate(ask({ grammar: { kind: "choice", options: [said] }, maxTokens: 1 })));
    assert.equal(text, "\uFFFD");
  });

  test("text survives tokenisation and back", async () => {
    for (const each of [said, "混合 mixed\r\n\ttext  двойной", " <|im_end|> ", ""]) {
      assert.equal(await engine().detokenize(await engine().tokenize(each)), each);
    }
  });

  test("special tokens are recognised, and shown, only when asked for", async () => {
    const plain = await engine().tokenize("<|im_end|>");
    const special = await engine().tokenize("<|im_end|>", { special: true });
    assert.ok(plain.length > 1);
    assert.equal(special.length, 1);
    assert.equal(await engine().detokenize(special), "");
    assert.equal(await engine().detokenize(special, { special: true }), "<|im_end|>");
  });

  test("a special token split over prompt pieces stays text", async () => {
    const whole = await hear(
      engine().generate(ask({ prompt: { kind: "text", pieces: ["a<|im_end|>"] }, maxTokens: 0 })),
    );
    const cut = await hear(
      engine().generate(ask({ prompt: { kind: "text", pieces: ["a<|im_", "end|>"] }, maxTokens: 0 })),
    );
    assert.ok(cut.done.usage.promptTokens > whole.done.usage.promptTokens);
  });
});
