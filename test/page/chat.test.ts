// Conversations in the built page, in both languages: every button that a message or a conversation has.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { after, before } from "node:test";
import type { Browser } from "playwright-core";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { strings } from "../../web/strings.ts";
import { endlessWords, heldAnswer } from "../engine/held-answer.ts";
import { ask, lastAnswer, openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";

const languages = [
  { locale: "zh-CN", t: strings.zh },
  { locale: "en-US", t: strings.en },
] as const;

let browser: Browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

/** Answers with a running number, so that two answers to one question differ. */
function counting(): { answer: (request: unknown, prompt: string) => string; prompts: string[] } {
  const prompts: string[] = [];
  return { prompts, answer: (_, prompt) => `Answer ${prompts.push(prompt)}.` };
}

for (const { locale, t } of languages) {
  test(`${locale}: a question streams its answer, and the conversation survives a reload`, { skip }, async () => {
    const { answer, goOn } = heldAnswer("第一段文字 is here.\n\n**第", "二段：**and `code`.");
    await using server = await openPageServer({ answer, tokensPerSecond: 60 });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.getByRole("textbox", { name: t.composerLabel }).fill("你好 Quern");
    await page.keyboard.press("Enter");
    const running = page.locator('.message.assistant[data-state="running"]');
    await running.getByText("第一段", { exact: false }).waitFor();
    assert.equal(await page.getByText("and code", { exact: false }).count(), 0, "the end was there before its time");
    goOn();
    await page.locator('.message.assistant[data-state="complete"]').waitFor();
    assert.equal(await lastAnswer(page).locator("strong").innerText(), "第二段：");
    await page.reload();
    await page.getByRole("button", { name: "你好 Quern", exact: true }).click();
    await lastAnswer(page).getByText("and code").waitFor();
  });

  test(`${locale}: stop ends the engine's work, and continue goes on where it was`, { skip }, async () => {
    await using server = await openPageServer({
      answer: (_, prompt) => (prompt.includes("w0") ? ["and the rest."] : endlessWords()),
      tokensPerSecond: 40,
    });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.locator(".composer textarea").fill("count");
    await page.keyboard.press("Enter");
    await lastAnswer(page).getByText("w3").waitFor();
    await page.getByRole("button", { name: t.stop, exact: true }).click();
    await page.locator('.message.assistant[data-state="stopped"]').waitFor();
    while (server.engine.status().runningRequests > 0) await page.waitForTimeout(20);
    assert.equal(server.engine.status().totals.aborts, 1);
    const kept = await lastAnswer(page).locator(".md").innerText();
    await page.getByRole("button", { name: t.continueAnswer }).click();
    await lastAnswer(page).getByText("and the rest.").waitFor();
    assert.ok((await lastAnswer(page).locator(".md").innerText()).startsWith(kept.trim()));
  });

  test(`${locale}: answering again and editing make branches that one can leaf through`, { skip }, async () => {
    const { answer, prompts } = counting();
    await using server = await openPageServer({ answer });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await ask(page, "first question");
    await lastAnswer(page).getByText("Answer 1.").waitFor();
    await page.getByRole("button", { name: t.regenerate }).click();
    await lastAnswer(page).getByText("Answer 2.").waitFor();
    await page.getByRole("button", { name: t.previousVersion }).click();
    await lastAnswer(page).getByText("Answer 1.").waitFor();
    await page.locator(".message.user").hover();
    await page.getByRole("button", { name: t.edit, exact: true }).click();
    await page.getByRole("textbox", { name: t.editLabel }).fill("second question");
    await page.getByRole("button", { name: t.sendEdited }).click();
    await lastAnswer(page).getByText("Answer 3.").waitFor();
    assert.ok(!prompts[2]?.includes("first question"), "the edited question must replace the first");
    const question = page.locator(".message.user");
    await question.getByRole("button", { name: t.previousVersion }).click();
    await page.locator(".message.user", { hasText: "first question" }).waitFor();
    await lastAnswer(page)
      .getByText(/Answer [12]\./)
      .waitFor();
  });

  test(`${locale}: chats are renamed, pinned, found, deleted and brought back`, { skip }, async () => {
    const { answer } = counting();
    await using server = await openPageServer({ answer });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await ask(page, "请审核手机品类的报价单");
    await page.getByRole("button", { name: t.newChat, exact: true }).first().click();
    await ask(page, "Another topic entirely");
    const list = page.getByRole("navigation");
    await list.getByRole("button", { name: `${t.more}: Another topic entirely` }).click();
    await page.getByRole("menuitem", { name: t.rename }).click();
    await page.getByRole("textbox", { name: t.renameLabel }).fill("Renamed");
    await page.keyboard.press("Enter");
    await list.getByRole("button", { name: `${t.more}: Renamed` }).click();
    await page.getByRole("menuitem", { name: t.pin }).click();
    await list.getByRole("region", { name: t.pinned }).getByRole("button", { name: "Renamed", exact: true }).waitFor();

    await page.getByRole("searchbox", { name: t.searchChats }).fill("手机");
    await list.getByText("请审核手机品类的报价单").first().waitFor();
    await list.getByRole("button", { name: "Renamed", exact: true }).waitFor({ state: "hidden" });
    await page.getByRole("searchbox", { name: t.searchChats }).fill("不存在的词");
    await list.getByText(t.searchNothing("不存在的词")).waitFor();
    await page.getByRole("searchbox", { name: t.searchChats }).fill("");

    await list.getByRole("button", { name: `${t.more}: Renamed` }).click();
    await page.getByRole("menuitem", { name: t.remove }).click();
    await page.getByText(t.removed("Renamed")).waitFor();
    await list.getByRole("button", { name: "Renamed", exact: true }).waitFor({ state: "hidden" });
    await page.getByRole("button", { name: t.undo }).click();
    await list.getByRole("button", { name: "Renamed", exact: true }).waitFor();
    await lastAnswer(page).getByText("Answer 2.").waitFor();
  });
}

test("an answer that met its limit says so and can be continued", { skip }, async () => {
  await using server = await openPageServer({ answer: () => "one two three four five six" });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.keyboard.press("Control+,");
  await page.getByLabel(strings.en.maxTokens).fill("7");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await ask(page, "count");
  await lastAnswer(page).getByText(strings.en.answerCut).waitFor();
  await page.getByRole("button", { name: strings.en.continueAnswer }).waitFor();
});

test("settings are sent: temperature, seed, system prompt, and nothing that was not set", { skip }, async () => {
  const requests: GenerateRequest[] = [];
  const prompts: string[] = [];
  await using server = await openPageServer({
    answer: (request, prompt) => {
      requests.push(request);
      return `Answer ${prompts.push(prompt)}.`;
    },
  });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await ask(page, "plain");
  await page.keyboard.press("Control+,");
  await page.getByRole("radio", { name: strings.en.temperatureChoices.creative }).check();
  await page.getByLabel(strings.en.systemPrompt).fill("Be brief.");
  await page.getByText(strings.en.advanced).click();
  await page.getByLabel(strings.en.seed).fill("42");
  await page.getByLabel("top_p").fill("7"); // out of range: refused on the spot, not sent
  await page.getByText(strings.en.invalidNumber(0.01, 1)).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await ask(page, "with settings");
  const [plain, set] = requests;
  assert.equal(plain?.sampling.seed, undefined);
  assert.equal(plain?.sampling.temperature, 0, "the model's own");
  assert.equal(set?.sampling.temperature, 0.7);
  assert.equal(set?.sampling.seed, 42);
  assert.equal(set?.sampling.topP, 1);
  assert.match(prompts[1] ?? "", /^<\|im_start\|>system\nBe brief\./);
});

test("copying and exporting give the text as it is", { skip }, async () => {
  const code = "print('a')\nprint('b')";
  const text = `Look:\n\n\`\`\`python\n${code}\n\`\`\`\n\n| a | b |\n| - | - |\n| 1 | 2 |`;
  await using server = await openPageServer({ answer: () => text });
  await using visited = await visit(browser, server.url, { permissions: ["clipboard-read", "clipboard-write"] });
  const { page } = visited;
  await ask(page, "show code");
  const copied = (): Promise<string> => page.evaluate("navigator.clipboard.readText()");
  await page.getByRole("button", { name: strings.en.copyCode }).click();
  await page.getByRole("button", { name: strings.en.copied }).waitFor();
  assert.equal(await copied(), code);
  await page.locator(".table-block").hover();
  await page.getByRole("button", { name: strings.en.copyTable }).click();
  await page.locator(".table-block").getByRole("button", { name: strings.en.copied }).waitFor();
  assert.equal(await copied(), "a\tb\n1\t2");
  await lastAnswer(page).locator(".actions").getByRole("button", { name: strings.en.copy, exact: true }).click();
  await lastAnswer(page).locator(".actions").getByRole("button", { name: strings.en.copied }).waitFor();
  assert.equal(await copied(), text);

  for (const [item, check] of [
    [strings.en.exportMarkdown, (file: string) => assert.ok(file.includes(text) && file.startsWith("# show code"))],
    [strings.en.exportJson, (file: string) => assert.equal(JSON.parse(file).messages.length, 2)],
  ] as const) {
    await page.getByRole("button", { name: `${strings.en.more}: show code` }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: item }).click(),
    ]);
    check(await readFile(await download.path(), "utf8"));
  }
});

