// The runner on a real GPU: turns the scheduler's steps into uploads and launches on one stream and hands the sampled tokens back. A step's
// prompt chunks run first, all together, then its decode tokens as one captured graph. What a graph reads (positions, last tokens, page
// tables) lives on the device and moves on by itself, so a decode step like the one before it costs the host one call, and two such steps are
// one graph as easily as one.
//
// The device is trusted until a call fails; then the runner is lost and every later step is refused with that error.
import assert from "node:assert/strict";
import { AppError, toAppError } from "../../base/errors.ts";
import type { EngineStatus } from "../contract.ts";
import { blockWords, type QueryBlock, queryBlocksOf } from "./attention-plan.ts";
import type { Device, HostMemory } from "./device.ts";
import {
  buckets,
  type KernelShape,
  maxBatch,
  maxBiases,
  pageTokens,
  recentTokens,
  resultBytes,
  settingsBytes,
} from "./kernels.ts";
import type { KvType } from "./memory-plan.ts";
import { Qwen3Steps } from "./qwen3-steps.ts";
import {
  type Launched,
  mostTogether,
  type Runner,
  type RunnerLimits,
  type SampledToken,
  type SlotSettings,
  type StepEntry,
} from "./runner-contract.ts";
import { UploadRing } from "./upload-ring.ts";
import type { Weights } from "./weights.ts";
import { allocateWorkspace, type Workspace } from "./workspace.ts";

export interface CudaRunnerOptions {
  device: Device;
  shape: KernelShape;
  weights: Weights;
  layers: number;
  epsilon: number;
  ropeBase: number;
  slots: number;
  stepTokens: number;
  contextTokens: number;
  pages: number;
  kvType: KvType;
}

const ringSteps = 64;
const uploadBytes = 16 * 1024 * 1024;

/** Where a sampled token will appear. */
interface Expected {
  step: number;
  index: number;
  slot: number;
  /** Alternatives wanted with it; -1: no log-probabilities. */
  alternatives: number;
}

export class CudaRunner implements Runner {
  readonly limits: RunnerLimits;
  readonly kvType: KvType;
  readonly device: string;
  readonly steps: Qwen3Steps;
  readonly workspace: Workspace;
  readonly #device: Device;
  readonly #options: CudaRunnerOptions;
  readonly #results: HostMemory;
  readonly #resultView: DataView;
  readonly #ring: UploadRing;
  /** Of one decode step and of two, by the number of sequences; several share a bucket's. */
  readonly #graphs: Record<1 | 2, (() => void)[]> = { 1: [], 2: [] };
  /** Position of each slot's next decode token as the device has it, to catch a plan that disagrees. */
  readonly #positions: Int32Array;
  readonly #topLogprobs: Int32Array;
  #batchOnDevice: Int32Array = new Int32Array(maxBatch).fill(-2);
  #maskOnDevice: Int32Array = new Int32Array(maxBatch).fill(-2);
  /** Sequences in it, and whether any has a mask. */
  #batchCount = -1;
  #hasMasks = false;
  /** Sampling launches so far: the device counts alike. */
  #sampled = 0;
  #lost: AppError | undefined;
  #isClosed = false;

