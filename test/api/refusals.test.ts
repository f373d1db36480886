import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { text as textOfStream } from "node:stream/consumers";
import test from "node:test";
import { makeKey, openKeys } from "../../src/server/keys.ts";
import { heldAnswer } from "../engine/held-answer.ts";
import { errorOf, openTestApp, openTestServer, rawConnection, rawPost, until, user } from "./test-app.ts";

const chat = "/v1/chat/completions";

async function withKey(run: (key: string, file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-keys-"));
  try {
    const file = path.join(folder, "keys");
    await run(makeKey(file, "laptop"), file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("an address that is nothing is a 404 and a wrong method a 405 that names the right one, both in the one shape", async () => {
  await using api = openTestApp();
  const missing = await api.app.request("/v1/nothing");
  assert.equal(missing.status, 404);
  assert.deepEqual(Object.keys(await errorOf(missing)).toSorted(), ["code", "hint", "message", "param", "type"]);
  const wrong = await api.app.request(chat);
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "POST");
  assert.equal((await errorOf(wrong)).code, "method_not_allowed");
});

test("every route stands with and without /v1", async () => {
  await using api = openTestApp();
  for (const route of ["/health", "/status", "/metrics", "/models", "/models/scripted"]) {
    for (const prefix of ["", "/v1"]) assert.equal((await api.app.request(prefix + route)).status, 200, prefix + route);
  }
  for (const prefix of ["", "/v1"])
    assert.equal((await api.post(`${prefix}/chat/completions`, { messages: [user("x")] })).status, 200);
  assert.equal((await api.app.request("/v1/models/other")).status, 404);
});

test("a body over the limit is a 413, stated or not", async () => {
  await using server = await openTestServer({ limits: { bodyBytes: 1000, perKey: 4 } });
  const stated = await fetch(server.url + chat, { method: "POST", body: "x".repeat(1001) });
  assert.equal(stated.status, 413);
  assert.equal((await errorOf(stated)).code, "too_large");
  const unstated = await fetch(server.url + chat, {
    method: "POST",
    body: new Blob(["x".repeat(600), "x".repeat(600)]).stream(),
    duplex: "half",
  });
  assert.equal(unstated.status, 413);
  const good = await fetch(server.url + chat, { method: "POST", body: JSON.stringify({ messages: [user("x")] }) });
  assert.equal(good.status, 200);
});

test("a packed body is refused as such, not as broken text", async () => {
  await using api = openTestApp();
  for (const at of ["/v1/chat/completions", "/v1/qwen3/instruct"]) {
    const response = await api.post(at, "x", { "content-encoding": "gzip" });
    const { code, param } = await errorOf(response);
    assert.deepEqual([response.status, code, param], [400, "unsupported", "content-encoding"]);
  }
});

test("a full queue is a 429 with Retry-After at once, streaming or not, and the waiting ones are served", async () => {
  const { answer, goOn } = heldAnswer("x", "");
  await using server = await openTestServer({ script: { answer, tokensPerSecond: 200, parallel: 1, queueLimit: 1 } });
  const send = (body: object = {}): Promise<Response> =>
    fetch(server.url + chat, { method: "POST", body: JSON.stringify({ messages: [user("x")], ...body }) });
  const running = send();
  await until(() => server.engine.status().runningRequests === 1);
  const queued = send();
  await until(() => server.engine.status().queuedRequests === 1);
  for (const body of [{}, { stream: true }]) {
    const refused = await send(body);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get("retry-after")) >= 1);
    const error = await errorOf(refused);
    assert.deepEqual([error.type, error.code], ["rate_limit_error", "queue_full"]);
  }
  goOn();
  assert.deepEqual([(await running).status, (await queued).status], [200, 200]);
});

test("a failed engine is a 503 on /health", async () => {
  await using api = openTestApp();
  await api.engine[Symbol.asyncDispose]();
  assert.equal((await api.app.request("/health")).status, 503);
});

test("with keys, requests need one as Bearer or x-api-key; /health does not", async () => {
  await withKey(async (key, file) => {
    await using api = openTestApp({ keys: openKeys(file) });
    const body = { messages: [user("x")] };
    for (const headers of [{}, { authorization: "Bearer qk-wrong" }, { "x-api-key": "nope" }, { authorization: key }]) {
      const refused = await api.post(chat, body, headers as Record<string, string>);
      assert.equal(refused.status, 401);
      const error = await errorOf(refused);
      assert.deepEqual([error.type, error.code], ["authentication_error", "invalid_api_key"]);
    }
    assert.equal((await api.post(chat, body, { authorization: `Bearer ${key}` })).status, 200);
    assert.equal((await api.post(chat, body, { "x-api-key": key })).status, 200);
    assert.equal((await api.app.request("/health")).status, 200);
    for (const route of ["/status", "/metrics", "/v1/models"]) assert.equal((await api.app.request(route)).status, 401);
  });
});

test("without keys any Bearer is accepted", async () => {
  await using api = openTestApp();
  assert.equal((await api.post(chat, { messages: [user("x")] }, { authorization: "Bearer sk-anything" })).status, 200);
});

test("a key may have only its share of requests open", async () => {
  await withKey(async (key, file) => {
    const { answer, goOn } = heldAnswer("x", "");
    await using api = openTestApp({
      keys: openKeys(file),
      limits: { bodyBytes: 10_000, perKey: 2 },
      script: { answer, tokensPerSecond: 200 },
    });
    const send = (): Promise<Response> => api.post(chat, { messages: [user("x")] }, { "x-api-key": key });
    const open = [send(), send()];
    await until(() => api.engine.status().runningRequests === 2);
    const refused = await send();
    assert.equal(refused.status, 429);
    assert.equal((await errorOf(refused)).code, "too_many_requests");
    goOn();
    for (const response of await Promise.all(open)) assert.equal(response.status, 200);
    assert.equal((await send()).status, 200);
  });
});

test("a Host that is not loopback is refused, so that no page can rebind its name to us", async () => {
  await using api = openTestApp();
  const from = (host: string): Promise<Response> =>
    Promise.resolve(api.app.request("/v1/models", { headers: { host } }));
  for (const host of ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "quern.localhost:1"]) {
    assert.equal((await from(host)).status, 200, host);
  }
  for (const host of [
    "evil.example",
    "evil.example:7860",
    "127.0.0.1.evil.example",
    "localhost.evil.example:7860",
    "0.0.0.0",
  ]) {
    const refused = await from(host);
    assert.equal(refused.status, 403, host);
    assert.equal((await errorOf(refused)).code, "forbidden");
  }
  await using open = openTestApp({ checkHost: false });
  assert.equal((await open.app.request("/v1/models", { headers: { host: "quern.example" } })).status, 200);
});

