import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { silentLog } from "../../src/base/log.ts";
import type { GpuReading } from "../../src/engine/gpu-reading.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import type { BudgetBody, DraftBody, LiveEvent, PullBody, SlimBody } from "../../src/server/api-types.ts";
import { EnergyLedger } from "../../src/server/workspace/energy-ledger.ts";
import { LiveNumbers } from "../../src/server/workspace/live-numbers.ts";
import { ModelPulls } from "../../src/server/workspace/model-pulls.ts";
import { workspacePaths } from "../../src/server/workspace/routes.ts";
import { Jobs } from "../../src/workspace/jobs.ts";
import { Store } from "../../src/workspace/store.ts";
import { errorOf, until } from "../api/test-app.ts";
import { eventsOf, onSocket, openWorkbench } from "./workbench.ts";

test("a draft is prefilled so that on Send only its tail is left, and nothing of it is stored", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation();
  await bench.ask(id, "first question");
  const written = "a long draft that grows while somebody types it";
  const draft = await bench.call<DraftBody>("POST", "/workspace/draft", { conversationId: id, text: written });
  assert.equal(draft.state, "ready");
  assert.ok(draft.cachedTokens > 0 && draft.cachedTokens < draft.promptTokens);
  assert.equal(bench.door.workspace.conversations.messages(id).length, 2);
  const rows = bench.door.workspace.store.rows("SELECT after FROM audit").map(({ after }) => String(after));
  assert.ok(!rows.some((row) => row.includes("long draft")));
  const { answer } = await bench.ask(id, `${written} on`);
  const computed = (answer.stats?.promptTokens ?? 0) - (answer.stats?.cachedTokens ?? 0);
  assert.ok(computed < 40, `${computed} tokens were left to compute`);
});

test("a newer draft supersedes the one before, and an answer supersedes all", async () => {
  await using bench = await openWorkbench({ script: { prefillTokens: 1, tokensPerSecond: 1000 } });
  const { id } = await bench.conversation();
  const draft = (text: string) => bench.call<DraftBody>("POST", "/workspace/draft", { conversationId: id, text });
  const first = draft("x".repeat(50_000));
  await until(() => bench.engine.status().runningRequests === 1);
  const second = draft("y".repeat(50_000));
  assert.equal((await first).state, "superseded");
  await until(() => bench.engine.status().runningRequests === 1);
  const { answer } = await bench.ask(id, "z");
  assert.equal((await second).state, "superseded");
  assert.equal(answer.state, "complete");
});

test("a request of the API ends drafts, one of a batch does not", async () => {
  await using bench = await openWorkbench({
    script: { prefillTokens: 1, tokensPerSecond: 1000, parallel: 2 },
  });
  const { id } = await bench.conversation();
  const text = "x".repeat(50_000);
  const draft = bench.call<DraftBody>("POST", "/workspace/draft", { conversationId: id, text });
  await until(() => bench.engine.status().runningRequests === 1);
  const ask = { messages: [{ role: "user", content: "hi" }] };
  assert.equal((await bench.post("/v1/chat/completions", { ...ask, priority: "batch" })).status, 200);
  assert.equal(bench.door.background.count, 1);
  assert.equal((await bench.post("/v1/chat/completions", ask)).status, 200);
  assert.equal((await draft).state, "superseded");
});

test("a title is asked for behind the conversation at the lowest priority, and does not overwrite a person's", async () => {
  const asked: { priority: string | undefined; prompt: string }[] = [];
  await using bench = await openWorkbench({
    script: {
      answer: ({ priority }, prompt) => {
        asked.push({ priority, prompt });
        return asked.length === 1 ? "answer" : "“A short title.”\nmore";
      },
    },
  });
  const { id } = await bench.conversation();
  await bench.ask(id, "hello");
  const path = `/workspace/conversations/${id}/title`;
  const named = await bench.call<{ conversation: { title: string }; isNamed: boolean }>("POST", path);
  assert.deepEqual([named.conversation.title, named.isNamed], ["A short title", true]);
  assert.equal(asked[1]?.priority, "background");
  assert.ok(
    asked[1]?.prompt.startsWith(`${asked[0]?.prompt}answer<|im_end|>\n`),
    "the prefix of the conversation was disturbed",
  );
  const { messages } = await bench.call<{ messages: unknown[] }>("GET", `/workspace/conversations/${id}`);
  assert.equal(messages.length, 2);
});

