import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../../base/errors.ts";
import { headDim, pageBytes, pageTokens } from "./kernels.ts";
import { estimatedScratchBytes, kvBytesPerToken, type MemoryNeeds, planMemory } from "./memory-plan.ts";

const qwen3 = {
  layers: 36,
  hidden: 2560,
  feedForward: 9728,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  vocabularyTokens: 151_936,
  contextTokens: 262_144,
};
const scratchBytes = estimatedScratchBytes(qwen3, {
  stepTokens: 1024,
  slots: 8,
  contextTokens: 262_144,
  pageTokens: 64,
});

const needs = (changes: Partial<MemoryNeeds>): MemoryNeeds => ({
  shape: qwen3,
  kvType: "int8",
  pageTokens: 64,
  weightBytes: 2_497_275_904,
  scratchBytes,
  freeBytes: 24e9,
  contextTokens: 0,
  parallel: 4,
  ...changes,
});

test("a token of Qwen3-4B takes 74,880 bytes of KV in int8 and 147,456 in f16", () => {
  assert.equal(kvBytesPerToken(qwen3, "int8"), 74_880);
  assert.equal(kvBytesPerToken(qwen3, "f16"), 147_456);
});

test("the plan takes pages for as large as the kernels lay them out", () => {
  for (const kvType of ["int8", "f16"] as const) {
    assert.equal(pageTokens * kvBytesPerToken({ layers: 1, kvHeads: 1, headDim }, kvType), pageBytes[kvType]);
  }
});

test("the same memory holds nearly twice the tokens in int8", () => {
  const [int8, f16] = (["int8", "f16"] as const).map((kvType) => planMemory(needs({ kvType, freeBytes: 16e9 })));
  const times = (int8?.contextTokens ?? 0) / (f16?.contextTokens ?? 0);
  assert.ok(times > 1.95 && times < 2, `${times}`);
});

test("262,144 tokens of Qwen3-4B fit in 24 GB with int8 KV: 2.50 of weights, 19.63 of KV, and the rest", () => {
  // Of 24,000,000,000 bytes, 700 MB go to the driver and its context before anything is planned.
  const plan = planMemory(needs({ freeBytes: 24e9 - 700e6 }));
  assert.equal(plan.contextTokens, 262_144);
  assert.ok(plan.pages >= 4096);
  assert.equal(4096 * plan.pageBytes, 19_629_342_720);
  assert.ok(2_497_275_904 + plan.kvBytes + scratchBytes <= 24e9 - 700e6);
});

test("without a wish the context is what fits, in whole pages", () => {
  const plan = planMemory(needs({ kvType: "f16" }));
  assert.equal(plan.contextTokens, plan.pages * 64);
  assert.ok(plan.contextTokens > 128 * 1024 && plan.contextTokens < 262_144);
});

test("a context that does not fit is refused with bytes needed, bytes free and the largest that would", () => {
  const asked = needs({ kvType: "f16", contextTokens: 262_144 });
  assert.throws(
    () => planMemory(asked),
    (error) => {
      assert.ok(error instanceof AppError && error.code === "device");
      const { neededBytes, freeBytes, largestContextTokens } = error.details ?? {};
      assert.equal(freeBytes, 24e9);
      assert.ok(Number(neededBytes) > 41e9);
      assert.match(error.message, /24\.00 GB free.*262144 tokens needs 41\.\d\d GB/);
      // What it offers is true, and the next page is not.
      const largest = Number(largestContextTokens);
      assert.equal(planMemory({ ...asked, contextTokens: largest }).contextTokens, largest);
      assert.throws(() => planMemory({ ...asked, contextTokens: largest + 1 }), AppError);
      return true;
    },
  );
});

test("a model that does not fit at all says so without offering a context", () => {
  assert.throws(
    () => planMemory(needs({ freeBytes: 2e9 })),
    (error) =>
      error instanceof AppError && error.details?.largestContextTokens === 0 && /--engine llama/.test(error.hint ?? ""),
  );
});

test("no more pages are taken than the sequences can use, and as many again for prefixes", () => {
  const plan = planMemory(needs({ freeBytes: 140e9, contextTokens: 8192, parallel: 3 }));
  assert.equal(plan.pages, (2 * 3 * 8192) / 64);
});

test("a context beyond what the model was trained for is refused", () => {
  assert.throws(() => planMemory(needs({ contextTokens: 300_000 })), /beyond the 262144 of the model/);
});