test("an exported chat is imported into another Quern, once, and a file that is none is refused", {
  skip,
}, async () => {
  await using first = await openPageServer({ answer: () => "the answer" });
  await using second = await openPageServer();
  const t = strings.en;
  let file = "";
  {
    await using visited = await visit(browser, first.url);
    const { page } = visited;
    await ask(page, "carry me over");
    await page.getByRole("button", { name: `${t.more}: carry me over` }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: t.exportJson }).click(),
    ]);
    file = await readFile(await download.path(), "utf8");
  }
  await using visited = await visit(browser, second.url);
  const { page } = visited;
  let content = "";
  page.on("filechooser", (chooser) => {
    void chooser.setFiles([{ name: "chat.json", mimeType: "application/json", buffer: Buffer.from(content) }]);
  });
  const bring = async (next: string): Promise<void> => {
    content = next;
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: t.paletteField }).fill(t.importChats);
    await page.getByRole("option", { name: t.importChats, selected: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.locator("dialog").waitFor({ state: "detached" });
  };
  await bring(file);
  await page.getByText(t.importedChats(1, 0)).waitFor();
  await page.getByRole("button", { name: "carry me over", exact: true }).click();
  await lastAnswer(page).getByText("the answer").waitFor();
  await bring(file);
  await page.getByText(t.importedChats(0, 1)).waitFor();
  await bring('{"format": "something else"}');
  await page
    .getByRole("alert")
    .getByText(t.errors.storage ?? "")
    .waitFor();
});

