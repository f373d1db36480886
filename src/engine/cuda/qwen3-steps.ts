// The model as launches: which kernel reads what and writes where. decodeStep is what a graph captures for a batch size; prompts are
// prompt-steps.ts. Nothing here waits for the device.
//
// One sequence: all layers and the head in one kernel where the GPU has the shared memory for it and the KV cache is int8, else five kernels a layer, norms
// and quantisation inside the products. More: eight, because a block per sequence then does once what every block would repeat.
import type { AttentionPlan, QueryBlock } from "./attention-plan.ts";
import type { Device } from "./device.ts";
import {
  attentionSharedBytes,
  type Bucket,
  batchSharedBytes,
  buckets,
  type Deal,
  dealSegments,
  firstLooseTile,
  gemvSharedBytes,
  gemvThreads,
  headDim,
  type KernelShape,
  kvKernel,
  type MatrixPlan,
  maxBatch,
  maxSplits,
  mostPersistentLayers,
  mostPersistentSegments,
  normClusterBlocks,
  normClusterThreads,
  persistentSharedBytes,
  persistentThreads,
  sampleSharedBytes,
  sampleSlices,
  segmentsOf,
} from "./kernels.ts";
import { type Argument, f32, i32, type LaunchShape, struct, u64 } from "./launch.ts";
import type { KvType } from "./memory-plan.ts";
import { type PromptChunk, type PromptPart, PromptSteps } from "./prompt-steps.ts";
import type { LayerWeights, Weights } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

interface Matrix {
  plan: MatrixPlan;
  deal: Deal;
  ranges: number;
  splits: number;
}

type MatrixName = "qkv_v4" | "qkv_v6" | "o" | "gate_up" | "down_q4" | "down_q6" | "head";

export class Qwen3Steps {
  readonly #device: Device;
  readonly #shape: KernelShape;
  readonly #weights: Weights;
  readonly #space: Workspace;
  readonly #epsilon: Argument;
  readonly #matrices: Record<MatrixName, Matrix>;
  readonly #isHopper: boolean;
  readonly #kvType: KvType;
  readonly #results: { address: number; ring: number };
  readonly #layerTable: number;
  /** Gate and up as decode_layers deals them. */
  readonly #gateUp: { ranges: number; firstLoose: number };
  readonly #prompts: PromptSteps;
  /** One kernel for all layers of a single sequence instead of five a layer: with Hopper's shared memory and KV in int8. */
  isPersistent: boolean;
  /** Device memory for 8 clocks of each of a layer's four products (bench/cuda/profile.ts); 0: none. */
  trace = 0;

