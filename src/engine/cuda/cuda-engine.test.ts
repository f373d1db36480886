// The engine's own side of the contract, over the simulated runner and the bundled model's tokenizer. What every engine must do is
// tested by the contract suite.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { AppError } from "../../base/errors.ts";
import { readGguf } from "../../models/gguf.ts";
import { openTokenizer } from "../../models/tokenizer.ts";
import { type Engine, type GenerateEvent, type GenerateRequest, type ModelInfo, plainSampling } from "../contract.ts";
import { openEngineOverRunner, type RunnerEngineOptions } from "./cuda-engine.ts";
import type { FollowingConstraint, Grammars } from "./grammar.ts";
import { SimulatedRunner, type SimulationOptions, simulatedToken } from "./simulated-runner.ts";

const file = path.join(import.meta.dirname, "../../../models/quern-mini/quern-mini-q4_k_m.gguf");
const tokenizer = openTokenizer(readGguf(file).metadata);
const { vocabularyTokens } = tokenizer;
const endOfTurn = tokenizer.specialId("<|im_end|>") ?? 0;
const limits = { slots: 16, pageTokens: 64, pages: 80, stepTokens: 128, contextTokens: 1024, vocabularyTokens };
const model: ModelInfo = {
  id: "simulated",
  file: "",
  fileBytes: 0,
  architecture: "qwen3",
  quantisation: "none",
  parameters: 0,
  layers: 0,
  vocabularyTokens,
  trainedContextTokens: 1024,
  eosTokenIds: [endOfTurn],
  isDemonstration: true,
};

function open(simulation: Partial<SimulationOptions> = {}, options: Partial<RunnerEngineOptions> = {}): Engine {
  const runner = new SimulatedRunner({ limits, ...simulation });
  return openEngineOverRunner({ runner, tokenizer, model, parallel: 16, queueLimit: 4, ...options });
}

let requests = 0;
function ask(text: string, changes: Partial<GenerateRequest> = {}): GenerateRequest {
  const sampling = { ...plainSampling, seed: 5 };
  return { id: `r${requests++}`, prompt: { kind: "text", pieces: [text] }, sampling, maxTokens: 20, ...changes };
}

interface Answer {
  ids: number[];
  text: string;
  events: GenerateEvent[];
  done: Extract<GenerateEvent, { type: "done" }>;
}

async function read(engine: Engine, request: GenerateRequest, signal?: AbortSignal): Promise<Answer> {
  const events: GenerateEvent[] = [];
  for await (const event of engine.generate(request, signal ? { signal } : {})) events.push(event);
  const tokens = events.filter((event) => event.type === "tokens");
  const done = events.at(-1);
  assert.ok(done?.type === "done");
  return { ids: tokens.flatMap(({ ids }) => [...ids]), text: tokens.map(({ text }) => text).join(""), events, done };
}

const refused = (code: string) => (error: unknown) => error instanceof AppError && error.code === code;

/** What the simulation answers to a prompt that runs alone. */
function expected(text: string, count: number): number[] {
  const tokens = [...tokenizer.encode(text, { special: true })];
  const promptTokens = tokens.length;
  for (let draw = 0; draw < count; draw++) tokens.push(simulatedToken(tokens, { seed: 5, draw, vocabularyTokens }));
  return tokens.slice(promptTokens);
}

test("a request is prefilled, answered in whole characters and counted", async () => {
  await using engine = open();
  const { ids, text, events, done } = await read(engine, ask("<|im_start|>user\n你好<|im_end|>\n"));
  assert.deepEqual(ids, expected("<|im_start|>user\n你好<|im_end|>\n", 20));
  assert.equal(text, await engine.detokenize(ids));
  assert.deepEqual([...new Set(events.map(({ type }) => type))], ["prefill", "tokens", "done"]);
  assert.equal(done.reason, "length");
  assert.deepEqual(done.usage, { promptTokens: 6, cachedTokens: 0, completionTokens: 20 });
  const { kv, totals, runningRequests } = engine.status();
  assert.deepEqual([kv.usedTokens, totals.requests, totals.completionTokens, runningRequests], [0, 1, 20, 0]);
});

test("sixteen requests together answer as each does alone", async () => {
  await using engine = open();
  const prompts = Array.from({ length: 16 }, (_, index) => `${"共同的开头 ".repeat(40)}${index}`);
  const answers = await Promise.all(prompts.map((prompt) => read(engine, ask(prompt))));
  for (const [index, { ids }] of answers.entries()) assert.deepEqual(ids, expected(prompts[index] ?? "", 20));
});

