import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { openTestApp, user } from "./test-app.ts";

const path = "/v1/messages";
const tools = [
  { name: "weather", description: "w", input_schema: { type: "object", properties: { city: { type: "string" } } } },
];
const call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm"}}\n</tool_call>';

interface Event {
  type: string;
  [field: string]: unknown;
}

/** Events of a stream; each must stand under an `event:` line of its own type. */
function eventsOf(text: string): Event[] {
  return text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? assert.fail(block);
      const event = JSON.parse(data ?? "") as Event;
      assert.equal(event.type, name);
      return event;
    });
}

test("messages: a whole answer with its usage", async () => {
  await using api = openTestApp();
  const answer = await (await api.post(path, { model: "scripted", max_tokens: 50, messages: [user("hello")] })).json();
  const { id, usage, ...rest } = answer as { id: string; usage: Record<string, number> };
  assert.match(id, /^msg_/);
  assert.deepEqual(rest, {
    type: "message",
    role: "assistant",
    model: "scripted",
    content: [{ type: "text", text: "hello" }],
    stop_reason: "end_turn",
    stop_sequence: null,
  });
  assert.equal(usage.output_tokens, 6);
  assert.equal(usage.cache_read_input_tokens, 0);
});

test("messages: a stream opens and closes the message and each block, text before a tool", async () => {
  await using api = openTestApp({ script: { answer: () => `Looking.\n${call}` } });
  const body = { max_tokens: 500, messages: [user("weather?")], tools, stream: true };
  const events = eventsOf(await (await api.post(path, body)).text());
  const types = events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
  assert.deepEqual(types, [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  const deltas = events.filter(({ type }) => type === "content_block_delta") as unknown as {
    index: number;
    delta: { text?: string; partial_json?: string };
  }[];
  assert.equal(deltas.map(({ delta }) => delta.text ?? "").join(""), "Looking.");
  assert.equal(deltas.map(({ delta }) => delta.partial_json ?? "").join(""), '{"city": "Ulm"}');
  assert.deepEqual([...new Set(deltas.map(({ index }) => index))], [0, 1]);
  const ending = events.at(-2) as unknown as { delta: { stop_reason: string }; usage: { output_tokens: number } };
  assert.equal(ending.delta.stop_reason, "tool_use");
  assert.ok(ending.usage.output_tokens > 5);
});

test("messages: system, tool use and tool results reach the prompt; the billing line of a client does not", async () => {
  let seen: { prompt: string; request: GenerateRequest } | undefined;
  await using api = openTestApp({
    script: {
      answer: (request, prompt) => {
        seen = { request, prompt };
        return "stop here END and on";
      },
    },
  });
  const answer = (await (
    await api.post(path, {
      max_tokens: 90,
      system: [
        { type: "text", text: "x-anthropic-billing-header: cc_version=1; cch=abc" },
        { type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } },
      ],
      messages: [
        user("weather?"),
        { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "weather", input: { city: "Ulm" } }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "rain" }] },
            { type: "text", text: "So?" },
          ],
        },
      ],
      tools,
      tool_choice: { type: "none" },
      stop_sequences: ["END"],
      temperature: 0.5,
      top_k: 5,
    })
  ).json()) as { stop_reason: string; stop_sequence: string; content: { text: string }[] };
  assert.match(seen?.prompt ?? "", /system\nBe brief\./);
  assert.ok(!seen?.prompt.includes("billing"));
  assert.match(
    seen?.prompt ?? "",
    /<tool_call>\n\{"name": "weather", "arguments": \{"city": ?"Ulm"\}\}\n<\/tool_call>/,
  );
  assert.match(seen?.prompt ?? "", /<tool_response>\nrain\n<\/tool_response>/);
  assert.deepEqual(
    [seen?.request.maxTokens, seen?.request.sampling.temperature, seen?.request.sampling.topK],
    [90, 0.5, 5],
  );
  assert.deepEqual(
    [answer.stop_reason, answer.stop_sequence, answer.content[0]?.text],
    ["stop_sequence", "END", "stop here "],
  );
});

