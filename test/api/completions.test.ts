import assert from "node:assert/strict";
import test from "node:test";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { errorOf, openTestApp, sseData, sseEvents } from "./test-app.ts";

const path = "/v1/completions";

interface Chunk {
  choices: {
    index: number;
    text: string;
    finish_reason: string | null;
    logprobs: { tokens: string[]; text_offset: number[] } | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
}

test("a prompt may be a text, texts, token ids, or lists of ids; answers are numbered prompt by prompt", async () => {
  const seen: GenerateRequest["prompt"][] = [];
  await using api = openTestApp({
    script: {
      answer: ({ prompt }, text) => {
        seen.push(prompt);
        return text.toUpperCase();
      },
    },
  });
  const texts = async (body: object): Promise<string[]> =>
    ((await (await api.post(path, body)).json()) as Chunk).choices.map(({ text }) => text);
  assert.deepEqual(await texts({ prompt: "ab" }), ["AB"]);
  assert.deepEqual(await texts({ prompt: ["a", "b"], n: 2 }), ["A", "A", "B", "B"]);
  assert.deepEqual(await texts({ prompt: [97, 98] }), ["AB"]);
  assert.deepEqual(await texts({ prompt: [[97], [98, 99]] }), ["A", "BC"]);
  assert.deepEqual(seen[0], { kind: "text", pieces: ["ab"] });
});

test("a stream is texts, finish_reason, usage when asked, [DONE]", async () => {
  await using api = openTestApp();
  const body = { prompt: "ab", stream: true, stream_options: { include_usage: true }, echo: true };
  const text = await (await api.post(path, body)).text();
  const chunks = sseEvents<Chunk>(text);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), "abab");
  assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, "stop");
  assert.deepEqual(chunks.at(-1)?.choices, []);
  assert.equal(chunks.at(-1)?.usage?.prompt_tokens, 2);
  assert.equal(sseData(text).at(-1), "[DONE]");
});

test("log-probabilities come as parallel lists with offsets, streamed and whole alike", async () => {
  await using api = openTestApp();
  const body = { prompt: "xyz", logprobs: 2, max_tokens: 3 };
  const whole = ((await (await api.post(path, body)).json()) as Chunk).choices[0]?.logprobs;
  assert.deepEqual(whole?.tokens, ["x", "y", "z"]);
  assert.deepEqual(whole?.text_offset, [0, 1, 2]);
  const chunks = sseEvents<Chunk>(await (await api.post(path, { ...body, stream: true })).text());
  assert.deepEqual(
    chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.text_offset ?? []),
    [0, 1, 2],
  );
});

test("a prompt that is missing, empty or of strange parts is refused with its path", async () => {
  await using api = openTestApp();
  const wrong: [object, string][] = [
    [{}, "prompt"],
    [{ prompt: "" }, "prompt"],
    [{ prompt: [] }, "prompt"],
    [{ prompt: 5 }, "prompt"],
    [{ prompt: ["a", 5] }, "prompt[1]"],
    [{ prompt: [1, -5] }, "prompt[1]"],
    [{ prompt: [[1], []] }, "prompt[1]"],
    [{ prompt: [[1], [2.5]] }, "prompt[1]"],
    [{ prompt: "a", suffix: "b" }, "suffix"],
    [{ prompt: "a", best_of: 3 }, "best_of"],
    [{ prompt: "a", echo: true, logprobs: 1 }, "echo"],
    [{ prompt: "a", logprobs: 21 }, "logprobs"],
  ];
  for (const [body, param] of wrong) {
    const response = await api.post(path, body);
    assert.equal(response.status, 400, JSON.stringify(body));
    assert.equal((await errorOf(response)).param, param, JSON.stringify(body));
  }
});

test("tokenize and detokenize are each other's inverse, with and without /v1", async () => {
  await using api = openTestApp();
  for (const prefix of ["", "/v1"]) {
    const { tokens, count } = (await (await api.post(`${prefix}/tokenize`, { prompt: "a你<|im_end|>" })).json()) as {
      tokens: number[];
      count: number;
    };
    assert.equal(tokens.length, count);
    const back = (await (await api.post(`${prefix}/detokenize`, { tokens })).json()) as {
      prompt: string;
      content: string;
    };
    assert.equal(back.prompt, "a你<|im_end|>");
    assert.equal(back.content, back.prompt);
  }
  const plain = (await (await api.post("/tokenize", { content: "<|im_end|>", parse_special: false })).json()) as {
    count: number;
  };
  assert.equal(plain.count, "<|im_end|>".length);
  const chat = (await (await api.post("/tokenize", { messages: [{ role: "user", content: "hi" }] })).json()) as {
    count: number;
  };
  assert.ok(chat.count > 5);
  assert.equal((await errorOf(await api.post("/detokenize", { tokens: [-1] }))).param, "tokens[0]");
  const asked = { prompt: "hi you", count_only: true };
  assert.deepEqual(await (await api.post("/tokenize", asked)).json(), { count: 6, max_model_len: 4096 });
  assert.equal((await errorOf(await api.post("/tokenize", { ...asked, with_pieces: true }))).param, "count_only");
  assert.equal((await errorOf(await api.post("/tokenize", {}))).param, "prompt");
});
