// What each reader makes of a good file of its kind.
import assert from "node:assert/strict";
import test from "node:test";
import {
  type Document,
  type Segment,
  segmentsOf,
  toJson,
  toMarkdown,
  withCorrection,
} from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";
import { makePdf, type PdfText } from "./fixtures.ts";

function read(name: string, content: Uint8Array | string): Promise<Document> {
  return readDocument({ bytes: typeof content === "string" ? Buffer.from(content) : content }, { name, ocr: false });
}

function tableOf(document: Document): Extract<Segment, { kind: "table" }> {
  const table = segmentsOf(document).find((segment) => segment.kind === "table");
  assert.ok(table, "no table found");
  return table;
}

const cellTexts = (table: Extract<Segment, { kind: "table" }>): string[] =>
  table.cells.map((cell) => `${cell.row},${cell.column} ${cell.text}`);

test("offsets point at each segment's own text", async () => {
  const document = await read("a.md", "# 标题\n\n段落\n\n- 甲\n- 乙\n");
  const [heading, paragraph] = segmentsOf(document);
  assert.equal(document.text.slice(heading?.start, heading?.end), "# 标题");
  assert.equal(document.text.slice(paragraph?.start, paragraph?.end), "段落");
  assert.equal(toMarkdown(document, { pageMarks: true }).split("\n")[0], "<!-- page 1 -->");
  assert.equal(JSON.parse(toJson(document)).kind, "markdown");
});

test("Chinese text is decoded from GB18030, Big5 and UTF-16, and a guess is said", async () => {
  const gbk = await read("a.txt", Buffer.from("d6d0cec4b2e2cad4ced2c3c7bdf1ccecc8a5b9abd4b0cde6", "hex"));
  assert.equal(gbk.text, "中文测试我们今天去公园玩");
  assert.equal(gbk.warnings[0]?.code, "encoding_guessed");
  const big5 = await read(
    "a.txt",
    Buffer.from("a4a4a4e5b4fab8d5a7daadcca4b5a4d1a568a4bdb6e9aab1a141a4d1aeeedc63a66ea143", "hex"),
  );
  assert.ok(big5.text.startsWith("中文測試我們今天去公園玩"), big5.text);
  const wide = await read(
    "a.txt",
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("第一章 UTF-16 文本", "utf16le")]),
  );
  assert.ok(wide.text.includes("UTF-16 文本"));
  assert.equal(wide.warnings.length, 0);
});

test("Markdown: bold beside Chinese signs, nested lists, tables", async () => {
  const document = await read("a.md", "**加粗：**后面\n\n1. 甲\n   - 乙\n\n| a | b |\n|---|---|\n| 1 | x \\| y |\n");
  const [first] = segmentsOf(document);
  assert.deepEqual(first?.kind === "paragraph" && first.emphasised, [{ start: 0, end: 7 }]);
  assert.ok(document.text.includes("1. 甲\n  - 乙"));
  assert.equal(tableOf(document).cells.at(-1)?.text, "x \\| y");
});

test("HTML: structure stays, scripts go and are said to be there", async () => {
  const document = await read(
    "a.html",
    "<!doctype html><script>steal()</script><h2>标题</h2><p>a <b>b</b> &amp; c</p><table><tr><th rowspan=2>x</th><td>1</td></tr><tr><td>2</td></tr></table><pre>k\n  v</pre>",
  );
  assert.ok(!document.text.includes("steal"));
  assert.equal(document.warnings[0]?.code, "active_content_ignored");
  assert.deepEqual(cellTexts(tableOf(document)), ["0,0 x", "0,1 1", "1,1 2"]);
  assert.ok(document.text.includes("a **b** & c") && document.text.includes("k\n  v"));
});

