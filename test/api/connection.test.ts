import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import type { Engine, GenerateEvent } from "../../src/engine/contract.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import type { ChatChunk, StatusBody } from "../../src/server/api-types.ts";
import {
  errorOf,
  openTestServer,
  rawConnection,
  rawPost,
  sseData,
  sseEvents,
  type TestServer,
  until,
  user,
} from "./test-app.ts";

const chat = "/v1/chat/completions";
const endless = "x".repeat(100_000);

function send(server: TestServer, body: object, init: RequestInit = {}): Promise<Response> {
  return fetch(server.url + chat, {
    method: "POST",
    body: JSON.stringify({ messages: [user("x")], ...body }),
    ...init,
  });
}

const isIdle = (server: TestServer): boolean => {
  const { runningRequests, queuedRequests, kv } = server.engine.status();
  return runningRequests === 0 && queuedRequests === 0 && kv.usedTokens === 0;
};

for (const stream of [true, false]) {
  test(`a client that leaves in mid-answer stops the engine's work (${stream ? "streamed" : "whole"})`, async () => {
    await using server = await openTestServer({
      script: { contextTokens: 200_000, answer: () => endless, tokensPerSecond: 200 },
    });
    const leaving = new AbortController();
    const response = send(server, { stream }, { signal: leaving.signal });
    response.catch(() => undefined);
    await until(() => server.engine.status().totals.requests > 0 || server.engine.status().runningRequests > 0);
    if (stream) await (await response).body?.getReader().read();
    leaving.abort();
    await until(() => isIdle(server));
    assert.equal(server.engine.status().totals.aborts, 1);
  });
}

test("a client that leaves while it waits in the queue is dropped from it", async () => {
  await using server = await openTestServer({
    script: { parallel: 1, contextTokens: 200_000, answer: () => endless, tokensPerSecond: 200 },
  });
  const staying = new AbortController();
  const leaving = new AbortController();
  send(server, {}, { signal: staying.signal }).catch(() => undefined);
  await until(() => server.engine.status().runningRequests === 1);
  send(server, {}, { signal: leaving.signal }).catch(() => undefined);
  await until(() => server.engine.status().queuedRequests === 1);
  leaving.abort();
  await until(() => server.engine.status().queuedRequests === 0);
  assert.equal(server.engine.status().runningRequests, 1);
  staying.abort();
  await until(() => isIdle(server));
});

test("one of several choices takes its siblings along when the client leaves", async () => {
  await using server = await openTestServer({
    script: { contextTokens: 200_000, answer: () => endless, tokensPerSecond: 200 },
  });
  const leaving = new AbortController();
  send(server, { n: 4 }, { signal: leaving.signal }).catch(() => undefined);
  await until(() => server.engine.status().runningRequests === 4);
  leaving.abort();
  await until(() => isIdle(server));
});

/** An engine whose answer to a prompt with "slow" is `steps` pieces of 64 KiB; it counts what was taken from it. */
function openFlood(steps: number): Engine & { taken: number } {
  const scripted = openScriptedEngine();
  const piece = "y".repeat(65_536);
  async function* flood(flooding: { taken: number }, signal: AbortSignal | undefined): AsyncGenerator<GenerateEvent> {
    let isLeaving = false;
    for (let step = 0; step < steps && !isLeaving; step++) {
      flooding.taken++;
      yield { type: "tokens", ids: [1], text: piece };
      isLeaving = signal?.aborted ?? false;
    }
    const usage = { promptTokens: 1, cachedTokens: 0, completionTokens: steps };
    yield {
      type: "done",
      reason: isLeaving ? "aborted" : "stop",
      usage,
      timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
    };
  }
  return {
    taken: 0,
    generate(request, options) {
      const isSlow = request.prompt.kind === "text" && request.prompt.pieces.join("").includes("slow");
      return isSlow ? flood(this, options?.signal) : scripted.generate(request, options);
    },
    tokenize: (text, options) => scripted.tokenize(text, options),
    detokenize: (ids, options) => scripted.detokenize(ids, options),
    status: () => scripted.status(),
    [Symbol.asyncDispose]: () => scripted[Symbol.asyncDispose](),
  };
}

test("a reader that takes nothing stalls nobody, and what waits for it stays bounded", async () => {
  const steps = 1024; // 64 MiB, of which sockets and server may hold a fraction
  const flood = openFlood(steps);
  await using server = await openTestServer({ engine: flood });
  const socket = await rawConnection(server.port);
  socket.pause();
  socket.write(rawPost("/v1/qwen3/instruct", "slow"));
  await until(() => flood.taken > 4);
  for (let round = 0; round < 5; round++) assert.equal((await send(server, {})).status, 200);
  assert.ok(flood.taken < steps / 2, `${flood.taken} pieces were taken for a reader that reads none`);
  let received = 0;
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.resume();
  await until(() => received > steps * 65_536);
  socket.destroy();
  assert.equal(flood.taken, steps, "the whole answer came, late");
});

