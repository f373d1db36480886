// What the page shows when things are not well: refusals, a lost engine, a lost server, a queue, a demonstration model.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { AppError } from "../../src/base/errors.ts";
import { strings } from "../../web/strings.ts";
import { endlessWords } from "../engine/held-answer.ts";
import { ask, lastAnswer, openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";

let browser: Browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

for (const [locale, language] of [
  ["zh-CN", "zh"],
  ["en-US", "en"],
] as const) {
  const t = strings[language];

  test(`${locale}: a failed answer says what happened and what to do, and trying again works`, { skip }, async () => {
    let calls = 0;
    await using server = await openPageServer({
      answer: () => {
        calls++;
        if (calls > 1) return "fine now";
        throw new AppError("engine_lost", "The engine process ended (SIGKILL).", { hint: "Send it again." });
      },
    });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await ask(page, "hello");
    const trouble = page.getByRole("alert");
    await trouble.getByText(t.errors.engine_lost ?? "").waitFor();
    await trouble.getByText("SIGKILL").waitFor();
    await trouble.getByText("Send it again.").waitFor();
    await trouble.getByRole("button", { name: t.retry }).click();
    await lastAnswer(page).getByText("fine now").waitFor();
    assert.equal(await page.locator(".message").count(), 2, "the failed answer must make room for the new one");
  });

  test(`${locale}: a server that went away is shown, and the page finds it again by itself`, { skip }, async () => {
    await using server = await openPageServer({ answer: () => "back" });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.context().setOffline(true);
    await ask(page, "anyone?");
    await lastAnswer(page)
      .getByText(t.errors.unreachable ?? "", { exact: true })
      .waitFor();
    await page.getByText(t.serverUnreachable).waitFor();
    await page.context().setOffline(false);
    await page.getByText(t.serverUnreachable).waitFor({ state: "hidden" });
    await lastAnswer(page).getByRole("button", { name: t.retry }).click();
    await lastAnswer(page).getByText("back").waitFor();
  });

  test(`${locale}: the demonstration model says what it is and how to get the real one`, { skip }, async () => {
    await using server = await openPageServer();
    server.claim = { model: { ...server.engine.status().model, id: "quern-mini", isDemonstration: true } };
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.getByText(t.demoTitle).waitFor();
    await page.getByText(t.demoText).waitFor();
    await page.getByText(/quern models pull qwen3-4b-instruct-2507/).waitFor();
    await page.locator(".notice.demo").getByRole("button", { name: t.models }).waitFor();
    await ask(page, "hello"); // above a conversation it makes itself small, and stays
    await page.getByText(t.demoText).waitFor({ state: "hidden" });
    await page.getByText(t.demoTitle).waitFor();
    await page.getByRole("button", { name: t.demoMore }).click();
    await page.getByText(t.demoText).waitFor();
  });

  test(`${locale}: an engine that restarts or fails is shown while writing goes on`, { skip }, async () => {
    await using server = await openPageServer();
    server.claim = { state: "restarting" };
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.getByText(t.engineRestarting).waitFor();
    await page.locator(".composer textarea").fill("still typing");
    server.claim = { state: "failed", lastFailure: "The driver is gone." };
    await page.getByText(t.engineFailed("The driver is gone.")).waitFor();
    server.claim = {};
    await page.getByText(t.engineFailed("The driver is gone.")).waitFor({ state: "hidden" });
    assert.equal(await page.locator(".composer textarea").inputValue(), "still typing");
  });

  test(`${locale}: who waits sees the place in the queue, and a full queue is refused in words`, { skip }, async () => {
    await using server = await openPageServer({
      answer: endlessWords,
      tokensPerSecond: 50,
      parallel: 1,
      queueLimit: 1,
    });
    const others = new AbortController();
    const occupy = async (): Promise<void> => {
      const body = JSON.stringify({ messages: [{ role: "user", content: "busy" }], stream: true });
      const headers = { "content-type": "application/json" };
      const at = `${server.url}/v1/chat/completions`;
      const { body: read } = await fetch(at, { method: "POST", headers, body, signal: others.signal });
      // An answer that nobody reads is let go when memory is collected.
      void read?.pipeTo(new WritableStream()).catch(() => undefined);
    };
    await occupy();
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.locator(".composer textarea").fill("me too");
    await page.keyboard.press("Enter");
    await page.getByText(t.waitingInQueue(1)).waitFor();
    await page.getByRole("button", { name: t.newChat, exact: true }).first().click();
    await ask(page, "and me");
    await lastAnswer(page)
      .getByText(t.errors.queue_full ?? "")
      .waitFor();
    others.abort();
    await page.getByRole("button", { name: "me too", exact: true }).click();
    await lastAnswer(page).getByText("w2").waitFor();
  });
}

test("a reload finds the running answer where it is, and it goes on meanwhile", { skip }, async () => {
  const words = Array.from({ length: 60 }, (_, n) => `w${n} `);
  await using server = await openPageServer({ answer: () => words, tokensPerSecond: 30 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.locator(".composer textarea").fill("go");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("w3").waitFor();
  await page.goto("about:blank");
  await page.goto(server.url);
  await page.getByRole("button", { name: "go", exact: true }).click();
  await lastAnswer(page).getByText("w0 w1 w2 w3").waitFor();
  await page.locator('.message.assistant[data-state="complete"]').getByText("w59").waitFor();
  assert.equal(await lastAnswer(page).locator(".md").innerText(), words.join("").trim(), "no word missing or twice");
  assert.equal(server.engine.status().totals.aborts, 0, "leaving must not stop it");
});

test("an answer that a crash of the server cut off is marked and can go on", { skip }, async () => {
  await using server = await openPageServer({ answer: () => "and the rest." });
  const { conversations } = server.door.workspace;
  const { id } = conversations.create({ title: "cut off" });
  const question = conversations.add({ conversationId: id, role: "user", content: "go" });
  conversations.add({
    conversationId: id,
    parentId: question.id,
    role: "assistant",
    content: "w0 w1",
    state: "failed",
  });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.getByRole("button", { name: "cut off", exact: true }).click();
  await lastAnswer(page)
    .getByText(strings.en.errors.engine_lost ?? "")
    .waitFor();
  await page.getByRole("button", { name: strings.en.continueAnswer }).click();
  await lastAnswer(page).getByText("w0 w1and the rest.").waitFor();
});

test("language and theme switch at once and are remembered", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url, { locale: "en-US", colorScheme: "light" });
  const { page } = visited;
  const ground = (): Promise<string> => page.evaluate("getComputedStyle(document.body).backgroundColor");
  const light = await ground();
  await page.getByRole("button", { name: "切换到中文" }).click();
  await page.getByRole("heading", { name: strings.zh.greeting }).waitFor();
  await page.getByRole("button", { name: strings.zh.settings, exact: true }).click();
  await page.getByRole("radio", { name: strings.zh.themes.dark }).check();
  assert.notEqual(await ground(), light);
  await page.reload();
  await page.getByRole("heading", { name: strings.zh.greeting }).waitFor();
  assert.notEqual(await ground(), light);
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
});

test("a hidden page lets go of the live stream, and takes it up again when it is seen", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const isLive = (request: { url: () => string }): boolean => request.url().endsWith("/workspace/live");
  const seen = (isHidden: boolean): Promise<unknown> =>
    page.evaluate(`Object.defineProperty(document, "hidden", { value: ${isHidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"))`);
  await page.getByText(strings.en.engineStates.ready).waitFor();
  const [closed] = await Promise.all([page.waitForEvent("requestfailed", isLive), seen(true)]);
  assert.ok(closed);
  let asked = 0;
  page.on("request", (request) => {
    if (isLive(request) || request.url().endsWith("/status")) asked++;
  });
  await page.evaluate("new Promise((resolve) => setTimeout(resolve, 1500))");
  assert.equal(asked, 0);
  await Promise.all([page.waitForRequest(isLive), seen(false)]);
});