test("a title that comes after a person gave one is dropped", async () => {
  await using bench = await openWorkbench({ script: { answer: () => "model's title", tokensPerSecond: 100 } });
  const { id } = await bench.conversation();
  bench.door.workspace.conversations.add({ conversationId: id, role: "user", content: "?" });
  const coming = bench.call<{ conversation: { title: string }; isNamed: boolean }>(
    "POST",
    `/workspace/conversations/${id}/title`,
  );
  await until(() => bench.engine.status().runningRequests === 1);
  await bench.call("PATCH", `/workspace/conversations/${id}`, { title: "mine" });
  const { conversation, isNamed } = await coming;
  assert.deepEqual([conversation.title, isNamed], ["mine", false]);
});

test("follow-up questions come as a list without their numbers", async () => {
  await using bench = await openWorkbench({
    script: { answer: () => "1. 为什么？\n- 怎么做？\n\n3、多少钱？\n4. 多的" },
  });
  const { id } = await bench.conversation();
  await bench.ask(id, "问题");
  assert.deepEqual(await bench.call("POST", `/workspace/conversations/${id}/follow-ups`), {
    suggestions: ["为什么？", "怎么做？", "多少钱？"],
  });
});

test("the budget's parts add up to what the engine then counts", async () => {
  await using bench = await openWorkbench({ script: { contextTokens: 1000 } });
  const { id } = await bench.conversation({ settings: { systemPrompt: "Be short.", maxTokens: 50 } });
  const { answer: first } = await bench.ask(id, "one", { attachments: [{ name: "a.txt", text: "alpha" }] });
  await bench.call("PATCH", `/workspace/conversations/${id}`, { leftOutIds: [first.id] });
  const draft = { text: "two", attachments: [{ name: "b.txt", text: "beta" }] };
  const budget = await bench.call<BudgetBody>("POST", "/workspace/budget", { conversationId: id, ...draft });
  const { system, files, history, message } = budget.parts;
  assert.equal(system + files + history + message, budget.promptTokens);
  assert.ok(system > 0 && files > 0 && history > 0 && message > 0);
  assert.equal(budget.answerTokens, 50);
  assert.equal(budget.roomTokens, 1000 - budget.promptTokens);
  const { answer } = await bench.ask(id, draft.text, { attachments: draft.attachments });
  assert.equal(answer.stats?.promptTokens, budget.promptTokens);
});

test("over the context the budget says so and names the largest messages", async () => {
  await using bench = await openWorkbench({ script: { contextTokens: 300 } });
  const { id } = await bench.conversation();
  const { message } = await bench.ask(id, "y".repeat(100));
  const budget = await bench.call<BudgetBody>("POST", "/workspace/budget", {
    conversationId: id,
    text: "x".repeat(200),
  });
  assert.equal(budget.fits, false);
  assert.ok(budget.roomTokens < 0);
  assert.equal(budget.answerTokens, 0);
  assert.ok(budget.largest.some(({ messageId }) => messageId === message.id));
  assert.equal(budget.trainedContextTokens, 300);
});

test("slimming tells the difference and the tokens saved", async () => {
  await using bench = await openWorkbench();
  const body = await bench.call<SlimBody>("POST", "/workspace/slim", { text: "请写一首诗，谢谢！" });
  assert.deepEqual(body, {
    text: "写一首诗",
    removed: [
      { start: 0, end: 1, text: "请" },
      { start: 5, end: 9, text: "，谢谢！" },
    ],
    tokensBefore: 9,
    tokensAfter: 4,
  });
});

