import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerStream, StopMatcher } from "./answer-stream.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const none = new Uint8Array();
const endId = 9;

/** Feeds the pieces as tokens 1, 2, 3… and returns what came out, joined, and how it ended. */
function feed(
  pieces: readonly (string | Uint8Array)[],
  limits: Partial<ConstructorParameters<typeof AnswerStream>[0]> = {},
) {
  const answer = new AnswerStream({ maxTokens: 1000, endTokenIds: new Set([endId]), ...limits });
  let text = "";
  for (const piece of pieces) {
    const part = answer.take(1, typeof piece === "string" ? bytes(piece) : piece);
    text += part.text;
    if (part.finish) return { text, ...part.finish, tokens: answer.tokens };
  }
  return { text, held: answer.end(), tokens: answer.tokens };
}

/** Every way to cut a text of up to about ten characters into pieces. */
function cuts(text: string): string[][] {
  return Array.from({ length: 2 ** (text.length - 1) }, (_, mask) => {
    const pieces = [""];
    for (const [place, character] of [...text].entries()) {
      if (place > 0 && (mask >> (place - 1)) & 1) pieces.push("");
      pieces[pieces.length - 1] += character;
    }
    return pieces;
  });
}

test("tokens of any bytes, cut anywhere, read as the decoder reads all of them together", () => {
  const whole = bytes("plain, 混合 é😀! \u{feff}end");
  const broken = Uint8Array.of(65, 0xe6, 66, 0xf0, 0x9f, 67, 0x80, 68, 0xff, 69, 0xe6, 0xb7);
  for (const all of [whole, broken]) {
    const expected = new TextDecoder("utf-8", { ignoreBOM: true }).decode(all);
    for (let length = 1; length <= 20; length++) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < all.length; at += length) pieces.push(all.subarray(at, at + length), none);
      const { text, held = "" } = feed(pieces);
      assert.equal(text + held, expected, `${length} bytes a token`);
    }
  }
});

test("a character split over tokens appears once, whole", () => {
  const [a, b, c, d] = bytes("😀");
  const answer = new AnswerStream({ maxTokens: 10, endTokenIds: new Set() });
  const parts = [a, b, c, d].map((byte) => answer.take(1, Uint8Array.of(byte ?? 0)).text);
  assert.deepEqual(parts, ["", "", "", "😀"]);
});

test("an answer that ends in the middle of a character shows it as U+FFFD, however it ends", () => {
  const half = bytes("写").slice(0, 2);
  assert.equal(feed(["a", half], { maxTokens: 2 }).text, "a\uFFFD");
  assert.deepEqual(feed(["a", half]), { text: "a", held: "\uFFFD", tokens: 2 });
  const answer = new AnswerStream({ maxTokens: 10, endTokenIds: new Set([endId]) });
  answer.take(1, half);
  assert.deepEqual(answer.take(endId, none), { text: "\uFFFD", finish: { reason: "stop" } });
});

test("a byte order mark is kept", () => {
  assert.equal(feed(["\uFEFFa"]).text, "\uFEFFa");
});

test("a stop text is found however it is cut, and nothing of it is shown", () => {
  for (const pieces of cuts("ab STOP cd")) {
    const { tokens: _, ...ended } = feed(pieces, { stop: ["STOP"] });
    assert.deepEqual(ended, { text: "ab ", stopText: "STOP", reason: "stop" }, pieces.join("|"));
  }
});

test("of several stop texts the first complete one wins, the longer at the same end, however the text is cut", () => {
  for (const pieces of cuts("xabcdy")) {
    assert.deepEqual(feed(pieces, { stop: ["bcd", "abc"] }).text, "x");
    assert.deepEqual(feed(pieces, { stop: ["c", "abc"] }).text, "x");
    assert.deepEqual(feed(pieces, { stop: ["abcd", "b"] }).text, "xa");
  }
});

test("text that only began like a stop text is shown after all", () => {
  for (const pieces of cuts("aabaabaac")) {
    assert.equal(feed(pieces, { stop: ["aabaac"] }).text, "aab");
    const { text, held } = feed(pieces, { stop: ["aabaad"] });
    assert.equal(`${text}${held}`, "aabaabaac");
  }
});

test("only what may still become a stop text is held back", () => {
  const matcher = new StopMatcher(["\n\nUser:"]);
  assert.deepEqual(matcher.push("hello\n"), { text: "hello" });
  assert.deepEqual(matcher.push("world"), { text: "\nworld" });
});

test("the stop text stays when asked for", () => {
  assert.equal(feed(["a", "ST", "OP", "b"], { stop: ["STOP"], includeStop: true }).text, "aSTOP");
});

test("held text is shown when the answer ends by length or by an end token", () => {
  assert.deepEqual(feed(["a", "ST"], { stop: ["STOP"], maxTokens: 2 }), { text: "aST", reason: "length", tokens: 2 });
  const answer = new AnswerStream({ maxTokens: 10, stop: ["STOP"], endTokenIds: new Set([endId]) });
  assert.equal(answer.take(1, bytes("aST")).text, "a");
  assert.equal(answer.take(endId, none).text, "ST");
});

test("before minTokens neither a stop text nor an end token ends the answer", () => {
  const limits = { minTokens: 2, stop: ["b"] };
  assert.equal(feed(["b", "b", "b", "c"], limits).text, "bb");
  const answer = new AnswerStream({ maxTokens: 10, minTokens: 1, endTokenIds: new Set([endId]) });
  assert.equal(answer.take(endId, none).finish, undefined);
  assert.equal(answer.take(endId, none).finish?.reason, "stop");
});

test("an ordinary token named as end token is cut unless the stop is wanted", () => {
  for (const includeStop of [false, true]) {
    const answer = new AnswerStream({ maxTokens: 10, includeStop, endTokenIds: new Set([endId]) });
    assert.equal(answer.take(endId, bytes("!")).text, includeStop ? "!" : "");
  }
});
