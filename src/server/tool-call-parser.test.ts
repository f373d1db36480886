import assert from "node:assert/strict";
import test from "node:test";
import { ToolCallParser, type ToolPiece } from "./tool-call-parser.ts";

interface Parsed {
  text: string;
  calls: { name: string; arguments: string }[];
}

function gathered(pieces: readonly ToolPiece[]): Parsed {
  const parsed: Parsed = { text: "", calls: [] };
  for (const piece of pieces) {
    if (piece.type === "text") parsed.text += piece.text;
    else if (piece.type === "call") parsed.calls[piece.index] = { name: piece.name, arguments: "" };
    else {
      const call = parsed.calls[piece.index];
      assert.ok(call, "arguments came before their call");
      call.arguments += piece.text;
    }
  }
  return parsed;
}

function parse(text: string, pieceLength: number, options: { isInside?: boolean } = {}): Parsed {
  const parser = new ToolCallParser(options);
  const pieces: ToolPiece[] = [];
  for (let at = 0; at < text.length; at += pieceLength) pieces.push(...parser.push(text.slice(at, at + pieceLength)));
  pieces.push(...parser.end());
  return gathered(pieces);
}

const weather = '<tool_call>\n{"name": "weather", "arguments": {"city": "上海", "note": "a \\"}\\" b"}}\n</tool_call>';
const cases: { title: string; text: string; expected: Parsed; isInside?: boolean }[] = [
  { title: "plain text", text: "no call, a < b\n", expected: { text: "no call, a < b\n", calls: [] } },
  {
    title: "one call, brackets and quotes in a string",
    text: weather,
    expected: { text: "", calls: [{ name: "weather", arguments: '{"city": "上海", "note": "a \\"}\\" b"}' }] },
  },
  {
    title: "text, then two calls",
    text: `Let me look.\n${weather}\n<tool_call>\n{"name": "b", "arguments": {}}\n</tool_call>\n`,
    expected: {
      text: "Let me look.",
      calls: [
        { name: "weather", arguments: '{"city": "上海", "note": "a \\"}\\" b"}' },
        { name: "b", arguments: "{}" },
      ],
    },
  },
  {
    title: "arguments before the name",
    text: '<tool_call>{"arguments": {"x": [1, {"y": 2}]}, "name": "f"}</tool_call>',
    expected: { text: "", calls: [{ name: "f", arguments: '{"x":[1,{"y":2}]}' }] },
  },
  {
    title: "arguments as a string",
    text: '<tool_call>{"name": "f", "arguments": "{\\"x\\":1}"}</tool_call>',
    expected: { text: "", calls: [{ name: "f", arguments: '{"x":1}' }] },
  },
  {
    title: "no arguments",
    text: '<tool_call>{"name": "f"}</tool_call>',
    expected: { text: "", calls: [{ name: "f", arguments: "{}" }] },
  },
  {
    title: "what is no call stays text",
    text: "<tool_call>\nnot json\n</tool_call> and on",
    expected: { text: "<tool_call>\nnot json\n</tool_call> and on", calls: [] },
  },
  {
    title: "a tag that never closes stays text",
    text: 'see <tool_call>{"na',
    expected: { text: 'see <tool_call>{"na', calls: [] },
  },
  {
    title: "a tag that only begins stays text",
    text: "a <tool_",
    expected: { text: "a <tool_", calls: [] },
  },
  {
    title: "an answer that begins within a call and ends without the tag",
    text: '{"name":"f","arguments":{"a":1}}',
    isInside: true,
    expected: { text: "", calls: [{ name: "f", arguments: '{"a":1}' }] },
  },
];

for (const { title, text, expected, isInside = false } of cases) {
  test(`tool calls are found however the text is cut: ${title}`, () => {
    for (const pieceLength of [1, 2, 3, 7, 1000]) {
      assert.deepEqual(parse(text, pieceLength, { isInside }), expected, `in pieces of ${pieceLength}`);
    }
  });
}

test("arguments leave before the call is complete", () => {
  const parser = new ToolCallParser();
  const early = gathered(parser.push('<tool_call>\n{"name": "f", "arguments": {"text": "long'));
  assert.deepEqual(early.calls, [{ name: "f", arguments: '{"text": "long' }]);
  assert.equal(parser.calls, 1);
});
