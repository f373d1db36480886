// What a client sees of `quern serve --engine auto` on this machine, with quern-mini: a chat, a stream, a JSON schema, a tool call, a refusal, the status.
//   node bench/cuda/ask-serve.ts [FILE.gguf]
// Answers are printed, cut at 1,500 characters; ends with 1 when one is not what it should be.
import assert from "node:assert/strict";
import path from "node:path";
import { withServer } from "./http.ts";

const [modelFile = path.join(import.meta.dirname, "../../models/quern-mini/quern-mini-q4_k_m.gguf")] =
  process.argv.slice(2);

await withServer(modelFile, { contextTokens: 16_384 }, async ({ port }) => {
  const ask = async (about: string, where: string, body?: object): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://127.0.0.1:${port}${where}`, {
      ...(body ? { method: "POST", body: JSON.stringify(body) } : {}),
      headers: { "content-type": "application/json" },
    });
    const text = await answer.text();
    console.log(`## ${about}: ${answer.status}\n${text.slice(0, 1500)}\n`);
    return { status: answer.status, text };
  };
  const chat = (content: string, more: object = {}): object => ({
    ...{ model: "quern-mini", temperature: 0, messages: [{ role: "user", content }] },
    ...more,
  });
  const messageOf = (text: string) =>
    (JSON.parse(text) as { choices: [{ message: { content: string | null; tool_calls?: unknown[] } }] }).choices[0]
      .message;

  const before = await ask("status", "/status");
  assert.match(before.text, /"engine":"cuda"/);
  const plain = await ask("chat", "/v1/chat/completions", chat("你是谁？"));
  assert.match(messageOf(plain.text).content ?? "", /quern/i);
  const streamed = await ask("chat, streamed", "/v1/chat/completions", chat("Who are you?", { stream: true }));
  assert.match(streamed.text, /data: \[DONE\]/);
  const schema = {
    type: "object",
    properties: { address: { type: "string" }, order_id: { type: "string" } },
    required: ["address", "order_id"],
    additionalProperties: false,
  };
  const order = "Extract as JSON.\n\nOrder id: guwar-723\nDiscount: 0.65\nAddress: 300 King Street, Paris";
  const shaped = await ask(
    "JSON schema",
    "/v1/chat/completions",
    chat(order, { response_format: { type: "json_schema", json_schema: { name: "order", strict: true, schema } } }),
  );
  assert.deepEqual(Object.keys(JSON.parse(messageOf(shaped.text).content ?? "")), ["address", "order_id"]);
  const find = {
    ...{ name: "find_employee", description: "Find a contact" },
    parameters: { type: "object", properties: { name: { type: "string", description: "Name" } }, required: ["name"] },
  };
  const called = await ask(
    "tool call",
    "/v1/chat/completions",
    chat("Find the contact details of Victor Ripafer", { tools: [{ type: "function", function: find }] }),
  );
  assert.match(JSON.stringify(messageOf(called.text).tool_calls), /find_employee.*Victor Ripafer/);
  const biases = Object.fromEntries(Array.from({ length: 1100 }, (_, id) => [id, 1]));
  const refused = await ask("too many biases", "/v1/chat/completions", chat("Hello", { logit_bias: biases }));
  assert.equal(refused.status, 400);
  await ask("status after", "/status");
});
