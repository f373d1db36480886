// A chunk of prompt tokens as launches: all layers, nine kernels each, KV into the pages. Two sets of kernels do the large work: portable ones, and on
// Hopper those that multiply with wgmma, where few tokens are shared out over clusters of blocks. All launches are made once: a step only
// changes what depends on its tokens.
import type { Device } from "./device.ts";
import {
  hasWgmma,
  headDim,
  type KernelShape,
  kvKernel,
  pageBytes,
  pageTokens,
  type Quantisation,
  unitBytes,
} from "./kernels.ts";
import { type Argument, f32, i32, type RepeatedLaunch, struct, u64 } from "./launch.ts";
import type { KvType } from "./memory-plan.ts";
import type { LayerWeights, Weights } from "./weights.ts";
import { splitPlaces, type Workspace } from "./workspace.ts";

/** Tokens that a block of attention_prefill serves, and its rows: four query heads each. */
export const queryBlockTokens = 48;
const queryBlockRows = 4 * queryBlockTokens;
/** Pages in f16 are multiplied where they arrive; those in int8 have a place of their own before they are turned into such. */
const flash = {
  portable: { block: 384, sharedBytes: { int8: 2 * pageBytes.int8 + 2 * 32_768, f16: 2 * 32_768 } },
  wgmma: { block: 512, sharedBytes: { int8: 4 * 32_768 + 3 * pageBytes.int8 + 11 * 8, f16: 4 * 32_768 + 11 * 8 } },
} as const;

export interface PromptChunk {
  /** Tokens of all sequences in the step, one after another; already in the workspace's prompt arrays. */
  tokens: number;
  /** Blocks of up to queryBlockTokens queries. */
  blocks: number;
  /** The longest context any of them sees. */
  contextTokens: number;
}

