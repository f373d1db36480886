// A chunk of prompt tokens as launches: all layers, nine kernels each, KV into the pages. Two sets of kernels do the large work: portable ones, and on
// Hopper those that multiply with wgmma, where clusters of blocks may share a product's inputs. All launches are made once: a step only
// changes what depends on its tokens.
//
// A token's numbers depend on its own sequence's tokens and positions alone, not on company, chunks or cached prefixes: whatever decides in which
// order floats are added is a constant of the matrix (inputSplits) or follows from positions (attention-plan.ts).
import {
  type AttentionLaunch,
  type AttentionPlan,
  planAttention,
  type QueryBlock,
  queryBlockTokens,
} from "./attention-plan.ts";
import type { Device } from "./device.ts";
import { hasWgmma, headDim, type KernelShape, kvKernel, pageBytes, type Quantisation, unitBytes } from "./kernels.ts";
import { type Argument, f32, i32, type RepeatedLaunch, struct, u64 } from "./launch.ts";
import type { KvType } from "./memory-plan.ts";
import type { LayerWeights, Weights } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Blocks of gemm_prefill_hopper that share the inputs of a tile of each matrix, 1, 2 or 4: more fill the GPU when tokens are few and cost an exchange
 * of sums when they are many. Constants, because the shares decide how a token's products are rounded.
 */
const inputSplits = { qkv: 2, o: 2, gateUp: 1, down: 4 } as const;

/** Pages in f16 are multiplied where they arrive; those in int8 have a place of their own before they are turned into such. */
const flash = {
  portable: { block: 384, sharedBytes: { int8: 2 * pageBytes.int8 + 2 * 32_768, f16: 2 * 32_768 } },
  wgmma: { block: 512, sharedBytes: { int8: 4 * 32_768 + 3 * pageBytes.int8 + 11 * 8, f16: 4 * 32_768 + 11 * 8 } },
} as const;

export interface PromptChunk {
  /** Tokens of all sequences in the step, one after another; already in the workspace's prompt arrays. */
  tokens: number;
  /** Over the plan's blocks, which are in the workspace too. */
  attention: readonly AttentionLaunch[];
}

type Run = (chunk: PromptChunk) => void;
/** Kinds of kernels in a layer, for the bench. */
export type PromptPart = "embed" | "norm" | "qkv" | "kv_write" | "attention" | "o" | "gate_up" | "down";

interface PromptOptions {
  shape: KernelShape;
  weights: Weights;
  workspace: Workspace;
  epsilon: number;
  kvType: KvType;
}

/** A product of all tokens with a matrix: the kernel's name without its columns. */
interface Product {
  name: string;
  weights: number;
  /** Rows from `rowsA` on when they are Q6 and the others Q4. */
  partB?: { weights: number; rowsA: number };
  type: Quantisation;
  x: number;
  /** Blocks that share a tile's inputs, on Hopper. */
  splits: number;
  out: { at: number; rows: number; stride: number; offset?: number };
}

export class PromptSteps {
  readonly #device: Device;
  readonly #isWgmma: boolean;
  readonly #options: PromptOptions;
  readonly #runs: { part: PromptPart; run: Run }[] = [];

