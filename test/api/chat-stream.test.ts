import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import type { ChatChunk, ChatCompletion } from "../../src/server/api-types.ts";
import { errorOf, openTestApp, sseData, sseEvents, user } from "./test-app.ts";

const path = "/v1/chat/completions";
const tools = [
  {
    type: "function",
    function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  },
];
const callText = (city: string): string =>
  `<tool_call>\n{"name": "weather", "arguments": {"city": "${city}"}}\n</tool_call>`;

test("a stream is role, text, finish_reason, [DONE], with one id and time of creation and no usage unasked", async () => {
  await using api = openTestApp();
  const text = await (await api.post(path, { messages: [user("你好, world")], stream: true })).text();
  const chunks = sseEvents<ChatChunk>(text);
  assert.deepEqual(chunks[0]?.choices[0]?.delta, { role: "assistant", content: "" });
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "你好, world");
  assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, "stop");
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.choices[0]?.finish_reason === null));
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !("usage" in chunk)));
  assert.equal(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size, 1);
  assert.equal(sseData(text).at(-1), "[DONE]");
});

test("with include_usage the last chunk has usage and no choices, the others usage null", async () => {
  await using api = openTestApp();
  const body = { messages: [user("abc")], stream: true, stream_options: { include_usage: true } };
  const chunks = sseEvents<ChatChunk>(await (await api.post(path, body)).text());
  const last = chunks.pop();
  assert.deepEqual(last?.choices, []);
  assert.equal(last?.usage?.completion_tokens, 4);
  assert.equal(last?.usage?.total_tokens, (last?.usage?.prompt_tokens ?? 0) + 4);
  assert.ok(chunks.every((chunk) => chunk.usage === null));
});

test("timings in llama.cpp's names come with the chunk that finishes", async () => {
  await using api = openTestApp();
  const chunks = sseEvents<ChatChunk>(await (await api.post(path, { messages: [user("abc")], stream: true })).text());
  const timings = chunks.at(-1)?.timings;
  assert.equal(timings?.predicted_n, 4);
  assert.ok(timings.prompt_n > 0 && timings.cache_n === 0);
});

test("tool calls stream as deltas: id and name once, then arguments, under a stable index", async () => {
  await using api = openTestApp({ script: { answer: () => `${callText("上海")}\n${callText("北京")}` } });
  const chunks = sseEvents<ChatChunk>(
    await (await api.post(path, { messages: [user("weather?")], tools, stream: true })).text(),
  );
  const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
  for (const index of [0, 1]) {
    const own = deltas.filter((delta) => delta.index === index);
    assert.equal(own.filter(({ id }) => id !== undefined).length, 1);
    assert.equal(own.filter((delta) => delta.function.name !== undefined).length, 1);
    assert.ok(own[0]?.id && own[0].function.name === "weather");
    const args = own.map((delta) => delta.function.arguments ?? "").join("");
    assert.deepEqual(JSON.parse(args), { city: index === 0 ? "上海" : "北京" });
  }
  assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, "tool_calls");
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "");
});

test("a whole answer with tool calls has content null", async () => {
  await using api = openTestApp({ script: { answer: () => callText("上海") } });
  const answer = (await (await api.post(path, { messages: [user("weather?")], tools })).json()) as ChatCompletion;
  const message = answer.choices[0]?.message;
  assert.equal(message?.content, null);
  assert.deepEqual(
    message?.tool_calls?.map((call) => call.function.arguments),
    ['{"city": "上海"}'],
  );
  assert.equal(answer.choices[0]?.finish_reason, "tool_calls");
});

test("tool calls are text when no tools were sent, or tool_choice is none", async () => {
  let prompt = "";
  await using api = openTestApp({
    script: {
      answer: (_request, text) => {
        prompt = text;
        return callText("x");
      },
    },
  });
  for (const body of [{ messages: [user("hi")] }, { messages: [user("hi")], tools, tool_choice: "none" }]) {
    const answer = (await (await api.post(path, body)).json()) as ChatCompletion;
    assert.equal(answer.choices[0]?.message.tool_calls, undefined);
    assert.equal(answer.choices[0]?.finish_reason, "stop");
    assert.ok(!prompt.includes("weather"), "the prompt shows no tools");
  }
});

