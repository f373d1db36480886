import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { readGguf } from "./gguf.ts";
import { PromptEncoder } from "./prompt-encoder.ts";
import { openTokenizer, type Tokenizer } from "./tokenizer.ts";

const folder = path.join(import.meta.dirname, "../../models/quern-mini");
const tokenizer = openTokenizer(readGguf(path.join(folder, "quern-mini-q4_k_m.gguf")).metadata);
const golden: { prompts: { prompt: string }[] } = JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8"));
const book = golden.prompts.map(({ prompt }) => prompt).join("");

const encoded = (encoder: PromptEncoder, text: string): number[] =>
  [...encoder.encode(text)].flatMap((part) => [...part]);

/** Counts the characters that are really encoded. */
function counting(): { encoder: PromptEncoder; characters: () => number } {
  let characters = 0;
  const counted: Tokenizer = {
    ...{
      vocabularyTokens: tokenizer.vocabularyTokens,
      tokens: tokenizer.tokens,
      longestSpecial: tokenizer.longestSpecial,
    },
    encode: (text, options) => tokenizer.encode(text, options),
    encodeParts: (text, options) => {
      characters += text.length - (options?.from ?? 0);
      return tokenizer.encodeParts(text, options);
    },
    decode: (ids, options) => tokenizer.decode(ids, options),
    tokenBytes: (id, options) => tokenizer.tokenBytes(id, options),
    isControl: (id) => tokenizer.isControl(id),
    specialId: (text) => tokenizer.specialId(text),
  };
  return { encoder: new PromptEncoder(counted), characters: () => characters };
}

test("a prompt that begins like one of the last is encoded from where they part", () => {
  const { encoder, characters } = counting();
  const first = `${book}问题一`;
  const second = `${book}<|im_end|>\n另一个问题`;
  assert.deepEqual(encoded(encoder, first), [...tokenizer.encode(first, { special: true })]);
  const before = characters();
  assert.deepEqual(encoded(encoder, second), [...tokenizer.encode(second, { special: true })]);
  assert.ok(characters() - before < 3000, `${characters() - before} of ${second.length} characters`);
});

test("whatever changes where, the ids are those of the text alone", () => {
  const encoder = new PromptEncoder(tokenizer);
  const inserts = [
    "x",
    " ",
    "\n",
    "   ",
    "'re",
    "<|im_end|>",
    "<|im_",
    "end|>",
    "😀",
    "\ud83d",
    "数",
    "7",
    "...",
    "\r\n",
    "<",
    "\u0301",
  ];
  let state = 3;
  const random = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  let text = book;
  for (let round = 0; round < 80; round++) {
    const at = random(text.length);
    const cut = random(40);
    text = text.slice(0, at) + (inserts[random(inserts.length)] ?? "") + text.slice(at + cut);
    if (round % 10 === 0) text = text.slice(0, 5000) + book.slice(random(20_000));
    assert.deepEqual(encoded(encoder, text), [...tokenizer.encode(text, { special: true })], `round ${round}`);
  }
});

test("an edit right behind a checkpoint is seen by the words before it", () => {
  // Texts in which every kind of word comes to stand before a checkpoint: shifted by a few tokens, its place moves through the unit.
  const units = ["ab, 你7好 -x's ", `\n${" ".repeat(30)}x`, "<|im_start 一", "a.b\r\n\r\n  c"];
  const inserts = ["x", "\n", "|>", "'"];
  for (const unit of units) {
    for (let shift = 0; shift < 4; shift++) {
      const tokens = tokenizer.encode(unit).length;
      const text = "q ".repeat(shift) + unit.repeat(Math.ceil(Math.max(1200 / tokens, 5000 / unit.length)));
      const [{ end } = { end: 0 }] = tokenizer.encodeParts(text, { special: true });
      for (const offset of [0, 1, 5, 8, 9, 10, 20]) {
        for (const insert of inserts) {
          const encoder = new PromptEncoder(tokenizer);
          encoded(encoder, text);
          const edited = text.slice(0, end + offset) + insert + text.slice(end + offset);
          assert.ok(edited.length >= 4096 && end < text.length - 40);
          assert.deepEqual(
            encoded(encoder, edited),
            [...tokenizer.encode(edited, { special: true })],
            `${JSON.stringify(insert)} ${offset} characters behind ${end} in ${JSON.stringify(text.slice(end - 8, end + 40))}`,
          );
        }
      }
    }
  }
});
