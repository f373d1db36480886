import assert from "node:assert/strict";
import { request } from "node:http";
import { text as textOfStream } from "node:stream/consumers";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { heldAnswer } from "../engine/held-answer.ts";
import { errorOf, openTestApp, openTestServer, rawConnection, rawPost } from "./test-app.ts";

const path = "/v1/qwen3/instruct";
const tokensType = "application/vnd.quern.tokens";

function littleEndian(ids: readonly number[]): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(ids.length * 4);
  for (const [index, id] of ids.entries()) bytes.writeUInt32LE(id, index * 4);
  return bytes;
}

/** The body of a chunked answer, its trailers dropped; lengths count bytes. */
function unchunked(text: string): string {
  let left = Buffer.from(text);
  const parts: Buffer[] = [];
  while (true) {
    const end = left.indexOf("\r\n");
    const length = Number.parseInt(left.subarray(0, end).toString(), 16);
    assert.ok(length >= 0, text);
    if (length === 0) return Buffer.concat(parts).toString();
    parts.push(left.subarray(end + 2, end + 2 + length));
    left = left.subarray(end + 2 + length + 2);
  }
}

const post = (
  api: { app: { request: (path: string, init: RequestInit) => Response | Promise<Response> } },
  query: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
) => api.app.request(`${path}${query}`, { method: "POST", body, headers });

test("raw bytes go in and raw text comes out, whatever curl calls them", async () => {
  await using api = openTestApp();
  for (const type of [
    "text/plain",
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
  ]) {
    const response = await post(api, "", Buffer.from("写周报:完成 & 100%=?"), { "content-type": type });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(await response.text(), "写周报:完成 & 100%=?");
  }
});

test("options stand in the query", async () => {
  let seen: { request: GenerateRequest; prompt: string } | undefined;
  await using api = openTestApp({
    script: {
      answer: (request, prompt) => {
        seen = { request, prompt };
        return "ok";
      },
    },
  });
  const schema = encodeURIComponent('{"type":"object"}');
  await post(
    api,
    `?system=Be%20brief&temperature=0.3&seed=5&stop=a&stop=b&max_tokens=7&top_k=3&priority=batch&format=json&schema=${schema}`,
    "hi",
  );
  assert.equal(seen?.request.sampling.temperature, 0.3);
  assert.equal(seen?.request.sampling.seed, 5);
  assert.equal(seen?.request.sampling.topK, 3);
  assert.deepEqual(seen?.request.stop, ["a", "b"]);
  assert.equal(seen?.request.maxTokens, 7);
  assert.equal(seen?.request.priority, "batch");
  assert.deepEqual(seen?.request.grammar, { kind: "json_schema", schema: { type: "object" } });
  assert.match(seen?.prompt ?? "", /system\nBe brief<\|im_end\|>/);
  await post(api, `?template=${encodeURIComponent("写周报")}`, "hi");
  assert.match(seen?.prompt ?? "", /周报助手/);
  assert.equal(seen?.request.maxTokens, undefined, "no limit but the context's");
});

test("unknown options, malformed values and wrong bodies are refused with their name", async () => {
  await using api = openTestApp();
  const wrong: [string, string | Buffer<ArrayBuffer>, Record<string, string>, string][] = [
    ["?temprature=1", "x", {}, "temprature"],
    ["?temperature=hot", "x", {}, "temperature"],
    ["?temperature=1&temperature=2", "x", {}, "temperature"],
    ["?max_tokens=1.5", "x", {}, "max_tokens"],
    ["?template=nope", "x", {}, "template"],
    ["?template=rewrite&system=x", "x", {}, "template"],
    ["?format=xml", "x", {}, "format"],
    ["?schema={", "x", {}, "schema"],
    ["?format=text&schema={}", "x", {}, "schema"],
    ["", "", {}, "body"],
    ["", "  \n", {}, "body"],
    ["", Buffer.from([0xd0, 0xb4, 0xff]), {}, "body"],
    ["", "{}", { "content-type": "application/json" }, "content-type"],
    ["", "x", { "content-type": "text/plain; charset=gbk" }, "content-type"],
    ["", Buffer.from([1, 2, 3]), { "content-type": tokensType }, "body"],
    ["", littleEndian([5_000_000]), { "content-type": tokensType }, "body"],
    ["?system=x", littleEndian([65]), { "content-type": tokensType }, "system"],
  ];
  for (const [query, body, headers, param] of wrong) {
    const response = await post(api, query, body, headers);
    assert.equal(response.status, 400, `${query} ${param}`);
    assert.equal((await errorOf(response)).param, param, query);
  }
});

