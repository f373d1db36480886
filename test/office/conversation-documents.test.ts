// Documents in the workspace's conversations: read like file parts of any client, kept with the answer, carried by export and import.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import type { AnswerUpdateBody, BudgetBody, WorkspaceMessage } from "../../src/server/api-types.ts";
import { OfficeDoor } from "../../src/server/office/office-door.ts";
import { openWorkspaceDoor } from "../../src/server/workspace/workspace-door.ts";
import { openTestApp, sseEvents, until } from "../api/test-app.ts";
import { encryptedPdf } from "../documents/encrypted-pdf.ts";

test("a question with a document: read, answered, cited, exported and brought in again", async () => {
  const prompts: string[] = [];
  const engine = openScriptedEngine({
    contextTokens: 2000,
    answer: (_request, prompt) => {
      prompts.push(prompt);
      return "三十天 [第 1 页]，罚则 [第 9 页]。";
    },
  });
  const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-conversation-"));
  await using workspace = openWorkspaceDoor({ engine, log: silentLog, dataFolder, hub: "", gpu: "none" });
  await using office = new OfficeDoor({ files: workspace.workspace.files, dataFolder });
  await using served = openTestApp({ engine, workspace, office, checkHost: false });
  const { id: fileId } = workspace.workspace.files.add(Buffer.from("付款条款：三十天。\n\n保密期：两年。"), {
    name: "合同.txt",
    mediaType: "text/plain",
  });
  const edits = [{ page: 1, segment: 1, text: "保密期：三年。" }];
  const attachments = [{ id: fileId, document: { kind: "text", pages: 1, tokens: 25, edits } }];
  const { conversation } = (await (await served.post("/workspace/conversations", {})).json()) as {
    conversation: { id: string };
  };
  const budget = (await (
    await served.post("/workspace/budget", { conversationId: conversation.id, text: "付款？", attachments })
  ).json()) as BudgetBody;
  assert.equal(budget.parts.files, 25);
  const asked = await served.post(`/workspace/conversations/${conversation.id}/messages`, {
    text: "付款条款？",
    attachments,
    fileOverflow: "relevant",
    answer: {},
  });
  const { message, answer } = (await asked.json()) as { message: WorkspaceMessage; answer: WorkspaceMessage };
  assert.equal(asked.status, 201, JSON.stringify(message));
  assert.deepEqual([message.attachments[0]?.name, message.attachments[0]?.document?.pages], ["合同.txt", 1]);
  assert.equal(message.fileOverflow, "relevant");
  await (await served.app.request(`/workspace/messages/${answer.id}/events`)).text();
  assert.match(prompts[0] ?? "", /付款条款：三十天。[\s\S]*保密期：三年。[\s\S]*付款条款？/);
  const read = (await (await served.app.request(`/workspace/messages/${answer.id}`)).json()) as {
    message: WorkspaceMessage;
  };
  assert.deepEqual(
    read.message.files?.citations.map(({ pages, is_given }) => [pages[0], is_given]),
    [
      [1, true],
      [9, false],
    ],
  );

  const exported = await (
    await served.app.request(`/workspace/conversations/${conversation.id}/export?format=json`)
  ).text();
  await served.app.request(`/workspace/conversations/${conversation.id}`, { method: "DELETE" });
  const file = JSON.parse(exported.replaceAll(conversation.id, "imported-conversation")) as {
    conversation: { leafId: string };
    messages: WorkspaceMessage[];
  };
  for (const each of [...file.messages, ...file.messages]) {
    each.id = each.id.startsWith("in-") ? each.id : `in-${each.id}`;
    if (each.parentId && !each.parentId.startsWith("in-")) each.parentId = `in-${each.parentId}`;
  }
  file.conversation.leafId = `in-${file.conversation.leafId}`;
  const imported = await served.post("/workspace/import", file);
  assert.equal(imported.status, 200, await imported.clone().text());
  const again = await served.post("/workspace/conversations/imported-conversation/messages", {
    text: "再说一遍",
    answer: {},
  });
  assert.equal(again.status, 201, await again.clone().text());
  const second = (await again.json()) as { answer: WorkspaceMessage };
  await (await served.app.request(`/workspace/messages/${second.answer.id}/events`)).text();
  assert.match(prompts.at(-1) ?? "", /付款条款：三十天。[\s\S]*保密期：三年。[\s\S]*再说一遍/);
});