  constructor(device: Device, options: PromptOptions) {
    this.#device = device;
    this.#isWgmma = hasWgmma(device.facts.capability);
    this.#options = options;
    const { prompt } = options.workspace;
    const embedArgs = [u64(options.weights.embedding), u64(prompt.tokens), u64(prompt.x)];
    this.#runs.push({
      part: "embed",
      run: ({ tokens }) => device.kernel("embed_tokens").launch({ grid: [tokens], block: 256 }, embedArgs),
    });
    for (const [index, layer] of options.weights.layers.entries()) this.#runs.push(...this.#layer(index, layer));
  }

  /** `only`: one kind of kernel, for the bench. */
  run(chunk: PromptChunk, only?: PromptPart): void {
    for (const { part, run } of this.#runs) if (only === undefined || part === only) run(chunk);
  }

  planAttention(blocks: readonly QueryBlock[]): AttentionPlan {
    const { shape, workspace } = this.#options;
    const { multiprocessors } = this.#device.facts;
    const { partialTokens } = workspace.prompt;
    return planAttention(blocks, { kvHeads: shape.kvHeads, multiprocessors, partialTokens });
  }

  #layer(index: number, layer: LayerWeights): { part: PromptPart; run: Run }[] {
    const { shape, workspace } = this.#options;
    const { prompt, pageTable, tableStride, pool, poolLayerBytes, turns } = workspace;
    const { hidden, feedForward, heads, kvHeads } = shape;
    const epsilon = f32(this.#options.epsilon);
    const queryRows = heads * headDim;
    const queryKeyRows = queryRows + kvHeads * headDim;
    const qkvRows = queryKeyRows + kvHeads * headDim;
    const pages = pool + index * poolLayerBytes;
    const residual = { at: prompt.x, rows: hidden, stride: hidden };
    const qkv = { weights: layer.qkv, x: prompt.normed, splits: inputSplits.qkv };
    const norm = (gain: number): { part: PromptPart; run: Run } => ({
      ...{ part: "norm", run: this.#perToken("norm_rows_f16", struct([prompt.x, gain, prompt.normed], [epsilon])) },
    });
    const writeArgs = struct(
      [
        ...[prompt.qkv, layer.queryNorm, layer.keyNorm, turns, prompt.slots, prompt.positions],
        ...[pageTable, pages, prompt.q],
      ],
      [i32(tableStride), epsilon],
    );
    const writeKernel = kvKernel("kv_write_prefill", this.#options.kvType);
    const writeRows = Math.ceil((heads + 2 * kvHeads) / 8);
    const flashArgs = struct(
      [prompt.q, pages, pageTable, prompt.blocks, prompt.attended, prompt.partials],
      [i32(tableStride), i32(0), i32(1)],
    );
    const products = this.#isWgmma
      ? [
          this.#wgmmaProduct({
            ...{ ...qkv, name: "prefill_qkv", type: "q6" },
            partB: { weights: layer.value, rowsA: layer.valueType === "q6" ? queryKeyRows : qkvRows },
            out: { at: prompt.qkv, rows: qkvRows, stride: qkvRows },
          }),
        ]
      : [
          this.#portableProduct({
            ...{ ...qkv, name: "prefill_qkv_q4", type: "q4" },
            out: { at: prompt.qkv, rows: queryKeyRows, stride: qkvRows },
          }),
          this.#portableProduct({
            ...{ ...qkv, name: `prefill_qkv_${layer.valueType}`, weights: layer.value, type: layer.valueType },
            out: { at: prompt.qkv, rows: kvHeads * headDim, stride: qkvRows, offset: queryKeyRows },
          }),
        ];
    const o = { name: "prefill_o", weights: layer.attentionOutput, x: prompt.attended };
    const gateUp = { name: "prefill_gate_up", weights: layer.gateUp, x: prompt.normed };
    const gated = { at: prompt.h, rows: 2 * feedForward, stride: feedForward };
    const down = { name: `prefill_down_${layer.downType}`, weights: layer.down, x: prompt.h };
    return [
      norm(layer.attentionNorm),
      ...products.map((run) => ({ part: "qkv" as const, run })),
      { part: "kv_write", run: this.#perToken(writeKernel, writeArgs, writeRows) },
      { part: "attention", run: this.#attention(flashArgs) },
      { part: "o", run: this.#product({ ...o, type: "q4", splits: inputSplits.o, out: residual }) },
      norm(layer.feedForwardNorm),
      { part: "gate_up", run: this.#product({ ...gateUp, type: "q4", splits: inputSplits.gateUp, out: gated }) },
      { part: "down", run: this.#product({ ...down, type: layer.downType, splits: inputSplits.down, out: residual }) },
    ];
  }

  #perToken(name: string, args: Argument, rows = 1): Run {
    // The portable kernels do not wait for one another by themselves.
    const launch = this.#device.kernel(name).repeated({ block: 256, overlaps: this.#isWgmma }, args);
    return ({ tokens }) => launch.run([tokens, rows]);
  }

  #attention(args: Argument): Run {
    const { kvType } = this.#options;
    const { block, sharedBytes } = this.#isWgmma ? flash.wgmma : flash.portable;
    const { kvHeads } = this.#options.shape;
    const [firstBlockAt, splitsAt] = [6 * 8 + 4, 6 * 8 + 8];
    const attend = this.#device
      .kernel(kvKernel("attention_prefill", kvType))
      .repeated({ block, sharedBytes: sharedBytes[kvType], overlaps: this.#isWgmma }, args);
    const merge = this.#device.kernel("attention_merge").repeated({ block: 128, overlaps: this.#isWgmma }, args);
    return ({ attention }) => {
      for (const { firstBlock, blocks, splits } of attention) {
        for (const launch of [attend, merge]) {
          launch.args.setInt32(firstBlockAt, firstBlock, true);
          launch.args.setInt32(splitsAt, splits, true);
        }
        attend.run([blocks, kvHeads, splits]);
        if (splits > 1) merge.run([blocks, kvHeads, queryBlockTokens]);
      }
    };
  }

  #product(product: Product): Run {
    return this.#isWgmma ? this.#wgmmaProduct(product) : this.#portableProduct(product);
  }

  #portableProduct({ name, weights, type, x, out }: Product): Run {
    const sharedBytes = 2 * 8 * unitBytes[type] + 2 * 128 * 64 * 2 + 128 * 8 * 4;
    const args = struct([weights, x, out.at], [i32(0), i32(out.stride), i32(out.offset ?? 0)]);
    const launch = this.#device.kernel(name).repeated({ block: 128, sharedBytes }, args);
    return ({ tokens }) => {
      launch.args.setInt32(3 * 8, tokens, true);
      launch.run([Math.ceil(tokens / 128), out.rows / 128]);
    };
  }

  #wgmmaProduct({ name, weights, partB, type, x, splits, out }: Product): Run {
    const args = struct([weights, partB?.weights ?? 0, x, out.at], [i32(0), i32(out.stride), i32(partB?.rowsA ?? 0)]);
    const launches = new Map<number, RepeatedLaunch>();
    for (const columns of tileColumns) {
      const kernel = this.#device.kernel(`${name}_${columns}`);
      // Where one tile holds all tokens: of gate and up there are more blocks than a GPU has multiprocessors, of the others fewer.
      const sharedBytes = wgmmaSharedBytes(columns, type, { isDeep: columns < 128 && name !== "prefill_gate_up" });
      launches.set(columns, kernel.repeated({ block: 256, sharedBytes, overlaps: true }, args));
    }
    return ({ tokens }) => {
      const columns = tileColumns.find((candidate) => tokens <= candidate) ?? 128;
      const launch = launches.get(columns);
      launch?.args.setInt32(4 * 8, tokens, true);
      launch?.run([Math.ceil(tokens / columns), out.rows / 128, splits], { cluster: splits });
    };
  }
}

/** Tokens of a tile of gemm_prefill_hopper; 64 and 96 only where one tile holds all. */
const tileColumns = [64, 96, 128] as const;

function wgmmaSharedBytes(columns: number, type: Quantisation, { isDeep }: { isDeep: boolean }): number {
  const stages = isDeep ? 8 : columns === 64 ? 6 : columns === 96 || type === "q4" ? 4 : 3;
  const unitStages = isDeep ? 4 : columns < 128 ? 3 : 2;
  return stages * columns * 128 + unitStages * 8 * unitBytes[type] + 8 * 128 * 4 + 2 * (stages + unitStages) * 8;
}