test("a server that wants a key gets it from the reader, once", { skip }, async () => {
  const keys = { count: 1, nameOf: (presented: string) => (presented === "sesame" ? "me" : undefined) };
  await using server = await openPageServer({ answer: () => "welcome" }, { keys });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const field = page.getByLabel(strings.en.errors.invalid_api_key ?? "");
  await field.fill("wrong");
  await Promise.all([page.waitForResponse((response) => response.status() === 401), page.keyboard.press("Enter")]);
  await field.fill("sesame");
  await page.keyboard.press("Enter");
  await field.waitFor({ state: "hidden" });
  await page.reload();
  await ask(page, "open");
  await lastAnswer(page).getByText("welcome").waitFor();
});

test("a question whose reception was lost is sent again and stands there once", { skip }, async () => {
  let calls = 0;
  await using server = await openPageServer({ answer: () => `answer ${++calls}` });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.route(
    "**/messages",
    async (route) => {
      await route.fetch(); // the server has it
      await route.abort();
    },
    { times: 1 },
  );
  await page.locator(".composer textarea").fill("once only");
  await page.keyboard.press("Enter");
  await page
    .getByRole("alert")
    .getByText(strings.en.errors.unreachable ?? "", { exact: true })
    .waitFor();
  await page.getByRole("button", { name: strings.en.retry }).click();
  await lastAnswer(page).getByText("answer 1").waitFor();
  await page.reload();
  await page.getByRole("button", { name: "once only", exact: true }).click();
  await lastAnswer(page).getByText("answer 1").waitFor();
  assert.equal(await page.locator(".message").count(), 2);
  assert.equal(calls, 1);
});

