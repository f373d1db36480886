// The engine changed while Quern serves, through the API and a whole service with its own process; and what was measured of it.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { parseSettings } from "../../src/base/settings.ts";
import { openService, type Service } from "../../src/cli/service.ts";
import { type EngineClient, startEngineClient } from "../../src/engine/client.ts";
import { kvBytesPerToken } from "../../src/engine/cuda/memory-plan.ts";
import { memoryNeeds } from "../../src/engine/memory-needs.ts";
import { fileOf, quernMini, resolveModel } from "../../src/models/catalogue.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { qwen3ShapeOf } from "../../src/models/qwen3-shape.ts";
import type { EngineBody, StatusBody } from "../../src/server/api-types.ts";
import { EngineSwitch } from "../../src/server/engine-switch.ts";
import { SpeedByCount } from "../../src/server/workspace/speed-by-count.ts";
import type { AnswerProgress } from "../../src/workspace/answer-progress.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { errorOf } from "../api/test-app.ts";
import { settingsFor } from "../engine/engines.ts";
import { openWorkbench } from "./workbench.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "quern-switch-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(path.join(folder, "models"));
copyFileSync(fileOf(quernMini, folder), path.join(folder, "models", "own.gguf"));
writeFileSync(path.join(folder, "models", "bad.gguf"), "no model at all");

function start(...flags: string[]): Promise<Service> {
  const parsed = parseSettings(["--data", folder, "--port", "0", "--threads", "1", ...flags], {});
  return openService({ ...parsed, log: silentLog, signal: new AbortController().signal, hasWorkspace: true });
}

async function call<T>({ url }: Service, method: string, at: string, body?: object): Promise<T> {
  const response = await fetch(`${url}${at}`, {
    method,
    ...(body ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {}),
  });
  const answer = (await response.json()) as T & { error?: { message: string } };
  if (!response.ok) throw Object.assign(new Error(answer.error?.message), { status: response.status, ...answer });
  return answer;
}

const chat = { messages: [{ role: "user", content: "你好，你是谁？" }], max_tokens: 8 };

test("model, context, requests together and KV type change while Quern serves, and hold at the next start", async () => {
  const before = await start("--context", "1024");
  {
    await using service = before;
    const first = await call<EngineBody>(service, "GET", "/workspace/engine");
    assert.deepEqual(first.choice, { model: "quern-mini", contextTokens: 1024, parallel: 4, kvType: "auto" });
    assert.deepEqual(first.running, { model: "quern-mini", contextTokens: 1024, parallel: 4, kvType: "f16" });
    assert.equal(first.memory.kvBytes, (first.needs.kvTokenBytes.f16 ?? 0) * first.memory.kvTokens);
    assert.ok((first.memory.availableBytes ?? 0) > first.needs.weightBytes);
    await call(service, "POST", "/v1/chat/completions", chat);
    const changed = await call<EngineBody>(service, "PATCH", "/workspace/engine", {
      contextTokens: 2048,
      parallel: 2,
      kvType: "int8",
    });
    assert.deepEqual(changed.running, { model: "quern-mini", contextTokens: 2048, parallel: 2, kvType: "int8" });
    assert.equal(changed.memory.kvBytes, (changed.needs.kvTokenBytes.int8 ?? 0) * 2 * 2048);
    await call(service, "POST", "/v1/chat/completions", chat);
    const { running } = await call<EngineBody>(service, "PATCH", "/workspace/engine", { model: "own.gguf" });
    assert.deepEqual([running.model, running.contextTokens], ["own", 2048]);
    const { data } = await call<{ data: { id: string }[] }>(service, "GET", "/v1/models");
    assert.deepEqual(
      data.map(({ id }) => id),
      ["own"],
    );
    await assert.rejects(call(service, "POST", "/v1/chat/completions", { ...chat, model: "quern-mini" }), {
      status: 404,
    });
    await call(service, "POST", "/v1/chat/completions", { ...chat, model: "own" });
    // own.gguf has no entry in the catalogue, so Qwen3's defaults hold.
    const { defaults } = await call<StatusBody>(service, "GET", "/status");
    assert.deepEqual([defaults.temperature, defaults.max_tokens], [0.7, null]);
    const audit = await call<{ entries: { entity: string; after: unknown }[] }>(service, "GET", "/workspace/audit");
    assert.ok(
      audit.entries.some(({ after }) => JSON.stringify(after).includes("own.gguf")),
      "who changed it is kept",
    );
  }
  {
    await using service = await start("--engine", "scripted");
    const { choice } = await call<EngineBody>(service, "GET", "/workspace/engine");
    assert.deepEqual(choice, { model: "own", contextTokens: 2048, parallel: 2, kvType: "int8" });
  }
  {
    await using service = await start("--engine", "scripted", "--parallel", "3", "--model", "quern-mini");
    const { choice } = await call<EngineBody>(service, "GET", "/workspace/engine");
    assert.deepEqual(choice, { model: "quern-mini", contextTokens: 2048, parallel: 3, kvType: "int8" });
  }
  rmSync(path.join(folder, "models", "own.gguf"));
  await using service = await start("--engine", "scripted"); // the chosen model is gone: the usual one serves
  assert.equal(service.engine.status().model.id, "quern-mini");
});