test("messages: a schema holds the answer under either of its names, and effort is refused", async () => {
  const seen: GenerateRequest[] = [];
  await using api = openTestApp({
    script: {
      answer: (request) => {
        seen.push(request);
        return "{}";
      },
    },
  });
  const schema = { type: "object" };
  const format = { type: "json_schema", schema };
  const ask = (more: object): Promise<Response> =>
    api.post(path, { max_tokens: 50, messages: [user("hello")], ...more });
  for (const more of [{ output_format: format }, { output_config: { format } }]) {
    assert.equal((await ask(more)).status, 200);
    assert.deepEqual(seen.pop()?.grammar, { kind: "json_schema", schema });
  }
  for (const wrong of [
    { effort: "low" },
    { format: { type: "xml" } },
    { format: { type: "json_schema", schema: 5 } },
  ]) {
    const response = await ask({ output_config: wrong });
    assert.equal(response.status, 400, JSON.stringify(wrong));
    assert.match(await response.text(), /effort|output_config\.format/);
  }
  assert.equal(seen.length, 0);
});

test("messages: any and a named tool force a call", async () => {
  await using api = openTestApp({ script: { answer: () => '{"name": "weather", "arguments": {"city": "Ulm"}}' } });
  for (const choice of [{ type: "any" }, { type: "tool", name: "weather" }]) {
    const body = { max_tokens: 90, messages: [user("x")], tools, tool_choice: choice };
    const answer = (await (await api.post(path, body)).json()) as {
      content: { type: string; input: unknown }[];
      stop_reason: string;
    };
    assert.deepEqual([answer.content[0]?.type, answer.content[0]?.input], ["tool_use", { city: "Ulm" }]);
    assert.equal(answer.stop_reason, "tool_use");
  }
});

test("messages: failures have Anthropic's shape, before and in the stream", async () => {
  await using api = openTestApp({
    script: {
      *answer() {
        yield "so far";
        throw new AppError("engine_lost", "Lost.");
      },
    },
  });
  const wrong: [object, RegExp][] = [
    [{ messages: [user("x")] }, /max_tokens is missing/],
    [{ max_tokens: 5, messages: [{ role: "system", content: "x" }] }, /messages\[0\]\.role/],
    [{ max_tokens: 5, messages: [user([{ type: "image", source: {} }])] }, /reads text/],
    [{ max_tokens: 5, messages: [user("x")], thinking: { type: "enabled", budget_tokens: 5 } }, /thinking/],
    [{ max_tokens: 5, messages: [user("x")], temperature: 1.5 }, /temperature/],
    [{ max_tokens: 5, messages: [user("x")], tools: [{ type: "bash_20250124", name: "bash" }] }, /only your own/],
  ];
  for (const [body, expected] of wrong) {
    const response = await api.post(path, body);
    assert.equal(response.status, 400);
    const { type, error } = (await response.json()) as { type: string; error: { type: string; message: string } };
    assert.deepEqual([type, error.type], ["error", "invalid_request_error"]);
    assert.match(error.message, expected);
  }
  const events = eventsOf(
    await (await api.post(path, { max_tokens: 500, messages: [user("x")], stream: true })).text(),
  );
  const last = events.at(-1) ?? assert.fail();
  assert.equal(last.type, "error");
  assert.equal((last.error as { type: string }).type, "overloaded_error");
});

test("count_tokens counts the prompt that messages would send", async () => {
  await using api = openTestApp();
  const body = { messages: [user("hello")], system: "Be brief.", tools };
  const { input_tokens } = (await (await api.post(`${path}/count_tokens`, body)).json()) as { input_tokens: number };
  const answer = (await (await api.post(path, { ...body, max_tokens: 1 })).json()) as {
    usage: { input_tokens: number };
  };
  assert.equal(input_tokens, answer.usage.input_tokens);
});
