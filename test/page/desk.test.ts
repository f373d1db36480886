// Around the conversation, in the built page: the live panel, what happens while a message is written, models, palette and keys.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { AppError } from "../../src/base/errors.ts";
import { openGpuMeter } from "../../src/engine/gpu-meter.ts";
import type { WorkspaceDoorOptions } from "../../src/server/workspace/workspace-door.ts";
import { strings } from "../../web/strings.ts";
import { buildNvmlStandIn } from "../engine/fixtures/nvml-stand-in.ts";
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

  test(`${locale}: the panel shows the GPU as NVML tells it, and the energy of an answer`, {
    skip,
  }, async (context) => {
    const library = buildNvmlStandIn();
    if (library === undefined) return context.skip("no C compiler to build the stand-in for NVML");
    const gpu = openGpuMeter(library);
    assert.ok(gpu);
    await using server = await openPageServer({ answer: () => "12345", tokensPerSecond: 20 }, { door: { gpu } });
    server.claim = {
      memory: { weightBytes: 2.5e9, kvBytes: 4e9, otherBytes: 0, totalBytes: 24e9 },
      kv: { totalTokens: 4000, usedTokens: 1000, cachedTokens: 500 },
    };
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const panel = page.getByRole("region", { name: t.engine, exact: true });
    await panel.getByText("NVIDIA Test").waitFor();
    await panel.getByText(/^37 %$/).waitFor();
    await panel.getByText("251 / 450 W · 61 °C").waitFor();
    await panel.getByText("2520 / 10501 MHz").waitFor();
    const { "power limit": power, "thermal limit (hardware)": heat } = t.throttleReasons;
    await panel.getByText(`${power}, ${heat}`).waitFor();
    for (const [part, amount] of [
      ["weights", "2.5 GB"],
      ["used", "1.0 GB"],
      ["kept", "500 MB"],
      ["reserved", "2.5 GB"],
      ["other", "2.5 GB"],
      ["free", "15 GB"],
    ] as const) {
      await panel.getByText(`${t.memoryParts[part]} ${amount}`, { exact: true }).waitFor();
    }
    await ask(page, "go");
    const stats = await lastAnswer(page).locator(".stats").innerText();
    assert.match(stats, /\d+(?:\.\d)? (?:J|焦耳)$/);
  });

  test(`${locale}: without a GPU the panel shows processor and memory; who waits is named with the place`, {
    skip,
  }, async () => {
    await using server = await openPageServer({ answer: endlessWords, tokensPerSecond: 50, parallel: 1 });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const panel = page.getByRole("region", { name: t.engine, exact: true });
    await panel.getByText(t.cpu).waitFor();
    await panel.getByText(t.machineMemory, { exact: true }).waitFor();
    await page.locator(".composer textarea").fill("first one");
    await page.keyboard.press("Enter");
    await lastAnswer(page).getByText("w1").waitFor();
    await page.keyboard.press("Control+Shift+O");
    await page.locator(".composer textarea").fill("second one");
    await page.keyboard.press("Enter");
    await panel.getByText("1. second one").waitFor();
    await panel.getByText(t.queueOf(1, 64)).waitFor();
    await panel.getByText(new RegExp(`^\\d+(?:\\.\\d)? ${t.speedUnit}$`)).waitFor();
  });

  test(`${locale}: the draft is read ahead while it is written, and not once that is switched off`, {
    skip,
  }, async () => {
    await using server = await openPageServer({ answer: () => "done" });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const text = "一段足够长的草稿，写着写着就被读进去了 and so on";
    await page.locator(".composer textarea").fill(text);
    const badge = page.getByRole("button", { name: t.prefillTitle });
    await badge.waitFor();
    assert.equal(server.door.workspace.conversations.page({ limit: 10 }).length, 0, "nothing of a draft is stored");
    await page.keyboard.press("Enter");
    await lastAnswer(page).getByText("done").waitFor();
    await page.locator('.message.assistant[data-state="complete"]').waitFor();
    await lastAnswer(page).getByText(t.cachedStat("").trim()).waitFor(); // the draft's tokens were there already
    await page.locator(".composer textarea").fill(`${text} once more`);
    await badge.click();
    await page.getByRole("button", { name: t.switchOff }).click();
    await badge.waitFor({ state: "hidden" });
    let drafts = 0;
    page.on("request", (request) => {
      if (request.url().endsWith("/workspace/draft")) drafts++;
    });
    const budget = page.waitForRequest((request) => request.url().endsWith("/workspace/budget"));
    await page.locator(".composer textarea").fill("another draft that is long enough");
    await budget;
    await page.waitForTimeout(600);
    assert.equal(drafts, 0);
  });

  test(`${locale}: politeness is shown struck out and left out of what is sent, unless this message keeps it`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer({ answer: (_, prompt) => `ok ${prompts.push(prompt)}` });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const text =
      language === "zh" ? "麻烦你帮我总结这份合同，谢谢！" : "Could you please summarise this contract? Thank you!";
    const badge = page.getByRole("button", { name: t.slimTitle });
    await page.locator(".composer textarea").fill(text);
    await badge.click();
    const gone = await page.locator(".slim-difference del").allInnerTexts();
    assert.ok(gone.length > 0);
    await page.keyboard.press("Escape");
    await page.locator(".composer textarea").press("Enter");
    await lastAnswer(page).getByText("ok 1").waitFor();
    for (const words of gone) assert.ok(!prompts[0]?.includes(words.trim()), `${words} was sent`);
    await page.locator(".bubble").getByText(text).waitFor(); // what was written stays
    await page.getByText(t.slimmedMark).waitFor();
    await page.locator(".composer textarea").fill(text);
    await badge.click();
    await page.getByRole("checkbox").uncheck();
    await page.keyboard.press("Escape");
    await page.locator(".composer textarea").press("Enter");
    await lastAnswer(page).getByText("ok 2").waitFor();
    assert.ok(prompts[1]?.includes(text));
  });

  test(`${locale}: a title and questions to ask next come after the answer`, { skip }, async () => {
    const prompts: string[] = [];
    const aside = (prompt: string): string =>
      /标题|title/.test(prompt) ? "Contract review" : "1. What next?\n2. And then?";
    await using server = await openPageServer({ answer: (_, prompt) => `ok ${prompts.push(prompt)}` }, { aside });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await ask(page, "look at the contract");
    await page.getByRole("button", { name: "Contract review", exact: true }).waitFor();
    const next = page.getByRole("region", { name: t.suggestions });
    await next.getByRole("button", { name: "And then?" }).click();
    await lastAnswer(page).getByText("ok 2").waitFor();
    assert.ok(prompts[1]?.includes("And then?"));
  });

  test(`${locale}: a model is fetched with progress, called off, and a failure is told`, {
    skip,
  }, async () => {
    const ways = ["cancelled", "failed"];
    const pull: NonNullable<WorkspaceDoorOptions["pull"]> = async ({ onProgress, signal }) => {
      onProgress?.({
        phase: "downloading",
        doneBytes: 1.2e9,
        totalBytes: 2.5e9,
        bytesPerSecond: 50e6,
        secondsLeft: 26,
      });
      if (ways.shift() === "failed") throw new AppError("upstream", "The hub is away.", { hint: "Try the mirror." });
      while (!signal?.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
      return { outcome: "cancelled", file: "" };
    };
    await using server = await openPageServer({}, { door: { pull } });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await page.getByRole("button", { name: t.models }).click();
    const dialog = page.getByRole("dialog");
    const model = dialog.getByRole("listitem", { name: "qwen3-4b-instruct-2507" });
    await model.getByText(t.modelStates.absent).waitFor();
    await model.getByRole("button", { name: t.pull }).click();
    await model.getByText(`${t.pullPhases.downloading}: 1.2 GB / 2.5 GB · 50 MB/s · ${t.aboutSeconds(26)}`).waitFor();
    await model.getByRole("button", { name: t.cancel }).click();
    await model.getByRole("button", { name: t.pull }).click();
    await model.getByText("The hub is away. Try the mirror.").waitFor();
    // An engine within the server's own process cannot be opened anew, and nothing seems as if it could.
    await dialog.getByLabel(t.contextLength).and(page.locator(":disabled")).waitFor();
    assert.equal(await dialog.getByRole("button", { name: t.applyEngine }).count(), 0);
  });

  test(`${locale}: the palette finds commands, templates and words of chats, by keys alone`, { skip }, async () => {
    await using server = await openPageServer({ answer: () => "深埋其中的词 quicksilver" });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await ask(page, "hello there");
    const field = page.getByRole("combobox", { name: t.paletteField });
    await page.keyboard.press("Control+k");
    await field.waitFor();
    await page.keyboard.insertText(t.shortcuts); // the field has the focus
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: t.shortcuts }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" }); // keys belong to a dialog as long as it is there
    await page.keyboard.press("Control+Shift+O");
    await page.locator(".welcome").waitFor();
    await page.keyboard.press("Control+k");
    await field.fill("quicksilver");
    await page.getByRole("option", { name: "quicksilver" }).waitFor();
    await page.keyboard.press("Enter");
    await lastAnswer(page).getByText("quicksilver").waitFor();
    await page.keyboard.press("Control+k");
    await field.fill(language === "zh" ? "译文件" : "Translate");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: t.templateFill }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.locator(".message-scroll").focus();
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: t.shortcuts }).waitFor();
  });
}