interface Step {
  chunk: PromptChunk;
  /** Blocks that share the pages of one block of queries. */
  splits: number;
}
type Run = (step: Step) => void;
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
  inputs: number;
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
      run: ({ chunk }) => device.kernel("embed_tokens").launch({ grid: [chunk.tokens], block: 256 }, embedArgs),
    });
    for (const [index, layer] of options.weights.layers.entries()) this.#runs.push(...this.#layer(index, layer));
  }

  /** `only`: one kind of kernel, for the bench. */
  run(chunk: PromptChunk, only?: PromptPart): void {
    const step = { chunk, splits: this.#splits(chunk) };
    for (const { part, run } of this.#runs) if (only === undefined || part === only) run(step);
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
    const qkv = { weights: layer.qkv, x: prompt.normed, inputs: hidden };
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
      [i32(tableStride), i32(1), i32(0)],
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
    const o = { name: "prefill_o", weights: layer.attentionOutput, x: prompt.attended, inputs: queryRows };
    const gateUp = { name: "prefill_gate_up", weights: layer.gateUp, x: prompt.normed, inputs: hidden };
    const gated = { at: prompt.h, rows: 2 * feedForward, stride: feedForward };
    const down = { name: `prefill_down_${layer.downType}`, weights: layer.down, x: prompt.h, inputs: feedForward };
    return [
      norm(layer.attentionNorm),
      ...products.map((run) => ({ part: "qkv" as const, run })),
      { part: "kv_write", run: this.#perToken(writeKernel, writeArgs, writeRows) },
      { part: "attention", run: this.#attention(flashArgs) },
      { part: "o", run: this.#product({ ...o, type: "q4", out: residual }) },
      norm(layer.feedForwardNorm),
      { part: "gate_up", run: this.#product({ ...gateUp, type: "q4", out: gated }) },
      { part: "down", run: this.#product({ ...down, type: layer.downType, out: residual }) },
    ];
  }

  #perToken(name: string, args: Argument, rows = 1): Run {
    // The portable kernels do not wait for one another by themselves.
    const launch = this.#device.kernel(name).repeated({ block: 256, overlaps: this.#isWgmma }, args);
    return ({ chunk }) => launch.run([chunk.tokens, rows]);
  }

  #attention(args: Argument): Run {
    const { kvType } = this.#options;
    const { block, sharedBytes } = this.#isWgmma ? flash.wgmma : flash.portable;
    const [splitsAt, blocksAt] = [6 * 8 + 4, 6 * 8 + 8];
    const attend = this.#device
      .kernel(kvKernel("attention_prefill", kvType))
      .repeated({ block, sharedBytes: sharedBytes[kvType], overlaps: this.#isWgmma }, args);
    const merge = this.#device.kernel("attention_merge").repeated({ block: 32, overlaps: this.#isWgmma }, args);
    return ({ chunk: { blocks }, splits }) => {
      for (const launch of splits > 1 ? [attend, merge] : [attend]) {
        launch.args.setInt32(splitsAt, splits, true);
        launch.args.setInt32(blocksAt, blocks, true);
      }
      attend.run([blocks, this.#options.shape.kvHeads, splits]);
      if (splits > 1) merge.run([blocks, this.#options.shape.kvHeads, queryBlockRows]);
    };
  }

  #product(product: Product): Run {
    return this.#isWgmma ? this.#wgmmaProduct(product) : this.#portableProduct(product);
  }

  #portableProduct({ name, weights, type, x, out }: Product): Run {
    const sharedBytes = 2 * 8 * unitBytes[type] + 2 * 128 * 64 * 2 + 128 * 8 * 4;
    const args = struct([weights, x, out.at], [i32(0), i32(out.stride), i32(out.offset ?? 0)]);
    const launch = this.#device.kernel(name).repeated({ block: 128, sharedBytes }, args);
    return ({ chunk: { tokens } }) => {
      launch.args.setInt32(3 * 8, tokens, true);
      launch.run([Math.ceil(tokens / 128), out.rows / 128]);
    };
  }

  #wgmmaProduct({ name, weights, partB, type, x, inputs, out }: Product): Run {
    const args = struct([weights, partB?.weights ?? 0, x, out.at], [i32(0), i32(out.stride), i32(partB?.rowsA ?? 0)]);
    const launches = new Map<number, RepeatedLaunch>();
    for (const columns of tileColumns) {
      const kernel = this.#device.kernel(`${name}_${columns}`);
      const sharedBytes = wgmmaSharedBytes(columns, type);
      launches.set(columns, kernel.repeated({ block: 256, sharedBytes, overlaps: true }, args));
    }
    return ({ chunk: { tokens } }) => {
      const columns = tileColumns.find((candidate) => tokens <= candidate) ?? 128;
      const tiles = [Math.ceil(tokens / columns), out.rows / 128] as const;
      const cluster = clusterOf(tiles[0] * tiles[1], inputs / 256, this.#device.facts.multiprocessors);
      const launch = launches.get(columns);
      launch?.args.setInt32(4 * 8, tokens, true);
      launch?.run([...tiles, cluster], { cluster });
    };
  }

  /** Few queries against a long context leave most of the GPU idle: then the pages are dealt over blocks too. */
  #splits({ blocks, contextTokens }: PromptChunk): number {
    const places = blocks * this.#options.shape.kvHeads;
    const pages = Math.ceil(contextTokens / pageTokens);
    const most = Math.max(1, Math.min(16, Math.floor(pages / 4), Math.floor(splitPlaces / places)));
    // A block's time in pages; to begin, to hand over and to be merged costs about as much as six.
    const cost = (splits: number): number =>
      Math.ceil((places * splits) / this.#device.facts.multiprocessors) * (pages / splits + (splits > 1 ? 6 : 0));
    let best = 1;
    for (let splits = 2; splits <= most; splits++) if (cost(splits) < cost(best)) best = splits;
    return best;
  }
}

/** Tokens of a tile of gemm_prefill_hopper; 96 only where one tile holds all. */
const tileColumns = [64, 96, 128] as const;

function wgmmaSharedBytes(columns: number, type: Quantisation): number {
  const stages = columns === 128 && type === "q6" ? 3 : 4;
  return stages * columns * 128 + 2 * 8 * unitBytes[type] + 8 * 128 * 4 + (2 * stages + 4) * 8;
}

/** Blocks that share a tile's inputs, when there are too few tiles for the GPU. */
function clusterOf(tiles: number, units: number, multiprocessors: number): number {
  const most = Math.min(4, units, Math.floor((1.5 * multiprocessors) / tiles));
  return most >= 4 ? 4 : most >= 2 ? 2 : 1;
}
