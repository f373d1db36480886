import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { listAudit, verifyAudit } from "../../src/workspace/audit.ts";
import { backupWorkspace, databaseName, restoreWorkspace } from "../../src/workspace/backup.ts";
import { Conversations } from "../../src/workspace/conversations.ts";
import { toPlainName } from "../../src/workspace/files.ts";
import { searchMessages } from "../../src/workspace/search.ts";
import { Store } from "../../src/workspace/store.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";

const folder = (): string => mkdtempSync(path.join(os.tmpdir(), "quern-store-"));

function memory(): { store: Store; conversations: Conversations } {
  let clock = 1_000;
  const store = new Store({ file: ":memory:", now: () => clock++ });
  return { store, conversations: new Conversations(store) };
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
  return "nothing was thrown";
};

test("editing and regenerating add branches, and the shown one is a chain of parents", () => {
  const { conversations } = memory();
  const { id: conversationId } = conversations.create({ title: "周报" });
  const question = conversations.add({ conversationId, role: "user", content: "一" });
  conversations.add({ conversationId, parentId: question.id, role: "assistant", content: "答一" });
  const second = conversations.add({ conversationId, parentId: question.id, role: "assistant", content: "答二" });
  assert.deepEqual(
    conversations.branch(second.id).map(({ content }) => content),
    ["一", "答二"],
  );
  assert.equal(conversations.messages(conversationId).length, 3);
  assert.equal(conversations.get(conversationId).leafId, second.id);
});

test("a streaming answer is readable piece by piece, and a piece sent twice is kept once", () => {
  const { conversations } = memory();
  const { id: conversationId } = conversations.create({ title: "t" });
  const answer = conversations.add({ conversationId, role: "assistant", state: "streaming" });
  conversations.appendPiece(answer.id, 0, "你好");
  conversations.appendPiece(answer.id, 2, "，世界");
  conversations.appendPiece(answer.id, 2, "，世界");
  assert.equal(conversations.message(answer.id).content, "你好，世界");
  const ended = conversations.endAnswer(answer.id, { state: "done", reason: "stop", details: { completionTokens: 4 } });
  assert.deepEqual([ended.content, ended.state, ended.details], ["你好，世界", "done", { completionTokens: 4 }]);
  assert.equal(conversations.endAnswer(answer.id, { state: "failed" }).state, "done");
});

test("an answer that a dead server left is closed with what had arrived", () => {
  const data = folder();
  {
    using workspace = openWorkspace(data);
    const { id: conversationId } = workspace.conversations.create({ title: "t" });
    const answer = workspace.conversations.add({ conversationId, role: "assistant", state: "streaming" });
    workspace.conversations.appendPiece(answer.id, 0, "half an ans");
  }
  using workspace = openWorkspace(data);
  assert.equal(workspace.recovered.answers, 1);
  const [conversation] = workspace.conversations.list();
  const [message] = workspace.conversations.messages(conversation?.id ?? "");
  assert.deepEqual([message?.state, message?.content], ["failed", "half an ans"]);
});

test("two neighbouring Chinese characters are found inside a sentence, and others are not", () => {
  const { store, conversations } = memory();
  const { id: conversationId } = conversations.create({ title: "销售" });
  conversations.add({ conversationId, role: "user", content: "华东区的手机品类环比增长了23%，主因是新品首发。" });
  conversations.add({ conversationId, role: "user", content: "The quarterly report mentions handsets." });
  assert.equal(searchMessages(store, "手机").length, 1);
  assert.equal(searchMessages(store, "机手").length, 0);
  assert.equal(searchMessages(store, "品类 首发").length, 1);
  assert.equal(searchMessages(store, "QUART").length, 1);
  assert.equal(searchMessages(store, '"; DROP TABLE messages; --').length, 0);
  assert.match(searchMessages(store, "环比")[0]?.excerpt ?? "", /环比增长/);
});

test("deleting hides, restoring brings back, purging removes with messages and search terms", () => {
  const { store, conversations } = memory();
  const { id } = conversations.create({ title: "t" });
  conversations.add({ conversationId: id, role: "user", content: "手机" });
  conversations.delete(id);
  assert.equal(conversations.list().length, 0);
  assert.equal(searchMessages(store, "手机").length, 0);
  conversations.restore(id);
  assert.equal(searchMessages(store, "手机").length, 1);
  conversations.delete(id);
  assert.equal(conversations.purge(Number.MAX_SAFE_INTEGER), 1);
  assert.equal(store.rows("SELECT * FROM messages").length, 0);
});

