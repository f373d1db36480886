import assert from "node:assert/strict";
import test from "node:test";
import type { ConversationHead, WorkspaceMessage, WorkspaceSearchHit } from "../../src/server/api-types.ts";
import { errorOf } from "../api/test-app.ts";
import { openWorkbench } from "./workbench.ts";

interface Listed {
  conversations: ConversationHead[];
  next?: string;
  revision: number;
}

test("the list is read page by page, pinned ones first, none twice and none missed", async () => {
  await using bench = await openWorkbench();
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) ids.push((await bench.conversation({ title: `t${n}`, isPinned: n === 2 })).id);
  const seen: string[] = [];
  let next: string | undefined;
  do {
    const after: string = next === undefined ? "" : `&after=${next}`;
    const page = await bench.call<Listed>("GET", `/workspace/conversations?limit=2${after}`);
    seen.push(...page.conversations.map(({ id }) => id));
    next = page.next;
  } while (next !== undefined);
  assert.equal(seen[0], ids[2]);
  assert.deepEqual(seen.toSorted(), ids.toSorted());
});

test("settings are checked, kept, and replaced as a whole; what is left out stays when settings change", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation({
    settings: { temperatureChoice: "creative", topK: 5 },
    leftOutIds: ["message-1"],
  });
  const at = `/workspace/conversations/${id}`;
  const { conversation } = await bench.call<{ conversation: ConversationHead }>("PATCH", at, {
    title: "新的",
    isPinned: true,
    settings: { maxTokens: 100 },
  });
  assert.equal(conversation.title, "新的");
  assert.equal(conversation.isPinned, true);
  assert.deepEqual(conversation.settings, { maxTokens: 100 });
  assert.deepEqual(conversation.leftOutIds, ["message-1"]);
  for (const [settings, param] of [
    [{ temprature: 1 }, "settings.temprature"],
    [{ temperature: 3 }, "settings.temperature"],
    [{ maxTokens: "9" }, "settings.maxTokens"],
  ] as const) {
    const response = await bench.app.request(at, { method: "PATCH", body: JSON.stringify({ settings }) });
    assert.equal(response.status, 400);
    assert.equal((await errorOf(response)).param, param);
  }
});

test("a deleted conversation leaves the list, refuses messages, and comes back whole", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation({ title: "gone" });
  await bench.ask(id, "hello");
  await bench.call("DELETE", `/workspace/conversations/${id}`);
  assert.deepEqual((await bench.call<Listed>("GET", "/workspace/conversations")).conversations, []);
  assert.equal((await bench.post(`/workspace/conversations/${id}/messages`, { text: "x" })).status, 409);
  await bench.call("POST", `/workspace/conversations/${id}/restore`);
  const { messages } = await bench.call<{ messages: unknown[] }>("GET", `/workspace/conversations/${id}`);
  assert.equal(messages.length, 2);
});

test("a change of any client raises the revision", async () => {
  await using bench = await openWorkbench();
  const revision = async (): Promise<number> => (await bench.call<Listed>("GET", "/workspace/conversations")).revision;
  const before = await revision();
  const { id } = await bench.conversation();
  const middle = await revision();
  assert.ok(middle > before);
  assert.equal(await revision(), middle);
  await bench.call("PATCH", `/workspace/conversations/${id}`, { title: "x" });
  assert.ok((await revision()) > middle);
});

test("search finds titles and words in messages, two Chinese characters among them, and nothing deleted", async () => {
  await using bench = await openWorkbench();
  const titled = await bench.conversation({ title: "华东手机报告" });
  const spoken = await bench.conversation({ title: "other" });
  const deleted = await bench.conversation({ title: "手机二" });
  await bench.ask(spoken.id, "上个季度手机销量下降了");
  await bench.call("DELETE", `/workspace/conversations/${deleted.id}`);
  const { hits } = await bench.call<{ hits: WorkspaceSearchHit[] }>(
    "GET",
    `/workspace/search?q=${encodeURIComponent("手机")}`,
  );
  assert.equal(hits[0]?.conversationId, titled.id);
  assert.equal(hits[0]?.messageId, undefined);
  assert.deepEqual(new Set(hits.map(({ conversationId }) => conversationId)), new Set([titled.id, spoken.id]));
  assert.equal((await bench.app.request("/workspace/search?q=")).status, 400);
});

