// What the page shows when things are not well: refusals, a lost engine, a lost server, a queue, a demonstration model.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { AppError } from "../../src/base/errors.ts";
import { strings } from "../../web/strings.ts";
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
    await page.getByText("npm start").waitFor();
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
    const endless = Array.from({ length: 100_000 }, () => "x");
    await using server = await openPageServer({
      answer: () => endless,
      tokensPerSecond: 50,
      parallel: 1,
      queueLimit: 1,
    });
    const others = new AbortController();
    const occupy = async (): Promise<void> => {
      const body = JSON.stringify({ messages: [{ role: "user", content: "busy" }], stream: true });
      const headers = { "content-type": "application/json" };
      await fetch(`${server.url}/v1/chat/completions`, { method: "POST", headers, body, signal: others.signal });
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
    await lastAnswer(page).getByText("xxx").waitFor();
  });
}

test("an answer that was cut off with its page is marked and can go on", { skip }, async () => {
  await using server = await openPageServer({
    answer: (_, prompt) => (prompt.includes("w2") ? "rest" : Array.from({ length: 500 }, (_each, n) => `w${n} `)),
    tokensPerSecond: 20,
  });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.locator(".composer textarea").fill("go");
  await page.keyboard.press("Enter");
  // Kept once a second while it streams; whatever was kept by then is there again.
  const isKept = `new Promise((resolve) => {
    const opening = indexedDB.open("quern");
    opening.onsuccess = () => {
      const reading = opening.result.transaction("messages").objectStore("messages").getAll();
      reading.onsuccess = () => resolve(reading.result.some(({ role, text }) => role === "assistant" && text.includes("w2")));
    };
  })`;
  while (!(await page.evaluate(isKept))) await page.waitForTimeout(50);
  await page.reload();
  await page.getByRole("button", { name: "go", exact: true }).click();
  await lastAnswer(page).getByText(strings.en.answerInterrupted).waitFor();
  await page.getByRole("button", { name: strings.en.continueAnswer }).click();
  await lastAnswer(page).getByText("rest").waitFor();
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

test("a hidden page does not ask for the status", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const isStatus = (request: { url: () => string }): boolean => request.url().endsWith("/status");
  await page.waitForRequest(isStatus);
  await page.waitForResponse((response) => isStatus(response));
  await page.evaluate(`Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"))`);
  let asked = 0;
  page.on("request", (request) => {
    if (isStatus(request)) asked++;
  });
  await page.evaluate("new Promise((resolve) => setTimeout(resolve, 2500))");
  assert.equal(asked, 0);
  await page.evaluate(`Object.defineProperty(document, "hidden", { value: false, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"))`);
  while (asked === 0) await page.waitForRequest(isStatus);
});

test("a server that wants a key gets it from the reader, once", { skip }, async () => {
  const keys = { count: 1, nameOf: (presented: string) => (presented === "sesame" ? "me" : undefined) };
  await using server = await openPageServer({ answer: () => "welcome" }, { keys });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const field = page.getByLabel(strings.en.errors.invalid_api_key ?? "");
  await field.fill("wrong");
  await page.keyboard.press("Enter");
  await page.waitForResponse((response) => response.status() === 401);
  await field.fill("sesame");
  await page.keyboard.press("Enter");
  await field.waitFor({ state: "hidden" });
  await page.reload();
  await ask(page, "open");
  await lastAnswer(page).getByText("welcome").waitFor();
});

test("a second tab follows the answer that the first one is writing", { skip }, async () => {
  const words = Array.from({ length: 60 }, (_, n) => `w${n} `);
  await using server = await openPageServer({ answer: () => words, tokensPerSecond: 20 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.locator(".composer textarea").fill("together");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("w2").waitFor();
  const second = await page.context().newPage();
  await second.goto(server.url);
  await second.getByRole("button", { name: "together", exact: true }).click();
  await lastAnswer(second).getByText(strings.en.answerElsewhere).waitFor();
  await lastAnswer(second).getByText("w59").waitFor();
  await lastAnswer(second).getByText(strings.en.answerElsewhere).waitFor({ state: "hidden" });
  assert.equal(await second.getByRole("alert").count(), 0);
});

test("a chat deleted in mid-answer stays deleted, and undo brings back what had arrived", { skip }, async () => {
  const words = Array.from({ length: 500 }, (_, n) => `w${n} `);
  await using server = await openPageServer({ answer: () => words, tokensPerSecond: 40 });
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
  const isSaved = `new Promise((resolve) => {
    const opening = indexedDB.open("quern");
    opening.onsuccess = () => {
      const reading = opening.result.transaction("messages").objectStore("messages").getAll();
      reading.onsuccess = () => resolve(reading.result.some(({ state }) => state === "stopped"));
    };
  })`;
  while (!(await page.evaluate(isSaved))) await page.waitForTimeout(50);
  await page.getByText(t.noChats).waitFor();
  await page.getByRole("button", { name: t.undo }).click();
  await lastAnswer(page).getByText("w3").waitFor();
  await lastAnswer(page).getByText(t.answerStopped).waitFor();
});