test("pages of other origins may not call, not even without a preflight, unless they were allowed", async () => {
  await using api = openTestApp({ allowOrigins: ["https://app.example"] });
  const from = (origin: string, init: RequestInit = {}): Promise<Response> =>
    Promise.resolve(
      api.app.request("http://localhost:7860/v1/qwen3/instruct", {
        method: "POST",
        body: "x",
        ...init,
        headers: { host: "localhost:7860", origin, ...init.headers },
      }),
    );
  assert.equal((await from("http://localhost:7860")).status, 200);
  for (const origin of ["https://evil.example", "null", "http://localhost:3000"]) {
    const refused = await from(origin);
    assert.equal(refused.status, 403, origin);
    assert.equal(refused.headers.get("access-control-allow-origin"), null);
  }
  const allowed = await from("https://app.example");
  assert.equal(allowed.status, 200);
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
  const preflight = { method: "OPTIONS", body: null, headers: { "access-control-request-method": "POST" } };
  assert.equal((await from("https://app.example", preflight)).status, 204);
  assert.equal((await from("https://evil.example", preflight)).status, 403);
});

test("a preflight needs no key", async () => {
  await withKey(async (_key, file) => {
    await using api = openTestApp({ keys: openKeys(file), allowOrigins: ["https://app.example"] });
    const response = await api.app.request(chat, {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-headers"), "authorization");
  });
});

test("X-Request-Id comes back; one that is no plain text is replaced", async () => {
  await using server = await openTestServer();
  const idOf = async (id: string, stream: boolean): Promise<string | null> => {
    const body = JSON.stringify({ messages: [user("x")], stream });
    const response = await fetch(server.url + chat, { method: "POST", body, headers: { "x-request-id": id } });
    await response.text();
    return response.headers.get("x-request-id");
  };
  assert.equal(await idOf("trace-1", true), "trace-1");
  assert.equal(await idOf("trace-1", false), "trace-1");
  assert.match((await idOf("x".repeat(200), false)) ?? "", /^req-/);
});

test("what is no HTTP, too much header or too slow gets the one error shape and the door", async () => {
  await using server = await openTestServer({ listen: { headerTimeoutMs: 100 } });
  const cases: [string, RegExp][] = [
    ["hello\r\n\r\n", /^HTTP\/1\.1 400 [\s\S]*"code":"bad_request"/],
    [
      `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(80_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 [\s\S]*"code":"too_large"/,
    ],
    ["GET / HTTP/1.1\r\nhost: loc", /^HTTP\/1\.1 408 [\s\S]*"code":"timeout"/],
    ["GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", /^HTTP\/1\.1 400 [\s\S]*"code":"bad_request"/],
  ];
  for (const [sent, expected] of cases) {
    const socket = await rawConnection(server.port);
    socket.on("error", () => undefined);
    socket.write(sent);
    assert.match(await textOfStream(socket), expected, sent.slice(0, 30));
  }
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
});

test("a request whose body breaks off disturbs nobody", async () => {
  await using server = await openTestServer();
  const socket = await rawConnection(server.port);
  socket.write(rawPost(chat, "{}", { "content-length": "1000" }));
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  const response = await fetch(server.url + chat, { method: "POST", body: JSON.stringify({ messages: [user("x")] }) });
  assert.equal(response.status, 200);
});

test("nesting that nobody means is refused; as many brackets side by side or in a text are not", async () => {
  await using api = openTestApp();
  const withMore = (value: string): Promise<Response> =>
    api.post("/v1/completions", `{"prompt":"Hi","max_tokens":1,"more":${value}}`);
  const deep = await withMore(`${"[".repeat(300)}${"]".repeat(300)}`);
  assert.equal(deep.status, 400);
  assert.match((await errorOf(deep)).message, /nests deeper than 200 levels/);
  assert.equal((await withMore(JSON.stringify("[{".repeat(300)))).status, 200);
  assert.equal((await withMore(`[${Array(300).fill("[{}]").join(",")}]`)).status, 200);
});
