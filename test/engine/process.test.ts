// The engine in a process of its own: what goes wrong there reaches the right caller, and the next caller is served.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { type EngineClient, openEngineClient, startEngineClient } from "../../src/engine/client.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import type { EngineSettings } from "../../src/engine/open.ts";
import { answer, ask, computes, engines, fileEngine, greedy, hear, settingsFor, textPrompt, until } from "./engines.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "quern-engine-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const dyingHost = fileURLToPath(new URL("./fixtures/dying-host.ts", import.meta.url));
const faultyHost = fileURLToPath(new URL("./fixtures/faulty-gpu-host.ts", import.meta.url));

const scripted = (changes: Partial<EngineSettings> = {}): EngineSettings => ({
  ...settingsFor("scripted"),
  scriptedTokensPerSecond: 100,
  ...changes,
});
/** The scripted engine in its process repeats what it is told. */
const saying = (text: string, changes: Partial<GenerateRequest> = {}) => ask({ prompt: textPrompt(text), ...changes });

function kill(client: EngineClient): void {
  assert.ok(client.processId);
  process.kill(client.processId, "SIGKILL");
}

async function untilState(client: EngineClient, wanted: string): Promise<void> {
  while (client.status().state !== wanted) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("requests, answers, errors and calls pass through the process border unchanged", async () => {
  await using client = await openEngineClient(scripted({ contextTokens: 256 }), { log: silentLog });
  const { text, done, logprobs } = await hear(
    client.generate(saying("混合 mixed 😀", { stop: ["ed "], topLogprobs: 2 })),
  );
  assert.deepEqual([text, done.stopText, logprobs[0]?.top.length], ["混合 mix", "ed ", 2]);
  assert.equal(await client.detokenize(await client.tokenize("往返")), "往返");
  const logitBias = new Map([[99_999_999, 1]]);
  await assert.rejects(hear(client.generate(ask({ sampling: { ...greedy, logitBias } }))), (error) => {
    assert.ok(error instanceof AppError);
    assert.deepEqual([error.code, error.param], ["bad_request", "logitBias"]);
    return true;
  });
  await assert.rejects(hear(client.generate(saying("x".repeat(300)))), (error) => {
    assert.ok(error instanceof AppError);
    assert.deepEqual(error.details, { promptTokens: 300, limitTokens: 256, overflowTokens: 45 });
    return true;
  });
  await assert.rejects(client.detokenize([-1]), { code: "bad_request" });
  assert.deepEqual([client.status().engine, client.status().state], ["scripted", "ready"]);
  assert.equal(client.status().totals.failures, 2);
});

test("token ids cross to the process as they are: what is none is refused there by its own value", async () => {
  await using client = await openEngineClient(scripted(), { log: silentLog });
  const ids = [104, 105];
  const tokens = (...more: number[]): GenerateRequest["prompt"] => ({ kind: "tokens", ids: [...ids, ...more] });
  const packed = { kind: "tokens", ids: Int32Array.from(ids) } as const;
  for (const prompt of [tokens(), packed]) assert.equal((await hear(client.generate(ask({ prompt })))).text, "hi");
  for (const stray of [1.5, -1, 2 ** 32 + 104, Number.NaN]) {
    await assert.rejects(hear(client.generate(ask({ prompt: tokens(stray) }))), {
      code: "bad_request",
      message: new RegExp(`^${stray} is not a token id of this model`),
    });
  }
});

test("aborting and leaving early reach the engine", async () => {
  await using client = await openEngineClient(scripted({ parallel: 1 }), { log: silentLog });
  const abort = new AbortController();
  const { done } = await hear(
    client.generate(saying("a long answer", { ignoreEos: true }), { signal: abort.signal }),
    (event) => {
      if (event.type === "tokens") abort.abort();
    },
  );
  assert.equal(done.reason, "aborted");
  for await (const event of client.generate(saying("left alone", { ignoreEos: true })))
    if (event.type === "tokens") break;
  assert.equal((await hear(client.generate(saying("next")))).text, "next");
  assert.equal(client.status().totals.aborts, 2);
});

test("SIGKILL in mid-answer: the shown answer ends in engine_lost, those without a token are answered by the next process", async () => {
  await using client = await openEngineClient(scripted({ parallel: 1 }), { log: silentLog, backoffMs: 1 });
  const before = client.processId;
  const shown = client.generate(saying("this will be cut off"))[Symbol.asyncIterator]();
  await until(shown, "tokens");
  const waiting = [hear(client.generate(saying("first in line"))), hear(client.generate(saying("second in line")))];
  const aborted = new AbortController();
  const leaving = hear(client.generate(saying("changed my mind"), { signal: aborted.signal }));
  await until(client.generate(saying("sees the queue"))[Symbol.asyncIterator](), "queued");
  const asked = client.tokenize("asked in time");
  kill(client);
  aborted.abort();
  const rest = (async () => {
    for (let next = await shown.next(); !next.done; ) next = await shown.next();
  })();
  await assert.rejects(rest, (error) => error instanceof AppError && error.code === "engine_lost" && error.isRetryable);
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ text }) => text),
    ["first in line", "second in line"],
  );
  assert.equal((await leaving).done.reason, "aborted");
  assert.equal((await asked).length, "asked in time".length);
  assert.notEqual(client.processId, before);
  const { state, restarts, lastFailure, totals } = client.status();
  assert.deepEqual([state, restarts], ["ready", 1]);
  assert.match(lastFailure ?? "", /SIGKILL/);
  assert.ok(totals.requests >= 2, "totals survive the process");
});

