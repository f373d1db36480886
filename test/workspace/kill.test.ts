import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { verifyAudit } from "../../src/workspace/audit.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";

/** Runs the writer and kills it once it has acknowledged `killAfter` writes; returns the acknowledged ids. */
async function acknowledgedBeforeKill(data: string, killAfter: number): Promise<string[]> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "kill-writer.ts"), data], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split("\n").length > killAfter) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.on("close", resolve));
  // The last line may be half written; an id without its line end was not acknowledged.
  return output
    .split("\n")
    .slice(0, -1)
    .filter((line) => line !== "end");
}

test("kill -9 at any of 200 writes loses no acknowledged one", async () => {
  for (const killAfter of [1, 7, 23, 64, 101, 150, 199]) {
    const data = mkdtempSync(path.join(os.tmpdir(), "quern-kill-"));
    const acknowledged = await acknowledgedBeforeKill(data, killAfter);
    assert.ok(acknowledged.length >= killAfter, `only ${acknowledged.length} writes before the kill at ${killAfter}`);
    using workspace = openWorkspace(data);
    const kept = new Set(
      workspace.conversations.messages(workspace.conversations.list()[0]?.id ?? "").map(({ id }) => id),
    );
    assert.deepEqual(
      acknowledged.filter((id) => !kept.has(id)),
      [],
    );
    assert.equal(verifyAudit(workspace.store).ok, true);
  }
});