test("a conversation that was exported comes into another workspace as it was, once", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation({
    title: "报告/一",
    isPinned: true,
    settings: { systemPrompt: "Be short." },
  });
  const { message, answer } = await bench.ask(id, "看附件", {
    attachments: [{ name: "a.txt", text: "内容" }],
    isSlimmed: true,
  });
  const { answer: second } = await bench.call<{ answer: WorkspaceMessage }>(
    "POST",
    `/workspace/conversations/${id}/answer`,
    { parentId: message.id },
  );
  await bench.updates(second.id);
  await bench.call("PATCH", `/workspace/conversations/${id}`, { leafId: answer.id });
  const exported = await bench.app.request(`/workspace/conversations/${id}/export?format=json`);
  assert.match(exported.headers.get("content-disposition") ?? "", /^attachment; filename\*=UTF-8''/);
  const file = await exported.json();
  await using other = await openWorkbench();
  const result = await other.call("POST", "/workspace/import", file);
  assert.deepEqual(result, { imported: [id], skipped: [] });
  const again = (await (
    await other.app.request(`/workspace/conversations/${id}/export?format=json`)
  ).json()) as typeof file;
  const withoutFileIds = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (key, inner) =>
        key === "attachments" ? inner.map(({ name, text }: { name: string; text: string }) => [name, text]) : inner,
      ),
    );
  assert.deepEqual(withoutFileIds(again), withoutFileIds(file));
  assert.deepEqual(await other.call("POST", "/workspace/import", file), { imported: [], skipped: [id] });
});

test("conversations of the browser come in with branches, errors and times, one cut off as failed", async () => {
  await using bench = await openWorkbench();
  const message = (id: string, more: object) => ({
    id,
    conversationId: "local-0001",
    attachments: [],
    createdAt: 5,
    ...more,
  });
  const file = {
    conversation: {
      id: "local-0001",
      title: "旧的",
      isPinned: false,
      createdAt: 5,
      updatedAt: 9,
      leafId: "answer-b1",
      settings: { temperatureChoice: "auto", systemPrompt: "" },
      leftOutIds: [],
    },
    messages: [
      message("answer-b1", {
        parentId: "question-1",
        role: "assistant",
        text: "cut here",
        state: "cut",
        createdAt: 7,
        stats: { promptTokens: 3, cachedTokens: 1, completionTokens: 11, firstTokenMs: 40, tokensPerSecond: 100 },
      }),
      message("answer-a1", {
        parentId: "question-1",
        role: "assistant",
        text: "half",
        state: "streaming",
        createdAt: 6,
      }),
      message("question-1", {
        role: "user",
        text: "?",
        state: "complete",
        attachments: [{ id: "x", name: "p.txt", text: "pasted", lineCount: 1, isPasted: true }],
      }),
    ],
  };
  await bench.call("POST", "/workspace/import", { conversations: [file] });
  const { conversation, messages } = await bench.call<{ conversation: ConversationHead; messages: WorkspaceMessage[] }>(
    "GET",
    "/workspace/conversations/local-0001",
  );
  assert.deepEqual([conversation.createdAt, conversation.updatedAt, conversation.leafId], [5, 9, "answer-b1"]);
  assert.deepEqual(
    messages.map(({ id, state }) => [id, state]),
    [
      ["question-1", "complete"],
      ["answer-a1", "failed"],
      ["answer-b1", "cut"],
    ],
  );
  assert.equal(messages[2]?.stats?.tokensPerSecond, 100);
  assert.equal(messages[0]?.attachments[0]?.isPasted, true);
});

