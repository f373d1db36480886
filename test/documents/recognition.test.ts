// Recognition on small images made by bench/documents/make-fixtures.ts, and the reading process around it.
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import sharp from "sharp";
import { AppError } from "../../src/base/errors.ts";
import { segmentsOf } from "../../src/documents/document.ts";
import { DocumentCache } from "../../src/documents/document-cache.ts";
import { readDocument } from "../../src/documents/read.ts";
import { ReadWorkers } from "../../src/documents/read-in-worker.ts";
import { makePdf } from "./fixtures.ts";

const image = (name: string): Promise<Buffer> => readFile(path.join(import.meta.dirname, "images", name));

test("a screenshot of a table comes out as a table, its merged cell and the QR code beside it too", async () => {
  const document = await readDocument({ bytes: await image("table-screenshot.png") }, { name: "table-screenshot.png" });
  const table = segmentsOf(document).find((segment) => segment.kind === "table");
  assert.ok(table?.kind === "table", document.text);
  const at = (row: number, column: number): string | undefined =>
    table.cells.find((cell) => cell.row === row && cell.column === column)?.text;
  assert.deepEqual([table.rows, table.columns], [4, 3]);
  assert.deepEqual([at(0, 0), at(1, 0), at(1, 2), at(2, 1), at(3, 2)], ["区域", "华东", "1,234.50", "耳机", "560.25"]);
  assert.equal(table.cells.find((cell) => cell.text === "华东")?.rowSpan, 2);
  const code = segmentsOf(document).find((segment) => segment.kind === "barcode");
  assert.equal(code?.kind === "barcode" && code.text, "https://example.com/contract/42");
  assert.equal(document.pages[0]?.source, "ocr");
  assert.ok((document.pages[0]?.confidence ?? 0) > 0.9);
});

test("a dark table without lines and a QR code with Chinese are read from WebP", async () => {
  const document = await readDocument({ bytes: await image("dark-table-and-code.webp") }, { name: "dark.webp" });
  const table = segmentsOf(document).find((segment) => segment.kind === "table");
  assert.ok(table?.kind === "table", document.text);
  const at = (row: number, column: number): string | undefined =>
    table.cells.find((cell) => cell.row === row && cell.column === column)?.text;
  assert.deepEqual([table.rows, table.columns], [4, 4]);
  assert.deepEqual([at(0, 1), at(1, 0), at(2, 2), at(3, 3)], ["状态", "node-01", "71.2%", "等待更换硬盘"]);
  const code = segmentsOf(document).find((segment) => segment.kind === "barcode");
  assert.equal(code?.kind === "barcode" && code.text, "付款码：南京明德 3200000 元\nhttps://例子.测试/合同?编号=42");
});