test("a second tab writes along with the answer that the first one asked for, and can stop it", { skip }, async () => {
  await using server = await openPageServer({ answer: endlessWords, tokensPerSecond: 30 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const second = await page.context().newPage();
  await second.goto(server.url);
  await page.locator(".composer textarea").fill("together");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("w2").waitFor();
  await second.getByRole("button", { name: "together", exact: true }).click();
  await lastAnswer(second).getByText("w0 w1 w2").waitFor();
  await second.getByRole("button", { name: strings.en.stop, exact: true }).click();
  await lastAnswer(second).getByText(strings.en.answerStopped).waitFor();
  await lastAnswer(page).getByText(strings.en.answerStopped).waitFor();
  assert.equal(await lastAnswer(page).locator(".md").innerText(), await lastAnswer(second).locator(".md").innerText());
  assert.equal(await second.getByRole("alert").count(), 0);
});

test("chats of the first version are brought over from the browser once", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const t = strings.en;
  await page.evaluate(`new Promise((resolve, reject) => {
    const opening = indexedDB.open("quern", 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("heads", { keyPath: "id" });
      opening.result.createObjectStore("messages", { keyPath: "id" }).createIndex("conversation", "conversationId");
    };
    opening.onsuccess = () => {
      const writing = opening.result.transaction(["heads", "messages"], "readwrite");
      const head = (id, more) => ({ id, title: "Old " + id.slice(-1), isPinned: false, createdAt: 1e12, updatedAt: 1e12, leafId: id + "-a",
        settings: { temperatureChoice: "auto", systemPrompt: "" }, leftOutIds: [], ...more });
      for (const [id, more] of [["old-chat-1", {}], ["old-chat-2", { deletedAt: 1e12 }]]) {
        writing.objectStore("heads").put(head(id, more));
        writing.objectStore("messages").put({ id: id + "-q", conversationId: id, role: "user", text: "old question", createdAt: 1, state: "complete",
          attachments: [{ id: "a", name: "notes.txt", text: "one\\ntwo", lineCount: 2, isPasted: false }] });
        writing.objectStore("messages").put({ id: id + "-a", conversationId: id, parentId: id + "-q", role: "assistant", text: "old answer",
          attachments: [], createdAt: 2, state: "complete" });
      }
      writing.oncomplete = () => { opening.result.close(); resolve(); };
      writing.onabort = () => reject(writing.error);
    };
  })`);
  await page.reload();
  await page.getByText(t.leftTitle(1)).waitFor();
  await page.getByRole("button", { name: t.leftImport }).click();
  await page.getByRole("button", { name: "Old 1", exact: true }).click();
  await lastAnswer(page).getByText("old answer").waitFor();
  await page.getByRole("button", { name: t.showAttachment("notes.txt") }).click();
  await page.getByRole("dialog").getByText("two").waitFor(); // its text comes from the server
  await page.keyboard.press("Escape");
  await page.reload();
  await page.getByRole("button", { name: "Old 1", exact: true }).waitFor();
  assert.equal(await page.getByText(t.leftTitle(1)).count(), 0);
});

test("a chat deleted in mid-answer stays deleted, and undo brings back what had arrived", { skip }, async () => {
  await using server = await openPageServer({ answer: endlessWords, tokensPerSecond: 40 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const t = strings.en;
  await page.locator(".composer textarea").fill("go away");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("w3").waitFor();
  await page.getByRole("button", { name: `${t.more}: go away` }).click();
  await page.getByRole("menuitem", { name: t.remove }).click();
  await page.getByText(t.noChats).waitFor();
  while (server.engine.status().runningRequests > 0) await page.waitForTimeout(20);
  await page.getByText(t.noChats).waitFor();
  await page.getByRole("button", { name: t.undo }).click();
  await lastAnswer(page).getByText("w3").waitFor();
  await lastAnswer(page).getByText(t.answerStopped).waitFor();
});
