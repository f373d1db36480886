// Text, HTML and letters as Chinese offices send them.
import assert from "node:assert/strict";
import test from "node:test";
import { type Document, segmentsOf } from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";

function read(name: string, content: Uint8Array | string): Promise<Document> {
  return readDocument({ bytes: typeof content === "string" ? Buffer.from(content) : content }, { name, ocr: false });
}

test("a short Chinese text without a mark is not taken for Korean, and the warning names what it was read as", async () => {
  // "# 标题 / - 列表项 / 你好" in GBK, which the detector calls CP949.
  const bytes = Buffer.from(
    "2320b1eacce20a0a2d20c1d0b1edcfee0a0a6060607079746f6e0a7072696e742827c4e3bac327290a6060600a",
    "hex",
  );
  const document = await read("a.md", bytes);
  assert.ok(document.text.includes("列表项") && document.text.includes("你好"), document.text);
  assert.match(document.warnings[0]?.message ?? "", /GB18030/);
});

test("Japanese in Shift JIS is read as that", async () => {
  const bytes = Buffer.from(
    "89ef8b6382cc82a8926d82e782b981468e4f8c8e8f5c94aa93fa82dc82c582c982b295d4904d82ad82be82b382a281428e9197bf82e093c782f182c582ad82be82b382a28142",
    "hex",
  );
  const document = await read("a.txt", bytes);
  assert.ok(document.text.startsWith("会議のお知らせ：三月十八日までにご返信ください。"), document.text);
  assert.match(document.warnings[0]?.message ?? "", /SHIFT_JIS/);
});

test("UTF-16 without a mark is text, Chinese with few Latin letters too", async () => {
  for (const text of ["第一章 正文 without bom\n", "第一章\n正文没有一个拉丁字母，只有一个换行。\n"]) {
    const little = await read("a.txt", Buffer.from(text, "utf16le"));
    assert.ok(little.text.includes("第一章"), little.text);
    assert.match(little.warnings[0]?.message ?? "", /UTF-16LE/);
    const big = await read("a.txt", Buffer.from(text, "utf16le").swap16());
    assert.ok(big.text.includes("正文"), big.text);
  }
});

test("a text with zero bytes that is not UTF-16 is refused", async () => {
  await assert.rejects(read("a.txt", Buffer.from(`line\0with zeros\x01\x02${"x\0".repeat(3)}\n${"y".repeat(40)}`)), {
    code: "unsupported",
  });
});

test("tables for layout inside tables keep their words, however deep", async () => {
  const inner = "<table><tr><td>深处的字</td></tr></table>";
  const shallow = await read("a.html", `<table><tr><td>外层</td><td>${inner}</td></tr></table>`);
  assert.ok(shallow.text.includes("深处的字"), shallow.text);
  const deep = await read(
    "a.html",
    `${"<table><tr><td>".repeat(60)}深处的字${"</td></tr></table>".repeat(60)}<p>后面</p>`,
  );
  assert.ok(deep.text.includes("深处的字") && deep.text.includes("后面"), deep.text);
});

test("EML: Chinese in encoded words, attachments' names, the date in the writer's time zone", async () => {
  const gb = (hex: string): string => Buffer.from(hex, "hex").toString("base64");
  const letter = [
    `From: =?gb2312?B?${gb("cdf5b7bc")}?= <wang@example.com>`,
    "To: =?UTF-8?Q?=E5=BC=A0=E4=BC=9F?= <z@example.com>",
    `Subject: =?gb2312?B?${gb("b8b6bfee")}?=`,
    " =?utf-8?Q?=EF=BC=88=E5=8A=A0=E6=80=A5=EF=BC=89?=",
    "Date: Wed, 18 Mar 2026 09:30:00 +0800",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain; charset=gb2312",
    "Content-Transfer-Encoding: base64",
    "",
    gb("c7ebb8b6bfeea1a3"),
    "--b",
    "Content-Type: application/octet-stream",
    `Content-Disposition: attachment; filename="=?gb2312?B?${gb("bacfcdac2e747874")}?="`,
    "",
    "x",
    "--b",
    "Content-Type: application/pdf",
    "Content-Disposition: attachment; filename*=UTF-8''..%2F..%2F%E6%89%AB%E6%8F%8F.pdf",
    "",
    "x",
    "--b--",
  ].join("\r\n");
  const document = await read("a.eml", letter);
  const [subject] = segmentsOf(document);
  assert.equal(subject?.kind === "heading" && subject.text, "付款（加急）");
  for (const wanted of ["王芳 <wang@example.com>", "张伟", "09:30:00 +0800", "请付款。", "合同.txt", "扫描.pdf"])
    assert.ok(document.text.includes(wanted), `${wanted} is missing in ${document.text}`);
  assert.ok(!document.text.includes(".."), document.text);
});

test("Markdown nested without end is read at once, as plain text", async () => {
  for (const sign of ["> ", ">", "- ", "1. "]) {
    const document = await read("a.md", `${sign.repeat(20_000)}deep\n\nafter\n`);
    assert.ok(document.text.includes("deep") && document.text.includes("after"));
  }
});