test("defaults of new chats and switches go with the person to another browser", { skip }, async () => {
  await using server = await openPageServer();
  const t = strings.en;
  {
    await using visited = await visit(browser, server.url);
    const { page } = visited;
    await page.keyboard.press("Control+,");
    await page.getByRole("checkbox", { name: t.suggestSetting }).uncheck();
    await page.getByLabel(t.systemPrompt).fill("Be brief.");
    await page.getByRole("button", { name: t.saveAsDefault }).click();
    const kept = (): string => JSON.stringify(server.door.workspace.preferences.all());
    while (!kept().includes("Be brief.") || !kept().includes('"hasSuggestions":false')) await page.waitForTimeout(20);
  }
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await page.getByText(t.engineStates.ready).waitFor();
  await page.keyboard.press("Control+,");
  const suggests = page.getByRole("checkbox", { name: t.suggestSetting });
  while (await suggests.isChecked()) await page.waitForTimeout(20);
  while ((await page.getByLabel(t.systemPrompt).inputValue()) !== "Be brief.") await page.waitForTimeout(20);
});

test("at 200 % zoom nothing is cut off and everything can be reached", { skip }, async () => {
  await using server = await openPageServer({ answer: () => "| a | b |\n| - | - |\n| 1 | 2 |" });
  // 1280 x 800 at 200 % is a viewport of half of each.
  await using visited = await visit(browser, server.url, {
    viewport: { width: 640, height: 400 },
    reducedMotion: "reduce",
  });
  const { page } = visited;
  const isCut = (): Promise<boolean> => page.evaluate("document.documentElement.scrollWidth > innerWidth");
  const t = strings.en;
  assert.equal(await isCut(), false);
  await ask(page, "table");
  assert.equal(await isCut(), false);
  for (const [key, last] of [
    ["Control+,", t.saveAsDefault],
    ["Control+k", t.palette],
  ] as const) {
    await page.keyboard.press(key);
    await page.getByRole("dialog").getByText(last).first().waitFor();
    const box = await page.getByRole("dialog").boundingBox();
    assert.ok(
      box && box.x >= 0 && box.y >= 0 && box.x + box.width <= 640 && box.y + box.height <= 400,
      JSON.stringify(box),
    );
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
  }
  await page.locator(".send").scrollIntoViewIfNeeded();
  const send = await page.locator(".send").boundingBox();
  assert.ok(send && send.y + send.height <= 400);
});
