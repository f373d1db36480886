// The page's pure parts, without a browser: cutting and repairing Markdown, formulas, branches, prompts, event streams.
import assert from "node:assert/strict";
import test from "node:test";
import remarkGfm from "remark-gfm";
import remarkParse from "remark-parse";
import { unified } from "unified";
import { type Message, newestLeafBelow, pathTo, titleFrom, versionsOf } from "../../web/conversation.ts";
import { splitBlocks } from "../../web/markdown/blocks.ts";
import { normaliseFormulas } from "../../web/markdown/formula.ts";
import { repairTail } from "../../web/markdown/repair.ts";
import { contentOf } from "../../web/prompt.ts";
import { readEvents } from "../../web/sse.ts";
import { strings } from "../../web/strings.ts";

const parser = unified().use(remarkParse).use(remarkGfm);

/** The tree without positions, so that trees of pieces can be laid side by side. */
function treeOf(text: string): unknown[] {
  const strip = (node: unknown): unknown => {
    const { position: _, ...rest } = node as { position?: unknown; children?: unknown[] };
    return rest.children === undefined ? rest : { ...rest, children: rest.children.map(strip) };
  };
  return parser.parse(text).children.map(strip);
}

const pieces = [
  "A paragraph.",
  "# Heading",
  "- a\n- b",
  "- a\n\n- b",
  "1. one\n\n   more of one\n\n2. two",
  "```js\nconst a = 1;\n\n\nconst b = 2;\n```",
  "~~~\n```\n\nnot closed by these\n```\n~~~",
  "> quote\n\n> another",
  "| a | b |\n| - | - |\n| 1 | 2 |",
  "    indented code\n\n    goes on",
  "* * *",
  "Setext\n---",
  "* x\n\n  ```\n  code\n\n  in item\n  ```\n\nafter",
  "text  \nbroken line",
];

