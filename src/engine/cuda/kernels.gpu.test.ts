// Each kernel against its plain reference, on quern-mini's weights and on planted inputs: page borders, first and last tokens, all-equal and huge
// values, odd batches. Tolerances are relative errors of whole vectors.
import assert from "node:assert/strict";
import test from "node:test";
import {
  asCached,
  attend,
  floatsOf,
  gpuMissing,
  greedy,
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
import { buckets, pageBytes } from "./kernels.ts";
import { i32, u64 } from "./launch.ts";
import type { KvType } from "./memory-plan.ts";
import { openCudaRunner } from "./open-cuda.ts";
import { fromHalf, toHalf } from "./reference-quant.ts";
import { mostTogether, type SampledToken, type StepEntry } from "./runner-contract.ts";

const missing = gpuMissing();
/**
 * QUERN_TEST_GGUF names another file, such as that of bench/make-qwen3-4b.ts: its matrices are dealt over the GPU in other ways. QUERN_TEST_CAPABILITY=80
 * takes the kernels of GPUs before Hopper.
 */
const modelFile = process.env.QUERN_TEST_GGUF ?? miniFile;
const isMini = modelFile === miniFile;
const reference = missing ? undefined : new ReferenceModel(modelFile);
const wantedCapability = process.env.QUERN_TEST_CAPABILITY;
const size = {
  ...{ modelFile, contextTokens: 4096, parallel: 32, isWarmedUp: false },
  ...(wantedCapability ? { capability: Number(wantedCapability) } : {}),
};
const kvTypes = ["int8", "f16"] as const;
const opened = missing
  ? undefined
  : { int8: await openCudaRunner(size), f16: await openCudaRunner({ ...size, parallel: 20, kvType: "f16" }) };

function there(kvType: KvType = "int8") {
  assert.ok(reference && opened);
  const one = opened[kvType];
  return { ...one, reference, space: one.runner.workspace };
}

/** int8 groups of 32 in the order of one column. */
function quantiseGroups(x: ArrayLike<number>): {
  values: Int8Array<ArrayBuffer>;
  scales: Float32Array<ArrayBuffer>;
  exact: Float64Array;
} {
  const values = new Int8Array(x.length);
  const scales = new Float32Array(x.length / 16);
  const exact = new Float64Array(x.length);
  for (let group = 0; group < x.length / 32; group++) {
    let largest = 0;
    for (let k = 0; k < 32; k++) largest = Math.max(largest, Math.abs(Math.fround(x[group * 32 + k] ?? 0)));
    const d = Math.fround(largest / 127);
    let sum = 0;
    for (let k = 0; k < 32; k++) {
      const q = largest > 0 ? Math.round(((x[group * 32 + k] ?? 0) * 127) / largest) : 0;
      values[group * 32 + k] = q;
      exact[group * 32 + k] = q * d;
      sum += q;
    }
    scales.set([d, Math.fround(d * sum)], group * 2);
  }
  return { values, scales, exact };
}

/** Where input `index` of a sequence lies among a batch's int8 values (kernels/tiles.cuh). */
function batchValueAt(columns: number, column: number, index: number): number {
  const pair = ((index >> 8) * columns + column) * 4 + (((index >> 6) ^ column) & 3);
  return pair * 64 + ((index >> 3) & 3) * 16 + ((index >> 5) & 1) * 8 + (index & 7);
}
/** The same for their scales, two a group: {d, s} of one sequence, one group after another. */
function batchScaleAt(columns: number, column: number, at: number): number {
  const pair = ((at >> 4) * columns + column) * 4 + (((at >> 2) ^ (column >> 1)) & 3);
  return pair * 4 + (at & 1) * 2 + ((at >> 1) & 1);
}

test("weights in tiles are the file's weights bit for bit", { skip: missing }, () => {
  const { device, reference, runner } = there();
  const { tensors, hidden, feedForward } = reference.shape;
  const weights = runner.weights;
  const check = (
    name: string,
    kernel: string,
    address: number,
    wanted: Float32Array,
    inputs: number,
    pairs?: number,
  ): void => {
    const rows = wanted.length / inputs;
    const out = device.alloc(wanted.byteLength, "test");
    const args = [u64(address), u64(out), i32(inputs), ...(pairs === undefined ? [] : [i32(pairs)])];
    device.kernel(kernel).launch({ grid: [rows], block: 256 }, args);
    const actual = floatsOf(device.read(out, wanted.byteLength));
    device.free(out);
    const at = wanted.findIndex((value, index) => !Object.is(value + 0, (actual[index] ?? Number.NaN) + 0));
    assert.equal(at, -1, `${name}: weight ${at} is ${actual[at]}, the file says ${wanted[at]}`);
  };
  // Of a large model the first layers: the rest would take minutes here.
  if (isMini) check("embedding", "dequantise_q6", weights.embedding, reference.weights(tensors.embedding), hidden);
  for (const [index, layer] of tensors.layers.slice(0, isMini ? undefined : 5).entries()) {
    const on = weights.layers[index];
    assert.ok(on);
    const joined = (...parts: Float32Array[]): Float32Array => {
      const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    };
    const [q, k, v] = [reference.weights(layer.query), reference.weights(layer.key), reference.weights(layer.value)];
    check(`qk ${index}`, "dequantise_q4", on.qkv, joined(q, k), hidden, 0);
    check(`v ${index}`, `dequantise_${on.valueType}`, on.value, v, hidden, on.valueType === "q4" ? 0 : undefined);
    check(
      `o ${index}`,
      "dequantise_q4",
      on.attentionOutput,
      reference.weights(layer.attentionOutput),
      q.length / hidden,
      0,
    );
    check(`gate ${index}`, "dequantise_q4", on.gateUp, reference.weights(layer.gate), hidden, 1);
    check(
      `down ${index}`,
      `dequantise_${on.downType}`,
      on.down,
      reference.weights(layer.down),
      feedForward,
      on.downType === "q4" ? 0 : undefined,
    );
  }
});

for (const [about, make] of [
  ["random", (random: () => number) => random() * 2 - 1],
  ["all equal", () => 0.5],
  ["huge", (random: () => number) => (random() - 0.5) * 60_000],
  ["zero", () => 0],
] as const) {
  test(`matrix products for one sequence: ${about} inputs`, { skip: missing }, () => {
    const { device, reference, runner, space } = there();
    const { tensors, heads, headDim, hidden, feedForward } = reference.shape;
    const random = randomOf(7);
    for (const index of [0, 4, 7]) {
      const layer = tensors.layers[index];
      assert.ok(layer);
      const attended = quantiseGroups(Array.from({ length: heads * headDim }, () => make(random)));
      device.write(space.attention.values, new Uint8Array(attended.values.buffer));
      device.write(space.attention.scales, new Uint8Array(attended.scales.buffer));
      runner.steps.decodePart("o", index);
      const planes = floatsOf(device.read(space.single.output, 2 * hidden * 4));
      const sums = planes.slice(0, hidden).map((value, row) => value + (planes[hidden + row] ?? 0));
      const wanted = product(reference.weights(layer.attentionOutput), attended.exact);
      assert.ok(relativeError(sums, wanted) < 2e-6, `o ${index}: ${relativeError(sums, wanted)}`);

      const h = Float64Array.from({ length: feedForward }, () => fromHalf(toHalf(make(random))));
      device.write(space.single.h, new Uint8Array(Uint16Array.from(h, toHalf).buffer));
      runner.steps.decodePart("down", index);
      const downPlanes = floatsOf(device.read(space.single.down, 2 * hidden * 4));
      const down = downPlanes.slice(0, hidden).map((value, row) => value + (downPlanes[hidden + row] ?? 0));
      const downWanted = product(reference.weights(layer.down), quantiseGroups(h).exact);
      assert.ok(relativeError(down, downWanted) < 1e-3, `down ${index}: ${relativeError(down, downWanted)}`);
    }
  });
}

test("norm, quantisation and products for one sequence, from the residual", { skip: missing }, () => {
  const { device, reference, runner, space } = there();
  const { tensors, hidden, heads, kvHeads, headDim, feedForward, rmsEpsilon } = reference.shape;
  const random = randomOf(21);
  const row = Float32Array.from({ length: hidden }, () => 4 * random() - 2);
  const [layer] = tensors.layers;
  assert.ok(layer);
  const normed = (gain: Float32Array): Float64Array => quantiseGroups(rmsNorm(row, gain, rmsEpsilon)).exact;
  device.write(space.x[0], new Uint8Array(row.buffer));
  runner.steps.decodePart("qkv", 0);
  const rows = (heads + 2 * kvHeads) * headDim;
  const planes = floatsOf(device.read(space.single.qkv, 2 * rows * 4));
  const qkv = Float64Array.from({ length: rows }, (_, index) => (planes[index] ?? 0) + (planes[rows + index] ?? 0));
  const x = normed(reference.weights(layer.attentionNorm));
  const parts = [layer.query, layer.key, layer.value].map((tensor) => product(reference.weights(tensor), x));
  let from = 0;
  for (const [part, wanted] of parts.entries()) {
    const error = relativeError(qkv.subarray(from, from + wanted.length), wanted);
    assert.ok(error < 2e-3, `${["query", "key", "value"][part]}: ${error}`);
    from += wanted.length;
  }
  // The second residual row takes what the attention's output adds; here nothing.
  device.write(space.x[1], new Uint8Array(row.buffer));
  device.write(space.single.output, new Uint8Array(2 * hidden * 4));
  runner.steps.decodePart("gate_up", 0);
  const h = Float64Array.from(new Uint16Array(device.read(space.single.h, feedForward * 2).buffer), fromHalf);
  const inner = normed(reference.weights(layer.feedForwardNorm));
  const gate = product(reference.weights(layer.gate), inner);
  const up = product(reference.weights(layer.up), inner);
  const wanted = gate.map((g, index) => (g / (1 + Math.exp(-g))) * (up[index] ?? 0));
  assert.ok(relativeError(h, wanted) < 5e-3, `gate and up: ${relativeError(h, wanted)}`);
});

for (const batch of [8, 16, 32]) {
  test(`matrix products for ${batch} sequences`, { skip: missing }, () => {
    const { device, reference, runner, space } = there();
    const bucket = buckets.find((candidate) => candidate.batch === batch);
    assert.ok(bucket);
    const { columns } = bucket;
    const random = randomOf(batch);
    const plant = (inputs: number, target: { values: number; scales: number }): Float64Array[] => {
      const values = new Int8Array(columns * inputs);
      const scales = new Float32Array((columns * inputs) / 16);
      const exact = Array.from({ length: columns }, (_, column) => {
        const one = quantiseGroups(Array.from({ length: inputs }, () => random() * 2 - 1));
        for (const [index, value] of one.values.entries()) values[batchValueAt(columns, column, index)] = value;
        for (const [at, value] of one.scales.entries()) scales[batchScaleAt(columns, column, at)] = value;
        return one.exact;
      });
      device.write(target.values, new Uint8Array(values.buffer));
      device.write(target.scales, new Uint8Array(scales.buffer));
      return exact;
    };
    const { tensors, hidden, feedForward, heads, headDim } = reference.shape;
    for (const index of [0, 4]) {
      const layer = tensors.layers[index];
      assert.ok(layer);
      const check = (
        about: string,
        out: number,
        exact: readonly Float64Array[],
        parts: readonly Float32Array[],
      ): void => {
        const wanted = exact.map((x) => parts.flatMap((part) => Array.from(product(part, x))));
        const rows = wanted[0]?.length ?? 0;
        const segments = (exact[0]?.length ?? 0) / 512;
        const planes = floatsOf(device.read(out, segments * columns * rows * 4));
        for (let column = 0; column < columns; column++) {
          const sums = Float64Array.from({ length: rows }, (_, row) => {
            let sum = 0;
            for (let segment = 0; segment < segments; segment++)
              sum += planes[(segment * columns + column) * rows + row] ?? 0;
            return sum;
          });
          const error = relativeError(sums, wanted[column] ?? []);
          assert.ok(error < 2e-6, `${about} of layer ${index}, sequence ${column}: ${error}`);
        }
      };
      const attended = plant(heads * headDim, space.attention);
      runner.steps.decodePart("o", index, bucket);
      check("o", space.batch.output, attended, [reference.weights(layer.attentionOutput)]);
      const normed = plant(hidden, space.batch.normed);
      runner.steps.decodePart("qkv", index, bucket);
      const qkv = [layer.query, layer.key, layer.value].map((tensor) => reference.weights(tensor));
      check("qkv", space.batch.qkv, normed, qkv);
      const h = plant(feedForward, space.batch.h);
      runner.steps.decodePart("down", index, bucket);
      check("down", space.batch.down, h, [reference.weights(layer.down)]);
    }
  });
}

/** Keys and values of earlier tokens planted into pages; returns what the cache holds, exactly. */
function plantCache(
  kvType: KvType,
  position: number,
  random: () => number,
): { keys: Float64Array[]; values: Float64Array[] } {
  const { device, reference, space } = there(kvType);
  const { kvHeads, headDim } = reference.shape;
  const [keys, values]: [Float64Array[], Float64Array[]] = [[], []];
  for (let token = 0; token < position; token++) {
    keys.push(new Float64Array(kvHeads * headDim));
    values.push(new Float64Array(kvHeads * headDim));
  }
  for (let page = 0; page * 64 < Math.max(position, 1) + 64; page++) {
    for (let head = 0; head < kvHeads; head++) {
      const planted = new KvPage(kvType);
      for (let row = 0; row < 64 && page * 64 + row < position; row++) {
        const { key, value } = planted.plant(row, random);
        keys[page * 64 + row]?.set(key, head * headDim);
        values[page * 64 + row]?.set(value, head * headDim);
      }
      device.write(space.pool + (page * kvHeads + head) * pageBytes[kvType], planted.bytes);
    }
  }
  return { keys, values };
}

const positions = [0, 1, 15, 63, 64, 65, 127, 128, 511, 512, 513, 1000, 2500];
for (const [kvType, position] of kvTypes.flatMap((kvType) =>
  positions.map((position) => [kvType, position] as const),
)) {
  test(`attention of one new token at position ${position}, KV in ${kvType}`, { skip: missing }, async () => {
    const { device, reference, runner, space } = there(kvType);
    const { heads, kvHeads, headDim, ropeBase, rmsEpsilon, tensors } = reference.shape;
    const random = randomOf(position + 1);
    const [layer] = tensors.layers;
    assert.ok(layer);
    const { keys, values } = plantCache(kvType, position, random);
    runner.fillSlot(0, slotSettings());
    runner.setPages(
      0,
      0,
      Int32Array.from({ length: 42 }, (_, page) => page),
    );
    device.write(space.batchSlot, new Uint8Array(Int32Array.of(0).buffer));
    device.write(space.slotPosition, new Uint8Array(Int32Array.of(position).buffer));
    const rows = (heads + 2 * kvHeads) * headDim;
    const planes = Float32Array.from({ length: 2 * rows }, () => (random() - 0.5) * 4);
    device.write(space.single.qkv, new Uint8Array(planes.buffer));
    runner.steps.decodePart("attention", 0);
    // The second plane of whole tiles is zero for good: leave it so.
    device.write(space.single.qkv, new Uint8Array(planes.byteLength));
    const qkv = Float64Array.from({ length: rows }, (_, row) => (planes[row] ?? 0) + (planes[rows + row] ?? 0));
    const norm = { position, ropeBase, rmsEpsilon };
    for (let head = 0; head < heads; head++)
      turn(qkv, head * headDim, { ...norm, gain: reference.weights(layer.queryNorm) });
    for (let head = heads; head < heads + kvHeads; head++) {
      turn(qkv, head * headDim, { ...norm, gain: reference.weights(layer.keyNorm) });
    }
    keys.push(asCached(kvType, qkv.subarray(heads * headDim, (heads + kvHeads) * headDim)));
    values.push(asCached(kvType, qkv.subarray((heads + kvHeads) * headDim)));
    const wanted = attend(qkv, keys, values, { heads, kvHeads, headDim });
    const digits = new Int8Array(device.read(space.attention.values, heads * headDim).buffer);
    const scales = floatsOf(device.read(space.attention.scales, (heads * headDim) / 4));
    const actual = Float64Array.from(digits, (digit, k) => digit * (scales[(k >> 5) * 2] ?? 0));
    const error = relativeError(actual, wanted);
    // The output is int8 per 32: about 0.4 % by itself.
    assert.ok(error < 0.012, `relative error ${error}`);
    if (kvType === "f16") {
      // With a cache in f16 nothing else is rounded as much: no value is further away than that.
      const steps = actual.map((value, k) => Math.abs(value - (wanted[k] ?? 0)) / (scales[(k >> 5) * 2] ?? 0));
      assert.ok(Math.max(...steps) < 0.6, `a value is ${Math.max(...steps)} steps away`);
    }
    for (let head = 0; head < kvHeads; head++) {
      const page = space.pool + ((position >> 6) * kvHeads + head) * pageBytes[kvType];
      const kept = new KvPage(kvType, device.read(page, pageBytes[kvType])).read(position & 63);
      for (const [what, all] of [["key", keys] as const, ["value", values] as const]) {
        const given = all.at(-1)?.subarray(head * headDim, (head + 1) * headDim) ?? [];
        const off = relativeError(kept[what], given);
        assert.ok(off < (kvType === "f16" ? 3e-4 : 2e-3), `the ${what} that head ${head} keeps is off by ${off}`);
      }
    }
  });
}

for (const [kvType, batch] of kvTypes.flatMap((kvType) => [8, 16, 32].map((batch) => [kvType, batch] as const))) {
  test(`every stage of a layer gives one sequence and a batch of ${batch} the same bits, KV in ${kvType}`, {
    skip: missing,
  }, () => {
    const { device, reference, runner, space, kernels } = there(kvType);
    const { hidden, heads, kvHeads, headDim, feedForward } = reference.shape;
    const random = randomOf(11);
    const position = 70;
    plantCache(kvType, position, random);
    runner.fillSlot(0, slotSettings());
    runner.setPages(0, 0, Int32Array.of(0, 1, 2));
    device.write(space.batchSlot, new Uint8Array(new Int32Array(32).buffer));
    const row = Float32Array.from({ length: hidden }, () => random() - 0.5);
    const start = (): void => {
      const rows = new Float32Array(batch * hidden);
      for (let column = 0; column < batch; column++) rows.set(row, column * hidden);
      device.write(space.x[0], new Uint8Array(rows.buffer));
      device.write(space.slotPosition, new Uint8Array(Int32Array.of(position).buffer));
    };
    const bucket = buckets.find((candidate) => candidate.batch === batch);
    assert.ok(bucket);
    const qkvRows = (heads + 2 * kvHeads) * headDim;
    const floats = (address: number, count: number): Float32Array => floatsOf(device.read(address, count * 4));
    const both = (planes: Float32Array, rows: number): number[] =>
      Array.from({ length: rows }, (_, index) => Math.fround((planes[index] ?? 0) + (planes[rows + index] ?? 0)));
    start();
    const alone: Record<string, ArrayLike<number>> = {};
    runner.steps.decodePart("qkv", 0);
    alone.qkv = both(floats(space.single.qkv, 2 * qkvRows), qkvRows);
    runner.steps.decodePart("attention", 0);
    alone.attention = new Int8Array(device.read(space.attention.values, heads * headDim).buffer);
    runner.steps.decodePart("o", 0);
    alone.o = both(floats(space.single.output, 2 * hidden), hidden);
    runner.steps.decodePart("gate_up", 0);
    runner.steps.decodePart("down", 0);
    alone.down = both(floats(space.single.down, 2 * hidden), hidden);
    start();
    // Of a column of the last tile: segments in two sums, as one sequence has them in two planes.
    const column = batch - 3;
    const batchSum = (address: number, rows: number, inputs: number): number[] => {
      const segments = inputs / 512;
      const planes = floats(address, segments * batch * rows);
      const at = (segment: number, index: number): number => planes[(segment * batch + column) * rows + index] ?? 0;
      const splits = runner.steps.splitsOf(inputs, rows);
      return Array.from({ length: rows }, (_, index) => {
        let [low, high] = [0, 0];
        for (let segment = 0; segment < segments; segment++) {
          if (segment < (splits[index >> 4] ?? 0)) low = Math.fround(low + at(segment, index));
          else high = Math.fround(high + at(segment, index));
        }
        return Math.fround(low + high);
      });
    };
    const same = (stage: string, actual: ArrayLike<number>): void => {
      const wanted = alone[stage] ?? [];
      const at = Array.from(wanted).findIndex((value, index) => value !== actual[index]);
      assert.equal(
        at,
        -1,
        `${stage}: value ${at} is ${actual[at]}, alone ${wanted[at]}; all ${relativeError(actual, wanted)}`,
      );
    };
    runner.steps.decodePart("norm", 0, bucket);
    runner.steps.decodePart("qkv", 0, bucket);
    same("qkv", batchSum(space.batch.qkv, qkvRows, hidden));
    runner.steps.decodePart("attention", 0, bucket);
    const digits = new Int8Array(device.read(space.attention.values, batch * heads * headDim).buffer);
    same(
      "attention",
      Array.from({ length: heads * headDim }, (_, index) => digits[batchValueAt(batch, column, index)] ?? 0),
    );
    runner.steps.decodePart("o", 0, bucket);
    same("o", batchSum(space.batch.output, hidden, heads * headDim));
    runner.steps.decodePart("inner_norm", 0, bucket);
    runner.steps.decodePart("gate_up", 0, bucket);
    runner.steps.decodePart("silu", 0, bucket);
    runner.steps.decodePart("down", 0, bucket);
    same("down", batchSum(space.batch.down, hidden, feedForward));
    assert.ok(kernels.hidden === hidden);
  });
}

for (const kvType of kvTypes) {
  test(`one sequence and a batch of any size give the same logits bit for bit, KV in ${kvType}`, {
    skip: missing,
  }, async () => {
    const { device, runner, space, kernels } = there(kvType);
    const random = randomOf(3);
    const count = 20;
    const prompts = Array.from({ length: count }, (_, index) =>
      Int32Array.from({ length: 1 + ((index * 37) % 150) }, () => Math.floor(random() * kernels.vocabularyTokens)),
    );
    const start = async (): Promise<void> => {
      for (const [slot, tokens] of prompts.entries()) {
        runner.fillSlot(slot, slotSettings());
        runner.setPages(
          slot,
          0,
          Int32Array.from({ length: 4 }, (_, page) => slot * 4 + page),
        );
        await runner.submit([{ slot, startPosition: 0, tokens, sample: true }]);
      }
    };
    const logitsOf = (index: number): Float32Array =>
      floatsOf(device.read(space.logits + index * kernels.vocabularyTokens * 4, kernels.vocabularyTokens * 4));
    await start();
    const alone: Float32Array[] = [];
    for (const [slot, { length }] of prompts.entries()) {
      await runner.submit([{ slot, startPosition: length, sample: true }]);
      alone.push(logitsOf(0));
    }
    for (const size of [2, 3, 8, 16, 20]) {
      await start();
      const together = prompts
        .slice(0, size)
        .map(({ length }, slot) => ({ slot, startPosition: length, sample: true }));
      await runner.submit(together);
      for (let slot = 0; slot < size; slot++) {
        const [actual, wanted] = [logitsOf(slot), alone[slot] ?? new Float32Array(0)];
        const at = wanted.findIndex((value, index) => !Object.is(value, actual[index]));
        const error = relativeError(actual, wanted);
        assert.equal(at, -1, `sequence ${slot} in a batch of ${size}: logit ${at} differs; all: ${error}`);
      }
    }
  });
}

test("two decode steps in one launch give the tokens and the bits of two launches", { skip: missing }, async () => {
  const { device, runner, space, kernels } = there();
  const decode = async (count: number, steps: 1 | 2): Promise<{ ids: number[][]; logits: Float32Array }> => {
    const ids: number[][] = [];
    const plan = (position: number): StepEntry[] =>
      Array.from({ length: count }, (_, slot) => ({ slot, startPosition: position + slot, sample: true }));
    for (let slot = 0; slot < count; slot++) {
      runner.fillSlot(slot, slotSettings());
      runner.setPages(slot, 0, Int32Array.of(2 * slot, 2 * slot + 1));
      const tokens = Int32Array.from(
        { length: 60 + slot },
        (_, at) => (at * 131 + slot * 17) % kernels.vocabularyTokens,
      );
      await runner.submit([{ slot, startPosition: 0, tokens, sample: true }]);
    }
    // Across the end of a page.
    for (let step = 0; step < 8; step += steps) {
      const sampled = await runner.submit(plan(60 + step), steps);
      for (let at = 0; at < sampled.length; at += count) ids.push(sampled.slice(at, at + count).map(({ id }) => id));
    }
    return { ids, logits: floatsOf(device.read(space.logits, count * kernels.vocabularyTokens * 4)) };
  };
  for (let count = 1; count <= mostTogether; count++) {
    assert.deepEqual(await decode(count, 2), await decode(count, 1), `${count} sequences`);
  }
});

// From here on tests put steps on the stream past the runner, which then no longer knows where results lie.
test("a long answer has the same tokens by one kernel for all layers and by five a layer", {
  skip: missing,
}, async (t) => {
  const { device, runner, space, kernels } = there();
  if (!runner.steps.isPersistent) return t.skip("this GPU has too little shared memory for it");
  const prompt = Int32Array.from({ length: 60 }, (_, index) => (index * 61 + 7) % kernels.vocabularyTokens);
  const count = 1400; // to 23 pages, three splits of them
  const begin = async (): Promise<number> => {
    runner.fillSlot(0, slotSettings({ sampling: { ...greedy, temperature: 1, topK: 40 }, seed: 5 }));
    runner.setPages(
      0,
      0,
      Int32Array.from({ length: 24 }, (_, page) => page),
    );
    const [first] = await runner.submit([{ slot: 0, startPosition: 0, tokens: prompt, sample: true }]);
    return first?.id ?? -1;
  };
  // As it serves: pairs of steps, three of them on their way.
  const one = [await begin()];
  const inFlight: Promise<readonly SampledToken[]>[] = [];
  for (let step = 0; step < count; step += 2) {
    inFlight.push(runner.submit([{ slot: 0, startPosition: prompt.length + step, sample: true }], 2));
    if (inFlight.length === 3) one.push(...((await inFlight.shift()) ?? []).map(({ id }) => id));
  }
  for (const sampled of await Promise.all(inFlight)) one.push(...sampled.map(({ id }) => id));
  const five = [await begin()];
  device.write(space.batchSlot, new Uint8Array(new Int32Array(32).fill(-1).fill(0, 0, 1).buffer));
  runner.steps.isPersistent = false;
  for (let step = 0; step < count; step++) {
    runner.steps.decodeStep(buckets[0]);
    five.push(new Int32Array(device.read(space.slotToken, 4).buffer)[0] ?? -1);
  }
  runner.steps.isPersistent = true;
  assert.ok(new Set(one).size > 100, "an answer that repeats itself shows little");
  assert.deepEqual(one, five);
});

test("one kernel for all layers gives the bits of five kernels a layer", { skip: missing }, async (t) => {
  const { device, runner, space, kernels } = there();
  const isDefault = runner.steps.isPersistent;
  if (!isDefault) return t.skip("this GPU has too little shared memory for it");
  const bucket = buckets[0];
  const steps = 3; // what the blocks tell each other alternates between two places
  // Of the long ones only the end is computed; what the pages before it hold is read all the same. One split, three, and six.
  for (const length of [1, 64, 700, 1100, 2600]) {
    const both: Float32Array[][] = [];
    for (const isPersistent of [false, true]) {
      runner.fillSlot(0, slotSettings());
      runner.setPages(
        0,
        0,
        Int32Array.from({ length: 42 }, (_, page) => page),
      );
      const startPosition = Math.max(0, length - 250);
      const tokens = Int32Array.from(
        { length: length - startPosition },
        (_, index) => (index * 37) % kernels.vocabularyTokens,
      );
      await runner.submit([{ slot: 0, startPosition, tokens, sample: true }]);
      device.write(space.batchSlot, new Uint8Array(new Int32Array(32).fill(-1).fill(0, 0, 1).buffer));
      runner.steps.isPersistent = isPersistent;
      both.push(
        Array.from({ length: steps }, () => {
          runner.steps.decodeStep(bucket);
          return floatsOf(device.read(space.logits, kernels.vocabularyTokens * 4));
        }),
      );
      runner.steps.isPersistent = isDefault;
    }
    for (let step = 0; step < steps; step++) {
      const [five, one] = [both[0]?.[step], both[1]?.[step]];
      const at = five?.findIndex((value, index) => !Object.is(value, one?.[index]));
      assert.equal(
        at,
        -1,
        `step ${step} after ${length} tokens, logit ${at}: ${one?.[at ?? 0]}, not ${five?.[at ?? 0]}`,
      );
    }
  }
});

const tooLarge = missing || (!isMini && "the plain reference would take hours with this model");
for (const kvType of kvTypes) {
  test(`a prompt in chunks, at once, and token by token comes to the same logits, KV in ${kvType}`, {
    skip: tooLarge,
  }, async () => {
    const { device, reference, runner, space, kernels } = there(kvType);
    const random = randomOf(5);
    const ids = Int32Array.from({ length: 133 }, () => Math.floor(random() * kernels.vocabularyTokens));
    const logits = (): Float32Array => floatsOf(device.read(space.logits, kernels.vocabularyTokens * 4));
    const run = async (cuts: readonly number[]): Promise<Float32Array> => {
      runner.fillSlot(0, slotSettings());
      runner.setPages(0, 0, Int32Array.of(3, 1, 2));
      let at = 0;
      for (const to of [...cuts, ids.length]) {
        await runner.submit([{ slot: 0, startPosition: at, tokens: ids.slice(at, to), sample: to === ids.length }]);
        at = to;
      }
      return logits();
    };
    const whole = await run([]);
    const rows = reference.residual(ids);
    const wanted = reference.logits(rows.at(-1) ?? new Float64Array(0));
    const error = relativeError(whole, wanted);
    console.log(
      `prefill of ${ids.length} random tokens, KV in ${kvType}: relative error of the logits ${error.toFixed(5)}`,
    );
    assert.ok(error < (kvType === "f16" ? 0.01 : 0.03), `at once: ${error}`);
    for (const cuts of [[64], [1, 2, 65], [100], [32, 64, 96, 128]]) {
      const chunked = relativeError(await run(cuts), whole);
      assert.ok(chunked < 0.01, `in chunks at ${cuts}: ${chunked}`);
    }
    const single = await run(Array.from({ length: ids.length - 1 }, (_, index) => index + 1));
    assert.ok(relativeError(single, wanted) < 0.03, `token by token: ${relativeError(single, wanted)}`);
  });
}

test.after(async () => {
  for (const kvType of kvTypes) await opened?.[kvType].runner[Symbol.asyncDispose]();
});
