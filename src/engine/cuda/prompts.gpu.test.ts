// The kernels of prompts against plain references, Hopper's own and the portable ones: numbers of tokens around the borders of tiles and query
// blocks, and contexts of one split of attention and of several, which must give the same bits whether a block goes through all splits or each has
// its own. What is planted and read is the last layer's: a step of one kind of kernel runs it for every layer, and the last one's results stay.
import assert from "node:assert/strict";
import test from "node:test";
import { blockWords, queryBlocksOf } from "./attention-plan.ts";
import {
  asCached,
  attend,
  floatsOf,
  gpuMissing,
  KvPage,
  miniFile,
  product,
  ReferenceModel,
  randomOf,
  relativeError,
  rmsNorm,
  slotSettings,
  turn,
} from "./gpu-test-tools.ts";
import { hasWgmma, headDim, pageBytes, pageTokens } from "./kernels.ts";
import { type OpenedRunner, openCudaRunner } from "./open-cuda.ts";
import type { PromptChunk } from "./prompt-steps.ts";
import { fromHalf } from "./reference-quant.ts";

const missing = gpuMissing();
const reference = missing ? undefined : new ReferenceModel(miniFile);

for (const [about, capability, kvType] of [
  ["this GPU's kernels", undefined, "int8"],
  ["the portable kernels", 80, "int8"],
  ["this GPU's kernels and KV in f16", undefined, "f16"],
  ["the portable kernels and KV in f16", 80, "f16"],
] as const) {
  test(`prompts with ${about}`, { skip: missing }, async (t) => {
    assert.ok(reference);
    const model = reference;
    const size = { contextTokens: 12_800, parallel: 4, kvType, ...(capability === undefined ? {} : { capability }) };
    const opened = await openCudaRunner({ modelFile: miniFile, ...size });
    await using _closed = opened.runner;
    // Products know nothing of the cache.
    for (const tokens of kvType === "int8" ? [1, 47, 64, 65, 96, 97, 128, 129, 300] : []) {
      await t.test(`products of ${tokens} tokens`, () => checkProducts(opened, model, tokens));
    }
    for (const [position, tokens] of [
      ...[[0, 1] as const, [0, 48] as const, [0, 49] as const, [0, 200] as const, [63, 2] as const],
      ...[[64, 64] as const, [64, 68] as const, [130, 1] as const, [1000, 70] as const, [2500, 30] as const],
      // Splits end at 4,096 and 8,192: before, in the middle of a block of queries, behind.
      ...[[4000, 96] as const, [4090, 20] as const, [4095, 2] as const, [4096, 1] as const, [5000, 70] as const],
      ...[[8180, 100] as const, [12_300, 49] as const],
    ]) {
      await t.test(`attention of ${tokens} tokens at ${position}`, () =>
        checkAttention(opened, model, { position, tokens }),
      );
    }
  });
}

const some = (tokens: number): number[] => [...new Set([0, tokens >> 1, tokens - 1])];

/** Norm, then q, k, v and gate and up of the last layer from it, then every layer's down product of its result, added to the residual. */
function checkProducts({ device, runner }: OpenedRunner, model: ReferenceModel, tokens: number): void {
  const { prompt } = runner.workspace;
  const { hidden, feedForward, heads, kvHeads, rmsEpsilon, tensors } = model.shape;
  const last = tensors.layers.at(-1);
  assert.ok(last);
  const random = randomOf(tokens);
  const rows = Float32Array.from({ length: tokens * hidden }, () => random() * 2 - 1);
  device.write(prompt.x, new Uint8Array(rows.buffer));
  const chunk = { tokens, attention: [] };
  for (const part of ["norm", "qkv", "gate_up", "down"] as const) runner.steps.prefillStep(chunk, part);
  const qkvRows = (heads + 2 * kvHeads) * headDim;
  const qkv = floatsOf(device.read(prompt.qkv, tokens * qkvRows * 4));
  const after = floatsOf(device.read(prompt.x, tokens * hidden * 4));
  for (const token of some(tokens)) {
    const row = rows.subarray(token * hidden, (token + 1) * hidden);
    const normed = rmsNorm(row, model.weights(last.feedForwardNorm), rmsEpsilon);
    const wanted = [last.query, last.key, last.value].flatMap((of) => [...product(model.weights(of), normed)]);
    const error = relativeError(qkv.subarray(token * qkvRows, (token + 1) * qkvRows), wanted);
    assert.ok(error < 3e-3, `q, k, v of token ${token}: ${error}`);
    const gate = product(model.weights(last.gate), normed);
    const up = product(model.weights(last.up), normed);
    const h = Float64Array.from({ length: feedForward }, (_, k) => {
      const g = gate[k] ?? 0;
      return (g / (1 + Math.exp(-g))) * (up[k] ?? 0);
    });
    const added = new Float64Array(hidden);
    for (const { down } of tensors.layers) {
      for (const [k, value] of product(model.weights(down), h).entries()) added[k] = (added[k] ?? 0) + value;
    }
    const actual = row.map((value, k) => (after[token * hidden + k] ?? Number.NaN) - value);
    const downError = relativeError(actual, added);
    assert.ok(downError < 5e-3, `gate, up and down of token ${token}: ${downError}`);
  }
}