test("the audit log names who changed what, before and after", () => {
  const { store, conversations } = memory();
  const { id } = store.as("lin", () => conversations.create({ title: "old" }));
  store.as("wang", () => conversations.update(id, { title: "new" }));
  const [newest, oldest] = listAudit(store, { entity: "conversations" });
  assert.deepEqual([oldest?.actor, oldest?.action, newest?.actor, newest?.action], ["lin", "insert", "wang", "update"]);
  assert.deepEqual(
    [newest?.before, newest?.after].map((state) => (state as { title: string }).title),
    ["old", "new"],
  );
  assert.equal(verifyAudit(store).ok, true);
});

test("the audit log refuses update and delete", () => {
  const { store, conversations } = memory();
  conversations.create({ title: "t" });
  assert.throws(() => store.run("UPDATE audit SET actor = 'nobody'"), /append-only/);
  assert.throws(() => store.run("DELETE FROM audit"), /append-only/);
});

test("a row changed, removed or cut off behind the log's back is found", () => {
  for (const tamper of [
    "UPDATE audit SET after = '{}' WHERE sequence = 2",
    "DELETE FROM audit WHERE sequence = 2",
    "DELETE FROM audit WHERE sequence = 3",
    "UPDATE audit SET actor = 'nobody' WHERE sequence = 3",
  ]) {
    const { store, conversations } = memory();
    for (const title of ["a", "b", "c"]) conversations.create({ title });
    store.database.exec("DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete;");
    store.database.exec(tamper);
    assert.equal(verifyAudit(store).ok, false, tamper);
  }
});

test("a store of a newer version is refused and not touched", () => {
  const file = path.join(folder(), databaseName);
  new Store({ file })[Symbol.dispose]();
  const raw = new DatabaseSync(file);
  raw.exec("PRAGMA user_version = 99");
  raw.close();
  assert.equal(
    codeOf(() => new Store({ file })),
    "conflict",
  );
  const again = new DatabaseSync(file);
  assert.equal((again.prepare("PRAGMA user_version").get() as { user_version: number }).user_version, 99);
  again.close();
});

test("a file that is no database is refused with a sentence", () => {
  const file = path.join(folder(), databaseName);
  writeFileSync(file, "<html>not a database, but long enough to look at as if it were one</html>".repeat(20));
  assert.equal(
    codeOf(() => new Store({ file })),
    "unreadable",
  );
});

test("a backup of a live workspace holds everything, and restoring brings it back under an open connection", async () => {
  const [data, target] = [folder(), path.join(folder(), "copy")];
  using workspace = openWorkspace(data);
  workspace.conversations.create({ title: "kept" });
  const file = workspace.files.add(Buffer.from("content"), { name: "a.txt", mediaType: "text/plain" });
  await backupWorkspace(data, target);
  await assert.rejects(backupWorkspace(data, target), { code: "conflict" });
  workspace.conversations.create({ title: "written after the backup" });
  await restoreWorkspace(target, data);
  assert.deepEqual(
    workspace.conversations.list().map(({ title }) => title),
    ["kept"],
  );
  assert.equal(workspace.files.read(file.id).toString(), "content");
  writeFileSync(path.join(target, databaseName), "broken");
  await assert.rejects(restoreWorkspace(target, data), { code: "unreadable" });
  assert.equal(workspace.conversations.list().length, 1);
});

test("the same content is stored once, and names cannot leave the folder", () => {
  using workspace = openWorkspace(folder());
  const one = workspace.files.add(Buffer.from("same"), { name: "../../etc/passwd", mediaType: "text/plain" });
  const two = workspace.files.add(Buffer.from("same"), { name: "b.txt", mediaType: "text/plain" });
  assert.equal(one.name, "passwd");
  assert.equal(one.sha256, two.sha256);
  workspace.files.delete(one.id);
  assert.equal(
    codeOf(() => workspace.files.read(one.id)),
    "not_found",
  );
  assert.equal(workspace.files.read(two.id).toString(), "same");
  assert.deepEqual([toPlainName(".."), toPlainName("a\\b\u0000.txt"), toPlainName("")], ["file", "b.txt", "file"]);
});
