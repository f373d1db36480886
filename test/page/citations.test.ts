// Page references in answers: found, linked, checked, and led to the piece of the page that they mean.
import assert from "node:assert/strict";
import test from "node:test";
import { citationAt, linkCitations, passageBefore } from "../../web/chat/citations.ts";
import { closestSegment } from "../../web/documents/closest-segment.ts";

const linksIn = (text: string) => [...text.matchAll(/\]\((#[^)]+)\)/g)].map(([, address]) => citationAt(address ?? ""));

test("a growing answer's references in both languages become links to their pages", () => {
  const linked = linkCitations("三十天 [第 3 页]。See [p. 12, report (final).pdf] and [pp. 3-5].", undefined);
  assert.deepEqual(
    linksIn(linked).map((link) => [link?.page, link?.name, link?.isDoubtful]),
    [
      [3, undefined, false],
      [12, "report (final).pdf", false],
      [3, undefined, false],
    ],
  );
});

test("what looks like a reference in code, and a link that is none, stay as they are", () => {
  const text = "```\nx[p. 3]\n```\n[p.s.](https://example.org) [第一页]";
  assert.equal(linkCitations(text, undefined), text);
  assert.equal(citationAt("#section"), undefined);
});

test("a checked answer's references are those the server found, the doubtful ones marked", () => {
  const text = "甲 [第 1 页]，乙 [第 9 页]。";
  const checked = [
    { start: 2, end: 9, pages: [1], is_given: true },
    { start: 12, end: 19, pages: [9], is_given: false },
  ];
  assert.deepEqual(
    linksIn(linkCitations(text, checked)).map((link) => [link?.page, link?.isDoubtful]),
    [
      [1, false],
      [9, true],
    ],
  );
});

test("a reference means the sentence before it, and the piece of the page most like that", () => {
  const text = "先看保密。逾期按万分之五支付违约金 [第 3 页]。";
  const passage = passageBefore(text, text.indexOf("[第"));
  assert.equal(passage, "逾期按万分之五支付违约金");
  const segment = (words: string, more: object = {}) => ({ kind: "paragraph", page: 3, text: words, ...more });
  const segments = [
    segment("逾期按万分之五支付违约金", { removed: "watermark" }),
    segment("保密期为两年。"),
    segment("逾期付款的，每逾期一日按万分之五支付违约金。"),
  ];
  assert.equal(closestSegment(passage, segments), 2);
  assert.equal(closestSegment("nothing of the kind", segments), -1);
});
