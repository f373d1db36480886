import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { plainSampling } from "../../src/engine/contract.ts";
import { openScriptedEngine, type ScriptedOptions } from "../../src/engine/scripted/scripted-engine.ts";
import { Conversations } from "../../src/workspace/conversations.ts";
import { type AnswerUpdate, RunningAnswers } from "../../src/workspace/running-answers.ts";
import { Store } from "../../src/workspace/store.ts";

function setUp(options: ScriptedOptions) {
  const engine = openScriptedEngine(options);
  const conversations = new Conversations(new Store({ file: ":memory:" }));
  const answers = new RunningAnswers({ engine, conversations, log: silentLog, keepEveryMs: 1 });
  const { id: conversationId } = conversations.create({ title: "t" });
  const { id: parentId } = conversations.add({ conversationId, role: "user", content: "?" });
  const start = () =>
    answers.start(
      { conversationId, parentId },
      { request: { prompt: { kind: "text", pieces: ["?"] }, sampling: plainSampling } },
    );
  return { answers, conversations, start };
}

const never = new AbortController().signal;

async function textOf(updates: AsyncIterable<AnswerUpdate>, from = 0): Promise<{ text: string; state: string }> {
  let text = "";
  for await (const update of updates) {
    if (update.type === "text") {
      assert.equal(update.position, from + text.length, "a gap or an overlap in what was followed");
      text += update.text;
    } else if (update.type === "end") return { text, state: update.message.state };
  }
  assert.fail("the updates ended without an end");
}

const long = Array.from({ length: 60 }, (_, index) => `第${index}句。`).join("");

test("two followers, one of them late and from the middle, see the same answer", async () => {
  const { answers, conversations, start } = setUp({ answer: () => long, tokensPerSecond: 600 });
  await using _ = answers;
  const { id } = start();
  const early = textOf(answers.follow(id, 0, never));
  for await (const update of answers.follow(id, 0, never)) if (update.type === "text") break;
  const late = await textOf(answers.follow(id, 2, never), 2);
  assert.deepEqual(await early, { text: long, state: "done" });
  assert.deepEqual(late, { text: long.slice(2), state: "done" });
  assert.equal(conversations.message(id).content, long);
});

test("a follower that leaves does not end the answer", async () => {
  const { answers, start } = setUp({ answer: () => long, tokensPerSecond: 600 });
  await using _ = answers;
  const { id } = start();
  const leaver = new AbortController();
  for await (const update of answers.follow(id, 0, leaver.signal)) if (update.type === "text") leaver.abort();
  assert.equal(answers.count, 1);
  assert.deepEqual(await textOf(answers.follow(id, 0, never)), { text: long, state: "done" });
  assert.equal(answers.count, 0);
});

test("an answer is readable from the store while it runs", async () => {
  const { answers, conversations, start } = setUp({ answer: () => long, tokensPerSecond: 400 });
  await using _ = answers;
  const { id } = start();
  for await (const _update of answers.follow(id, 0, never)) if (conversations.message(id).content.length > 0) break;
  const halfway = conversations.message(id);
  assert.equal(halfway.state, "streaming");
  assert.ok(long.startsWith(halfway.content));
});

test("stop keeps what there is and says so", async () => {
  const { answers, start } = setUp({ answer: () => long, tokensPerSecond: 200 });
  await using _ = answers;
  const { id } = start();
  for await (const update of answers.follow(id, 0, never)) if (update.type === "text") break;
  const message = await answers.stop(id);
  assert.equal(message.state, "stopped");
  assert.ok(message.content.length > 0 && message.content.length < long.length);
  assert.equal((await answers.stop(id)).content, message.content);
});

test("a failure in mid-answer is kept with the text before it", async () => {
  const { answers, start } = setUp({
    answer: function* () {
      yield "half";
      throw new AppError("engine_lost", "The engine died.");
    },
  });
  await using _ = answers;
  const { id } = start();
  assert.deepEqual(await textOf(answers.follow(id, 0, never)), { text: "half", state: "failed" });
  const message = await answers.stop(id);
  assert.deepEqual([message.reason, message.failure], ["engine_lost", "The engine died."]);
});
