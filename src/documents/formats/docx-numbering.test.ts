import assert from "node:assert/strict";
import test from "node:test";
import { withFormulas } from "./docx-math.ts";
import { withNumbers } from "./docx-numbering.ts";

const level = (index: number, format: string, text: string, start = 1): string =>
  `<w:lvl w:ilvl="${index}"><w:start w:val="${start}"/><w:numFmt w:val="${format}"/><w:lvlText w:val="${text}"/></w:lvl>`;
const numbering = `<w:numbering>
  <w:abstractNum w:abstractNumId="0">${level(0, "chineseCountingThousand", "第%1条")}${level(1, "decimal", "%1.%2")}${level(2, "decimal", "（%3）")}</w:abstractNum>
  <w:abstractNum w:abstractNumId="1">${level(0, "bullet", "•")}</w:abstractNum>
  <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
  <w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
  <w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>
</w:numbering>`;
const styles = `<w:styles><w:style w:styleId="a"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style><w:style w:styleId="b"><w:basedOn w:val="a"/></w:style></w:styles>`;
const counted = (number: number, at: number, text: string): string =>
  `<w:p><w:pPr><w:numPr><w:ilvl w:val="${at}"/><w:numId w:val="${number}"/></w:numPr></w:pPr><w:r><w:t>${text}</w:t></w:r></w:p>`;
const styled = (style: string, more = ""): string => `<w:p><w:pPr><w:pStyle w:val="${style}"/>${more}</w:pPr></w:p>`;
const labels = (document: string): string[] =>
  [...withNumbers(document, { numbering, styles }).matchAll(/\ue010(.*?)\ue011/g)].map((match) => match[1] ?? "");

test("clauses are counted on over the paragraphs between them, sub-clauses anew in each", () => {
  const document = [
    counted(1, 0, "a"),
    counted(1, 2, "b"),
    "<w:p><w:r><w:t>between</w:t></w:r></w:p>",
    counted(1, 0, "c"),
    counted(1, 2, "d"),
    counted(1, 2, "e"),
    counted(2, 0, "bullet"),
    counted(1, 0, "f"),
  ].join("");
  assert.deepEqual(labels(document), ["第一条", "（1）", "第二条", "（1）", "（2）", "第三条"]);
});

test("a level above counts in its own script unless it counts in Chinese: both are written as Word writes them", () => {
  assert.deepEqual(labels(counted(1, 0, "a") + counted(1, 1, "b")), ["第一条", "一.1"]);
});

test("a list that starts anew counts from its own start and leaves the other alone", () => {
  assert.deepEqual(labels(counted(1, 0, "a") + counted(3, 0, "b") + counted(3, 0, "c") + counted(1, 0, "d")), [
    "第一条",
    "第五条",
    "第六条",
    "第二条",
  ]);
});

test("numbers come from styles too, and numId 0 takes them away", () => {
  const none = '<w:numPr><w:numId w:val="0"/></w:numPr>';
  assert.deepEqual(labels(styled("b") + styled("a", none) + styled("a")), ["第一条", "第二条"]);
});

test("what stands twice in the file, for new and old programs, is counted once; tracked formats are not counted", () => {
  const box = `<mc:AlternateContent><mc:Choice Requires="wps">${counted(1, 0, "a")}<mc:AlternateContent><mc:Choice Requires="x">${counted(1, 0, "x")}</mc:Choice></mc:AlternateContent></mc:Choice><mc:Fallback>${counted(1, 0, "a")}</mc:Fallback></mc:AlternateContent>`;
  const tracked = `<w:p><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr><w:pPrChange><w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr></w:pPrChange></w:pPr></w:p>`;
  assert.deepEqual(labels(box + tracked), ["第一条", "第二条"]);
});

test("elements that nobody closes are left as they are, at once", () => {
  const document = "<w:pPr><w:pPrChange ".repeat(50_000);
  assert.equal(withNumbers(document, { numbering, styles }), document);
  assert.ok(withFormulas("<m:oMath><m:r>".repeat(50_000)).length > 0);
});

test("formulas are written on one line", () => {
  const run = (text: string): string => `<m:r><m:t>${text}</m:t></m:r>`;
  const sum = `<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>${run("i=1")}</m:sub><m:sup>${run("n")}</m:sup><m:e><m:sSup><m:e>${run("x")}</m:e><m:sup>${run("2")}</m:sup></m:sSup></m:e></m:nary>`;
  const fraction = `<m:f><m:num>${run("a+b")}</m:num><m:den>${run("2")}</m:den></m:f>`;
  const root = `<m:rad><m:deg/><m:e>${run("x")}</m:e></m:rad>`;
  const document = `<w:p><m:oMathPara><m:oMathParaPr><m:jc m:val="left"/></m:oMathParaPr><m:oMath>${run("y=")}${sum}${run("&lt;")}${fraction}${root}</m:oMath></m:oMathPara></w:p>`;
  assert.equal(
    withFormulas(document),
    '<w:p><w:r><w:t xml:space="preserve">y=∑_(i=1)^n x^2&lt;(a+b)/2√x</w:t></w:r></w:p>',
  );
});
