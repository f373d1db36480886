// Chromium for the page's tests: one browser a file, a fresh context a test. The page must never ask anybody but our server, and
// must never fail in silence: both are checked for every test that uses `visit`.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { copiedMs, noticeMs } from "../../web/ui/shown-times.ts";

const places = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

export const chromiumPath = places.find((place) => place !== undefined && existsSync(place));

/** For `test(…, { skip })`: false where Chromium is, else the reason. */
export const skipWithoutChromium: string | false =
  chromiumPath === undefined ? "no Chromium found; install one or set CHROMIUM to its path" : false;

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function openBrowser(): Promise<Browser> {
  // Without a UTF-8 locale Chromium calls a download with a Chinese name "download".
  const env = { LANG: "C.UTF-8", ...process.env };
  return chromium.launch({ ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }), args: flags, env });
}

export interface Visit extends AsyncDisposable {
  page: Page;
  /** Addresses outside the server that the page asked for. */
  strangers: readonly string[];
}

/** The page's notices and "copied" stay long enough for a busy machine to see them. */
const lastingNotices = `{
  const wait = setTimeout;
  globalThis.setTimeout = (run, ms, ...rest) => wait(run, ${JSON.stringify([noticeMs, copiedMs])}.includes(ms) ? 20 * ms : ms, ...rest);
}`;

/** Opens the page in a context of its own; leaving the scope closes it and checks that nothing went wrong unseen. */
export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...options });
  await context.addInitScript(lastingNotices);
  const page = await context.newPage();
  page.setDefaultTimeout(300_000); // a busy machine is no failure
  const strangers: string[] = [];
  const failures: string[] = [];
  page.on("request", (request) => {
    const address = request.url();
    if (!address.startsWith(url) && !/^(?:data|blob):/.test(address)) strangers.push(address);
  });
  page.on("pageerror", (error) => failures.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) failures.push(message.text());
  });
  await page.goto(url);
  await page.locator(".composer textarea").waitFor();
  return {
    page,
    strangers,
    async [Symbol.asyncDispose]() {
      await context.close();
      assert.deepEqual(strangers, [], "the page asked somebody else");
      assert.deepEqual(failures, [], "the page failed in its console");
    },
  };
}

/** Types a message, sends it and waits until its answer has ended. */
export async function ask(page: Page, text: string): Promise<void> {
  const before = await page.locator(".message.assistant").count();
  await page.locator(".composer textarea").fill(text);
  await page.locator(".send").click();
  await page.locator(".message.assistant").nth(before).waitFor();
  await page
    .locator(".message.assistant")
    .last()
    .and(page.locator('[data-state]:not([data-state="running"])'))
    .waitFor();
}

export const lastAnswer = (page: Page) => page.locator(".message.assistant").last();

/** What a paste into the message brings, by type. */
export function pasteInto(page: Page, data: Readonly<Record<string, string>>): Promise<void> {
  return page.evaluate(`{
    const area = document.querySelector(".composer textarea");
    const clipboardData = new DataTransfer();
    for (const [type, text] of Object.entries(${JSON.stringify(data)})) clipboardData.setData(type, text);
    area.focus();
    area.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }`);
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Fault {
  id: string;
  impact: string;
  nodes: { html: string; failureSummary: string }[];
}

/** Serious faults of accessibility on what is shown. A fault is looked at twice: what is just fading in or out is none. */
export async function faultsOf(page: Page): Promise<string[]> {
  // evaluate() runs past the page's Content-Security-Policy; the policy itself stays as it is.
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(`${axe}; undefined`);
  const first = await seriousFaults(page);
  if (first.length === 0) return first;
  await page.waitForTimeout(1000);
  return seriousFaults(page);
}

async function seriousFaults(page: Page): Promise<string[]> {
  const { violations } = (await page.evaluate('axe.run({ resultTypes: ["violations"] })')) as { violations: Fault[] };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)} ${nodes[0]?.failureSummary.slice(0, 240)}`);
}
