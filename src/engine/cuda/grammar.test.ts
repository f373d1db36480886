import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { AppError } from "../../base/errors.ts";
import { openLog } from "../../base/log.ts";
import { readGguf } from "../../models/gguf.ts";
import { openTokenizer } from "../../models/tokenizer.ts";
import type { Grammar } from "../contract.ts";
import { type FollowingConstraint, openGrammars } from "./grammar.ts";
import { toCompilable } from "./grammar-schema.ts";

const file = path.join(import.meta.dirname, "../../../models/quern-mini/quern-mini-q4_k_m.gguf");
const tokenizer = openTokenizer(readGguf(file).metadata);
const endOfTurn = tokenizer.specialId("<|im_end|>") ?? 0;
const events: string[] = [];
const log = openLog({ level: "warn", format: "json", write: (line) => events.push(line) });
const grammars = openGrammars({ tokenizer, stopTokenIds: [endOfTurn], log });
test.after(() => grammars[Symbol.asyncDispose]());

/** Follows a grammar by hand: each mask is waited for. */
class Writer implements Disposable {
  readonly #failures: AppError[] = [];
  #constraint: FollowingConstraint | undefined;
  #wake: (() => void) | undefined;

  static async open(grammar: Grammar, from = grammars): Promise<Writer> {
    const writer = new Writer();
    writer.#constraint = await from.open(grammar, {
      onMask: () => writer.#wake?.(),
      onFailure: (error) => {
        writer.#failures.push(error);
        writer.#wake?.();
      },
    });
    return writer;
  }

  async mask(): Promise<Int32Array> {
    for (;;) {
      const mask = this.#constraint?.mask();
      if (mask) return mask;
      const [failure] = this.#failures;
      if (failure) throw failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async allows(id: number): Promise<boolean> {
    const mask = await this.mask();
    return (((mask[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1;
  }

  /** A token that was sampled while the thread was busy or gone. */
  accept(id: number): void {
    this.#constraint?.accept(id);
  }

  /** Writes a text token by token, as far as it is allowed; says how much of it was. */
  async write(text: string): Promise<string> {
    const written: number[] = [];
    for (const id of tokenizer.encode(text)) {
      if (!(await this.allows(id))) break;
      this.#constraint?.accept(id);
      written.push(id);
    }
    return tokenizer.decode(written);
  }

  [Symbol.dispose](): void {
    this.#constraint?.[Symbol.dispose]();
  }
}

async function accepts(grammar: Grammar, text: string): Promise<boolean> {
  using writer = await Writer.open(grammar);
  return (await writer.write(text)) === text && (await writer.allows(endOfTurn));
}

const order = {
  kind: "json_schema",
  schema: {
    type: "object",
    properties: {
      city: { enum: ["华东", "华南"] },
      amount: { type: "integer", minimum: 10 },
      note: { type: "string" },
    },
    required: ["city", "amount"],
  },
} as const;

test("an answer that fits a schema passes and may end; one that does not is stopped where it leaves it", async () => {
  assert.ok(await accepts(order, '{"city": "华东", "amount": 12}'));
  assert.ok(await accepts(order, '{"city": "华南", "amount": 99, "note": "a \\"b\\" 😀"}'));
  for (const wrong of ['{"city": "华北"', '{"city": "华东", "other"']) {
    using writer = await Writer.open(order);
    const written = await writer.write(wrong);
    assert.ok(written.startsWith('{"city": "') && written.length < wrong.length, `${written} of ${wrong}`);
  }
  assert.equal(await accepts(order, '{"city": "华东"}'), false);
});

test("json, grammars in text and choices are followed too", async () => {
  assert.ok(await accepts({ kind: "json" }, '{"a": [1, null, "x"]}'));
  assert.equal(await accepts({ kind: "json" }, '{"a": [1,'), false);
  assert.ok(await accepts({ kind: "gbnf", text: 'root ::= "yes" | "no" [a-z]*' }, "nope"));
  const choice = { kind: "choice", options: ['a "quoted" \\ one', "第二\n行", "😀]"] } as const;
  for (const option of choice.options) assert.ok(await accepts(choice, option), option);
  assert.equal(await accepts(choice, "第二"), false);
});

test("no mark of the chat format is ever allowed inside a text, and only the end of turn after it", async () => {
  using writer = await Writer.open({ kind: "json" });
  assert.equal(await writer.write('{"a": "abc'), '{"a": "abc');
  for (const mark of ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]) {
    assert.equal(await writer.allows(tokenizer.specialId(mark) ?? 0), false, mark);
  }
  await writer.write('"}');
  assert.ok(await writer.allows(endOfTurn));
});

test("an object of which nothing is said may have any content", async () => {
  assert.ok(await accepts({ kind: "json_schema", schema: { type: "object" } }, '{"a": 1}'));
});

test("a grammar that aborts the library fails its own request, once, and the others go on where they were", async () => {
  using other = await Writer.open(order);
  await other.write('{"city": "华');
  const before = (await other.mask()).slice();
  const impossible: Grammar = { kind: "json_schema", schema: { type: "integer", minimum: 5, maximum: 1 } };
  const isRefused = (error: unknown) =>
    error instanceof AppError && error.code === "unsupported" && /minimum greater than maximum/.test(error.message);
  const restarts = events.length;
  await assert.rejects(Writer.open(impossible), isRefused);
  await assert.rejects(Writer.open(impossible), isRefused);
  assert.equal(events.length, restarts + 1);
  assert.deepEqual(await other.mask(), before);
  assert.equal(await other.write('东", "amount": 10}'), '东", "amount": 10}');
});

test("a token taken while the thread starts anew is followed, and no mask from before it is shown", async () => {
  using other = await Writer.open(order);
  await other.write('{"city": "华');
  await assert.rejects(Writer.open({ kind: "json_schema", schema: { type: "integer", minimum: 7, maximum: 1 } }));
  const [next = 0] = tokenizer.encode("东");
  other.accept(next); // the new thread is still on its way to where the other stands
  const shown = await other.mask();
  using calm = await Writer.open(order);
  await calm.write('{"city": "华东');
  assert.deepEqual(shown, await calm.mask());
});

test("a text that is no grammar is refused with the library's reason", async () => {
  await assert.rejects(
    Writer.open({ kind: "gbnf", text: "root ::= missing" }),
    (error) =>
      error instanceof AppError && error.code === "bad_request" && /"missing" is not defined/.test(error.message),
  );
  await assert.rejects(Writer.open({ kind: "gbnf", text: 'root ::= root "a"' }), /leads nowhere/);
});

test("what takes longer than the limit fails alone", async () => {
  // One millisecond is less than the thread needs to start.
  await using hasty = openGrammars({ tokenizer, stopTokenIds: [endOfTurn], timeoutMs: 1 });
  await assert.rejects(Writer.open({ kind: "json" }, hasty), /more than 0\.001 s/);
});

test("keywords that the library would leave out in silence are refused by name and place", () => {
  const refusal = (schema: unknown): AppError => {
    try {
      toCompilable({ kind: "json_schema", schema });
    } catch (error) {
      assert.ok(error instanceof AppError);
      return error;
    }
    assert.fail("it was taken");
  };
  const inItems = { type: "object", properties: { list: { type: "array", items: { multipleOf: 5 } } } };
  assert.match(refusal(inItems).message, /"multipleOf" at \$\.properties\.list\.items/);
  assert.match(refusal({ type: "string", pattern: "^a$" }).message, /"pattern" at \$ /);
  assert.match(refusal({ $ref: "https://example.com/x" }).message, /leaves the schema/);
  assert.match(refusal({ allOf: [{ type: "integer" }, { minimum: 3 }] }).message, /2 parts/);
  assert.match(refusal({ type: "text" }).message, /"text"/);
  assert.match(refusal(5).message, /no object/);
  let deep: unknown = { type: "string" };
  for (let level = 0; level < 200; level++) deep = { type: "array", items: deep };
  assert.match(refusal(deep).message, /100 deep/);
});

test("a property may be called like a keyword, and a keyword may demand nothing", () => {
  const harmless = { type: "array", uniqueItems: false };
  assert.deepEqual(JSON.parse(toCompilable({ kind: "json_schema", schema: harmless }).text), { type: "array" });
  const schema = { type: "object", properties: { not: { type: "string" }, if: { type: "integer" } } };
  assert.deepEqual(JSON.parse(toCompilable({ kind: "json_schema", schema }).text), schema);
});