test("a forced call opens the tag in the prompt and holds the answer to the tool's schema", async () => {
  const seen: { request: GenerateRequest; prompt: string }[] = [];
  await using api = openTestApp({
    script: {
      answer: (request, prompt) => {
        seen.push({ request, prompt });
        return '{"name": "weather", "arguments": {"city": "Ulm"}}';
      },
    },
  });
  for (const choice of ["required", { type: "function", function: { name: "weather" } }]) {
    const answer = (await (
      await api.post(path, { messages: [user("x")], tools, tool_choice: choice })
    ).json()) as ChatCompletion;
    assert.deepEqual(JSON.parse(answer.choices[0]?.message.tool_calls?.[0]?.function.arguments ?? ""), { city: "Ulm" });
    assert.equal(answer.choices[0]?.finish_reason, "tool_calls");
    const { request, prompt } = seen.at(-1) ?? assert.fail();
    assert.ok(prompt.endsWith("<|im_start|>assistant\n<tool_call>\n"));
    assert.equal(request.grammar?.kind, "json_schema");
  }
});

test("definitions of a tool's schema are still found inside the schema of a call", async () => {
  let schema: unknown;
  await using api = openTestApp({
    script: {
      answer: ({ grammar }) => {
        schema = grammar?.kind === "json_schema" ? grammar.schema : undefined;
        return '{"name": "a", "arguments": {}}';
      },
    },
  });
  const withDefs = (name: string) => ({
    type: "function",
    function: {
      name,
      parameters: {
        type: "object",
        properties: { p: { $ref: "#/$defs/P" } },
        $defs: { P: { type: name === "a" ? "string" : "number" } },
      },
    },
  });
  await api.post(path, { messages: [user("x")], tools: [withDefs("a"), withDefs("b")], tool_choice: "required" });
  const text = JSON.stringify(schema);
  assert.ok(text.includes('"$ref":"#/$defs/tool0_P"') && text.includes('"$ref":"#/$defs/tool1_P"'));
  const { $defs } = schema as { $defs: unknown };
  assert.deepEqual($defs, { tool0_P: { type: "string" }, tool1_P: { type: "number" } });
});

test("parallel_tool_calls: false ends the answer with the first call", async () => {
  await using api = openTestApp({ script: { answer: () => `${callText("a")}\n${callText("b")}` } });
  const answer = (await (
    await api.post(path, { messages: [user("x")], tools, parallel_tool_calls: false })
  ).json()) as ChatCompletion;
  assert.equal(answer.choices[0]?.message.tool_calls?.length, 1);
  assert.equal(answer.choices[0]?.finish_reason, "tool_calls");
});

test("a stop text ends the answer as ever when at most one call is allowed", async () => {
  await using api = openTestApp({ script: { answer: () => "no call END more" } });
  const body = { messages: [user("x")], tools, parallel_tool_calls: false, stop: "END" };
  const answer = (await (await api.post(path, body)).json()) as ChatCompletion;
  assert.equal(answer.choices[0]?.message.content, "no call ");
  assert.equal(answer.choices[0]?.finish_reason, "stop");
});