test("templates: both languages, one's own with versions, filled, exported and taken in elsewhere", async () => {
  await using bench = await openWorkbench();
  interface Body {
    templates: { id: string; name: string; isOwn: boolean }[];
  }
  for (const language of ["zh", "en"]) {
    const { templates } = await bench.call<Body>("GET", `/workspace/templates?language=${language}`);
    assert.equal(templates.length, 16);
  }
  const own = {
    language: "en",
    name: "Hello",
    prompt: "To {{who}}",
    fields: [{ id: "who", kind: "line", label: "Who" }],
  };
  const { templates: made } = await bench.call<Body>("POST", "/workspace/templates", own, 201);
  const id = made[0]?.id;
  await bench.call("PUT", `/workspace/templates/${id}`, { ...own, prompt: "Dear {{who}}", system: "Be kind." });
  assert.deepEqual(
    await bench.call("POST", `/workspace/templates/${id}/fill`, { language: "en", values: { who: "Ann" } }),
    {
      text: "Dear Ann",
      temperatureChoice: "balanced",
      system: "Be kind.",
    },
  );
  assert.deepEqual(
    await bench.call("POST", `/workspace/templates/${id}/fill`, { language: "en", version: 1, values: { who: "Ann" } }),
    {
      text: "To Ann",
      temperatureChoice: "balanced",
    },
  );
  const file = await bench.call("GET", "/workspace/templates/export");
  await using other = await openWorkbench();
  const { templates: taken } = await other.call<Body>("POST", "/workspace/templates", file, 201);
  assert.deepEqual(
    taken.map(({ name, isOwn }) => [name, isOwn]),
    [["Hello", true]],
  );
  await bench.call("DELETE", `/workspace/templates/${id}`);
  assert.equal((await bench.app.request(`/workspace/templates/${id}?language=en`)).status, 404);
});

test("the templates' beginnings are in the engine's memory before anybody asks", async () => {
  await using bench = await openWorkbench({ script: { contextTokens: 20_000 } });
  assert.equal(await bench.door.prefillTemplates(), 32);
  const { system, text } = await bench.call<{ system: string; text: string }>(
    "POST",
    "/workspace/templates/email/fill",
    {
      language: "en",
      values: { to: "Ms Clark", points: "hello" },
    },
  );
  const { id } = await bench.conversation({ settings: { systemPrompt: system } });
  const { answer } = await bench.ask(id, text);
  assert.ok((answer.stats?.cachedTokens ?? 0) >= system.length);
});