test("every item of a batch reaches a reader that was slow to begin", async () => {
  const flood = openFlood(8);
  await using server = await openTestServer({ engine: flood });
  const socket = await rawConnection(server.port);
  socket.pause();
  const items = Array.from({ length: 60 }, (_, id) => JSON.stringify({ id, instruction: "slow" }));
  socket.write(rawPost("/v1/qwen3/instruct/batch", items.join("\n"), { connection: "close" }));
  await until(() => flood.taken > 8);
  await until(() => server.engine.status().runningRequests === 0);
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
  });
  socket.resume();
  await once(socket, "end");
  const ids = [...text.matchAll(/\{"id":(\d+),"text"/g)].map(([, id]) => Number(id));
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    items.map((_, id) => id),
  );
});

test("a reader that accepts nothing for too long is cut, and its request ends", async () => {
  const flood = openFlood(1_000_000);
  await using server = await openTestServer({ idleMs: 100, engine: flood });
  const socket = await rawConnection(server.port);
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(rawPost("/v1/qwen3/instruct", "slow"));
  const openRequests = async (): Promise<number> => {
    const body = (await (await fetch(`${server.url}/status`)).json()) as StatusBody;
    return body.requests.open;
  };
  while ((await openRequests()) === 0) await until(() => true);
  while ((await openRequests()) > 0) await until(() => true);
  assert.ok(flood.taken < 1_000_000);
  socket.destroy();
});

test("many streams at once each get their own answer whole", async () => {
  await using server = await openTestServer({ script: { parallel: 8 } });
  const texts = Array.from({ length: 40 }, (_, index) => `answer ${index} 你好`);
  const answers = await Promise.all(
    texts.map(async (text) => {
      const chunks = sseEvents<ChatChunk>(await (await send(server, { messages: [user(text)], stream: true })).text());
      return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    }),
  );
  assert.deepEqual(answers, texts);
});

test("streams of one choice and of several are whole on every kind of connection: kept alive, pipelined, HTTP/1.0", async () => {
  await using server = await openTestServer();
  const asking = (text: string, n: number, headers = {}): string =>
    rawPost(chat, JSON.stringify({ messages: [user(text)], stream: true, n }), headers);
  const textsOf = (answer: string): string[] => {
    const texts: string[] = [];
    for (const { choices } of sseEvents<ChatChunk>(answer.replaceAll(/\r\n[0-9a-f]+\r\n/g, "")))
      for (const { index, delta } of choices) texts[index] = (texts[index] ?? "") + (delta.content ?? "");
    return texts;
  };
  const received = async (sent: string): Promise<string> => {
    const socket = await rawConnection(server.port);
    socket.setEncoding("utf8");
    socket.write(sent);
    let text = "";
    for await (const piece of socket) text += piece;
    return text;
  };
  const pipelined = await received(
    asking("erste 你好", 1) + asking("zwei", 2) + asking("dritte", 1, { connection: "close" }),
  );
  const answers = pipelined.split("HTTP/1.1 200 OK").slice(1);
  assert.deepEqual(answers.map(textsOf), [["erste 你好"], ["zwei", "zwei"], ["dritte"]]);
  for (const answer of answers) assert.ok(answer.endsWith("\r\n0\r\n\r\n"), "chunks have an end");
  const old = await received(asking("alt", 1).replace("HTTP/1.1", "HTTP/1.0"));
  assert.deepEqual(textsOf(old), ["alt"]);
});

test("closing lets a running answer finish and takes no new one", async () => {
  await using server = await openTestServer({ script: { answer: () => "0123456789", tokensPerSecond: 50 } });
  const idle = await rawConnection(server.port);
  const running = await send(server, { stream: true });
  const closed = server.close({ graceMs: 10_000 });
  await assert.rejects(send(server, {}), "no new connection");
  const chunks = sseEvents<ChatChunk>(await running.text());
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "0123456789");
  await closed;
  if (!idle.destroyed) await once(idle, "close");
});

test("an answer that is not done by the end of the grace is told so", async () => {
  await using server = await openTestServer({
    script: { contextTokens: 200_000, answer: () => endless, tokensPerSecond: 100 },
  });
  const streamed = await send(server, { stream: true });
  const whole = send(server, {});
  await until(() => server.engine.status().runningRequests === 2);
  const closed = server.close({ graceMs: 20 });
  const text = await streamed.text();
  const last = sseEvents<{ error?: { code: string } }>(text).at(-1);
  assert.equal(last?.error?.code, "stopping");
  assert.equal(sseData(text).at(-1), "[DONE]");
  assert.equal((await whole).status, 503);
  assert.equal((await errorOf(await whole)).code, "stopping");
  await closed;
});

test("a taken port says so", async () => {
  await using server = await openTestServer();
  await assert.rejects(openTestServer({ listen: { port: server.port } }), /Port \d+ on 127\.0\.0\.1 is taken/);
});