test("a file whose messages hang on nothing, or are there twice, changes nothing", async () => {
  await using bench = await openWorkbench();
  const conversation = { id: "local-0002", title: "x" };
  const message = { id: "question-1", role: "user", text: "?" };
  for (const messages of [
    [{ ...message, parentId: "nobody-000" }],
    [message, { ...message }],
    [
      { ...message, id: "circle-001", parentId: "circle-002" },
      { ...message, id: "circle-002", parentId: "circle-001" },
    ],
  ]) {
    assert.equal((await bench.post("/workspace/import", { conversation, messages })).status, 400);
  }
  assert.equal(
    (await bench.post("/workspace/import", { format: "quern-conversation", version: 2, conversation, messages: [] }))
      .status,
    400,
  );
  assert.deepEqual((await bench.call<Listed>("GET", "/workspace/conversations")).conversations, []);
});

test("Markdown holds the branch that is shown", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation({ title: "报告" });
  await bench.ask(id, "**hello**");
  const response = await bench.app.request(`/workspace/conversations/${id}/export`);
  assert.equal(await response.text(), "# 报告\n\n## User\n\n**hello**\n\n## scripted\n\n**hello**\n");
});

test("settings of the page are kept by name, forgotten with null, and refused whole when one is wrong", async () => {
  await using bench = await openWorkbench();
  await bench.call("PATCH", "/workspace/settings", { language: "zh", "new.chat": { temperatureChoice: "precise" } });
  assert.deepEqual(await bench.call("PATCH", "/workspace/settings", { language: null }), {
    settings: { "new.chat": { temperatureChoice: "precise" } },
  });
  const refused = await bench.app.request("/workspace/settings", { method: "PATCH", body: '{"good":1,"no name":2}' });
  assert.equal(refused.status, 400);
  assert.deepEqual(await bench.call("GET", "/workspace/settings"), {
    settings: { "new.chat": { temperatureChoice: "precise" } },
  });
});

test("the audit log names the actor and its chain holds", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation({ title: "a" });
  await bench.ask(id, "hello");
  const { entries } = await bench.call<{ entries: { actor: string; entity: string }[] }>(
    "GET",
    `/workspace/audit?entityId=${id}`,
  );
  assert.ok(entries.length > 0 && entries.every(({ actor }) => actor === "local"));
  const verdict = await bench.call<{ ok: boolean; rows: number }>("GET", "/workspace/audit/verify");
  assert.equal(verdict.ok, true);
});

test("a file is stored whatever it is, comes back as a download, and only text can be attached", async () => {
  await using bench = await openWorkbench();
  const bytes = Uint8Array.of(0xff, 0xfe, 0, 1);
  const stored = await bench.app.request("/workspace/files?name=..%2Fpage.html", {
    method: "POST",
    body: bytes,
    headers: { "content-type": "text/html" },
  });
  const { file } = (await stored.json()) as { file: { id: string; name: string } };
  assert.equal(file.name, "page.html");
  const content = await bench.app.request(`/workspace/files/${file.id}/content`);
  assert.deepEqual(new Uint8Array(await content.arrayBuffer()), bytes);
  assert.equal(content.headers.get("content-type"), "application/octet-stream");
  const { id } = await bench.conversation();
  const refused = await bench.post(`/workspace/conversations/${id}/messages`, {
    text: "x",
    attachments: [{ id: file.id }],
  });
  assert.equal((await errorOf(refused)).code, "unsupported");
});

test("what is not there is 404, what is not for a path 405, and a foreign host or page is refused", async () => {
  await using bench = await openWorkbench();
  for (const path of [
    "/workspace/conversations/none",
    "/workspace/messages/none/events",
    "/workspace/files/none",
    "/workspace/jobs/none",
  ]) {
    assert.equal((await bench.app.request(path)).status, 404, path);
  }
  assert.equal((await bench.app.request("/workspace/slim")).status, 405);
  assert.equal(
    (await bench.app.request("/workspace/conversations", { headers: { host: "evil.example" } })).status,
    403,
  );
  assert.equal(
    (await bench.app.request("/workspace/conversations", { headers: { origin: "https://evil.example" } })).status,
    403,
  );
});
