import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { openLog } from "../../src/base/log.ts";
import type { StatusBody } from "../../src/server/api-types.ts";
import { openTestApp, user } from "./test-app.ts";

async function withPage(run: (folder: string) => Promise<void>): Promise<void> {
  const outside = mkdtempSync(path.join(os.tmpdir(), "quern-page-"));
  const folder = path.join(outside, "dist");
  try {
    mkdirSync(path.join(folder, "assets"), { recursive: true });
    writeFileSync(path.join(folder, "index.html"), "<title>Quern</title>");
    writeFileSync(path.join(folder, "assets", "main-abc123.js"), "1");
    writeFileSync(path.join(folder, ".secret"), "secret");
    writeFileSync(path.join(outside, "secret.txt"), "secret");
    await run(folder);
  } finally {
    rmSync(outside, { recursive: true });
  }
}

test("the page comes with a policy that loads nothing from elsewhere, its assets for ever", async () => {
  await withPage(async (pageFolder) => {
    await using api = openTestApp({ pageFolder });
    const index = await api.app.request("/");
    assert.equal(await index.text(), "<title>Quern</title>");
    assert.equal(index.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(index.headers.get("cache-control"), "no-cache");
    const policy = index.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'self'/);
    assert.ok(!/https?:|\*/.test(policy), "no other origin");
    const again = await api.app.request("/", { headers: { "if-none-match": index.headers.get("etag") ?? "" } });
    assert.equal(again.status, 304);
    const asset = await api.app.request("/assets/main-abc123.js");
    assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
    assert.match(asset.headers.get("content-type") ?? "", /javascript/);
  });
});

test("text of the page goes out in the encoding that the browser takes, and each is a thing of its own to a cache", async () => {
  await withPage(async (pageFolder) => {
    const script = "export const text = 'the same again and again';\n".repeat(500);
    writeFileSync(path.join(pageFolder, "assets", "big-def456.js"), script);
    writeFileSync(path.join(pageFolder, "assets", "font-def456.woff2"), script);
    await using api = openTestApp({ pageFolder });
    const get = (accepted: string, at = "/assets/big-def456.js", more = {}) =>
      api.app.request(at, { headers: { ...(accepted === "" ? {} : { "accept-encoding": accepted }), ...more } });
    const cases = [
      ["gzip, deflate, br, zstd", "br"],
      ["gzip;q=1.0, br;q=0", "gzip"],
      ["deflate", null],
      ["", null],
    ] as const;
    const tags = new Set<string>();
    for (const [accepted, encoding] of cases) {
      const response = await get(accepted);
      const bytes = Buffer.from(await response.arrayBuffer());
      const text = encoding === "br" ? brotliDecompressSync(bytes) : encoding === "gzip" ? gunzipSync(bytes) : bytes;
      assert.equal(text.toString(), script);
      assert.ok(encoding === null || bytes.length < script.length / 3);
      assert.equal(response.headers.get("content-encoding"), encoding);
      assert.equal(response.headers.get("vary"), "accept-encoding");
      assert.match(response.headers.get("cache-control") ?? "", /immutable/);
      const etag = response.headers.get("etag") ?? "";
      tags.add(etag);
      const known = await get(accepted, undefined, { "if-none-match": `"other", W/${etag}` });
      assert.deepEqual([known.status, known.headers.get("vary")], [304, "accept-encoding"]);
    }
    assert.equal(tags.size, 3);
    const font = await get("br", "/assets/font-def456.woff2");
    assert.deepEqual([font.headers.get("content-encoding"), font.headers.get("vary")], [null, null]);
  });
});

test("addresses of the page's views lead to it; files that are not there, and all outside, are 404", async () => {
  await withPage(async (pageFolder) => {
    await using api = openTestApp({ pageFolder });
    const view = await api.app.request("/chat/5", { headers: { accept: "text/html" } });
    assert.equal(await view.text(), "<title>Quern</title>");
    for (const gone of [
      "/assets/old.js",
      "/assets/none",
      "/v1/nothing",
      "/..%2fsecret.txt",
      "/%2e%2e/secret.txt",
      "/assets/..%2f..%2fsecret.txt",
      "/.secret",
      "/%00",
      "/%zz",
    ]) {
      const response = await api.app.request(gone);
      assert.equal(response.status, 404, gone);
      assert.ok(!(await response.text()).includes("<title>"), gone);
    }
  });
});

test("metrics count requests by how they ended, and what the engine did", async () => {
  await using api = openTestApp();
  await api.post("/v1/chat/completions", { messages: [user("x")] });
  await (await api.post("/v1/chat/completions", { messages: [user("x")], max_tokens: 1, stream: true })).text();
  await api.post("/v1/chat/completions", { messages: [user("x".repeat(5000))] });
  const text = await (await api.app.request("/metrics")).text();
  for (const reason of ["stop", "length", "context_overflow"]) {
    assert.match(text, new RegExp(`quern_requests_total\\{door="chat",reason="${reason}"\\} 1`));
  }
  assert.match(text, /quern_error_answers_total\{code="context_length_exceeded"\} 1/);
  assert.match(text, /quern_completion_tokens_total [1-9]/);
  assert.match(text, /quern_first_token_seconds_count\{door="chat"\} 2/);
  assert.match(text, /quern_engine_ready 1/);
});

test("the log says how each request ended, and nothing of what was in it", async () => {
  const lines: string[] = [];
  const log = openLog({ level: "debug", format: "json", write: (line) => lines.push(line) });
  await using api = openTestApp({ log });
  await api.post("/v1/chat/completions", { messages: [user("my secret")] }, { "x-request-id": "r1" });
  await api.post("/v1/chat/completions", { messages: [user("my secret")], temperature: 9 }, { "x-request-id": "r2" });
  await (
    await api.post("/v1/chat/completions", '{"messages": [{"role": "user", "content": "my secret"', {
      "x-request-id": "r3",
    })
  ).text();
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    entries.map(({ event, id, reason, param }) => [event, id, reason ?? param]),
    [
      ["request done", "r1", "stop"],
      ["request refused", "r2", "temperature"],
      ["request refused", "r3", "body"],
    ],
  );
  assert.ok(!lines.join("").includes("secret"));
});

test("the status says plainly when the demonstration model answers", async () => {
  const note = "The real one is only partly downloaded.";
  await using api = openTestApp({ script: { model: { id: "quern-mini", isDemonstration: true } }, note });
  const status = (await (await api.app.request("/status")).json()) as StatusBody;
  assert.match(status.demonstration?.message ?? "", /demonstration/);
  assert.match(status.demonstration?.hint ?? "", /quern models pull/);
  assert.equal(status.demonstration?.reason, note);
  const models = (await (await api.app.request("/v1/models")).json()) as { data: { meta: { notice: string } }[] };
  assert.match(models.data[0]?.meta.notice ?? "", /demonstration/);
});
