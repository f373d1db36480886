import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { parseSettings } from "../../src/base/settings.ts";
import type { Command, CommandContext } from "../../src/cli/command.ts";
import { audit, backup, restore } from "../../src/cli/store.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { lockWorkspace } from "../../src/workspace/workspace-lock.ts";

interface Place extends Disposable {
  data: string;
  run(command: Command, ...args: string[]): Promise<{ code: number; out: string; notes: string }>;
}

function openPlace(): Place {
  const data = mkdtempSync(path.join(tmpdir(), "quern-store-"));
  const { settings, sources } = parseSettings([], {});
  return {
    data,
    async run(command, ...args) {
      let out = "";
      let notes = "";
      const terminal = {
        isTerminal: false,
        out: (text: string) => {
          out += text;
        },
        note: (line: string) => {
          notes += `${line}\n`;
        },
        progress: () => undefined,
        bold: (text: string) => text,
        dim: (text: string) => text,
      } as CommandContext["terminal"];
      const signal = new AbortController().signal;
      const code = await command.run({
        settings: { ...settings, data },
        sources,
        args,
        terminal,
        log: silentLog,
        signal,
      });
      return { code, out, notes };
    },
    [Symbol.dispose]: () => rmSync(data, { recursive: true, force: true }),
  };
}

test("a live workspace is backed up, and restored under an open connection", async () => {
  using place = openPlace();
  using workspace = openWorkspace(place.data);
  const { id } = workspace.conversations.create({ title: "kept" });
  const folder = path.join(place.data, "copy");
  assert.equal((await place.run(backup, folder)).code, 0);
  workspace.conversations.update(id, { title: "changed" });
  assert.equal((await place.run(restore, folder)).code, 0);
  assert.equal(workspace.conversations.get(id).title, "kept");
});

test("a backup is not written over another, and both commands want one folder", async () => {
  using place = openPlace();
  openWorkspace(place.data)[Symbol.dispose]();
  const folder = path.join(place.data, "copy");
  await place.run(backup, folder);
  await assert.rejects(place.run(backup, folder), { code: "conflict" });
  await assert.rejects(place.run(backup), { code: "bad_request" });
  await assert.rejects(place.run(restore, "a", "b"), { code: "bad_request" });
  await assert.rejects(place.run(restore, path.join(place.data, "none")), { code: "not_found" });
});

test("the audit log is listed without anybody's words, and a tampered row is named", async () => {
  using place = openPlace();
  {
    using workspace = openWorkspace(place.data);
    workspace.store.as("anna", () => workspace.conversations.create({ title: "a secret title" }));
    workspace.conversations.create({ title: "second" });
  }
  const listed = await place.run(audit, "list");
  assert.match(listed.out, /anna {9}insert conversations/);
  assert.doesNotMatch(listed.out, /secret/);
  const fine = await place.run(audit, "verify");
  assert.equal(fine.code, 0);
  assert.match(fine.out, /^2 entries, all in order/);
  const database = new DatabaseSync(path.join(place.data, "workspace.sqlite"));
  database.exec("DROP TRIGGER audit_no_update; UPDATE audit SET actor = 'ben' WHERE sequence = 1");
  database.close();
  const tampered = await place.run(audit, "verify");
  assert.equal(tampered.code, 1);
  assert.match(tampered.notes, /entry 1/);
});

test("without a workspace the commands say so instead of making one", async () => {
  using place = openPlace();
  await assert.rejects(place.run(audit, "verify"), { code: "not_found" });
  await assert.rejects(place.run(backup, path.join(place.data, "copy")), { code: "not_found" });
});

test("two servers do not share a workspace; when the first has gone the second may", () => {
  using place = openPlace();
  const first = lockWorkspace(place.data);
  assert.throws(() => lockWorkspace(place.data), { code: "conflict" });
  first[Symbol.dispose]();
  lockWorkspace(place.data)[Symbol.dispose]();
});