test("each page of a fax (TIFF, black and white) is read, in order, with progress", async () => {
  const sheet = (text: string): string =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="160"><rect width="600" height="160" fill="#fff"/><path d="${text}" stroke="#000" stroke-width="7" fill="none"/></svg>`;
  // Strokes and not letters: the fonts of the machine do not matter. "L", "T", "H".
  const shapes = ["M60 40V120H100", "M60 44H120M90 44V120", "M60 40V120M110 40V120M60 80H110"];
  const frames = await Promise.all(
    shapes.map((shape) =>
      sharp(Buffer.from(sheet(shape)))
        .flatten()
        .greyscale()
        .raw()
        .toBuffer(),
    ),
  );
  const bytes = await sharp(Buffer.concat(frames), {
    raw: { width: 600, height: 480, channels: 1, pageHeight: 160 },
  })
    .toColourspace("b-w")
    .tiff({ compression: "ccittfax4", bitdepth: 1 })
    .toBuffer();
  const steps: number[] = [];
  const document = await readDocument(
    { bytes },
    { name: "fax.tiff", onProgress: ({ page, pages }) => steps.push(page * 10 + pages) },
  );
  assert.deepEqual(
    document.pages.map((page) => page.segments.map((segment) => "text" in segment && segment.text).join("")),
    ["L", "T", "H"],
  );
  assert.deepEqual(steps, [13, 23, 33]);
});

test("pictures in Word and PowerPoint files are read where they stand", async () => {
  const { Document, ImageRun, Packer, Paragraph } = await import("docx");
  const data = await image("table-screenshot.png");
  const picture = new ImageRun({ type: "png", data, transformation: { width: 320, height: 165 } });
  const word = await Packer.toBuffer(
    new Document({
      sections: [
        { children: [new Paragraph("Before"), new Paragraph({ children: [picture] }), new Paragraph("After")] },
      ],
    }),
  );
  const document = await readDocument({ bytes: word }, { name: "report.docx" });
  assert.deepEqual(document.warnings, []);
  assert.ok(document.text.indexOf("Before") < document.text.indexOf("| 华东 | 手机 | 1,234.50 |"), document.text);
  assert.ok(document.text.indexOf("560.25") < document.text.indexOf("After"));
  assert.equal(document.pages[0]?.source, "mixed");
  const { default: PptxGenJS } = await import("pptxgenjs");
  const deck = new (PptxGenJS as unknown as new () => import("pptxgenjs").default)();
  deck.addSlide().addText("No picture", { x: 1, y: 1 });
  deck.addSlide().addImage({ data: `image/png;base64,${data.toString("base64")}`, x: 1, y: 1, w: 5, h: 2.6 });
  const slides = await readDocument(
    { bytes: (await deck.write({ outputType: "uint8array" })) as Uint8Array },
    { name: "deck.pptx" },
  );
  assert.deepEqual(
    slides.pages.map((page) => [page.source, page.segments.some((segment) => segment.kind === "table")]),
    [
      ["text", false],
      ["mixed", true],
    ],
  );
  const unread = await readDocument({ bytes: word }, { name: "report.docx", ocr: false });
  assert.match(unread.warnings[0]?.message ?? "", /report\.docx contains 1 picture/);
});

test("a noisy scan that lies on its side, askew, inside a PDF is turned, levelled and read", async () => {
  const bytes = await image("scan-on-its-side.jpg");
  const { width, height } = await (await import("sharp")).default(bytes).metadata();
  const rgb = await (await import("sharp")).default(bytes).toColourspace("srgb").jpeg({ quality: 90 }).toBuffer();
  const document = await readDocument(
    { bytes: makePdf([{ jpeg: { bytes: rgb, width, height } }]) },
    { name: "scan.pdf" },
  );
  const text = document.text.replaceAll(/\s/g, "");
  for (const part of ["付款通知", "2025年11月30日", "45,600元", "财务部", "finalpaymentisdue"])
    assert.ok(text.includes(part), `${part} not in ${document.text}`);
  assert.equal(document.pages[0]?.source, "ocr");
  assert.ok((document.pages[0]?.turnedBy ?? 0) % 180 === 90);
});

test("the progress of a scanned document only goes up, although its pages are read side by side", async () => {
  const bytes = await image("scan-on-its-side.jpg");
  const { width, height } = await sharp(bytes).metadata();
  const page = { jpeg: { bytes, width, height } };
  const pages: number[] = [];
  const onProgress = (progress: { page: number }): number => pages.push(progress.page);
  const document = await readDocument({ bytes: makePdf([page, page]) }, { name: "scan.pdf", onProgress });
  assert.equal(new Set(document.pages.map((each) => each.segments.length)).size, 1);
  assert.deepEqual(
    pages,
    pages.toSorted((a, b) => a - b),
  );
  assert.equal(pages.at(-1), 2);
});

test("a document is read in a process of its own, once, and kept by its content", async () => {
  const folder = path.join(tmpdir(), `quern-cache-${process.pid}`);
  try {
    await using workers = new ReadWorkers();
    const cache = new DocumentCache({ folder, workers });
    const bytes = makePdf([{ texts: [{ text: "Kept by content", x: 60, y: 80 }] }]);
    const pages: number[] = [];
    const first = await cache.read(bytes, { name: "a.pdf", ocr: false, onProgress: ({ page }) => pages.push(page) });
    const again = await cache.read(bytes, { name: "b.pdf", ocr: false });
    assert.deepEqual([first.isFromCache, again.isFromCache], [false, true]);
    assert.deepEqual(
      [first.document.name, again.document.name, again.document.text],
      ["a.pdf", "b.pdf", "Kept by content"],
    );
    assert.deepEqual(pages, [1]);
    const png = await cache.pageImage(bytes, { name: "a.pdf", page: 1, pixels: 200 });
    assert.deepEqual([...png.subarray(1, 4)], [...Buffer.from("PNG")]);
    await assert.rejects(cache.pageImage(bytes, { name: "a.pdf", page: 7, pixels: 200 }), { code: "not_found" });
    await assert.rejects(
      cache.read(Buffer.from("%PDF-1.7"), { name: "bad.pdf" }),
      (error) => error instanceof AppError && error.code === "unreadable" && error.message.includes("bad.pdf"),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

const long = makePdf(
  Array.from({ length: 300 }, (_, page) => ({
    texts: Array.from({ length: 30 }, (_, line) => ({
      text: `Line ${line} of page ${page} with some more words`,
      x: 60,
      y: 60 + line * 20,
    })),
  })),
);

test("a long document comes from its process and from the cache as it was read", async () => {
  const folder = path.join(tmpdir(), `quern-long-${process.pid}`);
  try {
    await using workers = new ReadWorkers();
    const cache = new DocumentCache({ folder, workers });
    const bytes = makePdf(
      Array.from({ length: 45 }, (_, page) => ({ texts: [{ text: `Page ${page}`, x: 60, y: 80 }] })),
    );
    const here = await readDocument({ bytes }, { name: "long.pdf" });
    assert.deepEqual((await cache.read(bytes, { name: "long.pdf" })).document, here);
    const kept = await cache.read(bytes, { name: "long.pdf" });
    assert.ok(kept.isFromCache);
    assert.deepEqual(kept.document, here);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("cancelling ends the reading at once and leaves room for the next document", async () => {
  await using workers = new ReadWorkers();
  const controller = new AbortController();
  const reading = workers.read(
    { bytes: long },
    { name: "long.pdf", signal: controller.signal, onProgress: () => controller.abort(new Error("cancelled")) },
  );
  await assert.rejects(reading, { message: "cancelled" });
  assert.equal((await workers.read({ bytes: Buffer.from("next") }, { name: "next.txt" })).text, "next");
});

test("a document over its time or memory limit is refused with a sentence that names it", async () => {
  await using slow = new ReadWorkers({ timeoutMs: 1 });
  await assert.rejects(
    slow.read({ bytes: long }, { name: "long.pdf" }),
    (error) => error instanceof AppError && error.code === "timeout" && error.message.includes("long.pdf"),
  );
  await using small = new ReadWorkers({ memoryBytes: 96 * 2 ** 20 });
  await assert.rejects(
    small.read({ bytes: long }, { name: "long.pdf" }),
    (error) => error instanceof AppError && error.code === "too_large" && error.message.includes("long.pdf"),
  );
});

test("a caller who leaves the queue does not hold up the one behind", async () => {
  await using workers = new ReadWorkers({ parallel: 1 });
  const controller = new AbortController();
  const first = workers.read({ bytes: Buffer.from("one") }, { name: "one.txt" });
  const second = workers.read({ bytes: Buffer.from("two") }, { name: "two.txt", signal: controller.signal });
  const third = workers.read({ bytes: Buffer.from("three") }, { name: "three.txt" });
  controller.abort(new Error("left"));
  await assert.rejects(second, { message: "left" });
  assert.deepEqual([(await first).text, (await third).text], ["one", "three"]);
});
