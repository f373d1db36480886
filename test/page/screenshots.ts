// Takes pictures of a running Quern, for the README and for looking at: `npm run screenshots -- http://127.0.0.1:7860`. With `--all`
// every screen in both languages, light and dark, wide and narrow, into the folder that follows; else the README's two. Every answer in
// them is the model's own, to the templates' own examples.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { builtInTemplates } from "../../src/workspace/template-list.ts";
import { type Strings, strings } from "../../web/strings.ts";
import { openBrowser, visit } from "./browser.ts";

const { values, positionals } = parseArgs({ options: { all: { type: "string" } }, allowPositionals: true });
const url = positionals[0];
if (url === undefined) throw new Error("Give the address of a running Quern, such as http://127.0.0.1:7860");
const folder = values.all ?? path.join(import.meta.dirname, "../../docs/images");
mkdirSync(folder, { recursive: true });

const shownTemplates = 4;

/** One conversation from each of the first templates; those that are there already stay. */
async function fill(page: Page, t: Strings, language: "zh" | "en"): Promise<void> {
  for (const template of builtInTemplates.slice(0, shownTemplates).reverse()) {
    await page.getByRole("button", { name: t.newChat, exact: true }).first().click();
    await page.locator(".welcome").getByRole("button", { name: template[language].name }).click();
    await page.getByRole("button", { name: t.templateFill }).click();
    await page.getByRole("dialog").getByRole("button", { name: t.templateSend, exact: true }).click();
    await page.locator('.message.assistant[data-state="complete"]').waitFor({ timeout: 300_000 });
  }
}

const open = (page: Page) => page.getByRole("dialog");
const close = async (page: Page): Promise<void> => {
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
};

/** Every screen by name, each left as it was found. */
async function screens(page: Page, t: Strings, take: (name: string) => Promise<void>): Promise<void> {
  await page.waitForTimeout(1500); // a reading or two for the panel
  await take("chat");
  const sidebar = page.getByRole("button", { name: t.openSidebar });
  if (await sidebar.isVisible()) {
    await sidebar.click();
    await take("sidebar");
    await page.locator(".scrim").click({ position: { x: 370, y: 400 } });
  }
  await page.keyboard.press("Control+Shift+O");
  await page.locator(".welcome").waitFor();
  await take("welcome");
  await page
    .locator(".composer textarea")
    .fill(
      t === strings.zh
        ? "麻烦你帮我写一封请假邮件，谢谢！"
        : "Could you please write a short note of thanks? Thank you!",
    );
  await page.waitForTimeout(1500); // slimming and reading ahead settle
  await take("draft");
  await page.locator(".composer textarea").fill("");
  await page.keyboard.press("Control+k");
  await open(page).getByRole("option").nth(12).waitFor();
  await take("palette");
  await close(page);
  await page.locator(".composer-row").getByRole("button", { name: t.templates }).click();
  await take("templates");
  await open(page).locator(".card").nth(4).click();
  await page.getByRole("button", { name: t.templateFill }).click();
  await page.waitForTimeout(500);
  await take("template");
  await open(page).getByRole("button", { name: t.templateCopy }).click();
  await take("template-editor");
  await close(page);
  await page.getByRole("button", { name: t.settings, exact: true }).click();
  await take("settings");
  await open(page)
    .getByRole("button", { name: new RegExp(`^(?:${t.measure}|${t.measureAgain})$`) })
    .click();
  await open(page)
    .getByRole("button", { name: t.measureAgain })
    .and(page.locator(":enabled"))
    .waitFor({ timeout: 120_000 });
  await open(page).getByRole("button", { name: t.measureAgain }).scrollIntoViewIfNeeded();
  await take("settings-engine");
  await close(page);
  await page.keyboard.press("Control+/");
  await open(page).waitFor();
  await take("shortcuts");
  await close(page);
  await page.locator(".composer textarea").fill("x y z ".repeat(20_000));
  await page.locator(".over-budget").waitFor();
  await page.waitForTimeout(1500); // counted and settled
  await take("over-budget");
  await page.locator(".composer textarea").fill("");
  await page.keyboard.press("Control+k");
  await open(page).getByRole("combobox").fill(t.models);
  await page.keyboard.press("Enter");
  await open(page).locator(".model").first().waitFor();
  await take("models");
  await close(page);
}

await using browser = await openBrowser();
for (const [language, locale, colorScheme] of [
  ["en", "en-US", "light"],
  ["zh", "zh-CN", "dark"],
  ...(values.all === undefined
    ? []
    : ([
        ["en", "en-US", "dark"],
        ["zh", "zh-CN", "light"],
      ] as const)),
] as const) {
  const t = strings[language];
  for (const viewport of values.all === undefined
    ? [{ width: 1280, height: 860 }]
    : [
        { width: 1440, height: 900 },
        { width: 390, height: 844 },
      ]) {
    await using visited = await visit(browser, url, { locale, colorScheme, viewport, reducedMotion: "reduce" });
    const { page } = visited;
    await fill(page, t, language);
    if (values.all === undefined) {
      await page.mouse.move(900, 780);
      await page.waitForTimeout(1500); // one more reading for the panel
      await page.screenshot({ path: path.join(folder, `page-${language}.png`) });
    } else {
      await screens(page, t, async (name) => {
        await page.screenshot({ path: path.join(folder, `${name}-${language}-${colorScheme}-${viewport.width}.png`) });
      });
    }
  }
}
