// Documents and analyses in the built page: a contract from upload to cited answer, a workbook from the press of
// a button to the slides; against the real server, in both languages.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { after, before } from "node:test";
import { readXlsx } from "hucre/xlsx";
import type { Browser, Page } from "playwright-core";
import { makeSalesRows, makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import { strings } from "../../web/strings.ts";
import { officeStrings } from "../../web/strings-office.ts";
import { openBrowser, skipWithoutChromium as skip, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";

let browser: Browser;
let contract: Buffer;
const rows = makeSalesRows();
let workbook: Uint8Array;
before(async () => {
  if (skip) return;
  browser = await openBrowser();
  contract = await printContract();
  workbook = await makeSalesWorkbook(rows);
});
after(() => browser?.close());

/** Three pages with a running header and page numbers, as an office prints them. */
async function printContract(): Promise<Buffer> {
  const clause = (n: number): string =>
    `<p>第${n}条 双方应当遵循诚信原则，按照约定全面履行自己的义务，并及时通知对方。</p>`;
  const pages = [
    `<h1>采购合同</h1>${Array.from({ length: 14 }, (_, n) => clause(n + 1)).join("")}`,
    `<h2>付款条款</h2><p>甲方应在验收合格后三十日内支付合同总价的百分之九十。</p>${clause(4)}`,
    `<h2>违约责任</h2><p>逾期付款的，每逾期一日支付万分之五的违约金。</p>${clause(5)}`,
  ];
  const page = await browser.newPage();
  await page.setContent(
    `<style>section{break-after:page}</style>${pages.map((each) => `<section>${each}</section>`).join("")}`,
  );
  const small = 'style="font-size:9px;width:100%;text-align:center"';
  const pdf = await page.pdf({
    format: "A4",
    displayHeaderFooter: true,
    headerTemplate: `<div ${small}>Confidential 2025-017</div>`,
    footerTemplate: `<div ${small}>- <span class="pageNumber"></span> -</div>`,
    margin: { top: "60px", bottom: "60px", left: "60px", right: "60px" },
  });
  await page.close();
  return pdf;
}

const choose = (page: Page, name: string, buffer: Buffer): Promise<void> =>
  page.locator('input[type="file"]').setInputFiles({ name, mimeType: "application/octet-stream", buffer });

/** Independently of the analysis: quarter sums over the rows that made the workbook. */
function quarterSums(product?: string): [second: number, third: number] {
  const sums: [number, number] = [0, 0];
  for (const row of rows) {
    if (row.region !== "华东" || row.category !== "手机" || (product !== undefined && row.product !== product))
      continue;
    sums[row.month < "2025-07" ? 0 : 1] += row.amount;
  }
  return sums;
}

for (const [locale, language] of [
  ["zh-CN", "zh"],
  ["en-US", "en"],
] as const) {
  const t = strings[language];
  const o = officeStrings[language];
  const mark = (page: number): string => (language === "zh" ? `[第 ${page} 页]` : `[p. ${page}]`);

  test(`${locale}: a contract is read, previewed, corrected, asked about, and its citations lead to their pages`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer(
      {
        answer: (_request, prompt) => {
          prompts.push(prompt);
          return `甲方应在验收合格后三十日内支付 ${mark(2)}。附件另有约定 ${mark(8)}。`;
        },
      },
      { hasOffice: true },
    );
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    const states = page.evaluate(() => {
      const scope = globalThis as unknown as {
        phases: string[];
        document: { body: unknown };
        MutationObserver: new (f: () => void) => { observe: (at: unknown, how: object) => void };
      };
      scope.phases = [];
      new scope.MutationObserver(() => {
        const chip = (
          scope.document as unknown as { querySelector: (s: string) => { textContent: string } | null }
        ).querySelector(".chip.upload small");
        if (chip) scope.phases.push(chip.textContent);
      }).observe(scope.document.body, { childList: true, subtree: true, characterData: true });
    });
    await states;
    await choose(page, "采购合同.pdf", contract);
    const chip = page.locator(".composer .chip:not(.upload)");
    await chip.getByText(o.pagesOf(3)).waitFor();
    const phases = await page.evaluate(() => (globalThis as unknown as { phases: string[] }).phases);
    assert.ok(phases.includes(o.uploading) || phases.includes(o.readingFile), `no progress was shown: ${phases}`);
    await page
      .locator(".gauge-words")
      .getByText(/[1-9]\d* \//)
      .waitFor();

    await chip.locator(".chip-name").click();
    const pane = page.locator(".document-pane");
    await pane.locator(".page-sheet img").waitFor();
    const header = pane.locator(".segment.removed").first();
    await header.getByText(o.removedReasons.running_header ?? "").waitFor();
    await pane.getByRole("button", { name: o.nextPage }).click();
    await pane.getByText(o.pageAt(2, 3)).waitFor();
    const clause = pane.locator(".segment").filter({ hasText: "百分之九十" });
    await clause.hover();
    await clause.getByRole("button", { name: o.correct }).click();
    await pane.getByLabel(o.correctLabel).fill("甲方应在验收合格后三十日内支付合同总价的百分之八十。");
    await pane.getByRole("button", { name: o.save }).click();
    await pane.getByText(o.correctedMark).waitFor();
    await chip.getByText(o.edited).waitFor();
    await pane.getByRole("button", { name: o.restore }).first().click();
    await pane.locator(".office-head").getByRole("button", { name: t.close }).click();

    await page
      .locator(".composer textarea")
      .fill(language === "zh" ? "付款条款是什么？" : "What are the payment terms?");
    await page.locator(".send").click();
    const answer = page.locator('.message.assistant[data-state="complete"]');
    await answer.locator("a.citation.doubt").getByText(mark(8)).waitFor();
    await answer.getByText(o.doubtful(1)).waitFor();
    const prompt = prompts.at(-1) ?? "";
    assert.match(prompt, /百分之八十/);
    assert.doesNotMatch(prompt, /百分之九十/);
    assert.equal(prompt.split("Confidential 2025-017").length - 1, 1, "the header that was put back, and only that");
    await answer.getByRole("button", { name: o.deliver }).click();
    const [report] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: o.formats.docx, exact: true }).click(),
    ]);
    assert.match(report.suggestedFilename(), /\.docx$/);
    await answer.locator("a.citation").first().click();
    await page.locator(".document-pane").getByText(o.pageAt(2, 3)).waitFor();
    await page.locator(".segment.cited").getByText("三十日内").waitFor();
    await page.locator(".page-mark").waitFor();
    await page.reload();
    await page.locator(".chat-row").first().locator(".chat-name").click();
    await page.locator("a.citation.doubt").waitFor(); // kept with the answer
  });

  test(`${locale}: a document that does not fit goes as passages, and the answer says what was left out`, {
    skip,
  }, async () => {
    const prompts: string[] = [];
    await using server = await openPageServer(
      { contextTokens: 700, answer: (_request, prompt) => `ok ${prompts.push(prompt)} ${mark(2)}` },
      { hasOffice: true },
    );
    await using visited = await visit(browser, server.url, { locale });
    const { page } = visited;
    await choose(page, "采购合同.pdf", contract);
    await page.locator(".composer .chip:not(.upload)").waitFor();
    await page.locator(".composer textarea").fill(language === "zh" ? "违约金是多少？" : "违约金?");
    await page.getByRole("button", { name: o.fitChoices.relevant }).click();
    await page.getByText(o.fitChosen.relevant).waitFor();
    await page.locator(".send").click();
    const answer = page.locator('.message.assistant[data-state="complete"]');
    await answer.locator(".file-notes").getByText("采购合同.pdf").waitFor();
    assert.match(prompts.at(-1) ?? "", /万分之五/);
  });

  test(`${locale}: the flagship analysis, from the press to the slides`, { skip }, async () => {
    await using server = await openPageServer({ answer: () => "增长了 99 %。Up by 99 %." }, { hasOffice: true });
    await using visited = await visit(browser, server.url, { locale, viewport: { width: 1440, height: 900 } });
    const { page } = visited;
    await choose(page, "sales.xlsx", Buffer.from(workbook));
    await page.locator(".composer .chip").getByRole("button", { name: o.analyse }).click();
    const pane = page.locator(".analysis-pane");
    await pane.getByLabel(o.addFilter).selectOption("区域");
    await pane.getByLabel("区域", { exact: true }).selectOption("华东");
    await pane.getByLabel(o.addFilter).selectOption("品类");
    await pane.getByLabel("品类", { exact: true }).selectOption("手机");
    await pane.getByRole("radio", { name: o.comparisons.previous }).check();
    await pane.locator(".plan-go button").click();
    await pane.locator(".deliverables").waitFor();
    await pane.locator(".chart-place svg").waitFor();

    const [second, third] = quarterSums();
    const [before, now] = quarterSums("小米 14 系列");
    assert.equal(Math.round((100 * (third - second)) / second), 23);
    assert.equal(Math.round((100 * (now - before)) / (third - second)), 68);
    const conclusion = await pane.locator(".conclusion p").first().innerText();
    const facts = await pane.locator(".facts").innerText();
    assert.match(conclusion, /23\s?%/);
    assert.match(facts, /小米 14 系列[^\n]*68\s?%/);
    assert.doesNotMatch(conclusion, /99/, "a number that is in no fact was shown");
    await pane.locator(".figure-link").first().click();
    await pane
      .locator(".fact-card")
      .getByText(/SUM\(销售额\)/)
      .waitFor();
    await pane
      .locator(".fact-card")
      .getByText(/销售明细!I/)
      .first()
      .waitFor();

    const [slides] = await Promise.all([
      page.waitForEvent("download"),
      pane.getByRole("button", { name: o.formats.pptx, exact: true }).click(),
    ]);
    assert.match(slides.suggestedFilename(), /\.pptx$/);
    const bytes = await readFile(await slides.path());
    assert.deepEqual([...bytes.subarray(0, 2)], [0x50, 0x4b]);
    const [sheet] = await Promise.all([
      page.waitForEvent("download"),
      pane.getByRole("button", { name: o.formats.xlsx, exact: true }).click(),
    ]);
    assert.ok((await readXlsx(await readFile(await sheet.path()))).sheets.length > 0);

    // The plan is edited in words, and back again.
    for (const [from, to] of [
      ["华东", "华南"],
      ["华南", "华东"],
    ] as const) {
      await pane.getByRole("button", { name: o.editPlan }).click();
      const words = pane.getByRole("textbox", { name: o.planTitle });
      await words.fill((await words.inputValue()).replaceAll(from, to));
      await pane.locator(".plan-edit").getByRole("button", { name: o.run }).click();
      await pane
        .locator(".plan-words p")
        .getByText(new RegExp(`${to}.*产品`))
        .waitFor();
      await pane.locator(".deliverables").waitFor();
    }
    assert.match(await pane.locator(".conclusion p").first().innerText(), /23\s?%/);

    await pane.getByRole("button", { name: o.why, exact: true }).click();
    await pane
      .locator(".plan-words")
      .getByText(/产品.*城市/)
      .waitFor(); // down along the next dimension
    await pane
      .locator(".ask-words input")
      .first()
      .fill(language === "zh" ? "按渠道" : "by 渠道");
    await pane.locator(".ask-words button").first().click();
    await pane
      .locator(".facts")
      .getByText(/线上商城/)
      .first()
      .waitFor();
    await pane
      .locator(".plan-words")
      .getByText(/华东.*渠道/)
      .waitFor(); // filters and period are kept

    await page.emulateMedia({ media: "print" });
    assert.deepEqual(
      await Promise.all(
        [".main", ".plan-form", ".deliverables", ".chart-place", ".facts"].map((at) => page.locator(at).isVisible()),
      ),
      [false, false, false, true, true],
      "on paper only what was found stands",
    );
  });

  test(`${locale}: two dimensions are stacked, and how the table was read can be overruled`, { skip }, async () => {
    await using server = await openPageServer({ answer: () => "" }, { hasOffice: true });
    await using visited = await visit(browser, server.url, { locale, viewport: { width: 1440, height: 900 } });
    const { page } = visited;
    await choose(page, "sales.xlsx", Buffer.from(workbook));
    await page.locator(".composer .chip").getByRole("button", { name: o.analyse }).click();
    const pane = page.locator(".analysis-pane");
    await pane
      .locator(".ask-words input")
      .first()
      .fill(language === "zh" ? "各区域、品类的销售额" : "销售额 by 区域 and 品类");
    await pane.locator(".ask-words button").first().click();
    await pane.locator(".chart-place svg").getByText("家电").waitFor(); // the legend of the layers
    assert.equal(await pane.getByLabel(o.chartKind).inputValue(), "stacked");

    await pane.getByText(o.howRead).click();
    await pane.locator(".table-reading").getByText(/5000/).waitFor(); // why a column is a date
    const unit = pane.getByLabel(`销售额: ${o.columnUnit}`, { exact: true });
    await unit.fill("万元");
    await unit.press("Enter");
    await pane.getByRole("button", { name: o.readAsFound }).waitFor();
    await pane.locator(".plan-go button").click();
    await pane
      .locator(".conclusion")
      .getByText(language === "zh" ? /亿元/ : /billion yuan/)
      .first()
      .waitFor();
    await pane.getByRole("button", { name: o.readAsFound }).click();
    await pane.getByRole("button", { name: o.readAsFound }).waitFor({ state: "detached" });
    assert.equal(await pane.getByLabel(`销售额: ${o.columnUnit}`, { exact: true }).inputValue(), "元");
  });

  test(`${locale}: a table that stands in a document is analysed from its page`, { skip }, async () => {
    await using server = await openPageServer({ answer: () => "" }, { hasOffice: true });
    await using visited = await visit(browser, server.url, { locale, viewport: { width: 1440, height: 900 } });
    const { page } = visited;
    const html =
      "<h2>门店销售</h2><table><tr><th>门店</th><th>6月销售额（元）</th><th>7月销售额（元）</th></tr><tr><td>一店</td><td>12,300</td><td>15,600</td></tr><tr><td>二店</td><td>8,050</td><td>7,900</td></tr></table>";
    await choose(page, "report.html", Buffer.from(html));
    await page.locator(".composer .chip:not(.upload) .chip-name").click();
    await page.locator(".document-pane").getByRole("button", { name: o.analyse }).click();
    const pane = page.locator(".analysis-pane");
    await pane.locator(".plan-go button").click();
    await pane
      .locator(".facts")
      .getByText(/15\.5\s?%/)
      .first()
      .waitFor(); // 23,500 after 20,350
  });
}

test("a file that cannot be read says why and leaves no chip", { skip }, async () => {
  await using server = await openPageServer({}, { hasOffice: true });
  await using visited = await visit(browser, server.url);
  const { page } = visited;
  await choose(page, "broken.pdf", Buffer.from("%PDF-1.7 and nothing more"));
  await page
    .locator(".toast.error")
    .getByText(/broken\.pdf/)
    .waitFor();
  assert.equal(await page.locator(".composer .chip").count(), 0);
});