test("the live stream brings the hour, then readings with queue, memory and running answers", async () => {
  await using bench = await openWorkbench({
    script: { answer: () => "x".repeat(90_000), tokensPerSecond: 1000 },
    door: { readEveryMs: 10 },
  });
  await using server = await onSocket(bench);
  const { id } = await bench.conversation();
  await bench.call("POST", `/workspace/conversations/${id}/messages`, { text: "?", answer: {} });
  const leaving = new AbortController();
  const response = await fetch(`${server.url}/workspace/live`, { signal: leaving.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const writing = (): LiveEvent[] =>
    eventsOf<LiveEvent>(text.slice(0, text.lastIndexOf("\n\n"))).filter(
      (event) => event.type === "reading" && event.answers[0]?.phase === "writing",
    );
  while (writing().length < 2) text += (await reader?.read())?.value ?? assert.fail("the stream ended");
  leaving.abort();
  await reader?.closed.catch(() => undefined);
  const [first] = eventsOf<LiveEvent>(text.slice(0, text.lastIndexOf("\n\n")));
  assert.equal(first?.type, "history");
  const last = writing().at(-1);
  assert.ok(last?.type === "reading");
  assert.equal(last.engine.runningRequests, 1);
  assert.equal(last.answers[0]?.conversationId, id);
  assert.ok(last.cpu.memoryTotalBytes > 0 && last.cpu.cores > 0);
  assert.ok((last.revision ?? 0) > 0);
  assert.equal(last.gpu, undefined);
});

test("a server that stops does not wait for the live panel", async () => {
  await using bench = await openWorkbench();
  const server = await onSocket(bench);
  const response = await fetch(`${server.url}/workspace/live`);
  bench.door.letGo();
  await Promise.all([response.text(), server.close({ graceMs: 60_000 })]);
});

test("the hour's history is one mean a minute, sixty at most, with gaps where nothing was measured", async () => {
  await using engine = openScriptedEngine();
  let now = 0;
  let reading: Partial<GpuReading> | undefined = { utilisationPercent: 50 };
  const live = new LiveNumbers({
    engine,
    gpu: { deviceCount: 1, read: () => reading as GpuReading | undefined },
    answers: { list: () => [] },
    pulls: { list: () => [] },
    energy: { share: () => false },
    cores: 2,
    now: () => now,
    cpuTimes: () => ({ busyMs: now / 4, totalMs: now }),
  });
  const pass = (seconds: number): void => {
    for (let n = 0; n < seconds; n++) {
      live.read();
      now += 1000;
    }
  };
  pass(60);
  reading = { utilisationPercent: 100 };
  live.firstToken(120);
  pass(61);
  reading = undefined;
  pass(60);
  assert.deepEqual(live.history().gpuPercent, [50, 100, 100]);
  assert.equal(live.history().firstTokenMs[1], 120);
  assert.equal(live.history().firstTokenMs[0], null);
  assert.equal(live.current.cpu.percent, 25);
  pass(62 * 60);
  assert.equal(live.history().cpuPercent.length, 60);
  assert.equal(live.history().gpuPercent.at(-1), null);
});

test("energy is shared evenly among what runs, and not told where the GPU does not", () => {
  let joules = 100;
  let running = 0;
  const gpu = { read: () => ({ energyJoules: joules }) as GpuReading };
  const ledger = new EnergyLedger({ gpu, runningRequests: () => running });
  ledger.begin("a");
  running = 1;
  joules += 30;
  ledger.begin("b");
  running = 2;
  joules += 20;
  assert.equal(ledger.end("a"), 40);
  running = 1;
  joules += 5;
  assert.equal(ledger.end("b"), 15);
  const silent = new EnergyLedger({ gpu: undefined, runningRequests: () => 1 });
  silent.begin("a");
  assert.equal(silent.end("a"), undefined);
});

test("models are listed with disk use; the running one cannot be removed, an unknown one not pulled", async () => {
  await using bench = await openWorkbench();
  const body = await bench.call<{ models: { id: string; state: string }[]; disk: { freeBytes: number } }>(
    "GET",
    "/workspace/models",
  );
  assert.deepEqual(
    body.models.map(({ id }) => id),
    ["qwen3-4b-instruct-2507", "quern-mini"],
  );
  assert.ok(body.disk.freeBytes > 0);
  assert.equal((await bench.post("/workspace/models/none/pull", {})).status, 404);
  const removed = await bench.app.request("/workspace/models/quern-mini", { method: "DELETE" });
  assert.equal((await errorOf(removed)).code, "bad_request");
});

const progress = { phase: "downloading" as const, doneBytes: 5, totalBytes: 10, bytesPerSecond: 1 };

function openPulls(jobs: Jobs): ModelPulls {
  return new ModelPulls({
    jobs,
    dataFolder: "",
    hub: "",
    log: silentLog,
    pull: async ({ signal, onProgress, entry }) => {
      onProgress?.(progress);
      await new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }));
      return { outcome: "cancelled", file: entry.fileName };
    },
  });
}

test("a download is one job however often it is asked for, tells its progress, and is cancelled", async () => {
  using store = new Store({ file: ":memory:" });
  await using pulls = openPulls(new Jobs(store));
  const first = pulls.start("qwen3-4b-instruct-2507");
  assert.equal(pulls.start("qwen3-4b-instruct-2507").jobId, first.jobId);
  assert.deepEqual(pulls.body(first.jobId), { ...first, state: "running", progress } satisfies PullBody);
  assert.equal((await pulls.cancel(first.jobId)).state, "cancelled");
  assert.deepEqual(pulls.list(), []);
});

test("a download that a stopped server left goes on with the next one", async () => {
  using store = new Store({ file: ":memory:" });
  const jobs = new Jobs(store);
  const pulls = openPulls(jobs);
  const { jobId } = pulls.start("qwen3-4b-instruct-2507");
  await pulls[Symbol.asyncDispose]();
  assert.equal(jobs.get(jobId).state, "waiting");
  await using next = openPulls(jobs);
  assert.equal(next.body(jobId).state, "running");
});

test("docs/workbench-api.md describes every address", () => {
  const text = readFileSync(new URL("../../docs/workbench-api.md", import.meta.url), "utf8");
  assert.deepEqual(
    workspacePaths.filter((path) => !text.includes(`\`${path}\``) && !text.includes(` ${path}\``)),
    [],
  );
});
