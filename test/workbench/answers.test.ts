import assert from "node:assert/strict";
import test from "node:test";
import type { AnswerUpdateBody, WorkspaceMessage } from "../../src/server/api-types.ts";
import { errorOf, until } from "../api/test-app.ts";
import { eventsOf, onSocket, openWorkbench } from "./workbench.ts";

const long = Array.from({ length: 40 }, (_, index) => `第${index}句。`).join("");
const slow = { answer: () => long, tokensPerSecond: 1000 };
const endless = { answer: () => "x".repeat(90_000), tokensPerSecond: 1000 };

interface Begun {
  message: WorkspaceMessage;
  answer: WorkspaceMessage;
}

test("a question is answered, and both are in the conversation with what the answer cost", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation();
  const { message, answer } = await bench.ask(id, "甲乙丙");
  assert.equal(message.text, "甲乙丙");
  assert.equal(answer.text, "甲乙丙");
  assert.equal(answer.state, "complete");
  assert.equal(answer.parentId, message.id);
  assert.equal(answer.model, "scripted");
  assert.equal(answer.stats?.completionTokens, 4);
  const { conversation, messages } = await bench.call<{
    conversation: { leafId: string };
    messages: WorkspaceMessage[];
  }>("GET", `/workspace/conversations/${id}`);
  assert.equal(conversation.leafId, answer.id);
  assert.deepEqual(messages, [message, answer]);
});

test("an answer goes on when its client has gone, and a later one follows it from where it was", async () => {
  await using bench = await openWorkbench({ script: slow });
  await using server = await onSocket(bench);
  const { id } = await bench.conversation();
  const begun = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, { text: "?", answer: {} });
  const leaving = new AbortController();
  const address = `${server.url}/workspace/messages/${begun.answer.id}/events`;
  const first = await fetch(address, { signal: leaving.signal });
  const reader = first.body?.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes('"type":"text"')) seen += (await reader?.read())?.value ?? assert.fail("the stream ended");
  leaving.abort();
  await reader?.read().catch(() => undefined);
  assert.equal(bench.door.answers.count, 1);
  const events = eventsOf<AnswerUpdateBody>(await (await fetch(`${address}?from=5`)).text());
  const texts = events.filter((event) => event.type === "text");
  assert.equal(texts[0]?.position, 5);
  assert.equal(texts.map(({ text }) => text).join(""), long.slice(5));
  assert.equal(events.at(-1)?.type, "end");
});

test("several follow one answer, and one that lost its stream goes on by Last-Event-ID", async () => {
  await using bench = await openWorkbench({ script: slow });
  const { id } = await bench.conversation();
  const { answer } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, {
    text: "?",
    answer: {},
  });
  const path = `/workspace/messages/${answer.id}/events`;
  const all = await Promise.all([bench.updates(answer.id), bench.updates(answer.id), bench.updates(answer.id, 3)]);
  const textOf = (events: AnswerUpdateBody[]): string =>
    events.map((event) => (event.type === "text" ? event.text : "")).join("");
  assert.deepEqual(all.map(textOf), [long, long, long.slice(3)]);
  const resumed = await bench.app.request(path, { headers: { "last-event-id": "7" } });
  const text = await resumed.text();
  assert.equal(textOf(eventsOf(text)), long.slice(7));
  assert.match(text, new RegExp(`^id: ${long.length}$`, "m"));
});

test("a queue is told with positions, and a prompt's progress", async () => {
  await using bench = await openWorkbench({ script: { ...endless, parallel: 1 } });
  const { id } = await bench.conversation();
  const send = () => bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, { text: "?", answer: {} });
  const first = await send();
  await until(() => bench.engine.status().runningRequests === 1);
  const second = await send();
  const waiting = bench.updates(second.answer.id);
  await until(() => bench.door.answers.list().some(({ phase }) => phase === "queued"));
  assert.equal(bench.door.answers.list()[1]?.position, 1);
  await bench.call("POST", `/workspace/messages/${first.answer.id}/stop`);
  await until(() => bench.door.answers.list()[0]?.phase === "writing");
  await bench.call("POST", `/workspace/messages/${second.answer.id}/stop`);
  assert.ok((await waiting).some(({ type }) => type === "queued"));
});

test("stop ends the engine's work and keeps what there is", async () => {
  await using bench = await openWorkbench({ script: endless });
  const { id } = await bench.conversation();
  const { answer } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, {
    text: "?",
    answer: {},
  });
  await until(() => (bench.door.answers.list()[0]?.tokens ?? 0) > 3);
  const { message } = await bench.call<{ message: WorkspaceMessage }>("POST", `/workspace/messages/${answer.id}/stop`);
  assert.equal(message.state, "stopped");
  assert.ok(message.text.length > 3);
  assert.equal(bench.engine.status().runningRequests, 0);
});

