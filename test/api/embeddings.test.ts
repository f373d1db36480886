// POST /v1/embeddings: OpenAI's shape over quern-mini's own file as the embedding model, in the engine's process; and what is refused.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import { silentLog } from "../../src/base/log.ts";
import { openEngineClient } from "../../src/engine/client.ts";
import type { EngineSettings } from "../../src/engine/open.ts";
import { errorOf, openTestApp, type TestApp } from "./test-app.ts";

const file = fileURLToPath(new URL("../../models/quern-mini/quern-mini-q4_k_m.gguf", import.meta.url));
let served: TestApp;
const settings: EngineSettings = {
  engine: "scripted",
  modelFile: "",
  modelId: "scripted",
  isDemonstration: false,
  contextTokens: 2048,
  parallel: 2,
  queueLimit: 4,
  kvType: "auto",
  threads: 1,
};
before(async () => {
  const engine = await openEngineClient({ ...settings, embeddingFile: file }, { log: silentLog });
  served = openTestApp({ engine, embedder: engine, checkHost: false });
});
after(() => served[Symbol.asyncDispose]());

interface List {
  data: { index: number; object: string; embedding: number[] }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

async function embed(body: object): Promise<List> {
  const response = await served.post("/v1/embeddings", body);
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as List;
}

const texts = [
  "付款条款：验收后三十天内付款。",
  "Payment is due within 30 days.",
  "天气很好。",
  "付款条款：验收后三十天内付款。",
];

test("texts come back as vectors of length 1 in their order, the same text as the same vector", async () => {
  const { data, model, usage } = await embed({ input: texts });
  assert.deepEqual(
    data.map(({ index, object }) => [index, object]),
    texts.map((_, index) => [index, "embedding"]),
  );
  for (const { embedding } of data) assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  assert.deepEqual(data[0]?.embedding, data[3]?.embedding);
  assert.notDeepEqual(data[0]?.embedding, data[2]?.embedding);
  assert.equal(model, "quern-mini-q4_k_m");
  assert.equal(usage.prompt_tokens, usage.total_tokens);
  assert.ok(usage.prompt_tokens > texts.length);
});

test("a text's vector does not depend on what it is sent with", async () => {
  const { data } = await embed({ input: texts });
  for (const [index, text] of texts.entries()) {
    const alone = await embed({ input: text });
    assert.deepEqual(alone.data[0]?.embedding, data[index]?.embedding);
  }
});

test("base64 holds the same numbers as little-endian float32, and OpenAI's client reads both", async () => {
  const [plain] = (await embed({ input: "付款", encoding_format: "float" })).data;
  const response = await served.post("/v1/embeddings", { input: "付款", encoding_format: "base64" });
  const packed = ((await response.json()) as { data: { embedding: string }[] }).data[0]?.embedding ?? "";
  const bytes = Buffer.from(packed, "base64");
  const values = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
  assert.deepEqual(values, plain?.embedding);
  const client = new OpenAI({
    apiKey: "none",
    baseURL: "http://localhost/v1",
    fetch: async (url, init) => served.app.request(String(url), init),
  });
  const { data } = await client.embeddings.create({ model: "quern-mini-q4_k_m", input: ["付款"] });
  assert.deepEqual(data[0]?.embedding, plain?.embedding); // asks for base64 by itself
});

test("more texts than are computed at once keep their order", async () => {
  const many = Array.from({ length: 40 }, (_, index) => `text number ${index % 7}`);
  const { data } = await embed({ input: many });
  assert.equal(data.length, 40);
  for (const index of [0, 6, 20]) assert.deepEqual(data[index]?.embedding, data[index + 7]?.embedding);
});

test("what cannot be meant is refused by its field", async () => {
  const cases: [body: object, param: string, words: RegExp][] = [
    [{}, "input", /missing/],
    [{ input: [] }, "input", /empty list/],
    [{ input: ["a", ""] }, "input[1]", /is empty/],
    [{ input: [1, 2, 3] }, "input[0]", /tokenizer/],
    [{ input: ["a", { text: "b" }] }, "input[1]", /must be a text/],
    [{ input: "a", dimensions: 100 }, "dimensions", /512 dimensions/],
    [{ input: "a", encoding_format: "int8" }, "encoding_format", /float/],
    [{ input: "长".repeat(5000) }, "input", /Text 0 has \d+ tokens/],
  ];
  for (const [body, param, words] of cases) {
    const response = await served.post("/v1/embeddings", body);
    const error = await errorOf(response);
    assert.deepEqual([response.status, error.param], [400, param], JSON.stringify(body).slice(0, 80));
    assert.match(error.message, words);
  }
  const other = await served.post("/v1/embeddings", { input: "a", model: "text-embedding-3-small" });
  assert.equal(other.status, 404);
  assert.match((await errorOf(other)).hint ?? "", /quern-mini-q4_k_m/);
  assert.equal((await embed({ input: "a", dimensions: 512, model: "default" })).data.length, 1);
});

test("without an embedding model the door says how to get one", async () => {
  await using plain = openTestApp();
  const response = await plain.post("/v1/embeddings", { input: "a" });
  const error = await errorOf(response);
  assert.deepEqual([response.status, error.code], [400, "unsupported"]);
  assert.match(error.hint ?? "", /--embedding-model/);
});

test("an engine without one says so; a file that is none keeps the engine from opening, by its name", async () => {
  await using engine = await openEngineClient(settings, { log: silentLog });
  await assert.rejects(engine.embed(["a"]), { code: "unsupported" });
  const open = (embeddingFile: string) => openEngineClient({ ...settings, embeddingFile }, { log: silentLog });
  await assert.rejects(open("/nowhere/none.gguf"), { code: "not_found", message: /none\.gguf/ });
  await assert.rejects(open(fileURLToPath(import.meta.url)), { code: "unreadable", message: /embeddings\.test\.ts/ });
});
