// DOC, RTF and what stands beside them. report.doc was saved by LibreOffice from HTML: a heading, a paragraph, a list, a table whose first
// cell spans two rows, a last paragraph.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { CFB } from "@e965/xlsx";
import { type Document, segmentsOf } from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";
import { makeZip } from "./fixtures.ts";

const report = await readFile(path.join(import.meta.dirname, "old-office/report.doc"));
const read = (name: string, bytes: Uint8Array | string): Promise<Document> =>
  readDocument({ bytes: typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes }, { name, ocr: false });

function tableOf(document: Document): string[] {
  const table = segmentsOf(document).find((segment) => segment.kind === "table");
  assert.ok(table?.kind === "table", document.text);
  return table.cells.map((cell) => `${cell.row},${cell.column} ${cell.text}`);
}

/** A compound file with the given streams, as old Office programs write. */
function compound(streams: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const container: unknown = CFB.utils.cfb_new();
  for (const [name, content] of Object.entries(streams)) CFB.utils.cfb_add(container, `/${name}`, content);
  return Uint8Array.from(CFB.write(container, { type: "buffer" }) as Uint8Array);
}

test("DOC: headings, paragraphs and tables, and a warning for what the format keeps elsewhere", async () => {
  const document = await read("report.doc", report);
  const [heading, text] = segmentsOf(document);
  assert.ok(heading?.kind === "heading" && heading.level === 1 && heading.text === "季度报告");
  assert.ok(text?.kind === "paragraph" && text.text === "正文加粗一段，价格 1,234.50 元。");
  assert.deepEqual(tableOf(document), ["0,0 区域", "0,1 收入", "1,0 华东", "1,1 100", "2,0 ", "2,1 200"]);
  assert.ok(document.text.endsWith("结尾"), document.text);
  assert.match(document.warnings.map((warning) => warning.message).join(), /report\.doc holds numbers of lists/);
});

test("an encrypted DOC and one from before Word 97 are refused in words of their own", async () => {
  const word = (flags: number, version: number): Uint8Array => {
    const main = Buffer.alloc(4096);
    main.writeUInt16LE(0xa5ec, 0);
    main.writeUInt16LE(version, 2);
    main.writeUInt16LE(flags, 0x0a);
    return compound({ WordDocument: main, "0Table": Buffer.alloc(4096) });
  };
  await assert.rejects(read("a.doc", word(0x0100, 0xc1)), { code: "unsupported", message: /a\.doc is encrypted/ });
  await assert.rejects(read("a.doc", word(0, 0x68)), { code: "unsupported", message: /a\.doc was written by Word 95/ });
  await assert.rejects(read("a.doc", word(0, 0xc1)), { code: "unreadable", message: /a\.doc is damaged/ });
});

test("PPT and OpenDocument are refused with the format to save as", async () => {
  const slides = compound({ "PowerPoint Document": Buffer.alloc(4096) });
  await assert.rejects(read("a.ppt", slides), { code: "unsupported", message: /PPT/, hint: /PPTX/ });
  const odt = makeZip({ mimetype: "application/vnd.oasis.opendocument.text", "content.xml": "<x/>" });
  await assert.rejects(read("a.odt", odt), { code: "unsupported", message: /OpenDocument/, hint: /DOCX/ });
});

test("RTF: GBK by font, Unicode with its substitute, headings, tables; groups without text are left out", async () => {
  const document = await read(
    "a.rtf",
    String.raw`{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil\fcharset134 \'cb\'ce\'cc\'e5;}}{\*\generator secret;}{\info{\title secret}}
{\header secret\par}\outlinelevel0\f0 \'b1\'a8\'b8\'e6\par
\pard \'d6\'d0\'ce\'c4 A\u20013?B \{x\}{\field{\*\fldinst HYPERLINK "secret"}{\fldrslt link}}\par
\trowd\pard\intbl \'bc\'d7\cell 1\par 2\cell\row
\trowd\pard\intbl \'d2\'d2\cell\cell\row
\pard after\tab end{\pict\pngblip 00ff}\par}`,
  );
  const [heading, text, , last] = segmentsOf(document);
  assert.ok(heading?.kind === "heading" && heading.text === "报告", document.text);
  assert.equal(text?.kind === "paragraph" && text.text, "中文 A中B {x}link");
  assert.deepEqual(tableOf(document), ["0,0 甲", "0,1 1\n2", "1,0 乙", "1,1 "]);
  assert.equal(last?.kind === "paragraph" && last.text, "after end");
  assert.ok(!document.text.includes("secret"), document.text);
  assert.match(document.warnings[0]?.message ?? "", /a\.rtf contains pictures/);
});