test("a long document is summarised as the answer's first part: told section by section, stopped like any answer, and said in it", async () => {
  let hold = Promise.withResolvers<void>();
  const engine = openScriptedEngine({
    contextTokens: 1500,
    answer: (_request, prompt) => (/摘要|整理出/.test(prompt) ? "要点：三十天 [第 1 页]" : "三十天 [第 1 页]。"),
  });
  const generate = engine.generate.bind(engine);
  engine.generate = async function* (request, options) {
    if (request.priority === "batch") await Promise.race([hold.promise, aborted(options?.signal)]);
    yield* generate(request, options);
  };
  const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-summary-"));
  await using workspace = openWorkspaceDoor({ engine, log: silentLog, dataFolder, hub: "", gpu: "none" });
  await using office = new OfficeDoor({ files: workspace.workspace.files, dataFolder });
  await using served = openTestApp({ engine, workspace, office, checkHost: false });
  const text = Array.from({ length: 60 }, (_, n) => `第${n}条：双方应当按照约定履行义务，并互相通知变更事项。`).join(
    "\n\n",
  );
  const { id } = workspace.workspace.files.add(Buffer.from(text), { name: "长.txt", mediaType: "text/plain" });
  const { conversation } = (await (await served.post("/workspace/conversations", {})).json()) as {
    conversation: { id: string };
  };
  const ask = async (): Promise<string> => {
    const asked = await served.post(`/workspace/conversations/${conversation.id}/messages`, {
      text: "付款条款？",
      attachments: [{ id, document: { kind: "text", pages: 1, tokens: 2000 } }],
      fileOverflow: "summarise",
      answer: {},
    });
    assert.equal(asked.status, 201, await asked.clone().text());
    return ((await asked.json()) as { answer: WorkspaceMessage }).answer.id;
  };
  const events = async (answerId: string) =>
    sseEvents<AnswerUpdateBody>(await (await served.app.request(`/workspace/messages/${answerId}/events`)).text());

  const stopped = await ask();
  await until(() => workspace.answers.list()[0]?.phase === "files");
  assert.deepEqual(workspace.answers.list()[0]?.files?.stage, "sections");
  await served.post(`/workspace/messages/${stopped}/stop`, {});
  const [end] = (await events(stopped)).slice(-1);
  assert.equal(end?.type === "end" && end.message.state, "stopped");
  assert.equal(workspace.answers.count, 0);

  hold = Promise.withResolvers();
  const whole = await ask();
  const told = events(whole);
  hold.resolve();
  const last = (await told).at(-1);
  assert.ok((await told).some(({ type }) => type === "files"));
  assert.ok(last?.type === "end" && last.message.state === "complete", JSON.stringify(last));
  assert.equal(last.message.files?.left_out[0]?.how, "summarised");
  assert.match(last.message.files?.left_out[0]?.statement ?? "", /《长\.txt》太长/);
  assert.equal(last.message.files?.citations[0]?.is_given, true);
});

const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));

test("the password of a document opens it for the answers, and is written nowhere", async () => {
  const prompts: string[] = [];
  const engine = openScriptedEngine({
    answer: (_request, prompt) => {
      prompts.push(prompt);
      return "Secret [p. 1].";
    },
  });
  const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-password-"));
  await using workspace = openWorkspaceDoor({ engine, log: silentLog, dataFolder, hub: "", gpu: "none" });
  await using office = new OfficeDoor({ files: workspace.workspace.files, dataFolder });
  await using served = openTestApp({ engine, workspace, office, checkHost: false });
  const { id } = workspace.workspace.files.add(Buffer.from(encryptedPdf), {
    name: "secret.pdf",
    mediaType: "application/pdf",
  });
  const { conversation } = (await (await served.post("/workspace/conversations", {})).json()) as {
    conversation: { id: string };
  };
  const ask = async (attachments: unknown[]): Promise<void> => {
    const asked = await served.post(`/workspace/conversations/${conversation.id}/messages`, {
      ...{ text: "What does it say?", attachments, answer: {} },
    });
    assert.equal(asked.status, 201, await asked.clone().text());
    const { answer } = (await asked.json()) as { answer: WorkspaceMessage };
    await (await served.app.request(`/workspace/messages/${answer.id}/events`)).text();
  };
  await ask([{ id, document: { kind: "pdf", pages: 1, tokens: 3, password: "geheim" } }]);
  assert.match(prompts.at(-1) ?? "", /Secret text/);
  await ask([]);
  assert.match(prompts.at(-1) ?? "", /Secret text/, "known for the questions that follow");
  const told = [
    `/workspace/conversations/${conversation.id}/messages`,
    `/workspace/conversations/${conversation.id}/export?format=json`,
  ];
  for (const address of told) assert.doesNotMatch(await (await served.app.request(address)).text(), /geheim/, address);
  for (const file of readdirSync(dataFolder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const bytes = readFileSync(path.join(file.parentPath, file.name));
    assert.equal(bytes.includes("geheim"), false, `${file.name} holds the password`);
  }
});
