// `quern chat`: piped, and on a terminal of its own, where Ctrl-C is a key.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { openTestServer, until } from "../api/test-app.ts";
import { home, launcher, quern, start } from "./quern.ts";

test("piped lines are turns of one conversation; commands work; a cut answer is said to be", async () => {
  const prompts: string[] = [];
  await using server = await openTestServer({
    defaults: { sampling: { ...(await import("../../src/engine/contract.ts")).plainSampling }, maxTokens: 6 },
    script: {
      answer: (_request, prompt) => {
        prompts.push(prompt);
        return prompts.length === 1 ? "eins" : "zwei und mehr";
      },
    },
  });
  const file = path.join(home, "saved.md");
  const input = `/system be brief\nfirst\nsecond\n/save ${file}\n/save ${file}\n/nonsense\n/exit\nnot asked\n`;
  const { code, out, err } = await quern(["chat", "--port", `${server.port}`], { input });
  assert.deepEqual([code, out], [0, "eins\nzwei u\n"]);
  assert.match(prompts[1] ?? "", /be brief[\s\S]*first[\s\S]*eins[\s\S]*second/);
  assert.equal(prompts.length, 2);
  assert.match(err, /cut at 6 tokens/);
  assert.match(err, /Saved 5 messages/);
  assert.match(err, /saved\.md exists; choose another name/);
  assert.match(err, /There is no \/nonsense/);
  assert.match(readFileSync(file, "utf8"), /^\*\*system\*\*\n\nbe brief\n\n\*\*user\*\*\n\nfirst/);
});

// util-linux's script gives a command a terminal; BSD's takes other options.
const hasTerminal = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") ?? false;

test("Ctrl-C stops the answer and not the program, which answers the next question; the second one, at the prompt, leaves", {
  skip: hasTerminal ? false : "needs script of util-linux, to have a terminal",
}, async () => {
  let asked = 0;
  await using server = await openTestServer({
    script: {
      tokensPerSecond: 200,
      contextTokens: 100_000,
      *answer() {
        if (++asked > 1) return yield "the end";
        for (;;) yield "x";
      },
    },
  });
  const command = `"${process.execPath}" "${launcher}" chat --port ${server.port}`;
  const terminal = start(["-qefc", command, "/dev/null"], { file: "script" });
  await terminal.until(/> /);
  terminal.child.stdin?.write("go\n");
  await terminal.until(/xxx/);
  terminal.child.stdin?.write("\u0003");
  await terminal.until(/\(stopped\)/);
  await until(() => server.engine.status().runningRequests === 0);
  terminal.child.stdin?.write("next\n");
  await terminal.until(/the end[\s\S]*> /); // before its prompt the key would stop the answer
  terminal.child.stdin?.write("\u0003");
  const { code } = await terminal.finished;
  assert.equal(code, 0);
  assert.equal(server.engine.status().totals.aborts, 1);
});