test("CSV: the delimiter is found and quoted line ends stay in their cell", async () => {
  const document = await read("a.csv", '名称;数量\n"苹;果";3\n"梨\n子";4\n');
  assert.deepEqual(cellTexts(tableOf(document)), ["0,0 名称", "0,1 数量", "1,0 苹;果", "1,1 3", "2,0 梨\n子", "2,1 4"]);
});

test("JSON: records become a table, other JSON stays, broken JSON is read as text", async () => {
  assert.equal(tableOf(await read("a.json", '[{"a":1},{"a":2,"b":null}]')).columns, 2);
  assert.equal(segmentsOf(await read("a.json", '{"a":[1]}'))[0]?.kind, "code");
  const broken = await read("a.json", '{"a":');
  assert.equal(broken.warnings[0]?.code, "part_unreadable");
});

test("source code stays as it is", async () => {
  const code = "def f():\n\n    return '# not a heading'\n";
  const [segment] = segmentsOf(await read("a.py", code));
  assert.equal(segment?.kind === "code" && segment.text, code.trimEnd());
});

test("EML: head, text, and attachments by a harmless name", async () => {
  const document = await read(
    "a.eml",
    'From: =?utf-8?B?5byg5LiJ?= <z@example.com>\r\nTo: b@example.com\r\nSubject: =?utf-8?B?5ZCI5ZCM?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n您好\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="../../etc/x.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n',
  );
  assert.ok(
    document.text.startsWith("# 合同") &&
      document.text.includes("张三 <z@example.com>") &&
      document.text.includes("您好"),
  );
  assert.ok(document.text.includes("- x.pdf (application/pdf, 3 bytes)"));
  assert.ok(document.warnings.some((warning) => warning.code === "unsafe_name"));
});

const prose = "The committee met on Monday to discuss the annual budget and";

function column(x: number, label: string): PdfText[] {
  return Array.from({ length: 12 }, (_, index) => ({
    text: `${label}${index} ${prose.slice(0, 36)}`,
    x,
    y: 160 + index * 14,
    size: 10,
  }));
}

test("PDF: two columns are read one after the other, below the title that spans them", async () => {
  const texts = [
    { text: "A title over both columns of the page", x: 60, y: 90, size: 20 },
    ...column(60, "left"),
    ...column(320, "right"),
  ];
  // Written line by line across both columns, as some programs do.
  texts.sort((a, b) => a.y - b.y);
  const { text } = await read("a.pdf", makePdf([{ texts }]));
  assert.ok(text.startsWith("# A title"));
  assert.ok(text.indexOf("left11") < text.indexOf("right0"), text);
});