test("several choices stream side by side, each with its own role and end, the prompt counted once", async () => {
  const seeds: (number | undefined)[] = [];
  await using api = openTestApp({
    script: {
      answer: ({ sampling }) => {
        seeds.push(sampling.seed);
        return `answer ${sampling.seed}`;
      },
    },
  });
  const body = { messages: [user("x")], n: 3, seed: 40, stream: true, stream_options: { include_usage: true } };
  const chunks = sseEvents<ChatChunk>(await (await api.post(path, body)).text());
  for (const index of [0, 1, 2]) {
    const own = chunks.flatMap((chunk) => chunk.choices.filter((choice) => choice.index === index));
    assert.equal(own.filter(({ delta }) => delta.role).length, 1);
    assert.equal(own.map(({ delta }) => delta.content ?? "").join(""), `answer ${40 + index}`);
    assert.equal(own.filter((choice) => choice.finish_reason).length, 1);
  }
  assert.deepEqual(seeds.toSorted(), [40, 41, 42]);
  const usage = chunks.at(-1)?.usage;
  assert.equal(usage?.completion_tokens, 3 * "answer 40".length + 3);
  assert.ok((usage?.prompt_tokens ?? 0) < 40);
});

test("log-probabilities come with their tokens, streamed and whole", async () => {
  await using api = openTestApp();
  const body = { messages: [user("ab")], logprobs: true, top_logprobs: 2 };
  const whole = (await (await api.post(path, body)).json()) as ChatCompletion;
  const entries = whole.choices[0]?.logprobs?.content ?? [];
  assert.deepEqual(
    entries.slice(0, 2).map(({ token, bytes }) => [token, bytes]),
    [
      ["a", [97]],
      ["b", [98]],
    ],
  );
  assert.ok(entries.every((entry) => entry.top_logprobs.length === 2));
  const chunks = sseEvents<ChatChunk>(await (await api.post(path, { ...body, stream: true })).text());
  const streamed = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
  assert.deepEqual(streamed, entries);
});

test("a failure in mid-stream is an error event, then [DONE]", async () => {
  await using api = openTestApp({
    script: {
      *answer() {
        yield "so far";
        throw new AppError("device", "The GPU fell off the bus.", { hint: "Restart." });
      },
    },
  });
  const response = await api.post(path, { messages: [user("x")], stream: true });
  assert.equal(response.status, 200);
  const text = await response.text();
  const last = sseEvents<{ error?: { code: string; message: string; hint: string } }>(text).at(-1);
  assert.deepEqual(
    { code: last?.error?.code, message: last?.error?.message, hint: last?.error?.hint },
    { code: "device_failed", message: "The GPU fell off the bus.", hint: "Restart." },
  );
  assert.equal(sseData(text).at(-1), "[DONE]");
});

test("a prompt over the context is refused with its counts on every route, before any stream begins", async () => {
  await using api = openTestApp({ script: { contextTokens: 64 } });
  const long = "x".repeat(100);
  const routes: [string, unknown, string][] = [
    [path, { messages: [user(long)] }, "messages"],
    [path, { messages: [user(long)], stream: true }, "messages"],
    ["/v1/completions", { prompt: long }, "prompt"],
    ["/v1/completions", { prompt: long, stream: true }, "prompt"],
    ["/v1/qwen3/instruct", long, "body"],
  ];
  for (const [route, body, param] of routes) {
    const response = await api.post(route, body, typeof body === "string" ? { "content-type": "text/plain" } : {});
    assert.equal(response.status, 400, route);
    const error = await errorOf(response);
    assert.equal(error.code, "context_length_exceeded");
    assert.equal(error.param, param);
    assert.equal(error.limit_tokens, 64);
    assert.equal(Number(error.prompt_tokens) + 1 - 64, error.overflow_tokens);
  }
});

test("pings keep a silent stream awake, and progress is told when asked for", async () => {
  await using api = openTestApp({ script: { tokensPerSecond: 5, prefillTokens: 16 } });
  const body = {
    messages: [user("0123456789abcdef0123456789")],
    stream: true,
    max_tokens: 1,
    sse_ping_interval: 0.02,
    return_progress: true,
  };
  const text = await (await api.post(path, body)).text();
  assert.match(text, /\n: ping\n\n/);
  const progress = sseEvents<ChatChunk>(text).flatMap((chunk) => chunk.prompt_progress ?? []);
  assert.ok(progress.length >= 2);
  assert.ok(progress.every(({ processed, total }) => processed <= total));
  assert.equal(progress.at(-1)?.processed, progress.at(-1)?.total);
});
