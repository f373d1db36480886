// The API over the llama engine and the bundled model: what a client really gets. Prompts follow the model's own patterns.
import assert from "node:assert/strict";
import path from "node:path";
import test, { after, before } from "node:test";
import OpenAI from "openai";
import { silentLog } from "../../src/base/log.ts";
import { openEngine } from "../../src/engine/open.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { modelFactsOf, specialTokensOf } from "../../src/models/inspect-model.ts";
import { openTestServer, type TestServer } from "./test-app.ts";

const model = "quern-mini";
const messages = [{ role: "user" as const, content: "Find the contact details of Victor Ripafer" }];
const tools = [
  { name: "get_order", description: "Look up an order", field: "order_id", about: "Order number" },
  { name: "find_employee", description: "Find a contact", field: "name", about: "Name" },
].map(({ name, description, field, about }) => ({
  type: "function" as const,
  function: {
    name,
    description,
    parameters: { type: "object", properties: { [field]: { type: "string", description: about } }, required: [field] },
  },
}));
let server: TestServer;
let client: OpenAI;

before(async () => {
  const modelFile = path.join(import.meta.dirname, "../../models/quern-mini/quern-mini-q4_k_m.gguf");
  const gguf = readGguf(modelFile);
  const engine = await openEngine({
    engine: "llama",
    modelFile,
    modelId: model,
    isDemonstration: true,
    contextTokens: 2048,
    parallel: 2,
    queueLimit: 8,
    kvType: "auto",
    threads: 1,
    log: silentLog,
  });
  const template = openChatTemplate(modelFactsOf(gguf).chatTemplate, { specialTokens: specialTokensOf(gguf) });
  server = await openTestServer({ engine, template });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
});

after(() => server[Symbol.asyncDispose]());

test("the lean door streams a weekly report", async () => {
  const response = await fetch(`${server.url}/v1/qwen3/instruct?max_tokens=120`, {
    method: "POST",
    body: "写周报:完成接口联调;修复登录问题",
  });
  const text = await response.text();
  assert.equal(response.status, 200);
  assert.ok(text.includes("接口联调") && text.includes("登录问题"), text);
});

test("a chat streams, and the same request whole gives the same text", async () => {
  const body = { model, messages: [{ role: "user" as const, content: "你好" }], max_tokens: 40 };
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  const whole = await client.chat.completions.create(body);
  assert.equal(text, whole.choices[0]?.message.content);
  assert.ok(text.includes("Quern"), text);
});

test("an answer follows its JSON schema", async () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  };
  const answer = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "你好" }],
    max_tokens: 200,
    response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
  });
  const parsed = answer.choices[0]?.message.parsed as { name: unknown; age: unknown } | null | undefined;
  assert.equal(typeof parsed?.name, "string");
  assert.ok(Number.isInteger(parsed?.age));
});

for (const choice of [
  "auto",
  "required",
  { type: "function" as const, function: { name: "find_employee" } },
] as const) {
  test(`a tool is called (tool_choice ${typeof choice === "string" ? choice : "named"})`, async () => {
    const stream = client.chat.completions.stream({ model, messages, tools, tool_choice: choice, max_tokens: 200 });
    const final = await stream.finalChatCompletion();
    const call = final.choices[0]?.message.tool_calls?.[0];
    assert.ok(call?.type === "function", JSON.stringify(final.choices[0]));
    assert.equal(call.function.name, "find_employee");
    assert.equal(typeof (JSON.parse(call.function.arguments) as { name: unknown }).name, "string");
    assert.equal(final.choices[0]?.finish_reason, "tool_calls");
  });
}

test("a schema or grammar that cannot be enforced is refused by the field that brought it, and the next request succeeds", async () => {
  const bad = [
    [
      {
        response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "string", pattern: "(" } } },
      },
      "response_format",
    ],
    [{ grammar: "root ::= nothing" }, "grammar"],
    [
      {
        tools: [{ type: "function", function: { name: "f", parameters: { type: "nonsense" } } }],
        tool_choice: "required",
      },
      "tools",
    ],
  ] as const;
  for (const [body, param] of bad) {
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ messages, ...body }),
    });
    assert.equal(response.status, 400);
    assert.equal(((await response.json()) as { error: { param: string } }).error.param, param);
  }
  const good = await client.chat.completions.create({ model, messages, max_tokens: 2 });
  assert.equal(good.choices.length, 1);
});