test("a request that takes the engine down is tried twice, not for ever", async () => {
  const modelFile = path.join(folder, "poison");
  const settings = scripted({ modelFile, modelId: "opens-always" });
  await using client = await openEngineClient(settings, { log: silentLog, hostFile: dyingHost, backoffMs: 1 });
  await assert.rejects(hear(client.generate(ask())), { code: "engine_lost" });
  assert.equal(client.status().restarts, 2);
});

test("a process that hangs is ended and another serves", async () => {
  const settings = scripted({ modelFile: path.join(folder, "hanging"), modelId: "opens-always" });
  const options = { log: silentLog, hostFile: dyingHost, backoffMs: 1, silenceMs: 150 };
  await using hanging = await openEngineClient(settings, options);
  await assert.rejects(hear(hanging.generate(ask({ id: "hang" }))), { code: "engine_lost" });
  assert.match(hanging.status().lastFailure ?? "", /SIGKILL.*said nothing/);
});

test("a crash loop backs off, is reported, and refuses requests instead of letting them wait for ever", async () => {
  const settings = scripted({ modelFile: path.join(folder, "once"), modelId: "opens-once" });
  await using client = await openEngineClient(settings, { log: silentLog, hostFile: dyingHost, backoffMs: 1 });
  await assert.rejects(hear(client.generate(ask())), { code: "engine_lost" });
  await untilState(client, "failed");
  await assert.rejects(hear(client.generate(ask())), { code: "engine_lost" });
  const { restarts, lastFailure } = client.status();
  assert.ok(restarts > 5, `${restarts} restarts`);
  assert.match(lastFailure ?? "", /code 4.*no device today/);
});

test("a file that is no model keeps the engine from opening, with its reason", async () => {
  const html = path.join(folder, "page.gguf");
  writeFileSync(html, "<!doctype html><title>404</title>".repeat(50));
  const settings = settingsFor(fileEngine);
  await assert.rejects(openEngineClient({ ...settings, modelFile: html }, { log: silentLog }), { code: "unreadable" });
  const missing = { ...settings, modelFile: path.join(folder, "none.gguf") };
  await assert.rejects(openEngineClient(missing, { log: silentLog }), { code: "not_found" });
});

