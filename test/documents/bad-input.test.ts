// Bad input: a clear sentence naming the file (and the page), nothing hangs, nothing is run, and what could be read is kept.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { segmentsOf } from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";
import { encryptedPdf } from "./encrypted-pdf.ts";
import { joinBytes, makeDocx, makePdf, makeXlsx, makeZip, paragraphXml, seeded } from "./fixtures.ts";

function read(name: string, content: Uint8Array | string, options: Parameters<typeof readDocument>[1] = {}) {
  return readDocument(
    { bytes: typeof content === "string" ? Buffer.from(content) : content },
    { name, ocr: false, ...options },
  );
}

/** The failure is one of ours and its sentence names the file. */
async function refused(work: Promise<unknown>, code: string, name: string): Promise<AppError> {
  const error = await work.then(
    () => assert.fail(`${name} was read`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof AppError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.includes(name), error.message);
  return error;
}

test("an encrypted PDF asks for its password, says when it is wrong, and opens with the right one", async () => {
  const asked = await refused(read("秘密.pdf", encryptedPdf), "unauthorized", "秘密.pdf");
  assert.equal(asked.details?.needsPassword, true);
  await refused(read("秘密.pdf", encryptedPdf, { password: "falsch" }), "forbidden", "秘密.pdf");
  assert.equal((await read("秘密.pdf", encryptedPdf, { password: "geheim" })).text, "Secret text");
});

test("zero bytes", async () => {
  await refused(read("leer.pdf", ""), "unreadable", "leer.pdf");
});

test("a PDF that is only a header is refused; one with a broken cross-reference table is still read", async () => {
  await refused(read("a.pdf", "%PDF-1.7\nnothing"), "unreadable", "a.pdf");
  const good = Buffer.from(makePdf([{ texts: [{ text: "Still here", x: 60, y: 80 }] }]));
  const at = good.lastIndexOf("startxref");
  const broken = Buffer.concat([good.subarray(0, at), Buffer.from("startxref\n99999999\n%%EOF")]);
  assert.ok((await read("a.pdf", broken)).text.includes("Still here"));
  assert.ok((await read("a.pdf", good.subarray(0, at - 60))).text.includes("Still here"));
});

test("a damaged page is named, and the others are kept", async () => {
  const words = ["one", "two", "three"];
  const good = Buffer.from(
    makePdf(words.map((word) => ({ texts: [{ text: `Page ${word}`, x: 60, y: 80 }] }))),
  ).toString("latin1");
  const broken = good.replace(/(\/Kids \[\d+ 0 R) \d+ 0 R/, "$1 99 0 R");
  assert.notEqual(broken, good);
  const document = await read("a.pdf", Buffer.from(broken, "latin1"));
  assert.ok(document.text.includes("Page one") && document.text.includes("Page three"), document.text);
  assert.deepEqual(
    document.pages.map((page) => page.source),
    ["text", "unreadable", "text"],
  );
  assert.match(document.warnings[0]?.message ?? "", /a\.pdf, page 2/);
});

test("pages beyond the limit are named; those within it are read", async () => {
  const pages = Array.from({ length: 12 }, (_, index) => ({
    texts: [{ text: `Text of page number ${index + 1}`, x: 60, y: 80 }],
  }));
  const document = await read("lang.pdf", makePdf(pages), { limits: { pages: 10 } });
  assert.equal(document.pages.length, 10);
  assert.match(document.warnings[0]?.message ?? "", /lang\.pdf has 12 pages.*11–12/);
});

test("a PDF with scripts is read, the scripts are not run, and it is said", async () => {
  const catalog =
    "/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (app.alert\\(1\\)) >>] >> >> /OpenAction << /S /JavaScript /JS (app.alert\\(2\\)) >>";
  const document = await read("a.pdf", makePdf([{ texts: [{ text: "Harmless", x: 60, y: 80 }] }], { catalog }));
  assert.equal(document.text, "Harmless");
  assert.equal(document.warnings[0]?.code, "active_content_ignored");
});

test("a ZIP bomb is refused by what it unpacks to, whatever its headers claim", async () => {
  const bomb = makeZip({ "word/document.xml": Buffer.alloc(40 * 2 ** 20) }, { claimedBytes: 100 });
  await refused(read("bombe.docx", bomb, { limits: { unpackedBytes: 10 * 2 ** 20 } }), "too_large", "bombe.docx");
  const many = makeZip({ "xl/workbook.xml": Buffer.alloc(6 * 2 ** 20), "xl/b.xml": Buffer.alloc(6 * 2 ** 20) });
  await refused(read("bombe.xlsx", many, { limits: { unpackedBytes: 10 * 2 ** 20 } }), "too_large", "bombe.xlsx");
});

test("a part that unpacks to hundreds of times its size is stopped long before the limit for all parts", async () => {
  const bytes = makeZip({ "word/document.xml": Buffer.alloc(70 * 2 ** 20, 32) });
  const error = await refused(read("bombe.docx", bytes), "too_large", "bombe.docx");
  assert.match(error.message, /more than 64 MiB/);
});

test("XML that declares entities is refused before any parser sees it", async () => {
  const prolog = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>';
  await refused(read("xxe.docx", makeDocx(paragraphXml("&x;"), { prolog })), "unreadable", "xxe.docx");
});

test("a wrong extension is read as what it is, with a warning", async () => {
  const document = await read("bericht.docx", makePdf([{ texts: [{ text: "I am a PDF", x: 60, y: 80 }] }]));
  assert.equal(document.kind, "pdf");
  assert.match(document.warnings[0]?.message ?? "", /bericht\.docx is called \.docx but is a PDF/);
});

test("a text that speaks of PDF is text", async () => {
  assert.equal((await read("notes.md", "A file begins with %PDF-1.7 when it is a PDF.")).kind, "markdown");
});

test("programs, archives and unknown binaries are named for what they are", async () => {
  await refused(read("a.pdf", joinBytes(["\x7fELF", new Uint8Array(100)])), "unsupported", "a.pdf");
  await refused(read("a.zip", makeZip({ "x.txt": "hi" })), "unsupported", "a.zip");
  await refused(
    read(
      "a.bin",
      Uint8Array.from({ length: 500 }, (_, index) => (index * 7) % 256),
    ),
    "unsupported",
    "a.bin",
  );
});

test("path tricks and control characters in a name are taken off", async () => {
  for (const name of ["../../etc/passwd.txt", "..\\..\\win.txt", "a\u0000\u202eb.txt", "/abs/x.txt"]) {
    const document = await read(name, "text");
    assert.ok(!/[/\\]|\.\.|\p{Cc}|\p{Cf}/u.test(document.name), document.name);
    assert.equal(document.warnings[0]?.code, "unsafe_name");
  }
});

test("a file over the limit is refused with both sizes", async () => {
  const error = await refused(
    read("gross.txt", Buffer.alloc(3 * 2 ** 20, 65), { limits: { fileBytes: 2 ** 20 } }),
    "too_large",
    "gross.txt",
  );
  assert.match(error.message, /3 MiB; the limit is 1 MiB/);
});

test("a truncated Office file is damaged, not a crash", async () => {
  const docx = makeDocx(paragraphXml("text"));
  await refused(read("a.docx", docx.subarray(0, docx.length - 60)), "unreadable", "a.docx");
  await refused(read("a.docx", makeZip({ "word/document.xml": "<w:document>" })), "unreadable", "a.docx");
});

test("a damaged image is refused", async () => {
  await refused(
    read("a.png", joinBytes(["\x89PNG\r\n\x1a\n", new Uint8Array(50)]), { ocr: true }),
    "unreadable",
    "a.png",
  );
});

test("an image of too many pixels is refused before it is decoded", async () => {
  const sharp = (await import("sharp")).default;
  const png = await sharp({ create: { width: 3000, height: 3000, channels: 3, background: "white" } })
    .png()
    .toBuffer();
  await refused(read("wide.png", png, { ocr: true, limits: { pixels: 1_000_000 } }), "too_large", "wide.png");
});

test("an aborted read rejects with the signal's reason", async () => {
  const controller = new AbortController();
  const pages = Array.from({ length: 40 }, () => ({ texts: [{ text: "x", x: 60, y: 80 }] }));
  const reading = read("a.pdf", makePdf(pages), {
    signal: controller.signal,
    onProgress: ({ page }) => page === 3 && controller.abort(new Error("enough")),
  });
  await assert.rejects(reading, { message: "enough" });
});

// Each reader on damaged copies of a good file: every outcome is a document or an AppError that names the file.
const seeds: [string, Uint8Array, number][] = [
  ["f.pdf", makePdf([{ texts: [{ text: "fuzz me", x: 60, y: 80 }], lines: [[60, 100, 300, 100]] }]), 60],
  ["f.docx", makeDocx(`${paragraphXml("fuzz")}<w:tbl><w:tr><w:tc/></w:tr></w:tbl>`), 40],
  ["f.xlsx", makeXlsx('<row r="1"><c r="A1"><v>1</v></c><c r="B1"><f>A1</f></c></row>'), 40],
  [
    "f.pptx",
    makeZip({
      "ppt/presentation.xml": "<p:presentation/>",
      "ppt/slides/slide1.xml": "<p:sld><p:sp><a:p><a:r><a:t>x</a:t></a:r></a:p></p:sp></p:sld>",
    }),
    40,
  ],
  ["f.html", Buffer.from("<html><body><table><tr><td rowspan=3 colspan='2'>a<ul><li>b</table><pre>c"), 80],
  ["f.md", Buffer.from("# a\n\n**b** [c](d)\n\n| e | f |\n|---|---|\n> - g\n```\nh\n"), 60],
  ["f.csv", Buffer.from('a,b\n"c,d\n1,2\n'), 60],
  [
    "f.png",
    Buffer.from(
      "89504e470d0a1a0a0000000d49484452000000040000000408020000002693092900000010494441547801636060f8cf8013e09700004a6a01ff2b6d1f1d0000000049454e44ae426082",
      "hex",
    ),
    40,
  ],
  ["f.json", Buffer.from('[{"a":1},{"a":"\\u00e9"}]'), 60],
  [
    "f.eml",
    Buffer.from("From: a@b.c\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\ny\r\n--q--"),
    60,
  ],
  [
    "f.xls",
    Buffer.from(
      "d0cf11e0a1b11ae1000000000000000000000000000000003e000300feff0900060000000000000000000000010000000100000000000000001000000200000001000000feffffff0000000000000000ffffffff57006f0072006b0062006f006f006b00",
      "hex",
    ),
    40,
  ],
  ["a.doc", await readFile(path.join(import.meta.dirname, "old-office/report.doc")), 60],
  [
    "a.rtf",
    Buffer.from(
      String.raw`{\rtf1\ansicpg936{\fonttbl{\f0\fcharset134 x;}}\f0 \'d6\'d0 \u20013?\par\trowd\intbl a\cell b\cell\row\pard end\par}`,
    ),
    60,
  ],
];

for (const [name, good, runs] of seeds) {
  test(`damaged copies of ${name} end in a document or a clear refusal`, async () => {
    const random = seeded(20261122);
    for (let run = 0; run < runs; run++) {
      const bytes = Buffer.from(good);
      const changes = 1 + Math.floor(random() * 8);
      for (let change = 0; change < changes; change++)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const cut = random() < 0.3 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
      try {
        const document = await read(name, cut);
        assert.ok(
          segmentsOf(document).every((segment) => segment.end >= segment.start && segment.end <= document.text.length),
        );
      } catch (error) {
        assert.ok(error instanceof AppError, `run ${run}: ${error instanceof Error ? error.stack : String(error)}`);
        assert.ok(
          error.message.includes(name) && error.code !== "internal",
          `run ${run}: ${error.code} ${error.message}`,
        );
      }
    }
  });
}
