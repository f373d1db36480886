// Seeded nonsense: bodies that are cut, twisted or of strange types. Every one is answered with a 4xx in the one error shape or,
// when it happens to make sense, a 200; afterwards a good request succeeds.
import assert from "node:assert/strict";
import test from "node:test";
import { openTestApp, user } from "./test-app.ts";

/** mulberry32: small, seeded, good enough to vary tests. */
function randomBy(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const strange: unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  1.5,
  "",
  "x",
  "\u0000",
  "\ud800",
  [],
  [[]],
  {},
  { a: {} },
  [null],
  { type: "function" },
  { type: "json_schema" },
];
const fields = [
  "messages",
  "model",
  "temperature",
  "top_p",
  "n",
  "max_tokens",
  "stop",
  "stream",
  "stream_options",
  "seed",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "response_format",
  "tools",
  "tool_choice",
  "structured_outputs",
  "guided_json",
  "guided_choice",
  "grammar",
  "prompt",
  "stop_token_ids",
  "priority",
  "echo",
  "chat_template_kwargs",
  "tokens",
  "count_only",
  "structured_outputs",
  "modalities",
  "web_search_options",
  "metadata",
  "user",
  "output_config",
  "output_format",
  "thinking",
  "options",
  "format",
  "__proto__",
  "constructor",
];

test("a thousand malformed bodies get 4xx and the next good request succeeds", async () => {
  const random = randomBy(20_261_122);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const valid = {
    messages: [user("hi"), { role: "assistant", content: [{ type: "text", text: "a" }] }],
    tools: [{ type: "function", function: { name: "f", parameters: {} } }],
    max_tokens: 3,
  };
  const text = JSON.stringify(valid);
  await using api = openTestApp({ script: { answer: () => "ok" } });
  const routes = [
    "/v1/chat/completions",
    "/v1/completions",
    "/tokenize",
    "/detokenize",
    "/v1/qwen3/instruct/batch?max_tokens=2",
    "/v1/qwen3/instruct",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/api/chat",
    "/api/generate",
  ];
  const makers: (() => string | Buffer<ArrayBuffer>)[] = [
    () => text.slice(0, Math.floor(random() * text.length)),
    () => {
      const bytes = Buffer.from(text);
      for (let count = 0; count < 4; count++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      return bytes;
    },
    () => JSON.stringify({ ...valid, [pick(fields)]: pick(strange), [pick(fields)]: pick(strange) }),
    () =>
      JSON.stringify({ messages: [{ role: pick(["user", "tool", "x", 5]), content: pick(strange) }, pick(strange)] }),
    () => "[".repeat(Math.floor(random() * 5000)),
    () => `{"messages":${'[{"a":'.repeat(300)}1${"}]".repeat(300)}}`,
    () => Buffer.from(Array.from({ length: 40 }, () => Math.floor(random() * 256))),
    () => JSON.stringify(pick(strange)),
  ];
  let refused = 0;
  for (let round = 0; round < 1000; round++) {
    const route = pick(routes);
    const body = pick(makers)();
    const type = route.endsWith("instruct") && random() < 0.5 ? "application/vnd.quern.tokens" : "text/plain";
    const response = await api.app.request(route, { method: "POST", body, headers: { "content-type": type } });
    const answer = await response.text();
    const about = `round ${round}, ${route}: ${response.status} ${answer.slice(0, 200)} for ${String(body).slice(0, 300)}`;
    assert.ok(response.status === 200 || (response.status >= 400 && response.status < 500), about);
    if (response.status === 200) continue;
    refused++;
    const { error } = JSON.parse(answer) as { error: Record<string, unknown> | string };
    if (route.startsWith("/api/")) assert.equal(typeof error, "string", about);
    else {
      const names = route.startsWith("/v1/messages") ? ["message", "type"] : ["message", "type", "code"];
      for (const name of names) assert.equal(typeof Object(error)[name], "string", about);
    }
  }
  assert.ok(refused > 500, `${refused} of 1000 were refused`);
  const good = await api.post("/v1/chat/completions", { messages: [user("hi")] });
  assert.equal(good.status, 200);
  assert.equal(api.engine.status().runningRequests, 0);
});