test("token ids go in as the whole prompt and come out when Accept asks for them", async () => {
  let prompt: GenerateRequest["prompt"] | undefined;
  await using api = openTestApp({
    script: {
      answer: (seen) => {
        prompt = seen.prompt;
        return "好";
      },
    },
  });
  const response = await post(api, "?max_tokens=3", littleEndian([65, 66]), {
    "content-type": tokensType,
    accept: tokensType,
  });
  assert.deepEqual(prompt, { kind: "tokens", ids: [65, 66] });
  assert.equal(response.headers.get("content-type"), tokensType);
  const bytes = Buffer.from(await response.arrayBuffer());
  const ids = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(index * 4));
  assert.equal(await api.engine.detokenize(ids), "好");
});

test("usage, finish reason and timings come as trailers", async () => {
  await using server = await openTestServer();
  const { text, trailers, headers } = await new Promise<{
    text: string;
    trailers: NodeJS.Dict<string>;
    headers: NodeJS.Dict<string | string[]>;
  }>((resolve, reject) => {
    const sent = request(`${server.url}${path}?max_tokens=2`, { method: "POST" }, (response) => {
      textOfStream(response).then(
        (text) => resolve({ text, trailers: response.trailers, headers: response.headers }),
        reject,
      );
    });
    sent.on("error", reject);
    sent.end("hello");
  });
  assert.equal(text, "he");
  assert.equal(trailers["quern-finish-reason"], "length");
  assert.equal(trailers["quern-completion-tokens"], "2");
  assert.ok(Number(trailers["quern-prompt-tokens"]) > 5);
  assert.match(trailers["server-timing"] ?? "", /^queue;dur=[\d.]+, prefill;dur=[\d.]+, decode;dur=[\d.]+$/);
  assert.match(String(headers["server-timing"]), /^first;dur=[\d.]+$/);
});

test("an empty answer is an empty 200", async () => {
  await using api = openTestApp({ script: { answer: () => "" } });
  const response = await post(api, "", "x");
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
});

test("a failure before the first byte is a status with the error object", async () => {
  await using api = openTestApp({
    script: {
      answer: () => {
        throw new AppError("device", "No device.");
      },
    },
  });
  const response = await post(api, "", "x");
  assert.equal(response.status, 503);
  assert.equal((await errorOf(response)).code, "device_failed");
});

test("a failure after it cuts the connection without the terminating chunk", async () => {
  await using server = await openTestServer({
    script: {
      *answer() {
        yield "so far";
        throw new AppError("device", "Gone.");
      },
    },
  });
  const socket = await rawConnection(server.port);
  socket.write(rawPost(path, "x"));
  const received = await textOfStream(socket);
  assert.match(received, /^HTTP\/1\.1 200 /);
  assert.match(received, /6\r\nso far\r\n/);
  assert.ok(!received.includes("\r\n0\r\n"), "no end of chunks");
  await assert.rejects(async () => (await fetch(server.url + path, { method: "POST", body: "x" })).text());
});

test("answers are whole on every kind of connection: kept alive, pipelined, HTTP/1.0, ids", async () => {
  await using server = await openTestServer();
  const socket = await rawConnection(server.port);
  const first = rawPost(path, "erste 你好");
  const last = rawPost(path, "zweite", { connection: "close" });
  socket.write(first + first + last);
  const bodies = (await textOfStream(socket))
    .split("HTTP/1.1 200 OK")
    .slice(1)
    .map((answer) => unchunked(answer.slice(answer.indexOf("\r\n\r\n") + 4)));
  assert.deepEqual(bodies, ["erste 你好", "erste 你好", "zweite"]);
  const old = await rawConnection(server.port);
  old.write(rawPost(path, "alt").replace("HTTP/1.1", "HTTP/1.0"));
  assert.match(await textOfStream(old), /\r\n\r\nalt$/);
  const ids = await fetch(server.url + path, { method: "POST", body: "ab", headers: { accept: tokensType } });
  const bytes = Buffer.from(await ids.arrayBuffer());
  assert.deepEqual([bytes.readUInt32LE(0), bytes.readUInt32LE(4)], [97, 98]);
});

test("each step's text leaves at once", async () => {
  const { answer, goOn } = heldAnswer("first", "second");
  await using server = await openTestServer({ script: { answer, tokensPerSecond: 200 } });
  const response = await fetch(server.url + path, { method: "POST", body: "x" });
  const reader = response.body?.getReader() ?? assert.fail("no body");
  const first = await reader.read();
  assert.equal(Buffer.from(first.value ?? []).toString(), "first");
  goOn();
  const second = await reader.read();
  assert.equal(Buffer.from(second.value ?? []).toString(), "second");
  assert.equal((await reader.read()).done, true);
});