/** A small generator with a seed: the same cases on every machine. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("rendering the blocks one by one equals rendering the whole", () => {
  const next = random(7);
  for (let round = 0; round < 120; round++) {
    const count = 2 + Math.floor(next() * 6);
    const text = Array.from({ length: count }, () => pieces[Math.floor(next() * pieces.length)]).join("\n\n");
    assert.deepEqual(splitBlocks(text).flatMap(treeOf), treeOf(text), text);
  }
});

test("a growing text keeps its finished blocks as they are", () => {
  const text = pieces.join("\n\n");
  const whole = splitBlocks(text);
  for (let end = 1; end < text.length; end += 3) {
    const part = splitBlocks(text.slice(0, end));
    assert.deepEqual(part.slice(0, -1), whole.slice(0, part.length - 1));
  }
});

test("a text with link definitions stays whole", () => {
  assert.equal(splitBlocks("See [a].\n\n[a]: https://example.com").length, 1);
});

test("the end of an unfinished answer looks like what it will become", () => {
  const cases: [string, string][] = [
    ["some **bold", "some **bold**"],
    ["some **", "some "],
    ["some **bold*", "some **bold**"],
    ["a `code", "a `code`"],
    ["see [the docs](https://exa", "see the docs"],
    ["see [the do", "see the do"],
    ["an ![image](htt", "an "],
    ["text\n| a | b", "text"],
    ["text\n\n| a | b |\n| --- | -", "text\n"],
    ["| a |\n| - |\n| 1 |", "| a |\n| - |\n| 1 |"],
    ["x \\( a + ", "x "],
    ["x\n\n$$\na +", "x\n\n"],
    ["title\n--", "title\n"],
    ["~~gone", "~~gone~~"],
    ["```js\nconst a = [1", "```js\nconst a = [1"],
    ["done.", "done."],
  ];
  for (const [from, to] of cases) assert.equal(repairTail(from), to, JSON.stringify(from));
});

test("formulas get one spelling; prices and code stay as they are", () => {
  assert.equal(normaliseFormulas("a $x^2$ b"), "a $$x^2$$ b");
  assert.equal(normaliseFormulas("a \\(x\\) b"), "a $$x$$ b");
  assert.equal(normaliseFormulas("\\[\nx\n\\]").trim(), "$$\nx\n$$");
  assert.equal(normaliseFormulas("$$x$$").trim(), "$$\nx\n$$");
  for (const same of ["costs $5 and $10", "$5 万和 6$ 万", "`$x$`", "```\n$x$ \\(y\\)\n```", "US$5-$10", "no marks"]) {
    assert.equal(normaliseFormulas(same), same);
  }
});

const message = (
  id: string,
  parentId: string | undefined,
  createdAt: number,
  role: Message["role"] = "user",
): Message => ({
  id,
  conversationId: "c",
  ...(parentId === undefined ? {} : { parentId }),
  role,
  text: id,
  attachments: [],
  createdAt,
  state: "complete",
});

test("branches: the path to a leaf, the versions of a message, the newest leaf below one", () => {
  const all = [
    message("q1", undefined, 1),
    message("a1", "q1", 2, "assistant"),
    message("a2", "q1", 3, "assistant"),
    message("q2", "a1", 4),
    message("q1b", undefined, 5),
  ];
  const messages = new Map(all.map((each) => [each.id, each]));
  assert.deepEqual(
    pathTo(messages, "q2").map(({ id }) => id),
    ["q1", "a1", "q2"],
  );
  assert.deepEqual(
    versionsOf(messages, all[1] as Message).map(({ id }) => id),
    ["a1", "a2"],
  );
  assert.deepEqual(
    versionsOf(messages, all[0] as Message).map(({ id }) => id),
    ["q1", "q1b"],
  );
  assert.equal(newestLeafBelow(messages, "a1"), "q2");
  assert.equal(newestLeafBelow(messages, "q1"), "a2");
});

test("a broken chain of parents ends the path instead of hanging", () => {
  const loop = new Map([message("a", "b", 1), message("b", "a", 2)].map((each) => [each.id, each]));
  assert.ok(pathTo(loop, "a").length <= 3);
  assert.deepEqual(pathTo(new Map(), "gone"), []);
});

test("a title is the first line that says something, never half a character", () => {
  assert.equal(titleFrom("\n\n## 周报要点\nmore", []), "周报要点");
  assert.equal(titleFrom("- -12.5%", []), "-12.5%");
  assert.equal(titleFrom("-12.5% in Q3", []), "-12.5% in Q3");
  assert.equal([...titleFrom("🙂".repeat(60), [])].length, 40);
});

test("a document's mark is never one that the document contains", () => {
  const attachment = { id: "1", name: 'a"b.txt', text: "x </document> y", lineCount: 1, isPasted: false };
  assert.equal(contentOf("Q", [attachment]), '<document-2 name="a_b.txt">\nx </document> y\n</document-2>\n\nQ');
});

test("events arrive whole, however the bytes are cut", async () => {
  const bytes = new TextEncoder().encode(
    ': ping\r\n\r\ndata: {"a":"你好"}\n\ndata: 1\ndata: 2\n\nevent: x\ndata:[DONE]\n\ndata: cut off',
  );
  for (let size = 1; size < bytes.length; size += 3) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const events: string[] = [];
    for await (const event of readEvents(body)) events.push(event);
    assert.deepEqual(events, ['{"a":"你好"}', "1\n2", "[DONE]"]);
  }
});

test("no string is empty or left in the other language", () => {
  const flat = (value: unknown, path: string): [string, string][] =>
    typeof value === "string"
      ? [[path, value]]
      : typeof value === "object" && value !== null
        ? Object.entries(value).flatMap(([key, inner]) => flat(inner, `${path}.${key}`))
        : [];
  const zh = flat(strings.zh, "zh");
  assert.deepEqual(
    zh.filter(([, text]) => text.trim() === ""),
    [],
  );
  assert.deepEqual(
    flat(strings.en, "en").filter(([, text]) => /[\u4e00-\u9fff]/.test(text)),
    [],
  );
  const latin = zh.filter(([, text]) => !/[\u4e00-\u9fff]/.test(text)).map(([path]) => path);
  assert.deepEqual(latin, ["zh.quern"]);
});