test("a shared beginning is reported as cached, to the page", async () => {
  await using engine = open();
  const beginning = "同一份合同 ".repeat(60);
  const first = await read(engine, ask(`${beginning}一`));
  const second = await read(engine, ask(`${beginning}二`));
  const shared = tokenizer.encode(beginning).length;
  assert.equal(first.done.usage.cachedTokens, 0);
  assert.equal(second.done.usage.cachedTokens, shared - (shared % 64));
  assert.ok(engine.status().kv.cachedTokens > 0);
});

test("a stop text ends the answer before it, wherever the tokens cut it", async () => {
  await using engine = open();
  const whole = await read(engine, ask("x"));
  const stop = whole.text.slice(9, 14);
  const { text, done } = await read(engine, ask("x", { stop: ["never", stop] }));
  assert.equal(text, whole.text.slice(0, whole.text.indexOf(stop)));
  assert.deepEqual([done.reason, done.stopText], ["stop", stop]);
});

test("the end of turn ends the answer, unless it is ignored or the answer is too short yet", async () => {
  const simulation = { pick: (hash: number) => (hash % 3 === 0 ? endOfTurn : 100 + (hash % 1000)) };
  await using engine = open(simulation);
  const plain = await read(engine, ask("x"));
  assert.equal(plain.done.reason, "stop");
  assert.equal(plain.ids.indexOf(endOfTurn), plain.ids.length - 1);
  assert.equal((await read(engine, ask("x", { ignoreEos: true }))).ids.length, 20);
  const long = await read(engine, ask("x", { minTokens: 15 }));
  assert.ok(long.ids.length > 15 && !long.ids.slice(0, 15).includes(endOfTurn));
});

test("an aborted stream that is still read ends in done, and its pages are free", async () => {
  await using engine = open();
  const abort = new AbortController();
  const reasons: string[] = [];
  for await (const event of engine.generate(ask("x", { maxTokens: 900 }), { signal: abort.signal })) {
    if (event.type === "tokens") abort.abort();
    if (event.type === "done") reasons.push(event.reason);
  }
  assert.deepEqual(reasons, ["aborted"]);
  assert.deepEqual([engine.status().kv.usedTokens, engine.status().totals.aborts], [0, 1]);
  assert.equal((await read(engine, ask("x"), AbortSignal.abort())).done.reason, "aborted");
});

test("leaving the loop early frees the pages and leaves the others alone", async () => {
  await using engine = open();
  const other = read(engine, ask("y", { maxTokens: 60 }));
  for await (const event of engine.generate(ask("x", { maxTokens: 900 }))) if (event.type === "tokens") break;
  assert.deepEqual((await other).ids, expected("y", 60));
  assert.deepEqual([engine.status().runningRequests, engine.status().kv.usedTokens], [0, 0]);
});

test("the status says in what type the device keeps the KV cache", async () => {
  for (const kvType of ["int8", "f16"] as const) {
    await using engine = open({ kvType });
    assert.equal(engine.status().kvType, kvType);
  }
});

test("a prompt beyond the context is refused with its token count", async () => {
  await using engine = open();
  await assert.rejects(
    read(engine, ask("一二三 ".repeat(600))),
    (error) => error instanceof AppError && error.code === "context_overflow" && error.details?.limitTokens === 1024,
  );
  await assert.rejects(read(engine, ask("")), refused("bad_request"));
  await assert.rejects(read(engine, ask("x", { prompt: { kind: "tokens", ids: [99_999] } })), refused("bad_request"));
});

test("those who wait are told their place, and one too many is refused with the time to come back", async () => {
  await using engine = open({}, { parallel: 1, queueLimit: 2 });
  const running = [read(engine, ask("a")), read(engine, ask("b")), read(engine, ask("c"))];
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(
    read(engine, ask("d")),
    (error) => error instanceof AppError && error.code === "busy" && Number(error.details?.retryAfterSeconds) >= 1,
  );
  const [, , third] = await Promise.all(running);
  const places = third?.events.flatMap((event) => (event.type === "queued" ? [event.position] : []));
  assert.deepEqual(places?.at(-1), 1);
});

test("what the device cannot take is refused on arrival, and nobody else notices", async () => {
  await using engine = open({ limits: { ...limits, biases: 2, penaltyTokens: 100 } });
  const other = read(engine, ask("y", { maxTokens: 60 }));
  const sampling = { ...plainSampling, seed: 5 };
  const logitBias = new Map([1, 2, 3].map((id) => [id, 1]));
  await assert.rejects(read(engine, ask("x", { sampling: { ...sampling, logitBias } })), refused("unsupported"));
  const far = { ...sampling, penaltyTokens: 101 };
  await assert.rejects(read(engine, ask("x", { sampling: { ...far, repeatPenalty: 1.1 } })), refused("unsupported"));
  // Without a penalty it does not matter how far they would look.
  assert.deepEqual((await read(engine, ask("x", { sampling: far }))).ids, expected("x", 20));
  assert.deepEqual((await other).ids, expected("y", 60));
});

