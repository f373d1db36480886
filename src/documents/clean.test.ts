import assert from "node:assert/strict";
import test from "node:test";
import { cleanPages, joinLines, restore } from "./clean.ts";
import { assemble, type Box } from "./document.ts";
import type { DraftSegment } from "./layout/runs.ts";
import type { DraftPage } from "./reader.ts";

function line(page: number, text: string, top: number, extra: Partial<DraftSegment> = {}): DraftSegment {
  const box: Box = [60, top, 500, top + 12];
  return { kind: "paragraph", page, text, lines: [text], box, ...extra } as DraftSegment;
}

function pageOf(number: number, segments: DraftSegment[]): DraftPage {
  return { number, width: 595, height: 842, unit: "pt", source: "text", confidence: 1, segments };
}

const report = Array.from({ length: 6 }, (_, index) => {
  const page = index + 1;
  return pageOf(page, [
    line(page, "某某公司年度报告", 30),
    line(page, `正文第 ${page} 段，各不相同。`, 300),
    line(page, "某某公司年度报告", 420),
    line(page, `第 ${page} 页 共 6 页`, 810),
  ]);
});

test("running headers and page numbers go, the body stays, even where it says the same", () => {
  const cleaned = cleanPages(report);
  for (const page of cleaned) {
    assert.deepEqual(
      page.segments.map((segment) => segment.removed),
      ["running_header", undefined, undefined, "page_number"],
    );
  }
});

test("numbers that do not count with the pages stay", () => {
  const pages = [1, 2, 3, 4].map((page) =>
    pageOf(page, [line(page, "Body text", 300), line(page, String(page * page * 7), 810)]),
  );
  assert.ok(cleanPages(pages).every((page) => page.segments.every((segment) => segment.removed === undefined)));
});

test("lines in the header band whose figures differ are data and stay", () => {
  const pages = [120, 87, 44, 310].map((amount, index) =>
    pageOf(index + 1, [line(index + 1, `Amount due: ${amount}`, 40)]),
  );
  assert.ok(cleanPages(pages).every((page) => page.segments[0]?.removed === undefined));
});

test("a paragraph that repeats with other figures is no disclaimer", () => {
  const words = "The net revenue of the region for this month came to a total of";
  const pages = [1, 2, 3, 4].map((page) => pageOf(page, [line(page, `${words} ${page * 113} thousand.`, 300)]));
  assert.ok(cleanPages(pages).every((page) => page.segments[0]?.removed === undefined));
});

test("bare numbers that count with the pages are page numbers", () => {
  const pages = [1, 2, 3, 4].map((page) =>
    pageOf(page, [line(page, `Text ${page} of its own`, 300), line(page, `- ${page + 8} -`, 810)]),
  );
  assert.ok(
    cleanPages(pages).every(
      (page) => page.segments[1]?.removed === "page_number" && page.segments[0]?.removed === undefined,
    ),
  );
});

test("a header that changes from chapter to chapter is known by its place and the page's number", () => {
  const titles = ["Basics", "Basics", "Basics", "Tools", "Notes", "Notes"];
  const pages = titles.map((title, index) =>
    pageOf(index + 1, [
      line(index + 1, `Chapter ${title.length}: ${title} ${index + 11}`, 40),
      line(index + 1, index === 3 ? "The total of units sold was 55" : `Text ${title}${index}`, 300),
    ]),
  );
  const removed = cleanPages(pages).map((page) => page.segments.map((segment) => segment.removed));
  assert.deepEqual(
    removed,
    pages.map(() => ["running_header", undefined]),
  );
});

test("a disclaimer on most pages is kept once", () => {
  const words = "This document is confidential and intended only for the named recipient; do not copy it.";
  const pages = [1, 2, 3, 4].map((page) =>
    pageOf(page, [line(page, `Body ${"abc"[page] ?? "z"}`, 300), line(page, words, 600)]),
  );
  const removed = cleanPages(pages).map((page) => page.segments[1]?.removed);
  assert.deepEqual(removed, [undefined, "repeated_disclaimer", "repeated_disclaimer", "repeated_disclaimer"]);
});

test("slanted text that repeats is a watermark", () => {
  const pages = [1, 2].map((page) =>
    pageOf(page, [line(page, "Body", 300), line(page, "机密", 400, { isSlanted: true })]),
  );
  assert.deepEqual(
    cleanPages(pages).map((page) => page.segments[1]?.removed),
    ["watermark", "watermark"],
  );
});

test("lines are joined as each script wants, and hyphenated words made whole", () => {
  assert.equal(joinLines(["公司在华东地", "区的业务"]), "公司在华东地区的业务");
  assert.equal(joinLines(["the quick", "brown fox"]), "the quick brown fox");
  assert.equal(joinLines(["infor-", "mation"]), "information");
  assert.equal(joinLines(["a well-", "known fact"]), "a well-known fact");
  assert.equal(joinLines(["pages 12-", "15 and COVID-", "19"]), "pages 12-15 and COVID-19");
});

test("what was removed or joined can be put back", () => {
  const broken = line(1, "infor-\nmation", 300, { lines: ["infor-", "mation"] });
  const pages = cleanPages([...report.slice(1), pageOf(1, [line(1, "某某公司年度报告", 30), broken])]);
  const document = assemble({
    name: "a.pdf",
    kind: "pdf",
    warnings: [],
    pages: pages.map((page) => ({
      ...page,
      segments: page.segments.map((segment) => ({ ...segment, start: 0, end: 0 })),
    })),
  });
  assert.ok(document.text.includes("information"));
  const withHeader = restore(document, { page: 2, segment: 0 });
  const header = withHeader.pages[0]?.segments[0];
  assert.equal(header && withHeader.text.slice(header.start, header.end), "某某公司年度报告");
  assert.ok(restore(document, { page: 1, segment: 1 }).text.includes("infor-\nmation"));
});
