// The whole product on the bundled model, as a person meets it: each point of the workbench in one walk through the built page, in both
// languages, against the server and engine process that `npm start` runs. What needs an engine that says what a test wants stands in the
// other files of this folder.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { after, before, type TestContext } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { ConversationHead, EngineBody, WorkspaceMessage } from "../../src/server/api-types.ts";
import { builtInTemplates } from "../../src/workspace/template-list.ts";
import { fillTemplate } from "../../src/workspace/template-text.ts";
import { strings } from "../../web/strings.ts";
import { ask, faultsOf, lastAnswer, openBrowser, pasteInto, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openRealService, ownModel, type RealService } from "./real-service.ts";

let browser: Browser;
let service: RealService;
before(async () => {
  if (skip) return;
  browser = await openBrowser();
  service = await openRealService("--context", "2048", "--parallel", "2");
});
after(async () => {
  await service?.[Symbol.asyncDispose]();
  await browser?.close();
});

const said = {
  zh: {
    question: "你好，你是谁？",
    answer: "规模很小",
    found: "演示",
    plain: "你是谁？",
    plea: "麻烦你帮我写一句问候语，谢谢！",
  },
  en: {
    question: "Hello, who are you?",
    answer: "For real work, please load",
    found: "beyond me",
    plain: "Who are you?",
    plea: "Could you please write one greeting? Thank you!",
  },
} as const;

async function read<T>(path: string): Promise<T> {
  return (await (await fetch(`${service.url}${path}`)).json()) as T;
}

async function newest(): Promise<{ conversation: ConversationHead; messages: WorkspaceMessage[] }> {
  const { conversations } = await read<{ conversations: ConversationHead[] }>("/workspace/conversations?limit=50");
  const head = conversations.toSorted((a, b) => b.createdAt - a.createdAt)[0];
  return read(`/workspace/conversations/${head?.id}`);
}

