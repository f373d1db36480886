import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { openTestServer, type TestServer } from "./test-app.ts";

const messages = [{ role: "user" as const, content: "你好" }];
const model = "scripted";
const weather = {
  type: "function" as const,
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function openClient(
  answer?: (request: GenerateRequest, prompt: string) => string,
): Promise<{ server: TestServer; client: OpenAI } & AsyncDisposable> {
  const server = await openTestServer(answer ? { script: { answer } } : {});
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  return { server, client, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test("openai: a whole answer with usage, and the model list", async () => {
  await using api = await openClient();
  const answer = await api.client.chat.completions.create({ model, messages });
  assert.equal(answer.choices[0]?.message.content, "你好");
  assert.equal(answer.choices[0]?.finish_reason, "stop");
  assert.equal(answer.usage?.completion_tokens, 3);
  const ids: string[] = [];
  for await (const one of api.client.models.list()) ids.push(one.id);
  assert.deepEqual(ids, [model]);
});

test("openai: a stream, its helper and its usage", async () => {
  await using api = await openClient();
  const stream = api.client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
  let text = "";
  stream.on("content", (delta) => {
    text += delta;
  });
  const final = await stream.finalChatCompletion();
  assert.equal(text, "你好");
  assert.equal(final.choices[0]?.message.content, "你好");
  assert.equal((await stream.totalUsage()).completion_tokens, 3);
});

test("openai: JSON by schema", async () => {
  let grammar: GenerateRequest["grammar"];
  await using api = await openClient((request) => {
    grammar = request.grammar;
    return '{"total": 5}';
  });
  const schema = {
    type: "object",
    properties: { total: { type: "number" } },
    required: ["total"],
    additionalProperties: false,
  };
  const answer = await api.client.chat.completions.parse({
    model,
    messages,
    response_format: { type: "json_schema", json_schema: { name: "sum", strict: true, schema } },
  });
  assert.deepEqual(answer.choices[0]?.message.parsed, { total: 5 });
  assert.deepEqual(grammar, { kind: "json_schema", schema });
});

test("openai: a tool is called, streamed, and its result answered", async () => {
  await using api = await openClient((_request, prompt) =>
    prompt.includes("<tool_response>")
      ? "It rains."
      : '<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm"}}\n</tool_call>',
  );
  const runner = api.client.chat.completions.runTools({
    model,
    messages,
    stream: true,
    tools: [
      {
        type: "function",
        function: {
          name: "weather",
          description: "Weather of a city",
          parameters: { type: "object", properties: { city: { type: "string" } } },
          parse: JSON.parse,
          function: ({ city }: { city: string }) => `rain in ${city}`,
        },
      },
    ],
  });
  assert.equal(await runner.finalContent(), "It rains.");
  const results = runner.messages.filter(({ role }) => role === "tool");
  assert.deepEqual(
    results.map(({ content }) => content),
    ["rain in Ulm"],
  );
});

test("openai: tool_choice required gives a call", async () => {
  await using api = await openClient(() => '{"name": "weather", "arguments": {"city": "Ulm"}}');
  const answer = await api.client.chat.completions.create({
    model,
    messages,
    tools: [weather],
    tool_choice: "required",
  });
  const call = answer.choices[0]?.message.tool_calls?.[0];
  assert.equal(call?.type === "function" && call.function.arguments, '{"city": "Ulm"}');
});

test("openai: logprobs and n", async () => {
  await using api = await openClient();
  const answer = await api.client.chat.completions.create({ model, messages, n: 2, logprobs: true, top_logprobs: 1 });
  assert.equal(answer.choices.length, 2);
  assert.ok((answer.choices[1]?.logprobs?.content?.length ?? 0) >= 2);
});

test("openai: completions, whole and streamed", async () => {
  await using api = await openClient();
  const whole = await api.client.completions.create({ model, prompt: "abc" });
  assert.equal(whole.choices[0]?.text, "abc");
  let text = "";
  for await (const chunk of await api.client.completions.create({ model, prompt: "abc", stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, "abc");
});

test("openai: errors arrive as its own classes with code and param", async () => {
  await using api = await openClient();
  await assert.rejects(
    api.client.chat.completions.create({ model, messages, temperature: 9 }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature" && error.code === "bad_request",
  );
  await assert.rejects(
    api.client.chat.completions.create({ model: "other", messages }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
  await assert.rejects(
    api.client.chat.completions.create({ model, messages: [{ role: "user", content: "x".repeat(5000) }] }),
    (error) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded",
  );
});

test("openai: a failure in mid-stream is thrown to the reader", async () => {
  await using server = await openTestServer({
    script: {
      *answer() {
        yield "so far";
        throw new Error("a bug");
      },
    },
  });
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  let text = "";
  await assert.rejects(async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  }, OpenAI.APIError);
  assert.equal(text, "so far");
});
