import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateEvent } from "./contract.ts";
import { EventChannel } from "./event-channel.ts";

const tokens = (id: number, text: string): GenerateEvent => ({ type: "tokens", ids: [id], text });
const done: GenerateEvent = {
  type: "done",
  reason: "stop",
  usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
};

test("what a slow reader has not taken is joined, in order, and nothing is lost", async () => {
  const channel = new EventChannel();
  channel.push({ type: "queued", position: 2 });
  channel.push({ type: "queued", position: 1 });
  const reader = channel.read();
  assert.deepEqual((await reader.next()).value, { type: "queued", position: 1 });
  const first = tokens(1, "a");
  channel.push(first);
  channel.push(tokens(2, "b"));
  channel.push({ type: "tokens", ids: [3], text: "c", logprobs: [{ id: 3, logprob: -1, top: [] }] });
  assert.deepEqual((await reader.next()).value, {
    type: "tokens",
    ids: [1, 2, 3],
    text: "abc",
    logprobs: [{ id: 3, logprob: -1, top: [] }],
  });
  assert.deepEqual(first, tokens(1, "a"), "an event that was pushed is not ours to change");
  channel.push(tokens(4, "d"));
  channel.push(done);
  assert.deepEqual((await reader.next()).value, tokens(4, "d"));
  assert.deepEqual((await reader.next()).value, done);
  assert.equal((await reader.next()).done, true);
});

test("tokens pushed after the reader took an event do not change that event", async () => {
  const channel = new EventChannel();
  const reader = channel.read();
  channel.push(tokens(1, "a"));
  channel.push(tokens(2, "b"));
  const { value } = await reader.next();
  channel.push(tokens(3, "c"));
  assert.deepEqual(value, { type: "tokens", ids: [1, 2], text: "ab" });
  assert.deepEqual((await reader.next()).value, tokens(3, "c"));
});

test("a failure comes after what was said before it, and nothing comes after a failure", async () => {
  const channel = new EventChannel();
  channel.push(tokens(1, "a"));
  channel.fail(new Error("broken"));
  channel.push(tokens(2, "b"));
  const reader = channel.read();
  assert.deepEqual((await reader.next()).value, tokens(1, "a"));
  await assert.rejects(reader.next(), /broken/);
});

test("a waiting reader is woken", async () => {
  const channel = new EventChannel();
  const next = channel.read().next();
  channel.push(tokens(1, "a"));
  assert.deepEqual((await next).value, tokens(1, "a"));
});
