// What the page promises about speed, by counts that no busy machine changes: bytes of script before it works, and frames between a token's
// arrival and the screen. Milliseconds are measured by measure-speed.ts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test, { after, before } from "node:test";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer, pageFolder } from "./page-server.ts";
import { numberedWords, seenWords, watchTokens } from "./watch-tokens.ts";

let browser: Browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

test("before one can write, less than 300 kB of compressed script are loaded", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const loaded: string[] = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.endsWith(".js")) loaded.push(pathname);
  });
  await page.reload({ waitUntil: "commit" });
  await page.locator(".composer textarea").fill("ready");
  const sizes = [...new Set(loaded)].map((file) => gzipSync(readFileSync(path.join(pageFolder, file))).length);
  const sum = sizes.reduce((total, size) => total + size, 0);
  assert.ok(sizes.length > 0 && sum < 300_000, `${loaded.join(", ")}: ${sum} bytes`);
});

test("a token that has arrived is on the screen with the next frame", { skip }, async () => {
  await using server = await openPageServer({ answer: () => numberedWords(120), tokensPerSecond: 40 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await watchTokens(page, { isUnhurried: true });
  await page.locator(".composer textarea").fill("count");
  await page.keyboard.press("Enter");
  await page.locator('.message.assistant[data-state="complete"]').waitFor();
  // The first words may come while the renderer itself is still on its way.
  const words = (await seenWords(page)).slice(10);
  assert.ok(words.length > 80, `${words.length} words were seen`);
  assert.deepEqual(
    words.filter(({ frames }) => frames > 1),
    [],
    `of ${words.length} words, these came later`,
  );
});