  constructor(options: CudaRunnerOptions) {
    const { device, shape, slots, stepTokens, contextTokens, pages, layers, ropeBase, kvType } = options;
    assert.ok(slots <= maxBatch, `at most ${maxBatch} slots`);
    this.#options = options;
    this.#device = device;
    this.device = device.facts.name;
    this.kvType = kvType;
    this.limits = {
      ...{ slots, pageTokens, pages, stepTokens, contextTokens },
      vocabularyTokens: shape.vocabularyTokens,
      ...{ biases: maxBiases, penaltyTokens: recentTokens },
    };
    const size = { slots, stepTokens, contextTokens, pages, layers, ropeBase, kvType };
    this.workspace = allocateWorkspace(device, shape, size);
    this.#results = device.host(ringSteps * maxBatch * resultBytes, "results");
    this.#resultView = new DataView(this.#results.bytes.buffer, this.#results.bytes.byteOffset);
    this.#ring = new UploadRing(device, uploadBytes);
    this.#positions = new Int32Array(slots).fill(-1);
    this.#topLogprobs = new Int32Array(slots).fill(-1);
    this.steps = new Qwen3Steps(device, {
      ...{ shape, weights: options.weights, workspace: this.workspace, epsilon: options.epsilon, kvType },
      results: { address: this.#results.address, ring: ringSteps },
    });
  }

  /** Captures every graph and runs each path once, so that the first request is as fast as the tenth. */
  async warmUp(): Promise<void> {
    const plain = {
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repeatPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
    };
    const settings: SlotSettings = {
      ...{ sampling: { ...plain, penaltyTokens: 0, logitBias: new Map() }, seed: 0, drawn: 0 },
      recentTokens: new Int32Array(0),
    };
    const { slots, pages, stepTokens } = this.limits;
    for (let slot = 0; slot < slots; slot++) {
      this.fillSlot(slot, settings);
      // All slots write the same few pages: nothing reads what comes out.
      this.setPages(slot, 0, Int32Array.of(0, Math.min(1, pages - 1)));
    }
    for (const count of new Set([Math.min(96, stepTokens), Math.min(16, stepTokens)])) {
      await this.submit([{ slot: 0, startPosition: 0, tokens: new Int32Array(count).fill(1), sample: true }]);
    }
    for (const { batch } of buckets) {
      const count = Math.min(batch, slots);
      const prompts = Array.from({ length: count }, (_, slot) => ({
        ...{ slot, startPosition: 0, tokens: Int32Array.of(1), sample: true },
      }));
      await this.submit(prompts);
      await this.submit(prompts.map(({ slot }) => ({ slot, startPosition: 1, sample: true })));
      if (count <= mostTogether) {
        await this.submit(
          prompts.map(({ slot }) => ({ slot, startPosition: 2, sample: true })),
          2,
        );
      }
      if (count < batch) break;
    }
    this.#positions.fill(-1);
  }

  get weights(): Weights {
    return this.#options.weights;
  }

  memory(): EngineStatus["memory"] {
    const kvBytes = this.workspace.poolLayerBytes * this.#options.layers;
    const weightBytes = this.#options.weights.bytes;
    return {
      ...{ weightBytes, kvBytes, otherBytes: this.#device.allocatedBytes - weightBytes - kvBytes },
      totalBytes: this.#device.facts.totalBytes,
    };
  }

  fillSlot(slot: number, settings: SlotSettings): void {
    this.#refuseIfLost();
    const { sampling, seed, drawn } = settings;
    assert.ok(sampling.logitBias.size <= maxBiases && sampling.penaltyTokens <= recentTokens, "checked on arrival");
    const space = this.workspace;
    const recent = settings.recentTokens.subarray(Math.max(0, settings.recentTokens.length - recentTokens));
    const top = settings.topLogprobs;
    const words = new ArrayBuffer(settingsBytes);
    new Float32Array(words, 0, 6).set([
      ...[sampling.temperature, sampling.topP, sampling.minP],
      ...[sampling.repeatPenalty, sampling.presencePenalty, sampling.frequencyPenalty],
    ]);
    new Int32Array(words, 24, 6).set([
      ...[Math.min(sampling.topK, this.limits.vocabularyTokens), sampling.penaltyTokens, sampling.logitBias.size],
      ...[top ?? 0, top === undefined ? 0 : 1, 0],
    ]);
    new Uint32Array(words, 48, 4).set([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, drawn, recent.length]);
    this.#ring.write(space.settings + slot * settingsBytes, new Uint8Array(words));
    this.#ring.write(space.recent + slot * recentTokens * 4, recent);
    if (sampling.logitBias.size > 0) {
      const biases = [...sampling.logitBias];
      this.#ring.write(
        space.biasIds + slot * maxBiases * 4,
        Int32Array.from(biases, ([id]) => id),
      );
      this.#ring.write(
        space.biasValues + slot * maxBiases * 4,
        Float32Array.from(biases, ([, value]) => value),
      );
    }
    this.#positions[slot] = -1;
    this.#topLogprobs[slot] = top ?? -1;
  }

  setPages(slot: number, firstPage: number, pages: Int32Array): void {
    this.#refuseIfLost();
    const { pageTable, tableStride } = this.workspace;
    assert.ok(firstPage + pages.length <= tableStride, `slot ${slot} has no room for page ${firstPage + pages.length}`);
    this.#ring.write(pageTable + (slot * tableStride + firstPage) * 4, pages);
  }

