// `quern run` in pipes, against a server that answers by script.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import test from "node:test";
import { makeKey } from "../../src/server/keys.ts";
import { openTestServer } from "../api/test-app.ts";
import { home, quern, start } from "./quern.ts";

test("the answer goes to standard output, alone; piped text stands above the question", async () => {
  const prompts: string[] = [];
  await using server = await openTestServer({
    script: {
      answer: (_request, prompt) => {
        prompts.push(prompt);
        return "一行答案";
      },
    },
  });
  const { code, out, err } = await quern(["run", "--port", `${server.port}`, "总结", "一下"], {
    input: "第一行\n第二行\n",
  });
  assert.deepEqual([code, out, err], [0, "一行答案\n", ""]);
  assert.match(prompts[0] ?? "", /第一行\n第二行\n\n总结 一下/);
});

test("a template becomes the system prompt; an unknown one is refused with the names there are", async () => {
  const prompts: string[] = [];
  await using server = await openTestServer({
    script: {
      answer: (_request, prompt) => {
        prompts.push(prompt);
        return "好";
      },
    },
  });
  const port = `${server.port}`;
  assert.equal((await quern(["run", "--port", port, "-t", "weekly-report", "完成登录"])).code, 0);
  assert.match(prompts[0] ?? "", /system\n你是周报助手/);
  const unknown = await quern(["run", "--port", port, "-t", "nope", "x"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /no template "nope"[\s\S]*weekly-report/);
  const both = await quern(["run", "--port", port, "-t", "rewrite", "--system", "y", "x"]);
  assert.equal(both.code, 2);
  assert.equal(prompts.length, 1);
});

test("exit codes: 3 for an answer cut by the limit, 2 for wrong use, 1 for what the server refuses", async () => {
  await using server = await openTestServer();
  const port = `${server.port}`;
  const cut = await quern(["run", "--port", port, "--max-tokens", "3", "abcdef"]);
  assert.deepEqual([cut.code, cut.out], [3, "abc\n"]);
  assert.match(cut.err, /cut at 3 tokens/);
  const wrong = [["--temperature", "warm", "x"], ["--seed", "", "x"], ["--max-tokens"], ["--nonsense", "x"], []];
  await Promise.all(
    wrong.map(async (args) => {
      const { code, out } = await quern(["run", "--port", port, ...args]);
      assert.deepEqual([code, out], [2, ""], args.join(" "));
    }),
  );
  const refused = await quern(["run", "--port", port, "--temperature", "9", "x"]);
  assert.deepEqual([refused.code, refused.out], [1, ""]);
  assert.match(refused.err, /temperature must be from 0 to 2/);
});

test("an answer whose connection breaks off is a failure, and what came of it stays", async () => {
  const head = { choices: [{ delta: { content: "halb" }, finish_reason: null }] };
  const server = createServer((request, response) => {
    if (request.url === "/status") return void response.end('{"engine":{"model":{"id":"m","isDemonstration":false}}}');
    response.write(`data: ${JSON.stringify(head)}\n\n`, () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const { code, out, err } = await quern(["run", "--port", `${port}`, "x"]);
  server.close();
  assert.deepEqual([code, out], [1, "halb\n"]);
  assert.match(err, /broke off in mid-answer/);
  assert.doesNotMatch(err, / at .*\.ts:/, "no stack for what is no fault of ours");
});

test("a reader that has had enough ends the command quietly", async () => {
  await using server = await openTestServer({
    script: { contextTokens: 100_000, answer: () => "word ".repeat(15_000) },
  });
  const running = start(["run", "--port", `${server.port}`, "x"]);
  running.child.stdin?.end();
  await running.until(/word/);
  running.child.stdout?.destroy();
  const { code, err } = await running.finished;
  assert.deepEqual([code, err], [141, ""]);
});

test("what is not Quern, or not there, is said; an engine of our own is no stand-in for a named host", async () => {
  const server = createServer((_request, response) => void response.end("<html>"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const other = await quern(["run", "--port", `${port}`, "x"]);
  server.close();
  assert.deepEqual([other.code, other.out], [1, ""]);
  assert.match(other.err, /Something other than Quern listens/);
  const absent = await quern(["run", "--host", "quern.invalid", "x"]);
  assert.deepEqual([absent.code, absent.out], [1, ""]);
  assert.match(absent.err, /Nothing answers at http:\/\/quern\.invalid/);
});

test("with no server there, run starts an engine of its own, which needs no key and writes no log", async () => {
  const keys = path.join(home, "own-keys");
  makeKey(keys, "laptop");
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const { code, out, err } = await quern(["run", "--engine", "scripted", "--port", `${port}`, "echo this"], {
    env: { QUERN_API_KEY_FILE: keys },
  });
  assert.deepEqual([code, out, err], [0, "echo this\n", ""]);
});