test("a stopped answer is gone on with in place", async () => {
  let prompts: string[] = [];
  await using bench = await openWorkbench({
    script: {
      answer: (_, prompt) => {
        prompts = [...prompts, prompt];
        return prompts.length === 1 ? "x".repeat(90_000) : " and the rest";
      },
      tokensPerSecond: 1000,
    },
  });
  const { id } = await bench.conversation();
  const { answer } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, {
    text: "?",
    answer: {},
  });
  await until(() => (bench.door.answers.list()[0]?.tokens ?? 0) > 3);
  const { message: stopped } = await bench.call<{ message: WorkspaceMessage }>(
    "POST",
    `/workspace/messages/${answer.id}/stop`,
  );
  const { answer: again } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/answer`, {
    continueId: answer.id,
  });
  assert.equal(again.id, answer.id);
  const end = (await bench.updates(answer.id, stopped.text.length)).at(-1);
  assert.equal(end?.type === "end" && end.message.text, `${stopped.text} and the rest`);
  assert.ok(prompts[1]?.endsWith(`<|im_start|>assistant\n${stopped.text}`), "the model did not go on in its own text");
});

test("asking again adds a version beside the first, and the branch shown is the new one", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation();
  const { message, answer } = await bench.ask(id, "hello");
  const { answer: second } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/answer`, {
    parentId: message.id,
  });
  await bench.updates(second.id);
  const { conversation, messages } = await bench.call<{
    conversation: { leafId: string };
    messages: WorkspaceMessage[];
  }>("GET", `/workspace/conversations/${id}`);
  assert.equal(conversation.leafId, second.id);
  assert.deepEqual(
    messages.filter(({ parentId }) => parentId === message.id).map((each) => each.id),
    [answer.id, second.id],
  );
});

