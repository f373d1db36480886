import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { openTestApp, user } from "./test-app.ts";

interface Line {
  model: string;
  message?: { role: string; content: string; tool_calls?: { function: { name: string; arguments: unknown } }[] };
  response?: string;
  done: boolean;
  done_reason?: string;
  eval_count?: number;
  prompt_eval_count?: number;
  total_duration?: number;
  error?: string;
}

const linesOf = (text: string): Line[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

test("ollama: chat streams lines by default, the last with the counts", async () => {
  await using api = openTestApp();
  const response = await api.post("/api/chat", { model: "scripted", messages: [user("hello")] });
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = linesOf(await response.text());
  assert.equal(lines.map(({ message }) => message?.content).join(""), "hello");
  assert.ok(lines.slice(0, -1).every(({ done }) => !done));
  const last = lines.at(-1);
  assert.deepEqual([last?.done, last?.done_reason, last?.eval_count], [true, "stop", 6]);
  assert.ok((last?.prompt_eval_count ?? 0) > 5 && Number.isInteger(last?.total_duration));
});

test("ollama: options, format and tools arrive under our names", async () => {
  const seen: GenerateRequest[] = [];
  await using api = openTestApp({
    script: {
      answer: (request) => {
        seen.push(request);
        return '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>';
      },
    },
  });
  const options = {
    temperature: 0.3,
    top_k: 7,
    num_predict: 90,
    num_ctx: 2048,
    seed: 3,
    stop: ["X"],
    repeat_penalty: 1.2,
  };
  const tools = [{ type: "function", function: { name: "f", description: "", parameters: { type: "object" } } }];
  const answer = (await (
    await api.post("/api/chat", {
      messages: [user("x")],
      options,
      tools,
      stream: false,
      think: false,
      keep_alive: "5m",
    })
  ).json()) as Line;
  assert.deepEqual(answer.message?.tool_calls, [{ function: { name: "f", arguments: { a: 1 } } }]);
  const { sampling, maxTokens, stop } = seen[0] ?? assert.fail();
  assert.deepEqual(
    [sampling.temperature, sampling.topK, sampling.seed, sampling.repeatPenalty, maxTokens, stop],
    [0.3, 7, 3, 1.2, 90, ["X"]],
  );
  await api.post("/api/chat", {
    messages: [user("x")],
    format: { type: "object" },
    stream: false,
    options: { num_predict: -1 },
  });
  assert.deepEqual(seen[1]?.grammar, { kind: "json_schema", schema: { type: "object" } });
  assert.equal(seen[1]?.maxTokens, undefined);
});

test("ollama: generate takes a prompt with the template or raw", async () => {
  const prompts: string[] = [];
  await using api = openTestApp({
    script: {
      answer: (_request, prompt) => {
        prompts.push(prompt);
        return "ok";
      },
    },
  });
  const shaped = (await (
    await api.post("/api/generate", { prompt: "hi", system: "Be brief.", stream: false })
  ).json()) as Line;
  assert.equal(shaped.response, "ok");
  assert.match(prompts[0] ?? "", /system\nBe brief\.<\|im_end\|>/);
  await (await api.post("/api/generate", { prompt: "hi", raw: true })).text();
  assert.equal(prompts[1], "hi");
  const loaded = (await (await api.post("/api/generate", { model: "scripted" })).json()) as Line;
  assert.deepEqual([loaded.done, loaded.done_reason], [true, "load"]);
});

test("ollama: failures are a sentence, before and in the stream", async () => {
  await using api = openTestApp({
    script: {
      *answer() {
        yield "so far";
        throw new AppError("device", "Gone.");
      },
    },
  });
  for (const body of [
    { messages: [{ role: "user", content: "x", images: ["aa"] }] },
    { messages: [user("x")], think: true },
    { messages: [user("x")], options: { temperature: "a" } },
  ]) {
    const response = await api.post("/api/chat", body);
    assert.equal(response.status, 400);
    assert.equal(typeof ((await response.json()) as Line).error, "string");
  }
  assert.equal((await api.post("/api/chat", { model: "llama3", messages: [user("x")] })).status, 404);
  assert.match(
    linesOf(await (await api.post("/api/chat", { messages: [user("x")] })).text()).at(-1)?.error ?? "",
    /Gone/,
  );
});

test("ollama: tags, show, ps and version tell of the loaded model", async () => {
  await using api = openTestApp();
  const get = async (route: string): Promise<Record<string, unknown>> =>
    (await (await api.app.request(route)).json()) as Record<string, unknown>;
  for (const route of ["/api/tags", "/api/ps"]) {
    const { models } = (await get(route)) as unknown as { models: { name: string }[] };
    assert.deepEqual(
      models.map(({ name }) => name),
      ["scripted"],
    );
  }
  assert.equal((await get("/api/version")).version, "0.0.0");
  const shown = (await (await api.post("/api/show", { model: "scripted" })).json()) as {
    capabilities: string[];
    model_info: Record<string, unknown>;
  };
  assert.deepEqual(shown.capabilities, ["completion", "tools"]);
  assert.equal(shown.model_info["scripted.context_length"], 4096);
});
