// `quern serve` with the bundled model: what it says, how it stops, what keeps it from starting.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import test from "node:test";
import { home, quern, start } from "./quern.ts";

async function served() {
  const running = start(["serve", "--port", "0", "--parallel", "2", "--context", "16K"]);
  running.child.stdin?.end();
  const text = await running.until(/Then start again/);
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0] ?? "";
  /** A long answer, of which the first bytes have come. */
  const ask = async (tokens: number) => {
    const body = JSON.stringify({
      messages: [{ role: "user", content: "你好" }],
      stream: true,
      ignore_eos: true,
      max_tokens: tokens,
    });
    const { body: stream } = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
    assert.ok(stream);
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let answer = (await reader.read()).value ?? "";
    const rest = (async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) answer += next.value;
      return answer;
    })();
    return { rest };
  };
  return { ...running, text, ask };
}

test("it says that this is the demonstration model; one Ctrl-C, even passed on twice, lets the running answer finish", async () => {
  const { child, finished, text, ask } = await served();
  assert.match(text, /This is the demonstration model/);
  assert.match(text, /qwen3-4b-instruct-2507 is not downloaded\. .*quern models pull qwen3-4b-instruct-2507/);
  const { rest } = await ask(100);
  child.kill("SIGINT");
  child.kill("SIGINT"); // as npm passes on what the terminal has sent to the whole group
  child.kill("SIGTERM");
  const answer = await rest;
  assert.match(answer, /"finish_reason":"length"[\s\S]*data: \[DONE\]\n\n$/);
  const { code, err } = await finished;
  assert.equal(code, 0);
  assert.match(err, /running answers may finish/);
});

test("a second Ctrl-C ends it at once", async () => {
  const { child, finished, until, ask } = await served();
  const { rest } = await ask(12_000);
  child.kill("SIGINT");
  await until(/press Ctrl-C again/);
  // Presses within half a second count as one, so it is pressed until it counts.
  const pressing = setInterval(() => child.kill("SIGINT"), 100);
  await assert.rejects(rest, "the answer was not cut");
  const { code } = await finished;
  clearInterval(pressing);
  assert.equal(code, 130);
});

test("Ctrl-C while the model loads ends it too", async () => {
  const running = start(["serve", "--port", "0"]);
  await running.until(/engine picked/);
  running.child.kill("SIGINT");
  const { code, err } = await running.finished;
  assert.ok(code === 130 ? /Stopped\./.test(err) : code === 0 && /is ready/.test(err), err);
});

test("a taken port, a bad model and an open address stop it with a sentence and a hint", async () => {
  const page = path.join(home, "page.gguf");
  writeFileSync(page, "<!doctype html><html>");
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  const [other, html, open, big] = await Promise.all([
    quern(["serve", "--port", `${port}`]),
    quern(["serve", "--port", "0", "--data", path.join(home, "html"), "--model", page]),
    quern(["serve", "--port", "0", "--host", "0.0.0.0"]),
    quern(["serve", "--port", "0", "--data", path.join(home, "big"), "--context", "1M", "--parallel", "256"]),
  ]);
  taken.close();
  for (const { code, err } of [other, html, open, big]) {
    assert.equal(code, 1, err);
    assert.doesNotMatch(err, / at .*\.ts:/, "no stack for what is no fault of ours");
  }
  assert.match(other.err, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is taken[\\s\\S]*--port`));
  assert.match(html.err, /it looks like a web page \(byte 0\)/);
  assert.match(open.err, /without an API key[\s\S]*quern key add/);
  assert.match(big.err, /need .* GiB; .* GiB are free[\s\S]*smaller --context/);
});
