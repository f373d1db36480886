// The engine's kernels without a GPU: the GPU's own tests, those that are quick enough, over the PTX machine.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import test, { type TestContext } from "node:test";

const root = path.join(import.meta.dirname, "../..");

/** Runs GPU tests in a process whose driver is the PTX machine. */
async function pass(
  t: TestContext,
  file: string,
  options: { names?: readonly string[]; env: NodeJS.ProcessEnv; least: number },
) {
  const { names = [], env, least } = options;
  const { NODE_TEST_CONTEXT: _, ...ours } = process.env;
  const said = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      [
        ...["--import", "./test/ptx-machine/register.ts", "--test", "--test-reporter=tap"],
        ...[...names.map((name) => `--test-name-pattern=${name}`), file],
      ],
      { cwd: root, env: { ...ours, ...env }, maxBuffer: 2 ** 24 },
      (_error, stdout, stderr) => resolve(stdout + stderr),
    );
  });
  const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)`, "m").exec(said)?.[1] ?? -1);
  assert.equal(count("fail"), 0, said);
  assert.ok(count("pass") >= least && count("skipped") === 0, said);
  for (const [, line = ""] of said.matchAll(/^ *# (.*relative error.*)$/gm)) t.diagnostic(line);
  t.diagnostic(`${count("pass")} passed`);
}

for (const capability of [90, 80]) {
  test(`kernels of compute capability ${capability / 10}`, (t) =>
    pass(t, "src/engine/cuda/kernels.gpu.test.ts", {
      names: [
        "^weights in tiles",
        "matrix products",
        "norm, quantisation",
        "attention of one new token",
        "every stage.* a batch of (8|32)",
      ],
      env: { PTX_CAPABILITY: String(capability), PTX_RACES: "refused" },
      least: 39,
    }));
}

test("a prompt and its next tokens", (t) =>
  pass(t, "src/engine/cuda/tokens.gpu.test.ts", { env: { PTX_MULTIPROCESSORS: "6", PTX_COPIES: "early" }, least: 1 }));
