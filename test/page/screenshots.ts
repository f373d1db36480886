// Takes pictures of Quern, for the README and for looking at: `npm run screenshots`, of one started for it on the bundled model with an empty
// workspace, or `npm run screenshots -- http://127.0.0.1:7860`, of one that runs. With `--all FOLDER`
// every screen in both languages, light and dark, wide and narrow, into the folder that follows; else the README's two. Every answer in
// them is the model's own, to the templates' own examples.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { builtInTemplates } from "../../src/workspace/template-list.ts";
import { type Strings, strings } from "../../web/strings.ts";
import { openBrowser, visit } from "./browser.ts";

const { values, positionals } = parseArgs({ options: { all: { type: "string" } }, allowPositionals: true });
const folder = values.all ?? path.join(import.meta.dirname, "../../docs/images");
mkdirSync(folder, { recursive: true });

const shownTemplates = 4;

/** A Quern of its own, gone with its data when the pictures are taken. */
async function openOwn(): Promise<AsyncDisposable & { url: string }> {
  const data = mkdtempSync(path.join(os.tmpdir(), "quern-pictures-"));
  const root = path.join(import.meta.dirname, "../..");
  const words = ["scripts/quern.js", "serve", "--port", "0", "--data", data, "--model", "quern-mini"];
  const server = spawn(process.execPath, words, { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(server, "exit");
  for await (const line of createInterface({ input: server.stderr })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url === undefined) continue;
    server.stderr.resume();
    return {
      url,
      async [Symbol.asyncDispose]() {
        server.kill();
        await ended;
        rmSync(data, { recursive: true, force: true });
      },
    };
  }
  throw new Error("Quern ended before it served.");
}

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

const [given] = positionals;
await using own = given === undefined ? await openOwn() : undefined;
const url = given ?? own?.url ?? "";
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