  constructor(
    device: Device,
    options: {
      shape: KernelShape;
      weights: Weights;
      workspace: Workspace;
      epsilon: number;
      kvType: KvType;
      /** Pinned results, a ring of `ring` steps. */
      results: { address: number; ring: number };
    },
  ) {
    this.#device = device;
    this.#shape = options.shape;
    this.#weights = options.weights;
    this.#space = options.workspace;
    this.#epsilon = f32(options.epsilon);
    this.#results = options.results;
    this.#isHopper = device.facts.capability >= 90;
    this.#kvType = options.kvType;
    this.#prompts = new PromptSteps(device, options);
    const table = options.weights.layers.flatMap((layer, index) => [
      ...[layer.qkv, layer.value, layer.attentionOutput, layer.gateUp, layer.down],
      ...[layer.attentionNorm, layer.queryNorm, layer.keyNorm, layer.feedForwardNorm],
      options.workspace.pool + index * options.workspace.poolLayerBytes,
      (layer.valueType === "q6" ? 1 : 0) + (layer.downType === "q6" ? 2 : 0),
    ]);
    // decode_layers takes the head for the first product of one more layer.
    table.push(options.weights.embedding, 0, 0, 0, 0, options.weights.outputNorm, 0, 0, 0, 0, 0);
    this.#layerTable = device.upload(BigUint64Array.from(table, BigInt), "layers");
    const { hidden, feedForward, heads, kvHeads, vocabularyTokens } = options.shape;
    const qkTiles = ((heads + kvHeads) * headDim) / 16;
    const valueTiles = (kvHeads * headDim) / 16;
    const plain = (inputs: number, rows: number, typeA: "q4" | "q6"): MatrixPlan => ({
      ...{ inputs, tilesA: rows / 16, typeA, tilesB: 0, typeB: typeA },
    });
    const blocks = device.facts.multiprocessors;
    // In decode_layers the first blocks have a short context's attention, a KV head each, and get their weights late: they have less of what comes after.
    const busy = this.#isHopper && this.#kvType === "int8" ? kvHeads : 0;
    const matrix = (plan: MatrixPlan, whole = false, times = 1): Matrix => {
      const deal = dealSegments(plan, { blocks: blocks * times, whole, busy: whole ? 0 : busy });
      return {
        plan,
        deal,
        ranges: device.upload(deal.ranges, "work ranges"),
        splits: device.upload(deal.splits, "work splits"),
      };
    };
    // Results of a block take shared memory, so on a small GPU the head's work is dealt over several blocks a multiprocessor.
    const headTimes = Math.ceil(((vocabularyTokens / 16) * segmentsOf({ inputs: hidden })) / blocks / 384);
    this.#matrices = {
      // Whole tiles: layers of both kinds write the same planes, and a tile that only one of them splits would leave its rest to the other.
      qkv_v4: matrix(plain(hidden, (qkTiles + valueTiles) * 16, "q4"), true),
      qkv_v6: matrix({ inputs: hidden, tilesA: qkTiles, typeA: "q4", tilesB: valueTiles, typeB: "q6" }, true),
      o: matrix(plain(heads * headDim, hidden, "q4")),
      gate_up: matrix(plain(hidden, 2 * feedForward, "q4"), true),
      down_q4: matrix(plain(feedForward, hidden, "q4")),
      down_q6: matrix(plain(feedForward, hidden, "q6")),
      head: matrix(plain(hidden, vocabularyTokens, "q6"), true, headTimes),
    };
    const gateUp = this.#matrices.gate_up.plan;
    const firstLoose = firstLooseTile(gateUp, blocks);
    const { ranges } = dealSegments({ ...gateUp, tilesA: firstLoose }, { blocks, whole: true });
    this.#gateUp = { ranges: device.upload(ranges, "work ranges"), firstLoose };
    this.isPersistent =
      this.#isHopper &&
      this.#kvType === "int8" &&
      persistentSharedBytes(options.shape) <= device.facts.sharedBytes &&
      options.weights.layers.length <= mostPersistentLayers &&
      Object.entries(this.#matrices).every(
        ([name, { deal }]) => name === "head" || deal.mostSegments <= mostPersistentSegments,
      );
  }

  /** One token for each sequence of the decode batch, from embedding to the sampled token in its slot. */
  decodeStep(bucket: Bucket): void {
    if (bucket.columns === 1 && this.isPersistent) this.#decodeLayers();
    else {
      const { x, batchSlot, slotToken } = this.#space;
      this.#launch("embed_slots", { grid: [bucket.batch], block: 256 }, [
        ...[u64(this.#weights.embedding), u64(batchSlot), u64(slotToken), u64(x[0])],
      ]);
      for (const [index, layer] of this.#weights.layers.entries()) {
        if (bucket.columns === 1) this.#decodeLayer(index, layer);
        else this.#decodeLayerBatch(index, layer, bucket);
      }
      this.#head(bucket, { afterLayers: true });
    }
    this.#sample(bucket.batch, { fromPrompt: false });
  }

  /** One kind of kernel of a decode step by itself, for bench and tests. */
  decodePart(part: DecodePart, layer: number, bucket: Bucket = buckets[0]): void {
    const weights = this.#weights.layers[layer];
    if (part === "head") this.#head(bucket, { afterLayers: true });
    else if (part === "sample") this.#sample(bucket.batch, { fromPrompt: false });
    else if (weights && bucket.columns === 1) this.#decodeLayer(layer, weights, part);
    else if (weights) this.#decodeLayerBatch(layer, weights, bucket, part);
  }

  /** Of each row tile of a matrix, the segment where gemv_w4a8's second plane begins: for tests. */
  splitsOf(inputs: number, rows: number): Uint8Array {
    const found = Object.values(this.#matrices).find(
      ({ plan }) => plan.inputs === inputs && (plan.tilesA + plan.tilesB) * 16 === rows,
    );
    return found?.deal.splits ?? new Uint8Array(0);
  }

  #decodeLayer(index: number, layer: LayerWeights, only?: DecodePart): void {
    const { single, x, attention } = this.#space;
    const residual = (gain: number, planes: number, from: number): GemvInput => ({
      kind: "residual",
      ...{ x: x[from] ?? 0, planes, out: x[1 - from] ?? 0, gain },
    });
    const wants = (part: DecodePart): boolean => only === undefined || only === part;
    if (wants("qkv")) {
      this.#gemv(layer.valueType === "q6" ? "qkv_v6" : "qkv_v4", {
        ...{ weights: layer.qkv, partB: layer.value, out: single.qkv },
        input: residual(layer.attentionNorm, index === 0 ? 0 : single.down, 0),
      });
    }
    if (wants("attention")) this.#attention(index, layer, buckets[0]);
    if (wants("o")) {
      this.#gemv("o", { weights: layer.attentionOutput, input: { kind: "q8", ...attention }, out: single.output });
    }
    if (wants("gate_up")) {
      const input = residual(layer.feedForwardNorm, single.output, 1);
      this.#gemv("gate_up", { weights: layer.gateUp, input, out: single.h });
    }
    if (wants("down")) {
      const input: GemvInput = { kind: "half", h: single.h };
      this.#gemv(`down_${layer.downType}`, { weights: layer.down, input, out: single.down });
    }
  }

  #decodeLayerBatch(index: number, layer: LayerWeights, bucket: Bucket, only?: DecodePart): void {
    const { batch, attention } = this.#space;
    const before = this.#weights.layers[index - 1];
    const plane = before && { planes: batch.down, matrix: this.#matrices[`down_${before.downType}`] };
    const wants = (part: DecodePart): boolean => only === undefined || only === part;
    if (wants("norm")) this.#normBatch(layer.attentionNorm, bucket, plane);
    if (wants("qkv")) {
      const name = layer.valueType === "q6" ? "qkv_v6" : "qkv_v4";
      this.#gemm(name, { weights: layer.qkv, partB: layer.value, input: batch.normed, out: batch.qkv, bucket });
    }
    if (wants("attention")) this.#attention(index, layer, bucket);
    if (wants("o")) {
      this.#gemm("o", { weights: layer.attentionOutput, input: attention, out: batch.output, bucket });
    }
    if (wants("inner_norm"))
      this.#normBatch(layer.feedForwardNorm, bucket, { planes: batch.output, matrix: this.#matrices.o });
    if (wants("gate_up")) {
      this.#gemm("gate_up", { weights: layer.gateUp, input: batch.normed, out: batch.gateUp, bucket });
    }
    if (wants("silu")) {
      const grid = [Math.ceil(this.#shape.feedForward / 512), bucket.batch] as const;
      this.#launch("silu_quantise_batch", { grid, block: 128, overlaps: true }, [
        ...[u64(batch.gateUp), u64(batch.h.values), u64(batch.h.scales), i32(bucket.columns)],
      ]);
    }
    if (wants("down")) {
      this.#gemm(`down_${layer.downType}`, { weights: layer.down, input: batch.h, out: batch.down, bucket });
    }
  }

  #normBatch(gain: number, bucket: Bucket, before: { planes: number; matrix: Matrix } | undefined): void {
    const { x, batch } = this.#space;
    const args = [
      ...[u64(x[0]), u64(before?.planes ?? 0), i32(before ? segmentsOf(before.matrix.plan) : 0)],
      ...[u64(before?.matrix.splits ?? 0), u64(gain), this.#epsilon],
      ...[u64(batch.normed.values), u64(batch.normed.scales), i32(bucket.columns)],
    ];
    // For few sequences a cluster costs more than it saves.
    if (this.#isHopper && bucket.tiles > 1) {
      const shape = { block: normClusterThreads(this.#shape), cluster: normClusterBlocks, overlaps: true };
      this.#launch("norm_quantise_cluster", { ...shape, grid: [bucket.batch, 1, normClusterBlocks] }, args);
    } else this.#launch("norm_quantise_batch", { grid: [bucket.batch], block: gemvThreads, overlaps: true }, args);
  }

  #gemv(name: MatrixName, product: { weights: number; partB?: number; input: GemvInput; out: number }): void {
    const { weights, partB = 0, input, out } = product;
    const { plan, deal, ranges } = this.#matrices[name];
    const isResidual = input.kind === "residual";
    const addresses = [
      ...[weights, partB, ranges],
      ...(isResidual ? [input.x, input.planes, input.out, input.gain] : [0, 0, 0, 0]),
      ...(input.kind === "q8" ? [input.values, input.scales] : [0, 0]),
      ...[input.kind === "half" ? input.h : 0, out],
    ];
    const sharedBytes = gemvSharedBytes(plan, deal, { isHopper: this.#isHopper });
    this.#launch(`gemv_${name}`, { grid: [deal.blocks], block: gemvThreads, sharedBytes, overlaps: true }, [
      struct(addresses, [i32(plan.tilesA * 16), this.#epsilon]),
    ]);
  }

  #gemm(
    name: MatrixName,
    product: {
      weights: number;
      partB?: number;
      input: { values: number; scales: number };
      out: number;
      bucket: Bucket;
    },
  ): void {
    const { weights, partB = 0, input, out, bucket } = product;
    const { plan } = this.#matrices[name];
    const sharedBytes = batchSharedBytes(plan, bucket, { isHopper: this.#isHopper });
    const blocks = this.#isHopper && bucket.tiles === 1 ? 2 : 1; // a multiprocessor
    const grid = [blocks * this.#device.facts.multiprocessors] as const;
    this.#launch(`batch_${name}_${bucket.tiles}`, { grid, block: 256, sharedBytes, overlaps: true }, [
      struct(
        [weights, partB, input.values, input.scales, out],
        [i32(plan.tilesA / 8), i32((plan.tilesA + plan.tilesB) / 8)],
      ),
    ]);
  }

  #attention(index: number, layer: LayerWeights, bucket: Bucket): void {
    const splits = Math.min(maxSplits, Math.ceil(32 / bucket.batch));
    const shape: LaunchShape = {
      grid: [splits, this.#shape.kvHeads, bucket.batch],
      block: 128,
      sharedBytes: attentionSharedBytes[this.#kvType],
      overlaps: true,
    };
    this.#launch(kvKernel("attention_decode", this.#kvType), shape, [this.#attentionArgs(index, layer, bucket)]);
  }

  #attentionArgs(index: number, layer: LayerWeights, bucket: Bucket): Argument {
    const space = this.#space;
    const matrix = this.#matrices[layer.valueType === "q6" ? "qkv_v6" : "qkv_v4"];
    const isSingle = bucket.columns === 1;
    return struct(
      [
        ...[isSingle ? space.single.qkv : space.batch.qkv, isSingle ? 0 : matrix.splits],
        ...[layer.queryNorm, layer.keyNorm, space.turns, space.pool + index * space.poolLayerBytes],
        ...[space.batchSlot, space.slotPosition, space.pageTable, space.partials, space.tickets],
        ...[space.attention.values, space.attention.scales],
      ],
      [i32(isSingle ? 2 : segmentsOf(matrix.plan)), i32(bucket.columns), i32(space.tableStride), this.#epsilon],
    );
  }

  /** All layers and the head of one sequence in one kernel; its blocks must all be resident, one a multiprocessor. */
  #decodeLayers(): void {
    const { slotToken, logits, exchange, told, steps } = this.#space;
    const [first] = this.#weights.layers;
    if (!first) return;
    const { qkv_v4, qkv_v6, o, down_q4, down_q6 } = this.#matrices;
    const all = [qkv_v4, qkv_v6, o, this.#gateUp, down_q4, down_q6];
    const rest = struct(
      [
        ...[this.#layerTable, ...all.map(({ ranges }) => ranges), o.splits, down_q4.splits, down_q6.splits],
        ...[slotToken, logits, exchange, told, steps, this.trace],
      ],
      [i32(this.#weights.layers.length), i32(this.#gateUp.firstLoose), this.#epsilon],
    );
    const attention = this.#attentionArgs(0, first, buckets[0]);
    const args = new Uint8Array(attention.length + rest.length);
    args.set(attention);
    args.set(rest, attention.length);
    const grid = [this.#device.facts.multiprocessors] as const;
    const sharedBytes = persistentSharedBytes(this.#shape);
    this.#launch("decode_layers", { grid, block: persistentThreads, sharedBytes, overlaps: true }, [args]);
  }

  /** Final norm and logits of the residual rows. `afterLayers`: the last layer's product is still in its planes. */
  #head(bucket: Bucket, { afterLayers }: { afterLayers: boolean }): void {
    const { x, single, batch, logits } = this.#space;
    const gain = this.#weights.outputNorm;
    if (bucket.columns === 1) {
      const input: GemvInput = { kind: "residual", x: x[0], planes: afterLayers ? single.down : 0, out: 0, gain };
      this.#gemv("head", { weights: this.#weights.embedding, input, out: logits });
      return;
    }
    const last = this.#weights.layers.at(-1);
    const before = { planes: batch.down, matrix: this.#matrices[last?.downType === "q6" ? "down_q6" : "down_q4"] };
    this.#normBatch(gain, bucket, afterLayers ? before : undefined);
    this.#gemm("head", { weights: this.#weights.embedding, input: batch.normed, out: logits, bucket });
  }

  #sample(batch: number, { fromPrompt }: { fromPrompt: boolean }): void {
    const space = this.#space;
    this.#launch("scan_logits", { grid: [sampleSlices, batch], block: 256, overlaps: !fromPrompt }, [
      ...[u64(space.logits), u64(space.slices)],
    ]);
    this.#launch(
      "sample_token",
      { grid: [batch], block: 1024, sharedBytes: sampleSharedBytes, overlaps: !fromPrompt },
      [
        struct(
          [
            ...[space.logits, space.slices, space.settings, space.recent, space.biasIds, space.biasValues, space.masks],
            ...(fromPrompt ? [space.promptSlot, space.promptMask] : [space.batchSlot, space.batchMask]),
            ...[space.slotToken, space.slotPosition, fromPrompt ? space.promptPosition : 0],
            ...[space.changed, this.#results.address, space.counter],
          ],
          [i32(this.#results.ring)],
        ),
      ],
    );
  }

  /** The order in which a step's blocks of queries must lie in the workspace, and the launches over them. */
  planAttention(blocks: readonly QueryBlock[]): AttentionPlan {
    return this.#prompts.planAttention(blocks);
  }

  /** All layers for a chunk of prompt tokens; their KV goes to the pages. `only`: one kind of kernel, for the bench. */
  prefillStep(chunk: PromptChunk, only?: PromptPart): void {
    this.#prompts.run(chunk, only);
  }

  /** Samples after the last positions of up to 32 prompts; rows, slots, masks and positions are in the workspace's prompt arrays. */
  sampleAfterPrefill(count: number): void {
    const { prompt, promptRow, x } = this.#space;
    this.#launch("gather_rows", { grid: [count], block: 256 }, [u64(prompt.x), u64(promptRow), u64(x[0])]);
    const bucket = buckets.find(({ batch }) => batch >= count) ?? buckets[5];
    this.#head(bucket, { afterLayers: false });
    this.#sample(Math.min(bucket.batch, maxBatch), { fromPrompt: true });
  }

  #launch(name: string, shape: LaunchShape, args: readonly Argument[]): void {
    this.#device.kernel(name).launch(shape, args);
  }
}

/** Kernels of a decode step that bench and tests run alone; norm and silu are kernels of their own only for batches. */
export type DecodePart =
  | ("norm" | "qkv" | "attention" | "o")
  | ("inner_norm" | "gate_up" | "silu" | "down")
  | ("head" | "sample");

type GemvInput =
  | { kind: "residual"; x: number; planes: number; out: number; gain: number }
  | { kind: "q8"; values: number; scales: number }
  | { kind: "half"; h: number };