test("PDF: a ruled table with a merged cell, a bold heading, a hyphenated word", async () => {
  const texts: PdfText[] = [
    { text: "Results", x: 60, y: 80, size: 12, isBold: true },
    { text: "The table shows the infor-", x: 60, y: 110 },
    { text: "mation that was collected over the whole year.", x: 60, y: 124 },
    { text: "Both columns", x: 65, y: 194 },
    { text: "North", x: 65, y: 214 },
    { text: "1,234.5", x: 185, y: 214 },
  ];
  const lines = [
    [60, 180, 300, 180],
    [60, 200, 300, 200],
    [60, 220, 300, 220],
    [60, 180, 60, 220],
    [180, 200, 180, 220],
    [300, 180, 300, 220],
  ] as const;
  const document = await read("a.pdf", makePdf([{ texts, lines }]));
  const table = tableOf(document);
  assert.deepEqual(cellTexts(table), ["0,0 Both columns", "1,0 North", "1,1 1,234.5"]);
  assert.equal(table.cells[0]?.columnSpan, 2);
  assert.ok(document.text.includes("information that was collected"));
  assert.ok(/^#+ Results/.test(document.text), document.text);
});

test("PDF: a table without lines is found by its columns", async () => {
  const rows = [
    ["Item", "Price", "Stock"],
    ["Apples", "1.20", "300"],
    ["Pears", "2.40", "18"],
    ["Figs", "11.00", "7"],
  ];
  const texts = rows.flatMap((row, index) =>
    row.map((text, cell) => ({ text, x: 60 + cell * 130, y: 200 + index * 18 })),
  );
  const table = tableOf(await read("a.pdf", makePdf([{ texts }])));
  assert.deepEqual([table.rows, table.columns], [4, 3]);
  assert.equal(table.cells.find((cell) => cell.row === 3 && cell.column === 1)?.text, "11.00");
});

test("PDF: a page whose text runs sideways is turned", async () => {
  const texts = [
    { text: "First line of a page on its side", x: 60, y: 80 },
    { text: "Second line of the same page", x: 60, y: 100 },
  ];
  const document = await read("a.pdf", makePdf([{ rotate: 90, texts }]));
  assert.equal(document.pages[0]?.turnedBy, 270);
  assert.ok(document.text.indexOf("First line") < document.text.indexOf("Second line"));
});

test("PDF: headers, page numbers and a slanted watermark are taken out over the pages", async () => {
  const pages = Array.from({ length: 5 }, (_, index) => ({
    texts: [
      { text: "Annual report of the company", x: 60, y: 40, size: 9 },
      { text: `Page ${index + 1} of 5`, x: 270, y: 815, size: 9 },
      { text: "CONFIDENTIAL", x: 150, y: 600, size: 60, angle: 45 },
      { text: `Body of page ${index + 1}, which says ${prose}`, x: 60, y: 200 },
    ],
  }));
  const document = await read("a.pdf", makePdf(pages));
  assert.ok(!/Annual report|Page \d of|CONFIDENTIAL/.test(document.text), document.text);
  assert.equal(document.text.match(/Body of page/g)?.length, 5);
  assert.deepEqual(
    new Set(segmentsOf(document).flatMap((segment) => segment.removed ?? [])),
    new Set(["running_header", "watermark", "page_number"]),
  );
});

test("without recognition an invisible text layer is used and said to be doubtful; a scan is said to need it", async () => {
  const sharp = (await import("sharp")).default;
  const bytes = await sharp({ create: { width: 60, height: 80, channels: 3, background: "#eee" } })
    .jpeg()
    .toBuffer();
  const jpeg = { bytes, width: 60, height: 80 };
  const texts = Array.from({ length: 4 }, (_, index) => ({
    text: prose,
    x: 60,
    y: 100 + index * 20,
    isInvisible: true,
  }));
  const document = await read("scan.pdf", makePdf([{ jpeg, texts }, { jpeg }]));
  assert.deepEqual(
    document.warnings.map((warning) => [warning.code, warning.page]),
    [
      ["no_ocr", 1],
      ["no_ocr", 2],
    ],
  );
  assert.ok(document.text.includes(prose.slice(0, 30)));
  assert.ok((document.pages[0]?.confidence ?? 1) < 0.85);
  assert.equal(document.pages[1]?.source, "unreadable");
});

test("a file of nothing but scans, read without recognition, is empty with a warning, not damaged", async () => {
  const sharp = (await import("sharp")).default;
  const bytes = await sharp({ create: { width: 60, height: 80, channels: 3, background: "#eee" } })
    .jpeg()
    .toBuffer();
  const document = await read("scan.pdf", makePdf([{ jpeg: { bytes, width: 60, height: 80 } }]));
  assert.equal(document.text, "");
  assert.equal(document.warnings[0]?.code, "no_ocr");
});

test("a correction by a person changes the text and keeps what was read", async () => {
  const document = await read("a.txt", "合同金额 l00 万元");
  const fixed = withCorrection(document, { page: 1, segment: 0 }, "合同金额 100 万元");
  assert.equal(fixed.text, "合同金额 100 万元");
  const [segment] = segmentsOf(fixed);
  assert.ok(segment?.corrected);
  assert.equal(segment?.original, "合同金额 l00 万元");
});