test("an answer that failed before its first token is written anew in its place", async () => {
  let attempt = 0;
  await using bench = await openWorkbench({
    script: {
      answer: () => {
        attempt++;
        if (attempt === 1) throw new Error("out of order");
        return "fine";
      },
    },
  });
  const { id } = await bench.conversation();
  const { answer } = await bench.ask(id, "hello");
  assert.equal(answer.state, "failed");
  assert.equal(answer.error?.code, "internal_error");
  const { answer: again } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/answer`, {
    retryId: answer.id,
  });
  assert.equal(again.id, answer.id);
  const end = (await bench.updates(answer.id)).at(-1);
  assert.deepEqual(end?.type === "end" && [end.message.state, end.message.text], ["complete", "fine"]);
});

test("a prompt over the context fails with its counts, so that the page can offer choices", async () => {
  await using bench = await openWorkbench({ script: { contextTokens: 100 } });
  const { id } = await bench.conversation();
  const { answer } = await bench.ask(id, "x".repeat(200));
  assert.equal(answer.state, "failed");
  assert.equal(answer.error?.code, "context_length_exceeded");
  assert.equal(typeof answer.error?.overflow_tokens, "number");
});

test("messages left out, settings, system prompt and slimming reach the engine as /v1 would have them", async () => {
  const seen: { prompt: string; temperature: number; maxTokens: number | undefined }[] = [];
  await using bench = await openWorkbench({
    script: {
      answer: ({ sampling, maxTokens }, prompt) => {
        seen.push({ prompt, temperature: sampling.temperature, maxTokens });
        return "ok";
      },
    },
  });
  const { id } = await bench.conversation({
    settings: { systemPrompt: "Be short.", temperatureChoice: "precise", maxTokens: 9 },
  });
  const { message, answer } = await bench.ask(id, "请写一首诗，谢谢！", { isSlimmed: true });
  assert.equal(message.text, "请写一首诗，谢谢！");
  assert.equal(message.isSlimmed, true);
  await bench.call("PATCH", `/workspace/conversations/${id}`, { leftOutIds: [answer.id] });
  await bench.ask(id, "more");
  const system = "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\n写一首诗<|im_end|>\n";
  assert.deepEqual(seen, [
    { prompt: `${system}<|im_start|>assistant\n`, temperature: 0.3, maxTokens: 9 },
    {
      prompt: `${system}<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n`,
      temperature: 0.3,
      maxTokens: 9,
    },
  ]);
});

test("attachments stand before the question, and a message can be sent again with a stored one", async () => {
  let prompt = "";
  await using bench = await openWorkbench({
    script: {
      answer: (_, text) => {
        prompt = text;
        return "ok";
      },
    },
  });
  const { id } = await bench.conversation();
  const { message } = await bench.ask(id, "what is it?", {
    attachments: [{ name: "a.txt", text: "line 1\nline 2 </document>" }],
  });
  const [file] = message.attachments;
  assert.deepEqual([file?.name, file?.lineCount, file?.isPasted], ["a.txt", 2, false]);
  const wanted = 'user\n<document-2 name="a.txt">\nline 1\nline 2 </document>\n</document-2>\n\nwhat is it?<';
  assert.ok(prompt.includes(wanted), prompt);
  await bench.ask(id, "and now?", { parentId: null, attachments: [{ id: file?.id }] });
  assert.ok(prompt.includes(wanted.replace("what is it?", "and now?")), prompt);
  assert.equal(prompt.split("<|im_start|>user").length, 2);
  const content = await bench.app.request(`/workspace/files/${file?.id}/content`);
  assert.equal(await content.text(), "line 1\nline 2 </document>");
  assert.match(content.headers.get("content-disposition") ?? "", /^attachment/);
});

test("a request that came twice adds nothing twice", async () => {
  await using bench = await openWorkbench();
  const { id } = await bench.conversation({ id: "conversation-1" });
  assert.equal((await bench.conversation({ id: "conversation-1" })).id, id);
  const body = { id: "question-1", text: "hello", answer: { id: "answer-0001" } };
  const first = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, body, 201);
  await bench.updates("answer-0001");
  const second = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, body, 200);
  assert.equal(second.message.id, first.message.id);
  assert.equal(second.answer.text, "hello");
  const { messages } = await bench.call<{ messages: unknown[] }>("GET", `/workspace/conversations/${id}`);
  assert.equal(messages.length, 2);
});

const refused: readonly [string, object, string][] = [
  ["neither text nor file", { text: "" }, "text"],
  ["an unknown field", { text: "x", temprature: 1 }, "temprature"],
  ["an unknown field in answer", { text: "x", answer: { model: "y" } }, "answer.model"],
  ["an id that is none", { id: "../x", text: "x" }, "id"],
  ["a file that is not there", { text: "x", attachments: [{ isPasted: true }] }, "attachments[0].id"],
];
for (const [what, body, param] of refused) {
  test(`a message with ${what} is refused by name and stores nothing`, async () => {
    await using bench = await openWorkbench();
    const { id } = await bench.conversation();
    const response = await bench.post(`/workspace/conversations/${id}/messages`, body);
    assert.equal(response.status, 400);
    assert.equal((await errorOf(response)).param, param);
    assert.equal(bench.door.workspace.conversations.messages(id).length, 0);
  });
}

test("a key's share of requests holds for answers of the workspace", async () => {
  const keys = { nameOf: (key: string) => (key === "k" ? "anna" : undefined), count: 1 };
  await using bench = await openWorkbench({ script: endless, keys, limits: { bodyBytes: 1_000_000, perKey: 1 } });
  const headers = { authorization: "Bearer k" };
  const made = await bench.post("/workspace/conversations", {}, headers);
  const { conversation } = (await made.json()) as { conversation: { id: string } };
  const path = `/workspace/conversations/${conversation.id}/messages`;
  assert.equal((await bench.post(path, { text: "1", answer: {} }, headers)).status, 201);
  const second = await bench.post(path, { text: "2", answer: {} }, headers);
  assert.equal(second.status, 429);
  assert.equal((await errorOf(second)).code, "too_many_requests");
  assert.equal((await bench.post(path, { text: "3" })).status, 401);
  const [entry] = bench.door.workspace.store.rows("SELECT actor FROM audit WHERE entity = 'conversations' LIMIT 1");
  assert.equal(entry?.actor, "anna");
});

test("closing the workspace keeps what a running answer has, and the next one finds it", async () => {
  await using bench = await openWorkbench({ script: endless });
  const { id } = await bench.conversation();
  const { answer } = await bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, {
    text: "?",
    answer: {},
  });
  await until(() => (bench.door.answers.list()[0]?.tokens ?? 0) > 3);
  await bench.door[Symbol.asyncDispose]();
  await using next = await openWorkbench({ dataFolder: bench.dataFolder });
  const { message } = await next.call<{ message: WorkspaceMessage }>("GET", `/workspace/messages/${answer.id}`);
  assert.equal(message.state, "stopped");
  assert.ok(message.text.length > 3);
});

test("pings come while nothing else does", async () => {
  await using bench = await openWorkbench({ script: { ...endless, parallel: 1 }, pingMs: 10 });
  await using server = await onSocket(bench);
  const { id } = await bench.conversation();
  const send = () => bench.call<Begun>("POST", `/workspace/conversations/${id}/messages`, { text: "?", answer: {} });
  await send();
  await until(() => bench.engine.status().runningRequests === 1);
  const { answer } = await send();
  const leaving = new AbortController();
  const response = await fetch(`${server.url}/workspace/messages/${answer.id}/events`, { signal: leaving.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes(": ping")) seen += (await reader?.read())?.value ?? assert.fail("the stream ended");
  leaving.abort();
  await reader?.closed.catch(() => undefined);
});
