import assert from "node:assert/strict";
import test from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { openTestServer } from "./test-app.ts";

async function openModel(answer?: (request: GenerateRequest, prompt: string) => string) {
  const server = await openTestServer(answer ? { script: { answer } } : {});
  const provider = createOpenAICompatible({
    name: "quern",
    baseURL: `${server.url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
  return { model: provider("scripted"), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test("ai: streamText streams the text and knows usage and finish reason", async () => {
  await using api = await openModel();
  const result = streamText({ model: api.model, prompt: "你好, world" });
  let text = "";
  for await (const delta of result.textStream) text += delta;
  assert.equal(text, "你好, world");
  assert.equal(await result.finishReason, "stop");
  assert.ok(((await result.usage).outputTokens ?? 0) > 5);
});

test("ai: a tool is called in the stream and the second step answers", async () => {
  await using api = await openModel((_request, prompt) =>
    prompt.includes("<tool_response>")
      ? "It rains in Ulm."
      : 'Let me look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm"}}\n</tool_call>',
  );
  const asked: string[] = [];
  const result = streamText({
    model: api.model,
    prompt: "weather?",
    stopWhen: stepCountIs(3),
    tools: {
      weather: tool({
        description: "Weather of a city",
        inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => {
          asked.push(city);
          return { sky: "rain" };
        },
      }),
    },
  });
  assert.equal(await result.text, "It rains in Ulm.");
  assert.deepEqual(asked, ["Ulm"]);
});

test("ai: structured output follows the schema", async () => {
  let grammar: GenerateRequest["grammar"];
  await using api = await openModel((request) => {
    grammar = request.grammar;
    return '{"items": ["a", "b"]}';
  });
  const { output } = await generateText({
    model: api.model,
    prompt: "list",
    output: Output.object({ schema: z.object({ items: z.array(z.string()) }) }),
  });
  assert.deepEqual(output, { items: ["a", "b"] });
  assert.equal(grammar?.kind, "json_schema");
});
