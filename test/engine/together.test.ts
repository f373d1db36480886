import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, hear, onEachEngine, textPrompt } from "./engines.ts";

onEachEngine({ parallel: 4 }, (engine) => {
  const prompts = ["你好，你是谁？", "Who are you?", "翻译成英文：请在下周审核合同。", "37*48 等于多少？"].map((text) =>
    textPrompt("<|im_start|>user\n", text, "<|im_end|>\n<|im_start|>assistant\n"),
  );

  test("requests that run together get the answers they get alone", async () => {
    const alone: string[] = [];
    for (const prompt of prompts) alone.push((await hear(engine().generate(ask({ prompt, maxTokens: 40 })))).text);
    const together = await Promise.all(
      prompts.map((prompt) => hear(engine().generate(ask({ prompt, maxTokens: 40 })))),
    );
    assert.deepEqual(
      together.map(({ text }) => text),
      alone,
    );
  });

  test("they do run together", async () => {
    let most = 0;
    await Promise.all(
      prompts.map((prompt) =>
        hear(engine().generate(ask({ prompt, maxTokens: 40 })), () => {
          most = Math.max(most, engine().status().runningRequests);
        }),
      ),
    );
    assert.equal(most, 4);
  });

  test("a reader that stops reading stalls nobody, and finds all its text later", async () => {
    const slow = engine().generate(ask())[Symbol.asyncIterator]();
    await slow.next();
    const others = await Promise.all(prompts.map((prompt) => hear(engine().generate(ask({ prompt, maxTokens: 40 })))));
    assert.equal(others.length, 4);
    let text = "";
    for (let next = await slow.next(); !next.done; next = await slow.next()) {
      if (next.value.type === "tokens") text += next.value.text;
    }
    assert.equal(text, (await hear(engine().generate(ask()))).text);
  });
});