test("500 messages are held, and only those near the view are in the document", { skip }, async () => {
  const { answer, prompts } = counting();
  await using server = await openPageServer({ answer, contextTokens: 400_000 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await ask(page, "seed");
  const { conversations } = server.door.workspace;
  const { id } = conversations.create({ title: "Long one" });
  let parentId: string | undefined;
  for (let n = 0; n < 500; n++) {
    const role = n % 2 ? "assistant" : "user";
    const content = `Message number ${n}. ${"Some words to fill it. ".repeat(n % 17)}`;
    parentId = conversations.add({ conversationId: id, role, content, ...(parentId ? { parentId } : {}) }).id;
  }
  await page.getByRole("button", { name: "Long one", exact: true }).click();
  await page.getByText("Message number 499.").waitFor();
  assert.ok((await page.locator(".message").count()) < 60);
  await page.locator(".message-scroll").focus();
  await page.keyboard.press("Home");
  await page.getByText("Message number 0.", { exact: false }).waitFor();
  assert.ok((await page.locator(".message").count()) < 60);
  await page.getByRole("button", { name: strings.en.jumpToLatest }).click();
  await page.getByText("Message number 499.").waitFor();
  await page.locator(".composer textarea").fill("and on");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("Answer 2.").waitFor();
  assert.ok(prompts[1]?.includes("Message number 0.") && prompts[1].includes("Message number 499."));
});
