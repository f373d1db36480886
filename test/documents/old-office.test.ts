// DOC, PPT, RTF and what stands beside them. report.doc was saved by LibreOffice from HTML: a heading, a paragraph, a list, a table whose first
// cell spans two rows, a last paragraph.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { CFB } from "@e965/xlsx";
import { AppError } from "../../src/base/errors.ts";
import { type Document, segmentsOf } from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";
import { makeZip, seeded } from "./fixtures.ts";

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

/** A record of a PPT; one that holds records is marked so. */
function record(type: number, content: Uint8Array | readonly Uint8Array[], instance = 0): Uint8Array {
  const body = content instanceof Uint8Array ? content : Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt16LE((instance << 4) | (content instanceof Uint8Array ? 0 : 15), 0);
  head.writeUInt16LE(type, 2);
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body]);
}

const numbers = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const wide = (type: number, text: string): Uint8Array[] => [
  record(0x0f9f, numbers(type)),
  record(0x0fa0, Buffer.from(text, "utf16le")),
];

/** Two slides: a title from the outline, a text box and notes; a text in Latin letters. */
function presentation({ token = 0xe391c05f } = {}): Uint8Array {
  const slideAtom = (notes: number): Uint8Array => record(0x03ef, numbers(0, 0, 0, 0, notes, 0));
  const box = (...atoms: Uint8Array[]): Uint8Array => record(0xf004, [record(0xf00d, atoms)]);
  const persist = (part: number, id: number): Uint8Array => record(0x03f3, numbers(part, 0, 0, id, 0));
  const parts = [
    record(0x03e8, [
      record(0x0ff0, [persist(2, 256), ...wide(0, "季度回顾"), persist(3, 257)]),
      record(0x0ff0, [persist(4, 300)], 2),
    ]),
    record(0x03ee, [slideAtom(300), box(record(0x0f9e, numbers(0))), box(...wide(4, "要点一\r要点二\u000b换行"))]),
    record(0x03ee, [slideAtom(0), box(record(0x0f9f, numbers(4)), record(0x0fa8, Buffer.from("Second")))]),
    record(0x03f0, [record(0x03ef, numbers(0, 0, 0, 0, 0, 0)), box(...wide(2, "讲稿"))]),
  ];
  const offsets: number[] = [];
  let at = 0;
  for (const part of parts) {
    offsets.push(at);
    at += part.length;
  }
  const directory = record(0x1772, numbers((parts.length << 20) | 1, ...offsets));
  const edit = record(0x0ff5, numbers(0, 0, 0, at, 1, 0, 0));
  return compound({
    "Current User": record(0x0ff6, numbers(0x14, token, at + directory.length, 0, 0)),
    "PowerPoint Document": Buffer.concat([...parts, directory, edit]),
  });
}

test("PPT: a page a slide, titles from the outline, text boxes, notes", async () => {
  const document = await read("a.ppt", presentation());
  assert.deepEqual(
    document.pages.map((page) =>
      page.segments.map((segment) => `${segment.kind} ${"text" in segment && segment.text}`),
    ),
    [["heading 季度回顾", "paragraph 要点一", "paragraph 要点二\n换行", "quote 讲稿"], ["paragraph Second"]],
  );
});

test("an encrypted or damaged PPT, OpenDocument and Outlook's letters are refused in words of their own", async () => {
  const locked = presentation({ token: 0xf3d1c4df });
  await assert.rejects(read("a.ppt", locked), { code: "unsupported", message: /a\.ppt is encrypted/ });
  const empty = compound({ "Current User": Buffer.alloc(64), "PowerPoint Document": Buffer.alloc(64) });
  await assert.rejects(read("a.ppt", empty), { code: "unreadable", message: /a\.ppt is damaged/ });
  const odt = makeZip({ mimetype: "application/vnd.oasis.opendocument.text", "content.xml": "<x/>" });
  await assert.rejects(read("a.odt", odt), { code: "unsupported", message: /OpenDocument/, hint: /DOCX/ });
  const letter = compound({ "__properties_version1.0": Buffer.alloc(64) });
  await assert.rejects(read("a.msg", letter), { code: "unsupported", message: /Outlook/, hint: /EML/ });
});

test("damaged copies of a PPT end in a document or a clear refusal", async () => {
  const random = seeded(7);
  const good = presentation();
  for (let run = 0; run < 80; run++) {
    const bytes = Buffer.from(good);
    for (let change = 0; change < 6; change++)
      bytes[512 + Math.floor(random() * (bytes.length - 512))] = Math.floor(random() * 256);
    await read("a.ppt", bytes).catch((error: unknown) => {
      assert.ok(
        error instanceof AppError && error.code !== "internal" && error.message.includes("a.ppt"),
        String(error),
      );
    });
  }
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
