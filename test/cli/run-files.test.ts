// `quern run -f`: files and globs as part of the question.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { OfficeDoor } from "../../src/server/office/office-door.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { openTestServer } from "../api/test-app.ts";
import { quern } from "./quern.ts";

test("files and globs go along whole, or as far as --fit makes them; what was left out is said beside the answer", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-run-files-"));
  const clause = (n: number): string => `第${n}条 双方应当按照约定履行义务，并互相通知变更事项。`;
  writeFileSync(path.join(folder, "a.md"), "付款条款：三十天。\n");
  writeFileSync(path.join(folder, "b.md"), "保密期：两年。\n");
  writeFileSync(path.join(folder, "long.txt"), Array.from({ length: 90 }, (_, n) => clause(n)).join("\n\n"));
  const prompts: string[] = [];
  const workspace = openWorkspace(folder);
  await using office = new OfficeDoor({ files: workspace.files, dataFolder: folder });
  await using server = await openTestServer({
    office,
    script: {
      contextTokens: 2000,
      answer: (_request, prompt) => {
        prompts.push(prompt);
        return "三十天 [第 1 页]，另见 [第 7 页]。";
      },
    },
  });
  const ask = (...args: string[]) => quern(["run", "--port", `${server.port}`, ...args], { cwd: folder });
  const both = await ask("-f", "*.md", "付款条款？");
  assert.deepEqual([both.code, both.out], [0, "三十天 [第 1 页]，另见 [第 7 页]。\n"]);
  assert.match(both.err, /not given: 7/);
  assert.match(
    prompts[0] ?? "",
    /document 1 \w+: a\.md>>>[\s\S]*三十天[\s\S]*document 2 \w+: b\.md>>>[\s\S]*两年[\s\S]*付款条款？/,
  );
  const whole = await ask("-f", "long.txt", "第7条？");
  assert.equal(whole.code, 1);
  assert.match(whole.err, /long\.txt[\s\S]*--fit relevant/);
  const part = await ask("-f", "long.txt", "--fit", "relevant", "第7条？");
  assert.equal(part.code, 0, part.err);
  assert.match(part.err, /《long\.txt》太长/);
  const piped = await quern(["run", "--port", `${server.port}`, "-f", "a.md", "付款条款？"], {
    cwd: folder,
    input: "补充：预付一成。",
  });
  assert.equal(piped.code, 0, piped.err);
  assert.match(prompts.at(-1) ?? "", /standard-input\.txt>>>[\s\S]*预付一成/);
  for (const [args, code, words] of [
    [["-f", "none-*.pdf", "x"], 1, /none-\*\.pdf does not exist/],
    [["-f", "a.md", "--fit", "some", "x"], 2, /"some" is none of/],
    [["-f", "a.md"], 2, /needs a question/],
  ] as const) {
    const refused = await ask(...args);
    assert.equal(refused.code, code, refused.err);
    assert.match(refused.err, words);
  }
  workspace[Symbol.dispose]();
});

test("with no server there, run reads files by itself and keeps nothing of them", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-own-files-"));
  writeFileSync(path.join(folder, "a.md"), "付款条款：三十天。\n");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const { code, out, err } = await quern(["run", "--engine", "scripted", "--port", `${port}`, "-f", "a.md", "付款？"], {
    cwd: folder,
    env: { TMPDIR: folder },
  });
  assert.equal(code, 0, err);
  assert.match(out, /付款条款：三十天。/); // the scripted engine repeats what it was asked
  assert.deepEqual(readdirSync(folder), ["a.md"]);
  writeFileSync(path.join(folder, "long.txt"), "双方应当互相通知。\n\n".repeat(300));
  const refused = await quern(
    ["run", "--engine", "scripted", "--context", "1024", "--port", `${port}`, "-f", "long.txt", "付款？"],
    { cwd: folder },
  );
  assert.equal(refused.code, 1);
  assert.match(
    refused.err,
    /^quern: With long\.txt the prompt has \d+ tokens[\s\S]*--fit relevant/,
    "once, and in no log line",
  );
});

test("read prints what it can of many files, and says which it could not", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-read-files-"));
  writeFileSync(path.join(folder, "a.md"), "付款条款：三十天。\n");
  writeFileSync(path.join(folder, "b.pdf"), "%PDF-1.7 and no more");
  writeFileSync(path.join(folder, "c.md"), "保密期：两年。\n");
  const { code, out, err } = await quern(["read", "[ab].*", "c.md"], { cwd: folder });
  assert.equal(code, 1);
  assert.equal(out, "<!-- a.md -->\n\n付款条款：三十天。\n<!-- c.md -->\n\n保密期：两年。\n");
  assert.match(err, /b\.pdf/);
  const json = await quern(["read", "--json", "a.md"], { cwd: folder });
  assert.equal((JSON.parse(json.out) as { name: string }).name, "a.md");
  assert.equal((await quern(["read", "b.pdf"], { cwd: folder })).code, 1);
});