for (const [locale, language] of [
  ["zh-CN", "zh"],
  ["en-US", "en"],
] as const) {
  const t = strings[language];
  const { question, answer, found, plain, plea } = said[language];

  test(`${locale}: every point of the workbench on quern-mini`, { skip }, async (context) => {
    await using visited = await visit(browser, service.url, {
      locale,
      permissions: ["clipboard-read", "clipboard-write"],
      viewport: { width: 1440, height: 900 },
      reducedMotion: "reduce",
    });
    const { page } = visited;
    const field = page.locator(".composer textarea");
    const dialog = page.getByRole("dialog");
    const list = page.getByRole("navigation");
    const panel = page.getByRole("region", { name: t.engine, exact: true });
    const faults: Record<string, string[]> = {};
    const point = (name: string, run: (context: TestContext) => Promise<void>) =>
      context.test(`${locale}: ${name}`, run);
    const newChat = async (): Promise<void> => {
      await page.keyboard.press("Control+Shift+O");
      await page.locator(".welcome").waitFor();
    };
    const close = async (): Promise<void> => {
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
    };
    const openModels = async (): Promise<void> => {
      await panel.getByRole("button", { name: t.models }).click();
      await dialog.locator(".model").first().waitFor();
    };

    await point(
      "1 an answer is streamed, branched, stopped, continued, copied, exported, found, deleted and back",
      async () => {
        await ask(page, question);
        await lastAnswer(page).getByText(answer).waitFor();
        await page.getByRole("button", { name: t.regenerate }).click();
        await lastAnswer(page).getByLabel(t.versionOf(2, 2)).waitFor();
        await page.locator('.message.assistant[data-state="complete"]').waitFor();
        await page.locator(".message.user").hover();
        await page.getByRole("button", { name: t.edit, exact: true }).click();
        await page.getByRole("textbox", { name: t.editLabel }).fill(`${question} (2)`);
        await page.getByRole("button", { name: t.sendEdited }).click();
        await page.locator(".message.user", { hasText: "(2)" }).waitFor();
        await page.locator('.message.assistant[data-state="complete"]').waitFor();
        await page.locator(".message.user").hover();
        await page.locator(".message.user").getByRole("button", { name: t.previousVersion }).click();
        await lastAnswer(page).getByText(answer).waitFor();
        await lastAnswer(page).getByRole("button", { name: t.copy, exact: true }).click();
        assert.ok((await page.evaluate<string>("navigator.clipboard.readText()")).includes(answer));

        const { conversation } = await newest();
        const title = conversation.title;
        await list.getByRole("button", { name: `${t.more}: ${title}` }).click();
        const [markdown] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("menuitem", { name: t.exportMarkdown }).click(),
        ]);
        assert.ok((await readFile(await markdown.path(), "utf8")).includes(answer));
        await list.getByRole("button", { name: `${t.more}: ${title}` }).click();
        const [json] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("menuitem", { name: t.exportJson }).click(),
        ]);
        assert.equal(JSON.parse(await readFile(await json.path(), "utf8")).messages.length, 5, "all branches");
        const renamed = `${language} one`;
        await list.getByRole("button", { name: `${t.more}: ${title}` }).click();
        await page.getByRole("menuitem", { name: t.rename }).click();
        await page.getByRole("textbox", { name: t.renameLabel }).fill(renamed);
        await page.keyboard.press("Enter");
        await list.getByRole("button", { name: `${t.more}: ${renamed}` }).click();
        await page.getByRole("menuitem", { name: t.pin }).click();
        await list
          .getByRole("region", { name: t.pinned })
          .getByRole("button", { name: renamed, exact: true })
          .waitFor();
        await page.getByRole("searchbox", { name: t.searchChats }).fill(found);
        await list.locator(".chat-excerpt", { hasText: found }).first().waitFor();
        faults.search = await faultsOf(page);
        await page.getByRole("searchbox", { name: t.searchChats }).fill("");
        await list.getByRole("button", { name: `${t.more}: ${renamed}` }).click();
        await page.getByRole("menuitem", { name: t.remove }).click();
        await list.getByRole("button", { name: renamed, exact: true }).waitFor({ state: "hidden" });
        await page.getByRole("button", { name: t.undo }).click();
        await list.getByRole("button", { name: renamed, exact: true }).waitFor();

        await newChat();
        await page.keyboard.press("Control+,");
        await page.getByRole("radio", { name: t.temperatureChoices.custom }).check();
        await page.getByLabel(t.customTemperature, { exact: true }).last().fill("0");
        await close();
        const endless = "1+1+1+1+1+1+1+"; // quern-mini goes on and on
        await field.fill(endless);
        await page.keyboard.press("Enter");
        const running = page.locator('.message.assistant[data-state="running"]');
        await running.locator(".md").getByText(/\S/).first().waitFor();
        await page.getByRole("button", { name: t.stop, exact: true }).click();
        await page.locator('.message.assistant[data-state="stopped"]').waitFor();
        assert.equal(service.engine.status().runningRequests, 0, "stop ends the engine's work");
        const kept = (await newest()).messages.at(-1)?.text ?? "";
        await page.getByRole("button", { name: t.continueAnswer }).click();
        await running.waitFor();
        await page.reload();
        await list.getByRole("button", { name: endless, exact: true }).first().click(); // it runs on without its reader
        await running.waitFor();
        await page.getByRole("button", { name: t.stop, exact: true }).click();
        await page.locator('.message.assistant[data-state="stopped"]').waitFor();
        assert.ok((await newest()).messages.at(-1)?.text.startsWith(kept));
      },
    );

    await point("2 the live panel tells device, speed, memory by part and queue", async () => {
      await panel.getByText(t.deviceWords(service.engine.status().device)).waitFor();
      await panel.getByText(t.cpu, { exact: true }).waitFor();
      await panel.getByText(new RegExp(`^${t.memoryParts.weights} \\d`)).waitFor();
      await panel.getByText(new RegExp(`^${t.memoryParts.kept} \\d`)).waitFor(); // of the chats before
      await panel.getByText(t.queueOf(0, 64)).waitFor();
      await panel.getByText(/^\d+ ms$|^\d\.\d s$/).waitFor(); // the first token of the answer before
    });

    await point(
      "3 the gauge counts as the engine does, and too much offers choices, a larger context among them",
      async () => {
        await newChat();
        await field.fill(plain);
        await page.locator(".gauge:not(:has-text('≈'))").click();
        const rows = await page.locator(".gauge-card dl dd").allInnerTexts();
        const [system, history, files, message, room] = rows.map((text) => Number(text.replaceAll(",", "")));
        assert.equal((system ?? 0) + (history ?? 0) + (files ?? 0), 0);
        assert.equal((message ?? 0) + (room ?? 0), service.engine.status().contextTokens);
        faults.gauge = await faultsOf(page);
        await page.keyboard.press("Escape");
        await ask(page, plain);
        assert.equal((await newest()).messages.at(-1)?.stats?.promptTokens, message);
        const before = service.engine.status().contextTokens;
        await field.fill("long words that fill the context ".repeat(before / 5));
        const over = page.locator(".over-budget");
        await over.getByRole("button", { name: t.summarise }).waitFor();
        faults.over = await faultsOf(page);
        await page.locator(".send[disabled]").waitFor();
        await over.getByRole("button", { name: t.raiseContextPlain(`${before / 512}K`) }).click();
        await over.waitFor({ state: "hidden" });
        assert.equal(service.engine.status().contextTokens, 2 * before);
        await page.locator(".send:not([disabled])").waitFor();
        await field.fill("");
      },
    );

    await point(
      "4 settings tell what they take and do here, and hold for the chat, for new ones and for the engine",
      async () => {
        await newChat();
        await page.keyboard.press("Control+,");
        const engine = dialog.getByRole("region", { name: t.engineSettings });
        await engine.getByRole("button", { name: t.measure }).click();
        await engine.getByRole("button", { name: t.measureAgain }).waitFor();
        const { measured, needs } = await read<EngineBody>("/workspace/engine");
        assert.deepEqual(
          measured?.together.map(({ sequences }) => sequences),
          [1, 2],
        );
        await engine
          .getByText(
            t
              .togetherMeasured("")
              .replace(/[。.]$/, "")
              .trim(),
            { exact: false },
          )
          .first()
          .waitFor();
        await dialog.getByText(t.temperatureMeasured("", "").slice(0, 8)).first().waitFor();
        await dialog.getByText(t.maxTokensMeasured("1,000", "").slice(0, 14)).waitFor();
        faults.settings = await faultsOf(page);
        const tokenBytes = needs.kvTokenBytes.f16 ?? 0;
        const shown = await engine.getByLabel(t.contextLength).locator("option").allInnerTexts();
        assert.ok(
          shown.some((text) => text.startsWith("16K · ") && /[MG]B$/.test(text)),
          shown.join(),
        );
        await engine.getByLabel(t.contextLength).selectOption("16384");
        await engine.getByLabel(t.together).selectOption("1");
        await engine
          .getByText(`${Math.round((16_384 * tokenBytes) / 1e6)} MB`, { exact: false })
          .last()
          .waitFor();
        await engine.getByRole("button", { name: t.applyEngine }).click();
        await page.getByText(t.engineApplied).waitFor();
        const { running } = await read<EngineBody>("/workspace/engine");
        assert.deepEqual([running.contextTokens, running.parallel], [16_384, 1]);
        await engine.getByLabel(t.contextLength).selectOption("4096");
        await engine.getByLabel(t.together).selectOption("2");
        await engine.getByRole("button", { name: t.applyEngine }).click();
        await engine.locator("progress").waitFor({ state: "detached" });
        await engine.getByRole("button", { name: t.applyEngine, disabled: true }).waitFor();
        await page.getByRole("radio", { name: t.temperatureChoices.precise }).check();
        await dialog.getByLabel(t.maxTokens).fill("5");
        await close();
        await ask(page, question);
        await lastAnswer(page).getByText(t.answerCut).waitFor();
        const { conversation } = await newest();
        assert.deepEqual([conversation.settings.temperatureChoice, conversation.settings.maxTokens], ["precise", 5]);
      },
    );

    await point("5 templates fill, preview and send; the slash menu finds them; one's own are kept", async () => {
      await newChat();
      const report = builtInTemplates[0]?.[language];
      assert.ok(report?.example);
      await field.fill("/");
      await page.getByRole("option").nth(19).waitFor(); // sixteen templates and four commands
      faults.slash = await faultsOf(page);
      await page.getByRole("option", { name: report.name }).first().click();
      await dialog.getByRole("button", { name: t.templateFill }).click();
      await dialog
        .locator(".preview pre")
        .getByText(fillTemplate(report, report.example).split("\n")[0] ?? "")
        .waitFor();
      faults.template = await faultsOf(page);
      await dialog.getByRole("button", { name: t.templateSend, exact: true }).click();
      await page.locator('.message.assistant[data-state="complete"]').waitFor();
      assert.equal((await newest()).messages[0]?.text, fillTemplate(report, report.example).trim());
      await page.locator(".composer-row").getByRole("button", { name: t.templates }).click();
      await dialog.getByRole("button", { name: t.templateNew }).click();
      await dialog.getByLabel(t.templateName, { exact: true }).fill(`Mine-${language}`);
      await dialog.getByLabel(t.templatePrompt, { exact: true }).fill("{{what}}?");
      faults.editor = await faultsOf(page);
      await dialog.getByRole("button", { name: t.save }).click();
      await dialog.getByRole("heading", { name: `Mine-${language}` }).waitFor();
      await close();
      await field.fill(`/mine-${language}`);
      assert.equal(await page.getByRole("option").count(), 1);
      await field.fill("");
    });

    await point("6 the draft is read ahead, so that on Send only its tail is left", async () => {
      await newChat();
      const draft = `${question} ${question} ${question}`;
      await field.fill(draft);
      await page.getByRole("button", { name: t.prefillTitle }).waitFor();
      await page.keyboard.press("Enter");
      await page.locator('.message.assistant[data-state="complete"]').waitFor();
      const { promptTokens = 0, cachedTokens = 0 } = (await newest()).messages.at(-1)?.stats ?? {};
      assert.ok(promptTokens - cachedTokens < promptTokens / 2, `${cachedTokens} of ${promptTokens} were there`);
      await lastAnswer(page)
        .getByText(t.cachedStat(String(cachedTokens)))
        .waitFor();
    });

    await point("7 politeness goes with its difference shown, and a message may keep it", async () => {
      await newChat();
      await field.fill(plea);
      const badge = page.getByRole("button", { name: t.slimTitle });
      await badge.click();
      assert.ok((await page.locator(".slim-difference del").allInnerTexts()).length > 0);
      faults.slim = await faultsOf(page);
      await page.getByRole("checkbox").uncheck();
      await page.keyboard.press("Escape");
      await badge.click();
      await page.getByRole("checkbox").check();
      await page.keyboard.press("Escape");
      await field.press("Enter");
      await page.getByText(t.slimmedMark).waitFor();
      await page.locator('.message.assistant[data-state="complete"]').waitFor();
      const sent = (await newest()).messages[0];
      assert.deepEqual([sent?.text, sent?.isSlimmed], [plea, true]);
    });

    await point("8 the model in use is changed while Quern runs, and one that is damaged changes nothing", async () => {
      await newChat();
      await openModels();
      faults.models = await faultsOf(page);
      const mini = dialog.getByRole("listitem", { name: "quern-mini" });
      await dialog.getByRole("listitem", { name: ownModel }).getByText(t.modelLoaded).waitFor();
      await mini.getByRole("button", { name: t.useModel }).click();
      await mini.getByText(t.modelLoaded).waitFor();
      await close();
      await panel.getByText("quern-mini", { exact: true }).waitFor();
      await page.getByText(t.demoTitle).waitFor();
      faults.demonstration = await faultsOf(page);
      await ask(page, question);
      assert.equal((await newest()).messages.at(-1)?.model, "quern-mini");
      await openModels();
      await dialog.getByRole("listitem", { name: "broken.gguf" }).getByRole("button", { name: t.useModel }).click();
      await dialog.getByRole("alert").first().getByText(t.engineKept, { exact: false }).waitFor();
      faults.failed = await faultsOf(page);
      await dialog.getByRole("listitem", { name: ownModel }).getByRole("button", { name: t.useModel }).click();
      await dialog.getByRole("listitem", { name: ownModel }).getByText(t.modelLoaded).waitFor();
      await close();
      await ask(page, question);
      assert.equal((await newest()).messages.at(-1)?.model, "own");
    });

    await point("9 keys, palette, drop, pasted tables, themes, narrow screens and screen readers", async () => {
      await newChat();
      await page.keyboard.press("Control+/");
      await page.getByRole("heading", { name: t.shortcuts }).waitFor();
      faults.shortcuts = await faultsOf(page);
      await close();
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: t.paletteField }).fill(found);
      await page.getByRole("option", { name: found }).first().waitFor();
      faults.palette = await faultsOf(page);
      await close();
      await pasteInto(page, {
        "text/plain": "a\tb\n1\t2",
        "text/html": "<table><tr><td>a<td>b|c</tr><tr><td>1<td>2</tr></table>",
      });
      await holds(page, "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |\n\n");
      await field.fill("");
      await field.pressSequentially("so: ");
      await pasteInto(page, { "text/html": "<table><tr><td>a<td>b</tr><tr><td>1<td>2</tr></table>" });
      await holds(page, "so: \n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n");
      await page.keyboard.press("Control+z");
      await holds(page, "so: ");
      await field.fill("");
      await drop(page, "notes.txt", "dropped words");
      await page.locator(".composer .chip").getByText("notes.txt").waitFor();
      await ask(page, question);
      await page.getByTestId("announcer").getByText(t.answerDone).waitFor({ state: "attached" });
      assert.equal((await newest()).messages[0]?.attachments[0]?.name, "notes.txt");
      await page
        .locator("header.top")
        .getByRole("button", { name: `${t.theme}: ${t.themes.dark}` })
        .click();
      faults.dark = await faultsOf(page);
      await page.setViewportSize({ width: 390, height: 844 });
      await page.getByRole("button", { name: t.openSidebar }).waitFor();
      assert.equal(await page.evaluate("document.documentElement.scrollWidth > innerWidth"), false);
      faults.narrow = await faultsOf(page);
    });

    assert.deepEqual(
      Object.entries(faults).filter(([, list]) => list.length > 0),
      [],
    );
  });
}

/** Waits until the message reads so. */
async function holds(page: Page, text: string): Promise<void> {
  const field = page.locator(".composer textarea");
  for (let tries = 0; tries < 250 && (await field.inputValue()) !== text; tries++) await page.waitForTimeout(20);
  assert.equal(await field.inputValue(), text);
}

/** A file let go above the page. */
async function drop(page: Page, name: string, text: string): Promise<void> {
  await page.evaluate(
    `{ const data = new DataTransfer(); data.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}));
       dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })); }`,
  );
}
