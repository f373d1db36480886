// Templates in the built page: the sixteen that come with Quern, and one's own from writing to export.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { builtInTemplates } from "../../src/workspace/template-list.ts";
import { fillTemplate } from "../../src/workspace/template-text.ts";
import { strings } from "../../web/strings.ts";
import { lastAnswer, openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";

let browser: Browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

/** With lists, choices, texts and what may stay empty; that every template makes its prompt, the workspace's own tests check. */
const shown = ["weekly-report", "analyse", "translate"];

for (const [locale, language] of [
  ["zh-CN", "zh"],
  ["en-US", "en"],
] as const) {
  const t = strings[language];

  test(`${locale}: templates preview the prompt that they make, whatever their fields`, { skip }, async () => {
    await using server = await openPageServer();
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    for (const template of builtInTemplates.filter(({ id }) => shown.includes(id))) {
      const body = template[language];
      await page.locator(".composer-row").getByRole("button", { name: t.templates }).click();
      await page.getByRole("dialog").getByRole("button", { name: body.name }).click();
      await page.getByRole("button", { name: t.templateInsert }).click();
      await page.getByText(t.fillFirst).waitFor(); // nothing leaves the dialog half filled
      const { example } = body;
      assert.ok(example);
      await page.getByRole("button", { name: t.templateFill }).click();
      const wanted = fillTemplate(body, example).trim();
      const preview = page.locator(".preview pre");
      while ((await preview.innerText()).trim() !== wanted) await page.waitForTimeout(20);
      await page.getByRole("button", { name: t.templateInsert }).click();
      await page.getByRole("dialog").waitFor({ state: "hidden" });
      assert.equal(await page.locator(".composer textarea").inputValue(), wanted);
      await page.locator(".composer textarea").fill("");
    }
  });

  test(`${locale}: a template's message brings its title, temperature and system prompt`, { skip }, async () => {
    const prompts: string[] = [];
    const temperatures: (number | undefined)[] = [];
    await using server = await openPageServer({
      answer: ({ sampling }, prompt) => {
        temperatures.push(sampling.temperature);
        return `ok ${prompts.push(prompt)}`;
      },
    });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const template = builtInTemplates.find(({ id }) => id === "email")?.[language];
    assert.ok(template?.system && template.example);
    await page.getByRole("button", { name: t.allTemplates(16) }).click();
    await page.getByRole("dialog").getByRole("button", { name: template.name }).click();
    await page.getByRole("button", { name: t.templateFill }).click();
    await page.getByRole("dialog").getByRole("button", { name: t.templateSend, exact: true }).click();
    await lastAnswer(page).getByText("ok 1").waitFor();
    assert.ok(prompts[0]?.includes(template.system));
    assert.ok(prompts[0]?.includes(fillTemplate(template, template.example).trim()));
    assert.equal(temperatures[0], { precise: 0.3, balanced: 0.5, creative: 0.7 }[template.temperature]);
    await page
      .getByRole("navigation")
      .getByRole("button", { name: new RegExp(`^${template.name} · `) })
      .waitFor();
  });

  test(`${locale}: one's own template is written, used, changed, exported, deleted and brought back`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer({ answer: (_, prompt) => `ok ${prompts.push(prompt)}` });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const dialog = page.getByRole("dialog");
    const shelf = page.locator(".composer-row").getByRole("button", { name: t.templates });
    await shelf.click();
    await dialog.getByRole("button", { name: t.templateNew }).click();
    await dialog.getByRole("button", { name: t.save }).click();
    await dialog.getByRole("alert").waitFor(); // nothing was written yet
    await dialog.getByLabel(t.templateName, { exact: true }).fill("Standup");
    await dialog.getByLabel(t.templatePrompt, { exact: true }).fill("Yesterday:\n{{done}}\nBlocked by {{what}}");
    await dialog.getByLabel(t.fieldKind("done")).selectOption("list");
    await dialog.getByLabel(t.required).first().check();
    await dialog.getByRole("button", { name: t.save }).click();
    await dialog.getByRole("heading", { name: "Standup" }).waitFor();
    await dialog.locator(".fields textarea").first().fill("one\ntwo");
    await dialog.locator(".preview pre", { hasText: "- two" }).waitFor();
    await dialog.getByRole("button", { name: t.templateSend, exact: true }).click();
    await lastAnswer(page).getByText("ok 1").waitFor();
    assert.ok(prompts[0]?.includes("Yesterday:\n- one\n- two"));
    assert.ok(!prompts[0]?.includes("Blocked"), "a line without a value is left out");

    await shelf.click();
    await dialog.getByRole("button", { name: "Standup" }).click();
    await dialog.getByRole("button", { name: t.templateEdit }).click();
    await dialog.getByLabel(t.templateName, { exact: true }).fill("Standup two");
    await dialog.getByRole("button", { name: t.save }).click();
    await dialog.getByRole("button", { name: t.templateEdit }).click();
    await dialog.getByLabel(t.templateVersions).selectOption({ index: 1 });
    assert.equal(await dialog.getByLabel(t.templateName, { exact: true }).inputValue(), "Standup");
    await page.keyboard.press("Escape");

    await shelf.click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      dialog.getByRole("button", { name: t.templateExport }).click(),
    ]);
    const file = await readFile(await download.path(), "utf8");
    assert.equal(JSON.parse(file).templates[0].name, "Standup two");
    await dialog.getByRole("button", { name: "Standup two" }).click();
    await dialog.getByRole("button", { name: t.templateEdit }).click();
    await dialog.getByRole("button", { name: t.remove }).click();
    await dialog.getByRole("button", { name: "Standup two" }).waitFor({ state: "hidden" });
    await dialog
      .locator('input[type="file"]')
      .setInputFiles([{ name: "t.json", mimeType: "application/json", buffer: Buffer.from(file) }]);
    await dialog.getByRole("button", { name: "Standup two" }).waitFor();
  });
}
