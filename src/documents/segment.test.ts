import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { segmentText } from "./segment.ts";

const kindsOf = (text: string): string[] => segmentText(text).map((segment) => segment.kind);

test("each class of passage is told apart", () => {
  const text =
    "# 标题\n\n一段**重要**文字。\n第二行\n\n- 甲\n- 乙\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```ts\nlet x;\n\n# not a heading\n```\n\n$$\nx^2\n$$\n\n> 引文\n\n**整段加粗。**\n\n第三章 总则\n\n1.2 Scope of work\n";
  assert.deepEqual(kindsOf(text), [
    "heading",
    "paragraph",
    "list",
    "table",
    "code",
    "formula",
    "quote",
    "emphasis",
    "heading",
    "heading",
  ]);
});

test("a heading knows its level and a fence its language", () => {
  const [chapter, part, code] = segmentText("第三章 总则\n\n1.2.3 Scope of work\n\n```python\nx\n```");
  assert.equal(chapter?.level, 1);
  assert.equal(part?.level, 3);
  assert.equal(code?.language, "python");
});

test("a sentence that opens with a figure is no heading and no list", () => {
  assert.deepEqual(kindsOf("2025 was a good year.\n\n3.5 percent of it was lost, which nobody expected."), [
    "paragraph",
    "paragraph",
  ]);
});

test("bold passages inside a paragraph are given by place", () => {
  const text = "前文 **重点** 后文";
  const [segment] = segmentText(text);
  const [bold] = segment?.emphasised ?? [];
  assert.equal(bold && text.slice(bold.start, bold.end), "**重点**");
});

test("a fence that nobody closes takes the rest; a formula that nobody closes is text", () => {
  assert.deepEqual(kindsOf("```\na\n\nb"), ["code"]);
  assert.deepEqual(kindsOf("$$\na\n\nb"), ["paragraph", "paragraph"]);
});

test("segments are in order, do not overlap and leave out nothing but blanks", () => {
  const line = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom(
      "# h",
      "- i",
      "```",
      "$$",
      "> q",
      "| a | b |",
      "",
      "**b**",
      "    x",
      "\\[",
      "\\]",
      "一、甲",
      "\t",
      "1. x",
    ),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), fc.constantFrom("\n", "\r\n"), (lines, end) => {
      const text = lines.join(end);
      let at = 0;
      for (const segment of segmentText(text)) {
        assert.ok(segment.start >= at && segment.end > segment.start, "order");
        assert.equal(text.slice(at, segment.start).replaceAll(/[\s\ufeff]/g, ""), "");
        at = segment.end;
      }
      assert.equal(text.slice(at).replaceAll(/[\s\ufeff]/g, ""), "");
    }),
    { numRuns: 300, seed: 5 },
  );
});

test("input made to be slow costs no more than the same length of prose", () => {
  const cpuOf = (text: string): number => {
    const start = process.cpuUsage();
    segmentText(text);
    const { user, system } = process.cpuUsage(start);
    return user + system;
  };
  const prose = "一段普通的文字，和 some words。\n\n".repeat(20_000);
  cpuOf(prose);
  const usual = cpuOf(prose);
  for (const unit of ["\\[\n", "$$ \n", "**", "| \n\n", "```\n", "> > > "]) {
    const hostile = unit.repeat(Math.ceil(prose.length / unit.length));
    // Quadratic work would be thousands of times slower; noise is not.
    assert.ok(cpuOf(hostile) < usual * 60 + 200_000, `${JSON.stringify(unit)} is far slower than prose`);
  }
});