test("requests sent while the engine opens wait for it; status tells that it loads", async () => {
  await using client = startEngineClient(scripted(), { log: silentLog });
  const { state, model } = client.status();
  assert.deepEqual([state, model.id], ["loading", "quern-mini"]);
  const abort = new AbortController();
  const dropped = hear(client.generate(saying("never sent"), { signal: abort.signal }));
  const early = hear(client.generate(saying("early")));
  abort.abort();
  assert.equal((await dropped).done.reason, "aborted");
  assert.equal((await early).text, "early");
});

test("closing ends what runs with a typed error, and the process", async () => {
  const client = await openEngineClient(scripted(), { log: silentLog });
  const { processId = 0 } = client;
  const running = hear(client.generate(saying("going on and on", { ignoreEos: true })));
  const refused = assert.rejects(running, { code: "busy" });
  await client[Symbol.asyncDispose]();
  await refused;
  assert.throws(() => process.kill(processId, 0), "the process is still there");
  await assert.rejects(hear(client.generate(saying("too late"))), { code: "busy" });
});

test("the engine's process ends when its parent is killed", async () => {
  const parent = spawn(process.execPath, [fileURLToPath(new URL("./fixtures/client-alone.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const processId = Number(line.toString());
  assert.doesNotThrow(() => process.kill(processId, 0));
  parent.kill("SIGKILL");
  // Ends with the test's time limit if the process stays.
  for (let isThere = true; isThere; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    isThere = isAlive(processId);
  }
});

for (const { name, missing } of engines.filter(({ name }) => computes(name))) {
  test(`a real model in its process (${name}): load progress, an answer, SIGKILL in mid-answer, and the same answer again`, {
    skip: missing ?? false,
  }, async () => {
    const progress: number[] = [];
    const onProgress = (loaded: number) => progress.push(loaded);
    await using client = await openEngineClient(settingsFor(name === "cuda" ? "cuda" : "llama"), {
      log: silentLog,
      onProgress,
    });
    assert.ok(progress.length > 0 && progress.every((loaded) => loaded > 0 && loaded <= 1));
    assert.equal((await hear(client.generate(ask()))).text, answer);
    const lost = hear(client.generate(ask({ ignoreEos: true })), (event) => {
      if (event.type === "tokens" && client.status().restarts === 0) kill(client);
    });
    await assert.rejects(lost, { code: "engine_lost" });
    assert.equal((await hear(client.generate(ask()))).text, answer);
    assert.equal(client.status().restarts, 1);
  });
}

const { missing: cudaMissing = false } = engines.find(({ name }) => name === "cuda") ?? {};

test("a GPU context lost in mid-answer: the shown answer ends in engine_lost, those without a token are answered by the next process", {
  skip: cudaMissing,
}, async () => {
  const settings = { ...settingsFor("cuda"), parallel: 1 };
  await using client = await openEngineClient(settings, { log: silentLog, hostFile: faultyHost, backoffMs: 1 });
  const before = client.processId;
  const shown = client.generate(ask({ ignoreEos: true, maxTokens: 1900 }))[Symbol.asyncIterator]();
  await until(shown, "tokens");
  const waiting = [
    hear(client.generate(ask())),
    hear(client.generate(ask({ id: `ruin:${path.join(folder, "ruined")}` }))),
  ];
  const rest = (async () => {
    for (let next = await shown.next(); !next.done; ) next = await shown.next();
  })();
  await assert.rejects(rest, (error) => error instanceof AppError && error.code === "engine_lost" && error.isRetryable);
  for (const { text } of await Promise.all(waiting)) assert.equal(text, answer);
  const { state, restarts, lastFailure } = client.status();
  assert.deepEqual([state, restarts], ["ready", 1]);
  assert.notEqual(client.processId, before);
  assert.match(lastFailure ?? "", /CUDA.*illegal memory access/);
  console.log(`lost context: ${lastFailure}`);
});

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}
