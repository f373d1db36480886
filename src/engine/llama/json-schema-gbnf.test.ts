// Grammars are judged by llama.cpp's own parser and matcher: a text is let through or not.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import { integerRange } from "./integer-range.ts";
import { gbnfOfSchema } from "./json-schema-gbnf.ts";

const llama = await getLlama({ gpu: false, build: "never", progressLogs: false, logLevel: LlamaLogLevel.disabled });

async function matcher(gbnf: string): Promise<(text: string) => boolean> {
  const grammar = await llama.createGrammar({ grammar: gbnf });
  const native = Reflect.get(grammar, "_grammar") as { isTextCompatible(text: string): boolean };
  return (text) => native.isTextCompatible(text);
}

interface Case {
  schema: unknown;
  valid: readonly unknown[];
  invalid: readonly (string | object)[];
}

const person = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } } };

const cases: Record<string, Case> = {
  "any object": {
    schema: { type: "object" },
    valid: [{}, { a: [1, { b: null }] }],
    invalid: ["[]", "1", '{"a":}', "{"],
  },
  "required and optional properties, in the schema's order": {
    schema: { ...person, required: ["age"] },
    valid: [{ age: 1 }, { name: "x", age: 1 }],
    invalid: [{}, { name: "x" }, { age: 1, name: "x" }, { age: 1, more: 2 }, { age: "1" }, { age: 1.5 }],
  },
  "no property required": {
    schema: person,
    valid: [{}, { name: "" }, { age: 2 }],
    invalid: ['{,"age":2}', '{"name":"x",}'],
  },
  "additional properties, but never a declared name twice": {
    schema: { ...person, additionalProperties: { type: "boolean" } },
    valid: [{ name: "x", nam: true }, { other: false, naméd: true, "": true }, { ages: true }],
    invalid: [{ other: 1 }, '{"age":1,"age":true}', '{"name":true}'],
  },
  "a required name that only additionalProperties describes": {
    schema: { type: "object", required: ["id"], additionalProperties: { type: "integer" } },
    valid: [{ id: 1 }, { id: 1, n: 2 }],
    invalid: [{}, { n: 2 }, { id: "1" }],
  },
  "counts of items": {
    schema: { type: "array", items: { enum: ["a", 1, null] }, minItems: 1, maxItems: 3 },
    valid: [["a"], [1, null, "a"]],
    invalid: [[], ["b"], ["a", "a", "a", "a"], '["a",]'],
  },
  tuples: {
    schema: { type: "array", prefixItems: [{ type: "integer" }, { type: "string" }], items: false },
    valid: [[1, "x"]],
    invalid: [[1], ["x", 1], [1, "x", 2]],
  },
  "lengths of texts, by character": {
    schema: { type: "string", minLength: 2, maxLength: 3 },
    valid: ["ab", "你好吗", 'a"\\'],
    invalid: ['"a"', '"abcd"', '"a\nb"'],
  },
  formats: {
    schema: { type: "string", format: "date" },
    valid: ["2026-11-22"],
    invalid: ['"2026-13-01"', '"22.11.2026"'],
  },
  "a format that is an annotation": { schema: { type: "string", format: "email" }, valid: ["a@b.c"], invalid: ["1"] },
  "several types": { schema: { type: ["string", "null"], maxLength: 2 }, valid: ["ab", null], invalid: ['"abc"', "1"] },
  nullable: { schema: { type: "integer", nullable: true }, valid: [1, null], invalid: ['"1"'] },
  "const and enum with quotes and control characters": {
    schema: { anyOf: [{ const: 'a"\\\n' }, { enum: [{ a: [1] }, true] }] },
    valid: ['a"\\\n', { a: [1] }, true],
    invalid: ["false", '"a"'],
  },
  numbers: { schema: { type: "number", minimum: 0 }, valid: [0, 1.5, 1e21], invalid: ["-1", "01", "1.", ".5", "NaN"] },
  "references that lead to themselves": {
    schema: {
      $ref: "#/$defs/node",
      $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } } },
    },
    valid: [{}, { next: { next: {} } }],
    invalid: [{ next: 1 }],
  },
  "annotations change nothing": {
    schema: { $schema: "x", title: "t", description: "d", default: 1, "x-y": 1, type: "boolean" },
    valid: [true],
    invalid: ["1"],
  },
};

for (const [name, { schema, valid, invalid }] of Object.entries(cases)) {
  test(`a grammar lets through what the schema allows and nothing else: ${name}`, async () => {
    const matches = await matcher(gbnfOfSchema(schema));
    for (const value of valid) assert.ok(matches(JSON.stringify(value)), `${JSON.stringify(value)} is refused`);
    for (const value of invalid) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      assert.ok(!matches(text), `${text} is let through`);
    }
  });
}

test("what a zod schema becomes is understood, safe integer bounds included", async () => {
  const { z } = await import("zod");
  const schema = z.toJSONSchema(
    z.object({ id: z.int(), tags: z.array(z.string()).max(2), kind: z.enum(["a", "b"]).optional() }),
  );
  const matches = await matcher(gbnfOfSchema(schema));
  assert.ok(matches('{"id": -42, "tags": ["x"]}'));
  assert.ok(matches('{"id":7,"tags":[],"kind":"b"}'));
  assert.ok(!matches('{"id":7.5,"tags":[]}'));
});

test("keywords that cannot be enforced are refused by name, nonsense by its place", () => {
  const refused: [unknown, string][] = [
    [{ type: "string", pattern: "^a" }, "pattern"],
    [{ type: "array", uniqueItems: true }, "uniqueItems"],
    [{ type: "object", patternProperties: {} }, "patternProperties"],
    [{ type: "integer", multipleOf: 3 }, "multipleOf"],
    [{ allOf: [{ type: "string" }, { minLength: 1 }] }, "allOf"],
    [{ not: {} }, "not"],
    [{ $ref: "https://example.com/x" }, "$ref"],
    [{ type: "string", minLenght: 3 }, "minLenght"],
  ];
  for (const [schema, keyword] of refused) {
    assert.throws(() => gbnfOfSchema(schema), { code: "unsupported", details: { keyword } }, JSON.stringify(schema));
  }
  for (const schema of [null, 1, [], { type: 5 }, { type: "integer", minimum: 3, maximum: 2 }, { $ref: "#/nowhere" }]) {
    assert.throws(() => gbnfOfSchema(schema), { code: "bad_request" }, JSON.stringify(schema));
  }
});

test("integer ranges let through exactly their numbers", async () => {
  const samples = fc.sample(fc.tuple(fc.integer({ min: -1200, max: 1200 }), fc.integer({ min: 0, max: 1500 })), {
    numRuns: 12,
    seed: 7,
  });
  for (const [low, span] of [[0, 0], [8, 115], [-10, 9], [-5, 10], [99, 2], ...samples] as [number, number][]) {
    const high = low + span;
    const matches = await matcher(`root ::= ${integerRange(low, high)}\n`);
    for (const edge of [low, high, 0, 9, 10, 99, 100, 999, 1000, -1, -9, -10, -100]) {
      for (const value of [edge - 1, edge, edge + 1]) {
        assert.equal(matches(`${value}`), value >= low && value <= high, `${value} in ${low}..${high}`);
      }
    }
    assert.ok(!matches("-0") && !matches("007"));
  }
});