test("log-probabilities come with their tokens", async () => {
  await using engine = open();
  const { events } = await read(engine, ask("x", { topLogprobs: 2, maxTokens: 3 }));
  const rows = events.flatMap((event) => (event.type === "tokens" ? [...(event.logprobs ?? [])] : []));
  assert.deepEqual(
    rows.map(({ id }) => id),
    expected("x", 3),
  );
  assert.ok(rows.every(({ top, logprob }) => top.length === 2 && logprob === -1));
});

test("a lost device fails every request with its error, and every later one", async () => {
  await using engine = open({ failingStep: 6 });
  const states: string[] = [];
  const listen = (answer: Promise<Answer>): Promise<Answer> =>
    answer.finally(() => {
      states.push(engine.status().state);
    });
  const requests = [ask("a"), ask("b", { maxTokens: 900 })];
  const results = await Promise.allSettled(requests.map((request) => listen(read(engine, request))));
  assert.deepEqual(states, ["failed", "failed"], "who hears of it finds the engine failed");
  for (const result of results) assert.ok(result.status === "rejected" && refused("device")(result.reason));
  await assert.rejects(read(engine, ask("c")), refused("device"));
  const { state, lastFailure, runningRequests } = engine.status();
  assert.deepEqual([state, lastFailure, runningRequests], ["failed", "The simulated device was lost.", 0]);
});

test("closing the engine ends those who wait", async () => {
  const engine = open({}, { parallel: 1 });
  const answers = Promise.allSettled([read(engine, ask("a", { maxTokens: 900 })), read(engine, ask("b"))]);
  await new Promise((resolve) => setImmediate(resolve));
  await engine[Symbol.asyncDispose]();
  for (const result of await answers) assert.ok(result.status === "rejected" && refused("busy")(result.reason));
  await assert.rejects(read(engine, ask("c")), refused("busy"));
});

test("an answer under a grammar fits it, beside one that has none; a bad grammar fails alone", async () => {
  await using engine = open();
  const options = ["高", "中", "低于预期"];
  const [constrained, free, bad] = await Promise.allSettled([
    read(engine, ask("x", { grammar: { kind: "choice", options } })),
    read(engine, ask("y")),
    read(engine, ask("z", { grammar: { kind: "json_schema", schema: { type: "integer", minimum: 2, maximum: 1 } } })),
  ]);
  for (const result of [constrained, free]) assert.ifError(result.status === "rejected" ? result.reason : undefined);
  assert.ok(constrained.status === "fulfilled" && free.status === "fulfilled");
  assert.ok(options.includes(constrained.value.text), constrained.value.text);
  assert.equal(constrained.value.done.reason, "stop");
  assert.deepEqual(free.value.ids, expected("y", 20));
  assert.ok(bad.status === "rejected" && refused("unsupported")(bad.reason));
  await assert.rejects(read(engine, ask("x", { grammar: { kind: "json" }, ignoreEos: true })), refused("unsupported"));
});

test("an abort does not wait for a grammar, nor for the rest of a long text", async () => {
  const opened = Promise.withResolvers<FollowingConstraint>();
  const grammars: Grammars = { open: () => opened.promise, [Symbol.asyncDispose]: async () => undefined };
  await using engine = open({}, { grammars });
  const abort = new AbortController();
  const answer = read(engine, ask("x", { grammar: { kind: "json" } }), abort.signal);
  await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  assert.equal((await answer).done.reason, "aborted");
  const isClosed = Promise.withResolvers<void>();
  const late = { mask: () => undefined, accept: () => undefined, [Symbol.dispose]: () => isClosed.resolve() };
  opened.resolve(late);
  await isClosed.promise;
  const { done } = await read(engine, ask("一二三 ".repeat(100_000)), AbortSignal.abort());
  assert.equal(done.reason, "aborted");
});

test("a prompt without an answer is computed and kept", async () => {
  await using engine = open();
  const { ids, done } = await read(engine, ask("合同 ".repeat(90), { maxTokens: 0 }));
  assert.deepEqual([ids.length, done.reason], [0, "length"]);
  assert.ok(engine.status().kv.cachedTokens >= 64);
});
