// Writing messages in the built page: templates, slash menu, context gauge, long pastes and files.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { Browser, Page } from "playwright-core";
import { strings } from "../../web/strings.ts";
import { ask, openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";

let browser: Browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

const paste = (page: Page, text: string): Promise<void> =>
  page.locator(".composer textarea").evaluate((area, pasted) => {
    const scope = globalThis as unknown as Record<
      "DataTransfer" | "ClipboardEvent",
      new (
        ...parts: unknown[]
      ) => never
    >;
    const data = new scope.DataTransfer() as { setData: (type: string, text: string) => void };
    data.setData("text/plain", pasted);
    const event = new scope.ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    (area as unknown as { dispatchEvent: (event: unknown) => void }).dispatchEvent(event);
  }, text);

for (const [locale, language] of [
  ["zh-CN", "zh"],
  ["en-US", "en"],
] as const) {
  const t = strings[language];

  test(`${locale}: the slash menu is worked by keys, and typed words narrow it`, { skip }, async () => {
    await using server = await openPageServer();
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const field = page.locator(".composer textarea");
    await field.fill("/");
    await page.getByRole("option").nth(19).waitFor(); // sixteen templates and four commands
    await field.fill(language === "zh" ? "/译" : "/trans");
    assert.equal(await page.getByRole("option").count(), 1);
    await page.keyboard.press("Enter");
    await page
      .getByRole("dialog")
      .getByRole("heading", { name: language === "zh" ? "译文件" : "Translate" })
      .waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await field.inputValue(), "");
  });

  test(`${locale}: 20,000 pasted lines become an attachment that is sent whole`, { skip }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer({
      answer: (_, prompt) => `ok ${prompts.push(prompt)}`,
      contextTokens: 1_000_000,
      prefillTokens: 1_000_000,
    });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n} 的内容`).join("\n");
    await paste(page, lines);
    const chip = page.locator(".composer .chip");
    await chip.getByText(t.linesOf(20_000)).waitFor();
    assert.equal(await page.locator(".composer textarea").inputValue(), "");
    await ask(page, "summarise");
    assert.equal(prompts[0]?.split(`<document>\n${lines}\n</document>\n\nsummarise`).length, 2);
    await page.locator(".bubble .chip").getByText(t.linesOf(20_000)).waitFor();
  });
}

test("the gauge counts by part as the server does, before anything is sent", { skip }, async () => {
  await using server = await openPageServer({ answer: () => "0123456789", contextTokens: 1000 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const exact = page.locator(".gauge:not(:has-text('≈'))");
  const shown = async (): Promise<Record<string, number>> => {
    await exact.click();
    const rows = await page.locator(".gauge-card dl > div").allInnerTexts();
    await page.keyboard.press("Escape");
    return Object.fromEntries(
      rows.map((row) => row.split("\n")).map(([name = "", count]) => [name.trim(), Number(count)]),
    );
  };
  const t = strings.en.contextParts;
  await page.keyboard.press("Control+,");
  await page.getByLabel(strings.en.systemPrompt).fill("Be brief.");
  await page.keyboard.press("Escape");
  for (const [round, text] of ["12345", "and again"].entries()) {
    await page.locator(".composer textarea").fill(text);
    const parts = await shown();
    const { [t.room]: room = 0, ...spent } = parts;
    const promptTokens = Object.values(spent).reduce((sum, tokens) => sum + tokens, 0);
    assert.equal(promptTokens + room, 1000);
    assert.ok((parts[t.system] ?? 0) > "Be brief.".length && (parts[t.history] ?? 0) > 0 === round > 0);
    await ask(page, text);
    const [conversation] = server.door.workspace.conversations.page({ limit: 1 });
    const { details } = server.door.workspace.conversations.message(conversation?.leafId ?? "");
    assert.equal((details.usage as { promptTokens: number }).promptTokens, promptTokens);
  }
});

test("more than the context holds is never cut: choices, and what is left out is marked", { skip }, async () => {
  const prompts: string[] = [];
  await using server = await openPageServer({
    answer: (_, prompt) => `${"answer ".repeat(20)}${prompts.push(prompt)}`,
    contextTokens: 700,
  });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const t = strings.en;
  await ask(page, "first question");
  await ask(page, "second question");
  const long = "x".repeat(380);
  await page.locator(".composer textarea").fill(long);
  await page.getByRole("alert").getByText(t.overBudget("").slice(-40)).waitFor();
  await page.locator(".send[disabled]").waitFor();
  await page.keyboard.press("Enter");
  assert.equal(prompts.length, 2, "sent although it does not fit");
  await page.getByRole("button", { name: t.leaveOutOldest(2) }).click();
  await page.getByText(t.leftOutMark).first().waitFor();
  await ask(page, long);
  assert.ok(!prompts[2]?.includes("first question") && prompts[2]?.includes("second question"));
  assert.ok(prompts[2]?.includes(long));
});

test("a conversation that has become too long is summarised in a new one, whole", { skip }, async () => {
  const prompts: string[] = [];
  await using server = await openPageServer({
    answer: (_, prompt) => `${"words ".repeat(30)}${prompts.push(prompt)}`,
    contextTokens: 1200,
  });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const t = strings.en;
  await ask(page, "first question");
  await page.locator(".composer textarea").fill("y".repeat(1000));
  await page.getByRole("alert").getByText(t.overBudget("").slice(-40)).waitFor();
  await page.getByRole("button", { name: /^Leave out “words words/ }).waitFor(); // the largest by name
  await page.getByRole("button", { name: t.summarise }).click();
  await page.locator(".bubble").getByText(t.summariseAsk).waitFor();
  await page.locator(".bubble .chip").getByText(t.conversationFile).waitFor();
  await page.locator('.message.assistant[data-state="complete"]').waitFor();
  assert.ok(prompts[1]?.includes("first question") && prompts[1].includes(t.summariseAsk));
});

test("a long paste can be looked at, put back into the message, or taken off", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const t = strings.en;
  const text = Array.from({ length: 250 }, (_, n) => `row ${n}`).join("\n");
  await paste(page, text);
  await page.getByRole("button", { name: t.showAttachment(t.pastedText(1)) }).click();
  await page.getByRole("dialog").getByText("row 249").waitFor();
  await page.getByRole("button", { name: t.putIntoMessage }).click();
  assert.equal(await page.locator(".composer textarea").inputValue(), text);
  await page.locator(".composer textarea").fill("");
  await paste(page, text);
  await page.getByRole("button", { name: t.removeAttachment(t.pastedText(1)) }).click();
  assert.equal(await page.locator(".composer .chip").count(), 0);
});

test("text files are read in UTF-8 and GB18030; what is no text is refused by name", { skip }, async () => {
  const prompts: string[] = [];
  await using server = await openPageServer({ answer: (_, prompt) => `ok ${prompts.push(prompt)}` });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.locator('input[type="file"]').setInputFiles([
    { name: "utf8.md", mimeType: "text/markdown", buffer: Buffer.from("# 标题\n正文") },
    { name: "gbk.txt", mimeType: "text/plain", buffer: Buffer.from([0xd6, 0xd0, 0xce, 0xc4]) },
    { name: "scan.pdf", mimeType: "application/pdf", buffer: Buffer.from([0x25, 0x50, 0, 1, 2, 3]) },
  ]);
  await page.getByText(strings.en.notText("scan.pdf")).waitFor();
  await ask(page, "read");
  assert.ok(prompts[0]?.includes('<document name="utf8.md">\n# 标题\n正文\n</document>'));
  assert.ok(prompts[0]?.includes('<document name="gbk.txt">\n中文\n</document>'));
  assert.ok(!prompts[0]?.includes("scan.pdf"));
});

test("a draft survives a reload of the tab", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.locator(".composer textarea").fill("half a thought");
  await page.reload();
  await page.waitForFunction("document.querySelector('.composer textarea')?.value === 'half a thought'");
});
