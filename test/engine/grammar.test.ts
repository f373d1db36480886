import assert from "node:assert/strict";
import { test } from "node:test";
import type { Grammar } from "../../src/engine/contract.ts";
import { plainSampling } from "../../src/engine/contract.ts";
import { ask, hear, onEachEngine } from "./engines.ts";

const person = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 8, maximum: 123 } },
  required: ["name", "age"],
  additionalProperties: false,
};

function nested(depth: number): unknown {
  let schema: unknown = { type: "string" };
  for (let level = 0; level < depth; level++) schema = { type: "array", items: schema };
  return schema;
}

onEachEngine({ parallel: 2 }, (engine, name) => {
  const scripted = name === "scripted" && "a script obeys no grammar";
  const hot = { ...plainSampling, temperature: 1.5, topK: 40 };
  const say = (grammar: Grammar, seed = 1) =>
    hear(engine().generate(ask({ grammar, sampling: { ...hot, seed }, maxTokens: 200 })));

  test("a JSON schema is kept even when sampling is hot", async () => {
    for (const seed of [1, 2, 3]) {
      const { text, done } = await say({ kind: "json_schema", schema: person }, seed);
      assert.equal(done.reason, "stop", text);
      const value = JSON.parse(text) as Record<string, unknown>;
      assert.deepEqual(Object.keys(value).sort(), ["age", "name"]);
      assert.ok(Number.isInteger(value.age) && Number(value.age) >= 8 && Number(value.age) <= 123, text);
      assert.ok(typeof value.name === "string" && [...value.name].length <= 12, text);
    }
  });

  test("JSON mode gives an object", async () => {
    const { text, done } = await hear(engine().generate(ask({ grammar: { kind: "json" }, maxTokens: 300 })));
    if (done.reason === "stop") assert.equal(typeof JSON.parse(text), "object");
    else assert.match(text, /^\{/);
  });

  test("a choice gives one of its options", async () => {
    const options = ["同意", "不同意", 'a "quoted" \\ option\n'];
    const { text } = await say({ kind: "choice", options });
    assert.ok(options.includes(text), text);
  });

  test("a GBNF text is followed", { skip: scripted }, async () => {
    const { text } = await say({ kind: "gbnf", text: 'root ::= "No. " [0-9]{3} "!"' });
    assert.match(text, /^No\. \d{3}!$/);
  });

  test("a grammar that cannot be read, and a schema that cannot be kept, are refused with the field", {
    skip: scripted,
  }, async () => {
    const broken: [Grammar, string][] = [
      [{ kind: "gbnf", text: "root ::= missing" }, "bad_request"],
      [{ kind: "gbnf", text: "" }, "bad_request"],
      [{ kind: "gbnf", text: 'root ::= root "a"' }, "bad_request"],
      [{ kind: "gbnf", text: `root ::= ${"(".repeat(50_000)}"a"${")".repeat(50_000)}` }, "bad_request"],
      [{ kind: "json_schema", schema: "a string" }, "bad_request"],
      [{ kind: "json_schema", schema: { type: "nonsense" } }, "bad_request"],
      [{ kind: "json_schema", schema: { type: "string", pattern: "^a$" } }, "unsupported"],
      [{ kind: "json_schema", schema: nested(5000) }, "unsupported"],
      [{ kind: "json_schema", schema: { not: { type: "string" } } }, "unsupported"],
    ];
    // llama.cpp's grammar would have to spell this one out; the native engine's does not.
    const long: Grammar = { kind: "json_schema", schema: { type: "array", maxItems: 2000, items: person } };
    if (name === "llama") broken.push([long, "unsupported"]);
    for (const [grammar, code] of broken) {
      await assert.rejects(say(grammar), { code, param: "grammar" });
    }
    const { text } = await say({ kind: "choice", options: ["still here"] });
    assert.equal(text, "still here");
  });

  test("what cannot be combined with a grammar is refused by name", { skip: scripted }, async () => {
    const grammar: Grammar = { kind: "choice", options: ["a"] };
    const both = hear(engine().generate(ask({ grammar, minTokens: 5 })));
    await assert.rejects(both, { code: "unsupported", param: "minTokens" });
  });
});