test("what cannot be is refused before anything stops, and what cannot be opened brings the engine back", async () => {
  await using service = await start("--context", "512", "--parallel", "1", "--model", "quern-mini", "--kv-type", "f16");
  const process = service.engine.processId;
  const change = (body: object) => call(service, "PATCH", "/workspace/engine", body);
  await assert.rejects(change({ contextTokens: 20_000 }), /beyond the 16384 that quern-mini was made for/);
  await assert.rejects(change({ model: "qwen3-4b-instruct-2507" }), /is not downloaded/);
  await assert.rejects(change({ model: "bad.gguf" }), { status: 422 });
  await assert.rejects(change({ model: "/etc/passwd" }), { status: 404 });
  await assert.rejects(change({ contextTokens: 100 }), { status: 400 });
  await assert.rejects(change({ kvType: "int4" }), { status: 400 });
  await assert.rejects(change({ speed: 1 }), /no field "speed"/);
  assert.equal(service.engine.processId, process, "nothing was stopped");
  // Its head says nothing wrong; only the engine finds that a tensor is missing.
  const bytes = readFileSync(fileOf(quernMini, folder));
  bytes.write("output_none.weight", bytes.indexOf("output_norm.weight"), "latin1");
  writeFileSync(path.join(folder, "models", "broken.gguf"), bytes);
  await assert.rejects(change({ model: "broken.gguf" }), /Quern goes on as before\.$/);
  const { choice } = await call<EngineBody>(service, "GET", "/workspace/engine");
  assert.deepEqual([choice.model, choice.contextTokens], ["quern-mini", 512]);
  await call(service, "POST", "/v1/chat/completions", chat);
  assert.equal(service.engine.status().model.id, "quern-mini");
});

test("a choice that cannot be opened any more does not keep Quern from starting", async () => {
  {
    using kept = openWorkspace(folder);
    kept.preferences.change({ "engine.choice": { model: "broken.gguf", contextTokens: 512 } });
  }
  await using service = await start("--parallel", "1");
  assert.equal(service.engine.status().model.id, "quern-mini");
  await call(service, "POST", "/v1/chat/completions", chat);
});

