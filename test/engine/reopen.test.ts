// The engine opened anew while it serves: with other settings or another model, at once or after what runs, and back again when it cannot be.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { openEngineClient } from "../../src/engine/client.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import type { EngineSettings } from "../../src/engine/open.ts";
import { answer, ask, engines, hear, settingsFor, textPrompt, until } from "./engines.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "quern-reopen-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const scripted = (changes: Partial<EngineSettings> = {}): EngineSettings => ({
  ...settingsFor("scripted"),
  scriptedTokensPerSecond: 100,
  ...changes,
});
const saying = (text: string, changes: Partial<GenerateRequest> = {}) => ask({ prompt: textPrompt(text), ...changes });
const endless = (text: string) => saying(text, { ignoreEos: true });
const otherModel = { modelFile: path.join(folder, "other.gguf"), modelId: "other" };
const isRetryable = (code: string) => (error: unknown) =>
  error instanceof AppError && error.code === code && error.isRetryable;

async function rest(events: AsyncIterator<unknown>): Promise<void> {
  for (let next = await events.next(); !next.done; ) next = await events.next();
}

test("an answer that runs may end; what waits and what comes meanwhile is answered with the new settings", async () => {
  await using client = await openEngineClient(scripted({ parallel: 1, contextTokens: 256 }), { log: silentLog });
  const before = client.processId;
  const running = client.generate(saying("this one is nearly done"))[Symbol.asyncIterator]();
  await until(running, "tokens");
  const waiting = hear(client.generate(saying("x".repeat(100))));
  const reopened = client.reopen(scripted({ parallel: 2, contextTokens: 4096 }), { drainMs: 60_000 });
  const late = hear(client.generate(saying("y".repeat(300)))); // more than the context before
  const counted = client.tokenize("counted");
  await rest(running);
  await reopened;
  assert.equal((await waiting).text, "x".repeat(100));
  assert.equal((await late).text, "y".repeat(300));
  assert.equal((await counted).length, "counted".length);
  assert.notEqual(client.processId, before);
  const { contextTokens, parallel, state, totals, restarts } = client.status();
  assert.deepEqual([contextTokens, parallel, state, restarts], [4096, 2, "ready", 0]);
  assert.ok(totals.requests >= 1, "totals survive the process");
  assert.equal(client.settings.contextTokens, 4096);
});

test("an answer that takes too long ends in engine_lost, one that was aborted as aborted", async () => {
  await using client = await openEngineClient(scripted(), { log: silentLog });
  const running = client.generate(endless("without end"))[Symbol.asyncIterator]();
  await until(running, "tokens");
  const draft = hear(client.generate(saying("a draft", { maxTokens: 0, priority: "background" })));
  const cut = assert.rejects(rest(running), isRetryable("engine_lost"));
  await client.reopen(scripted({ contextTokens: 512 }), { drainMs: 1 });
  await cut;
  assert.equal((await draft).done.reason, "length");
  const leaving = new AbortController();
  const held = hear(client.generate(endless("stop me"), { signal: leaving.signal }));
  const again = client.reopen(scripted(), { drainMs: 60_000 });
  leaving.abort();
  assert.equal((await held).done.reason, "aborted");
  await again;
});

test("a prompt made for one model is not given to another", async () => {
  await using client = await openEngineClient(scripted({ parallel: 1 }), { log: silentLog });
  const bound = client.forModelNow();
  const running = hear(client.generate(saying("the last words")));
  await until(client.generate(saying("sees the queue"))[Symbol.asyncIterator](), "queued");
  const waiting = assert.rejects(hear(client.generate(saying("for the model before"))), isRetryable("busy"));
  const steps: string[] = [];
  await client.reopen(scripted(otherModel), {
    drainMs: 60_000,
    onLeft: () => steps.push("left"),
    onReturned: () => steps.push("returned"),
  });
  assert.equal((await running).text, "the last words");
  await waiting;
  assert.deepEqual(steps, ["left"]);
  assert.equal(client.status().model.id, "other");
  await assert.rejects(hear(bound.generate(saying("late"))), isRetryable("busy"));
  await assert.rejects(bound.tokenize("late"), isRetryable("busy"));
  assert.equal((await hear(client.forModelNow().generate(saying("new")))).text, "new");
});

const { missing } = engines.find(({ name }) => name === "llama") ?? {};
test("what cannot be opened brings the engine before back, with the reason", { skip: missing ?? false }, async () => {
  const settings = { ...settingsFor("llama"), contextTokens: 512 };
  await using client = await openEngineClient(settings, { log: silentLog });
  const bound = client.forModelNow();
  const modelFile = path.join(folder, "bad.gguf");
  writeFileSync(modelFile, "this is no model");
  const steps: string[] = [];
  const reopened = client.reopen(
    { ...settings, modelFile, modelId: "bad" },
    { onLeft: () => steps.push("left"), onReturned: () => steps.push("returned") },
  );
  await assert.rejects(client.reopen(settings), { code: "conflict" });
  await assert.rejects(reopened, { code: "unreadable" });
  assert.deepEqual(steps, ["left", "returned"]);
  assert.equal((await hear(client.generate(ask()))).text, answer);
  assert.equal(client.status().model.id, "quern-mini");
  await assert.rejects(bound.tokenize("x"), isRetryable("busy"));
  const tooMuch = { ...settings, contextTokens: 1_048_576, parallel: 256 };
  await assert.rejects(client.reopen(tooMuch), { code: "device" });
  assert.equal((await hear(client.generate(ask()))).text, answer);
  assert.equal(client.status().contextTokens, 512);
  await client.reopen({ ...settings, contextTokens: 1024, kvType: "int8" });
  const { contextTokens, kvType } = client.status();
  assert.deepEqual([contextTokens, kvType], [1024, "int8"]);
  assert.ok((await hear(client.generate(ask()))).text.length > 0);
});

test("an engine that dies while it is opened anew, or is closed meanwhile, leaves nobody waiting", async () => {
  await using client = await openEngineClient(scripted(), { log: silentLog, backoffMs: 1 });
  const running = client.generate(endless("without end"))[Symbol.asyncIterator]();
  await until(running, "tokens");
  const reopened = client.reopen(scripted({ contextTokens: 512 }), { drainMs: 60_000 });
  const waiting = hear(client.generate(saying("patient")));
  process.kill(client.processId ?? 0, "SIGKILL");
  await assert.rejects(rest(running), isRetryable("engine_lost"));
  await reopened;
  assert.equal((await waiting).text, "patient");
  const closing = await openEngineClient(scripted(), { log: silentLog });
  const never = assert.rejects(closing.reopen(scripted({ contextTokens: 512 })), isRetryable("busy"));
  const held = assert.rejects(hear(closing.generate(saying("too late"))), isRetryable("busy"));
  await closing[Symbol.asyncDispose]();
  await Promise.all([never, held]);
  assert.equal(closing.status().state, "stopped");
});