/** New tokens behind a planted cache, from q, k, v before norm and RoPE to attention's output. */
function checkAttention(
  { device, runner }: OpenedRunner,
  model: ReferenceModel,
  { position, tokens }: { position: number; tokens: number },
): void {
  const { heads, kvHeads, layers, ropeBase, rmsEpsilon, tensors } = model.shape;
  assert.equal(kvHeads, 1);
  const { kvType } = runner;
  const { prompt, pool, poolLayerBytes } = runner.workspace;
  const last = tensors.layers.at(-1);
  assert.ok(last);
  const random = randomOf(position + tokens);
  const pages = Math.ceil((position + tokens) / pageTokens);
  const [keys, values]: [Float64Array[], Float64Array[]] = [[], []];
  const addressOf = (page: number): number =>
    pool + (layers - 1) * poolLayerBytes + (pages - 1 - page) * pageBytes[kvType];
  for (let page = 0; page < pages; page++) {
    const planted = new KvPage(kvType);
    for (let row = 0; row < pageTokens && page * pageTokens + row < position; row++) {
      const { key, value } = planted.plant(row, random);
      keys.push(key);
      values.push(value);
    }
    device.write(addressOf(page), planted.bytes);
  }
  runner.fillSlot(0, slotSettings());
  runner.setPages(
    0,
    0,
    Int32Array.from({ length: pages }, (_, page) => pages - 1 - page),
  );
  const words = (target: number, numbers: readonly number[]): void =>
    device.write(target, new Uint8Array(Int32Array.from(numbers).buffer));
  const indices = Array.from({ length: tokens }, (_, index) => index);
  words(
    prompt.slots,
    indices.map(() => 0),
  );
  words(
    prompt.positions,
    indices.map((index) => position + index),
  );
  const plan = runner.steps.planAttention(queryBlocksOf({ slot: 0, row: 0, tokens, position }));
  device.write(prompt.blocks, new Uint8Array(blockWords(plan.blocks).buffer));
  const qkvRows = (heads + 2 * kvHeads) * headDim;
  const qkv = Float32Array.from({ length: tokens * qkvRows }, () => (random() - 0.5) * 4);
  device.write(prompt.qkv, new Uint8Array(qkv.buffer));
  runner.steps.prefillStep({ tokens, attention: [] }, "kv_write");
  const queryRows = heads * headDim;
  const isTiled = hasWgmma(device.facts.capability);
  const attendedBytes = Math.ceil(tokens / 64) * 64 * queryRows * 2;
  const attendedBy = (attention: PromptChunk["attention"]): Uint8Array<ArrayBuffer> => {
    device.write(prompt.attended, new Uint8Array(attendedBytes));
    runner.steps.prefillStep({ tokens, attention }, "attention");
    return device.read(prompt.attended, attendedBytes);
  };
  const planned = attendedBy(plan.launches);
  const attended = new Uint16Array(planned.buffer);
  for (const splits of new Set([1, Math.ceil(pages / 64)])) {
    const other = attendedBy([{ firstBlock: 0, blocks: plan.blocks.length, splits }]);
    const at = planned.findIndex((byte, index) => byte !== other[index]);
    assert.equal(at, -1, `with ${splits} splits apart, byte ${at} of attention's results differs`);
  }
  for (const token of indices) {
    const row = Float64Array.from(qkv.subarray(token * qkvRows, (token + 1) * qkvRows));
    const norm = { position: position + token, ropeBase, rmsEpsilon };
    for (let head = 0; head < heads; head++) {
      turn(row, head * headDim, { ...norm, gain: model.weights(last.queryNorm) });
    }
    turn(row, queryRows, { ...norm, gain: model.weights(last.keyNorm) });
    keys.push(asCached(kvType, row.subarray(queryRows, queryRows + headDim)));
    values.push(asCached(kvType, row.subarray(queryRows + headDim)));
    if (!some(tokens).includes(token)) continue;
    const at = position + token;
    const page = new KvPage(kvType, device.read(addressOf(Math.floor(at / pageTokens)), pageBytes[kvType]));
    const { key, value } = page.read(at % pageTokens);
    for (const [what, kept, given] of [["key", key, keys.at(-1)] as const, ["value", value, values.at(-1)] as const]) {
      const error = relativeError(kept, given ?? []);
      assert.ok(error < (kvType === "f16" ? 3e-4 : 2e-3), `${what} of token ${token}: ${error}`);
    }
    const wanted = attend(row, keys, values, { heads, kvHeads, headDim });
    const actual = Float64Array.from({ length: queryRows }, (_, k) =>
      fromHalf(attended[isTiled ? tiledIndex(token, k, queryRows) : token * queryRows + k] ?? Number.NaN),
    );
    const error = relativeError(actual, wanted);
    assert.ok(error < (kvType === "f16" ? 0.0015 : 0.01), `token ${token}: ${error}`);
  }
}

/** prompt_at of kernels/prompt.cuh: tiles of 64 tokens by 64 inputs. */
function tiledIndex(token: number, input: number, inputs: number): number {
  const piece = (((input >> 5) & 1) << 2) | (((input >> 2) & 1) << 1) | ((input >> 1) & 1);
  const tile = (token >> 6) * (inputs / 64) + (input >> 6);
  return tile * 4096 + (token & 63) * 64 + ((piece ^ (token & 7)) << 3) + ((input >> 3) & 3) * 2 + (input & 1);
}
