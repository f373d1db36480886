import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { AppError } from "../base/errors.ts";
import { readGguf } from "./gguf.ts";
import { wordEnd } from "./pretokenize.ts";
import { openTokenizer } from "./tokenizer.ts";

const folder = path.join(import.meta.dirname, "../../models/quern-mini");
const golden: {
  prompts: { name: string; prompt: string; ids: number[]; greedy: { ids: number[]; text: string } }[];
  tokenisations: { text: string; ids: number[] }[];
} = JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8"));
const { metadata } = readGguf(path.join(folder, "quern-mini-q4_k_m.gguf"));
const tokenizer = openTokenizer(metadata);

test("all golden strings give the ids of the original tokenizer", () => {
  assert.equal(golden.tokenisations.length, 42);
  for (const { text, ids } of golden.tokenisations) {
    assert.deepEqual([...tokenizer.encode(text, { special: true })], ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids, { special: true }), text);
  }
});

test("all golden prompts give the ids of the original tokenizer, and the continuations their text", () => {
  assert.equal(golden.prompts.length, 12);
  for (const { name, prompt, ids, greedy } of golden.prompts) {
    assert.deepEqual([...tokenizer.encode(prompt, { special: true })], ids, name);
    assert.equal(tokenizer.decode(greedy.ids, { special: true }), greedy.text, name);
  }
});

test("text that spells a special token is only text unless special tokens are asked for", () => {
  const text = "<|im_start|>user";
  const plain = tokenizer.encode(text);
  assert.ok(!plain.some((id) => tokenizer.isControl(id)));
  assert.equal(tokenizer.decode(plain), text);
  assert.equal(tokenizer.encode(text, { special: true })[0], tokenizer.specialId("<|im_start|>"));
});

test("control tokens are left out of decoded text unless asked for, tool tags are always text", () => {
  const ids = tokenizer.encode("<tool_call>x</tool_call><|im_end|>", { special: true });
  assert.equal(tokenizer.decode(ids), "<tool_call>x</tool_call>");
  assert.equal(tokenizer.decode(ids, { special: true }), "<tool_call>x</tool_call><|im_end|>");
});

test("the bytes of the tokens one by one are the bytes of the text", () => {
  const text = "naïve 👨‍👩‍👧 𠮷野家, Zürich 饕餮";
  const bytes = Buffer.concat([...tokenizer.encode(text)].map((id) => tokenizer.tokenBytes(id)));
  assert.equal(bytes.toString("utf8"), text);
});

test("an incomplete character decodes to U+FFFD, and a lone surrogate encodes as one", () => {
  const [first = 0] = tokenizer.encode("😀");
  assert.equal(tokenizer.decode([first]), "\ufffd");
  assert.deepEqual(tokenizer.encode("a\ud800b"), tokenizer.encode("a\ufffdb"));
  assert.deepEqual(tokenizer.encode("\udc00"), tokenizer.encode("\ufffd"));
});

test("words are cut where the published expression cuts them", () => {
  const space = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
  const published = new RegExp(
    `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^${space}\\p{L}\\p{N}]+[\\r\\n]*|[${space}]*[\\r\\n]+|[${space}]+(?![^${space}])|[${space}]+`,
    "gu",
  );
  const alphabet = [..."  \t\n\r'''sStTrEvVmMlLdDaé你𠮷ſ０9½Ⅷ.,!-😀\u0301\u200d\u3000\u00a0\u0085\ufeff\u2028"];
  const random = seeded(7);
  for (let round = 0; round < 4000; round++) {
    const text = Array.from({ length: 1 + random(24) }, () => alphabet[random(alphabet.length)]).join("");
    const words: string[] = [];
    for (let at = 0; at < text.length; ) {
      const end = wordEnd(text, at);
      words.push(text.slice(at, end));
      at = end;
    }
    assert.deepEqual(words, text.match(published), JSON.stringify(text));
  }
});

test("merging through the heap gives what merging the lowest rank by plain search gives", () => {
  const tokens = metadata.get("tokenizer.ggml.tokens") as string[];
  const ranks = new Map((metadata.get("tokenizer.ggml.merges") as string[]).map((merge, rank) => [merge, rank]));
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const random = seeded(11);
  for (let round = 0; round < 300; round++) {
    const word = Array.from({ length: 1 + random(60) }, () => "aeinorst"[random(8)]).join("");
    const symbols = [...word];
    for (;;) {
      let best = -1;
      let bestRank = Number.POSITIVE_INFINITY;
      for (let at = 0; at + 1 < symbols.length; at++) {
        const rank = ranks.get(`${symbols[at]} ${symbols[at + 1]}`) ?? Number.POSITIVE_INFINITY;
        if (rank < bestRank) [best, bestRank] = [at, rank];
      }
      if (best < 0) break;
      symbols.splice(best, 2, `${symbols[best]}${symbols[best + 1]}`);
    }
    assert.deepEqual(
      [...tokenizer.encode(word)],
      symbols.map((symbol) => ids.get(symbol)),
      word,
    );
  }
});

test("200,000 characters without a space come back whole", () => {
  // A search per merge would need 10^10 steps here.
  for (const unit of ["数据", "ab", "\u0301", " ", "7"]) {
    const text = unit.repeat(200_000 / unit.length);
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
});

test("more distinct words than the cache holds still give the same ids", () => {
  const words = Array.from({ length: 70_000 }, (_, index) => ` w${index.toString(26).replace(/\d/g, "z")}q`);
  const before = words.slice(0, 50).map((word) => [...tokenizer.encode(word)]);
  const all = tokenizer.encode(words.join(""));
  assert.equal(tokenizer.decode(all), words.join(""));
  assert.deepEqual(
    words.slice(0, 50).map((word) => [...tokenizer.encode(word)]),
    before,
  );
});

test("the parts of a long text are together what the whole is", () => {
  const text = golden.prompts.map(({ prompt }) => prompt).join("");
  const parts = [...tokenizer.encodeParts(text, { special: true })];
  assert.ok(parts.length > 3 && parts.every(({ ids }) => ids.length < 1100));
  const whole = [...tokenizer.encode(text, { special: true })];
  assert.deepEqual(
    parts.flatMap(({ ids }) => [...ids]),
    whole,
  );
  const second = parts.slice(1).flatMap(({ ids }) => [...ids]);
  const from = parts[0]?.end ?? 0;
  assert.deepEqual(
    [...tokenizer.encodeParts(text, { special: true, from })].flatMap(({ ids }) => [...ids]),
    second,
  );
});

test("an id beyond the vocabulary is refused with the range of ids", () => {
  assert.throws(() => tokenizer.tokenBytes(14_336), /ids are 0 to 14335/);
  assert.throws(() => tokenizer.decode([-1]), AppError);
});

test("a file with another tokenizer, or a damaged one, is refused by name", () => {
  const changed = (key: string, value: unknown): ReadonlyMap<string, unknown> =>
    new Map<string, unknown>(metadata).set(key, value);
  assert.throws(() => openTokenizer(changed("tokenizer.ggml.pre", "llama-bpe")), /"llama-bpe"/);
  assert.throws(() => openTokenizer(changed("tokenizer.ggml.merges", undefined)), /merges is missing/);
  assert.throws(() => openTokenizer(changed("tokenizer.ggml.merges", ["zzz yyy"])), /Merge 0/);
  assert.throws(() => openTokenizer(changed("tokenizer.ggml.token_type", new Int32Array(3))), /14336 tokens and 3/);
});

/** Whole numbers below `bound`, the same in every run. */
function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