  launch(plan: readonly StepEntry[], steps: 1 | 2 = 1): Launched {
    this.#refuseIfLost();
    try {
      const expected = this.#launch(plan, steps);
      const mark = this.#device.mark();
      const { place } = this.#ring;
      return {
        passed: () => this.#passed(mark, place),
        sampled: () => {
          const sampled: SampledToken[] = [];
          for (const one of expected) sampled.push(this.#result(one));
          return sampled;
        },
      };
    } catch (error) {
      throw this.#lose(error);
    }
  }

  /** Launches and waits: for tests and benches. */
  async submit(plan: readonly StepEntry[], steps: 1 | 2 = 1): Promise<readonly SampledToken[]> {
    if (plan.length === 0) return [];
    const launched = this.launch(plan, steps);
    await launched.passed();
    return launched.sampled();
  }

  /** `place`: of the upload ring, where it stood when the mark was made. */
  async #passed(mark: number, place: number): Promise<void> {
    try {
      await this.#device.passed(mark);
    } catch (error) {
      throw this.#lose(error);
    }
    this.#ring.release(place);
  }

  /** Puts the step on the stream, or two; returns what is sampled, in the plan's order. */
  #launch(plan: readonly StepEntry[], steps: 1 | 2): readonly Expected[] {
    // Nearly every step is one of decode tokens alone, and what the host does for it is done for each token.
    if (plan.every(isDecode)) return this.#decode(plan, steps);
    assert.equal(steps, 1, "two steps at once only decode");
    const expected = this.#prefill(plan.filter((entry) => !isDecode(entry)));
    const decodes = plan.filter(isDecode);
    if (decodes.length === 0) return expected;
    const bySlot = new Map([...expected, ...this.#decode(decodes, 1)].map((one) => [one.slot, one]));
    return plan.flatMap(({ slot }) => bySlot.get(slot) ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#lost ??= new AppError("device", "The engine is closed.");
    this.#device[Symbol.dispose]();
  }

  #decode(entries: readonly StepEntry[], steps: 1 | 2): Expected[] {
    for (const { slot, startPosition } of entries) {
      const position = this.#positions[slot];
      if (position !== startPosition)
        assert.fail(`slot ${slot} is at ${position}, not at the planned ${startPosition}`);
      this.#positions[slot] = startPosition + steps;
    }
    if (!this.#isLastBatch(entries)) this.#writeBatch(entries);
    assert.ok(steps === 1 || !this.#hasMasks, "a mask is for one step");
    this.#graphFor(entries.length, steps)();
    const expected: Expected[] = [];
    for (const end = this.#sampled + steps; this.#sampled < end; this.#sampled++) {
      for (let index = 0; index < entries.length; index++) {
        const entry = entries[index];
        if (entry?.sample) expected.push(this.#expect(this.#sampled, index, entry.slot));
      }
    }
    return expected;
  }

  /** Whether the device has the batch as it is wanted: then a step is one launch. */
  #isLastBatch(entries: readonly StepEntry[]): boolean {
    if (this.#batchCount !== entries.length || this.#hasMasks) return false;
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index];
      if (entry?.mask || entry?.slot !== this.#batchOnDevice[index]) return false;
    }
    return true;
  }

  #writeBatch(entries: readonly StepEntry[]): void {
    const slots = new Int32Array(maxBatch).fill(-1);
    const masks = new Int32Array(maxBatch);
    for (const [index, { slot, mask }] of entries.entries()) {
      slots[index] = slot;
      if (mask) {
        masks[index] = 1;
        this.#writeMask(index, mask);
      }
    }
    const space = this.workspace;
    if (!isEqual(slots, this.#batchOnDevice)) this.#ring.write(space.batchSlot, slots);
    if (!isEqual(masks, this.#maskOnDevice)) this.#ring.write(space.batchMask, masks);
    this.#batchOnDevice = slots;
    this.#maskOnDevice = masks;
    this.#batchCount = entries.length;
    this.#hasMasks = masks.includes(1);
  }

  /** What launches a decode step of so many sequences, or two. */
  #graphFor(count: number, steps: 1 | 2): () => void {
    const graphs = this.#graphs[steps];
    const known = graphs[count];
    if (known) return known;
    const bucket = buckets.find(({ batch }) => batch >= count);
    assert.ok(bucket, `${count} sequences in one step`);
    const record = (): void => {
      for (let step = 0; step < steps; step++) this.steps.decodeStep(bucket);
    };
    const launch = graphs[bucket.batch] ?? this.#device.graph(record);
    graphs[bucket.batch] = launch;
    graphs[count] = launch;
    return launch;
  }

  #expect(step: number, index: number, slot: number): Expected {
    return { step, index, slot, alternatives: this.#topLogprobs[slot] ?? -1 };
  }

  #prefill(entries: readonly StepEntry[]): Expected[] {
    const space = this.workspace.prompt;
    const lengths = entries.map(({ tokens }) => tokens?.length ?? 0);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    assert.ok(total <= this.limits.stepTokens, `${total} prompt tokens in a step of ${this.limits.stepTokens}`);
    const tokens = new Int32Array(total);
    const slots = new Int32Array(total);
    const positions = new Int32Array(total);
    const blocks: QueryBlock[] = [];
    const lastRows: number[] = [];
    let row = 0;
    for (const { slot, startPosition, tokens: chunk = new Int32Array(0) } of entries) {
      tokens.set(chunk, row);
      slots.fill(slot, row, row + chunk.length);
      for (let index = 0; index < chunk.length; index++) positions[row + index] = startPosition + index;
      blocks.push(...queryBlocksOf({ slot, row, tokens: chunk.length, position: startPosition }));
      row += chunk.length;
      lastRows.push(row - 1);
      this.#positions[slot] = startPosition + chunk.length;
    }
    this.#ring.write(space.tokens, tokens);
    this.#ring.write(space.slots, slots);
    this.#ring.write(space.positions, positions);
    const attention = this.steps.planAttention(blocks);
    this.#ring.write(space.blocks, blockWords(attention.blocks));
    this.steps.prefillStep({ tokens: total, attention: attention.launches });
    return this.#sampleAfter(entries, lastRows);
  }

  #sampleAfter(entries: readonly StepEntry[], lastRows: readonly number[]): Expected[] {
    const space = this.workspace;
    const sampling = entries.flatMap((entry, index) => (entry.sample ? [{ entry, row: lastRows[index] ?? 0 }] : []));
    if (sampling.length === 0) return [];
    const slots = new Int32Array(maxBatch).fill(-1);
    const masks = new Int32Array(maxBatch);
    const positions = new Int32Array(maxBatch);
    const rows = new Int32Array(maxBatch);
    for (const [index, { entry, row }] of sampling.entries()) {
      slots[index] = entry.slot;
      rows[index] = row;
      positions[index] = this.#positions[entry.slot] ?? 0;
      if (entry.mask) {
        masks[index] = 1;
        this.#writeMask(index, entry.mask);
      }
    }
    this.#ring.write(space.promptSlot, slots);
    this.#ring.write(space.promptMask, masks);
    this.#ring.write(space.promptPosition, positions);
    this.#ring.write(space.promptRow, rows);
    this.steps.sampleAfterPrefill(sampling.length);
    const step = this.#sampled++;
    return sampling.map(({ entry }, index) => this.#expect(step, index, entry.slot));
  }

  #writeMask(index: number, mask: Int32Array): void {
    const words = Math.ceil(this.limits.vocabularyTokens / 32);
    assert.ok(mask.length >= words, `a mask of ${mask.length} words for ${this.limits.vocabularyTokens} tokens`);
    this.#ring.write(this.workspace.masks + index * words * 4, mask.subarray(0, words));
  }

  #result({ step, index, slot, alternatives }: Expected): SampledToken {
    const at = ((step % ringSteps) * maxBatch + index) * resultBytes;
    const view = this.#resultView;
    const id = view.getInt32(at, true);
    if (alternatives < 0) return { slot, id };
    const count = Math.min(view.getInt32(at + 8, true), alternatives);
    const top = Array.from({ length: count }, (_, place) => ({
      id: view.getInt32(at + 16 + place * 4, true),
      logprob: view.getFloat32(at + 96 + place * 4, true),
    }));
    return { slot, id, logprob: view.getFloat32(at + 4, true), ...(alternatives > 0 ? { top } : {}) };
  }

  #lose(error: unknown): AppError {
    this.#lost ??= toAppError(error);
    return this.#lost;
  }

  #refuseIfLost(): void {
    if (this.#lost) throw this.#lost;
  }
}

const isDecode = ({ tokens }: StepEntry): boolean => !tokens;

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.every((value, index) => value === b[index]);
}