test("more than the machine has is refused with both numbers, and nothing stops", async () => {
  const settings = { ...settingsFor("llama"), contextTokens: 1024 };
  await using client = startEngineClient(settings, { log: silentLog, hostFile: "/nowhere.ts" });
  const engine: EngineClient = {
    ...{ settings, ready: client.ready, processId: 1, forModelNow: () => client },
    generate: (...args) => client.generate(...args),
    tokenize: (...args) => client.tokenize(...args),
    detokenize: (...args) => client.detokenize(...args),
    status: () => ({
      ...client.status(),
      memory: { weightBytes: 20e6, kvBytes: 10e6, otherBytes: 0, freeBytes: 170e6, totalBytes: 1e9 },
    }),
    reopen: () => assert.fail("it was opened"),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const model = resolveModel({ model: "quern-mini", dataFolder: folder });
  const engineSwitch = new EngineSwitch({ engine, model, dataFolder: folder, log: silentLog });
  await assert.rejects(engineSwitch.change({ contextTokens: 16_384, parallel: 64 }), (error) => {
    assert.ok(error instanceof AppError);
    assert.match(error.message, /^This takes \d+\.\d GB of memory; the engine can have 0\.2 GB\.$/);
    assert.equal(error.details?.availableBytes, 200e6);
    return true;
  });
  assert.deepEqual(engineSwitch.choice, { model: "quern-mini", contextTokens: 1024, parallel: 4, kvType: "auto" });
});

test("an app whose engine stays as it is says so", async () => {
  await using bench = await openWorkbench();
  const body = await bench.call<EngineBody>("GET", "/workspace/engine");
  assert.equal(body.canChange, false);
  await bench.call("PATCH", "/workspace/engine", { parallel: 2 }, 400);
});

test("a measurement tells speed alone, together and sampled, is kept, and gives way to an answer", async () => {
  await using bench = await openWorkbench({ script: { tokensPerSecond: 2000, parallel: 3 } });
  const { measured } = await bench.call<EngineBody>("POST", "/workspace/engine/measure");
  assert.deepEqual(
    measured?.together.map(({ sequences }) => sequences),
    [1, 2, 3],
  );
  for (const { tokensPerSecond } of measured?.together ?? []) assert.ok(tokensPerSecond > 0);
  assert.ok((measured?.sampledPerSecond ?? 0) > 0);
  assert.deepEqual((await bench.call<EngineBody>("GET", "/workspace/engine")).measured, measured);
  assert.equal(bench.door.workspace.conversations.page({ limit: 10 }).length, 0);

  await using slow = await openWorkbench({ script: { tokensPerSecond: 20, parallel: 2 } });
  const { id } = await slow.conversation();
  const measuring = slow.app.request("/workspace/engine/measure", { method: "POST" });
  while (slow.engine.status().runningRequests === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  await slow.call("POST", "/workspace/engine/measure", undefined, 409); // one at a time
  const answered = slow.ask(id, "hello");
  const response = await measuring;
  assert.equal(response.status, 429);
  assert.match((await errorOf(response)).message, /Something else came first/);
  await answered;
});

test("the last hour tells real speeds by how many were written together, and mixes nothing", () => {
  const speeds = new SpeedByCount();
  const writing = (messageId: string, tokens: number): AnswerProgress => ({
    ...{ messageId, conversationId: "c", phase: "writing", tokens },
  });
  let at = 0;
  const read = (answers: AnswerProgress[], running = answers.length): void => {
    at += 1000;
    speeds.read(at, answers, running);
  };
  for (let n = 0; n <= 4; n++) read([writing("a", 50 * n)]);
  read([writing("a", 999), writing("b", 1)]); // another set: the stretch before it is neither one nor two
  for (let n = 1; n <= 4; n++) read([writing("a", 999 + 30 * n), writing("b", 1 + 30 * n)]);
  read([writing("a", 5000), writing("b", 5000)], 3); // somebody else's request runs too
  read([{ ...writing("a", 6000), phase: "prefill" }], 1);
  assert.deepEqual(speeds.lastHour(at), [
    { sequences: 1, tokensPerSecond: 50, seconds: 4 },
    { sequences: 2, tokensPerSecond: 60, seconds: 4 },
  ]);
  assert.deepEqual(speeds.lastHour(at + 3_700_000), []);
});

test("the memory told beforehand is the memory that the engines plan with", () => {
  const gguf = readGguf(fileOf(quernMini, folder));
  const [cuda, llama] = [memoryNeeds("cuda", gguf), memoryNeeds("llama", gguf)];
  for (const type of ["int8", "f16"] as const) {
    assert.equal(cuda.kvTokenBytes[type], kvBytesPerToken(qwen3ShapeOf(gguf), type));
  }
  assert.equal(llama.kvTokenBytes.f16, kvBytesPerToken(qwen3ShapeOf(gguf), "f16"));
  assert.deepEqual([cuda.autoKvType, llama.autoKvType], ["int8", "f16"]);
  assert.deepEqual(memoryNeeds("scripted", gguf).kvTokenBytes, {});
});
