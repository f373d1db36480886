import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { errorOf, openTestApp, openTestServer, until } from "./test-app.ts";

const path = "/v1/qwen3/instruct/batch";

interface Line {
  id: string | number;
  line?: number;
  text?: string;
  finish_reason?: string;
  usage?: { completion_tokens: number };
  error?: { code: string; param: string | null };
}

const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

const ndjson = (items: readonly unknown[]): string =>
  items.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n");

test("each item comes back once under its id, run together as a batch", async () => {
  const seen: GenerateRequest[] = [];
  let together = 0;
  await using api = openTestApp({
    script: {
      parallel: 4,
      answer: (request, prompt) => {
        seen.push(request);
        together = Math.max(together, api.engine.status().runningRequests);
        return prompt.match(/item \d+/)?.[0] ?? "";
      },
    },
  });
  const items = Array.from({ length: 30 }, (_, index) => ({ id: `i${index}`, instruction: `item ${index}` }));
  const response = await api.post(path, ndjson(items), { "content-type": "application/x-ndjson" });
  assert.equal(response.status, 200);
  const lines = linesOf(await response.text());
  assert.deepEqual(lines.map(({ id }) => id).toSorted(), items.map(({ id }) => id).toSorted());
  for (const { id, text, finish_reason } of lines)
    assert.deepEqual([text, finish_reason], [`item ${String(id).slice(1)}`, "stop"]);
  assert.ok(seen.every(({ priority }) => priority === "batch"));
  assert.ok(together >= 3, `${together} ran together`);
});

test("a bad line becomes an error line of its own and stops no other", async () => {
  await using api = openTestApp();
  const body = ndjson([
    { id: "a", instruction: "one" },
    "not json",
    { id: "a", instruction: "twice" },
    { id: "b" },
    { id: "c", instruction: "x", temperature: 9 },
    { id: "d", instruction: "x", temprature: 1 },
    "",
    { id: 7, instruction: "seven" },
    { instruction: "unnamed" },
    "[1]",
  ]);
  const lines = linesOf(await (await api.post(path, `${body}\r\n`)).text());
  assert.equal(lines.length, 9);
  const texts = lines.filter(({ text }) => text !== undefined).map(({ id, text }) => [id, text]);
  assert.deepEqual(
    texts.toSorted(),
    [
      ["a", "one"],
      [7, "seven"],
      [9, "unnamed"],
    ].toSorted(),
  );
  const errors = lines.filter(({ error }) => error).map(({ line, error }) => [line, error?.param]);
  const byLine = errors.toSorted((a, b) => Number(a[0]) - Number(b[0]));
  assert.deepEqual(byLine, [
    [2, "body"],
    [3, "id"],
    [4, "instruction"],
    [5, "temperature"],
    [6, "temprature"],
    [10, "body"],
  ]);
});

test("the query's options hold for all items, an item's own go before them", async () => {
  const limits = new Map<string, number | undefined>();
  await using api = openTestApp({
    script: {
      answer: (request, prompt) => {
        limits.set(prompt.match(/item \w/)?.[0] ?? "", request.maxTokens);
        return "ok";
      },
    },
  });
  await (
    await api.post(
      `${path}?max_tokens=5`,
      ndjson([{ instruction: "item a" }, { instruction: "item b", max_tokens: 9 }]),
    )
  ).text();
  assert.deepEqual([limits.get("item a"), limits.get("item b")], [5, 9]);
  const response = await api.post(`${path}?max_token=5`, ndjson([{ instruction: "x" }]));
  assert.equal(response.status, 400);
  assert.equal((await errorOf(response)).param, "max_token");
});

test("an item that fails does not take the others with it, and one that meets a lost engine is tried again", async () => {
  let losses = 2;
  await using api = openTestApp({
    script: {
      answer: (_request, prompt) => {
        if (prompt.includes("fails")) throw new AppError("device", "No.");
        if (prompt.includes("unlucky") && losses-- > 0)
          throw new AppError("engine_lost", "Lost.", { details: { retryAfterSeconds: 0 } });
        return "ok";
      },
    },
  });
  const body = ndjson([
    { id: 1, instruction: "fails" },
    { id: 2, instruction: "unlucky" },
    { id: 3, instruction: "fine" },
  ]);
  const lines = linesOf(await (await api.post(path, body)).text()).toSorted((a, b) => Number(a.id) - Number(b.id));
  assert.deepEqual(
    lines.map(({ text, error }) => text ?? error?.code),
    ["device_failed", "ok", "ok"],
  );
});

test("nothing is lost when the engine's queue is full", async () => {
  await using api = openTestApp({ script: { parallel: 1, queueLimit: 1, answer: () => "ok", tokensPerSecond: 2000 } });
  const rival = api.post("/v1/completions", { prompt: "x".repeat(50), ignore_eos: true, max_tokens: 20 });
  const items = Array.from({ length: 6 }, (_, index) => ({ id: index, instruction: "x" }));
  const lines = linesOf(await (await api.post(path, ndjson(items))).text());
  assert.deepEqual(
    lines.map(({ text }) => text),
    items.map(() => "ok"),
  );
  await rival;
});

test("an empty batch is refused", async () => {
  await using api = openTestApp();
  for (const body of ["\n\n", " "]) assert.equal((await api.post(path, body)).status, 400);
});

test("a client that leaves stops the items that are left", async () => {
  await using server = await openTestServer({ script: { answer: () => "x".repeat(1000), tokensPerSecond: 100 } });
  const leaving = new AbortController();
  const items = Array.from({ length: 50 }, (_, index) => ({ id: index, instruction: "x" }));
  const response = await fetch(server.url + path, { method: "POST", body: ndjson(items), signal: leaving.signal });
  await until(() => server.engine.status().runningRequests > 0);
  leaving.abort();
  await assert.rejects(response.text());
  await until(() => server.engine.status().runningRequests === 0 && server.engine.status().queuedRequests === 0);
});
