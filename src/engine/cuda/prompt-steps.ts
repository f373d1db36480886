// A chunk of prompt tokens as launches: all layers, nine kernels each, KV into the pages. Two sets of kernels do the large work: portable ones, and on
// Hopper those that multiply with wgmma, where few tokens are shared out over clusters of blocks. All launches are made once: a step only
// changes what depends on its tokens.
import { type Argument, type Device, f32, i32, type RepeatedLaunch, struct, u64 } from "./device.ts";
import { hasWgmma, headDim, type KernelShape, pageBytes, pageTokens, type Quantisation, unitBytes } from "./kernels.ts";
import type { Weights } from "./weights.ts";
import { splitPlaces, type Workspace } from "./workspace.ts";

/** Tokens that a block of attention_prefill serves, and its rows: four query heads each. */
export const queryBlockTokens = 48;
const queryBlockRows = 4 * queryBlockTokens;
const flash = {
  portable: { block: 384, sharedBytes: 2 * pageBytes + 2 * 32_768 },
  wgmma: { block: 512, sharedBytes: 4 * 32_768 + 3 * pageBytes + 11 * 8 },
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
  readonly #kvHeads: number;
  readonly #runs: Run[] = [];

  constructor(
    device: Device,
    options: { shape: KernelShape; weights: Weights; workspace: Workspace; epsilon: number },
  ) {
    this.#device = device;
    this.#isWgmma = hasWgmma(device.facts.capability);
    const { shape, weights, workspace: space } = options;
    const { prompt, pageTable, tableStride, pool, poolLayerBytes, turns } = space;
    const { hidden, feedForward, heads, kvHeads } = shape;
    this.#kvHeads = kvHeads;
    const epsilon = f32(options.epsilon);
    const queryRows = heads * headDim;
    const qkvRows = queryRows + 2 * kvHeads * headDim;
    const queryKeyRows = queryRows + kvHeads * headDim;
    const step: Run[] = this.#runs;
    const perToken = (name: string, args: Argument, rows = 1): void => {
      const launch = device.kernel(name).repeated({ block: 256 }, args);
      step.push(({ chunk }) => launch.run([chunk.tokens, rows]));
    };
    const embedArgs = [u64(weights.embedding), u64(prompt.tokens), u64(prompt.x)];
    step.push(({ chunk }) => device.kernel("embed_tokens").launch({ grid: [chunk.tokens], block: 256 }, embedArgs));
    for (const [index, layer] of weights.layers.entries()) {
      const pages = pool + index * poolLayerBytes;
      const residual = { at: prompt.x, rows: hidden, stride: hidden };
      perToken("norm_rows_f16", struct([prompt.x, layer.attentionNorm, prompt.normed], [epsilon]));
      const qkv = { x: prompt.normed, inputs: hidden, stride: qkvRows };
      if (this.#isWgmma) {
        step.push(
          this.#product({
            ...{ name: `prefill_qkv_${layer.valueType}`, weights: layer.qkv, type: layer.valueType, ...qkv },
            partB: { weights: layer.value, rowsA: layer.valueType === "q6" ? queryKeyRows : qkvRows },
            out: { at: prompt.qkv, rows: qkvRows, stride: qkvRows },
          }),
        );
      } else {
        step.push(
          this.#product({
            ...{ name: "prefill_qkv_q4", weights: layer.qkv, type: "q4", ...qkv },
            out: { at: prompt.qkv, rows: queryKeyRows, stride: qkvRows },
          }),
          this.#product({
            ...{ name: `prefill_qkv_${layer.valueType}`, weights: layer.value, type: layer.valueType, ...qkv },
            out: { at: prompt.qkv, rows: kvHeads * headDim, stride: qkvRows, offset: queryKeyRows },
          }),
        );
      }
      perToken(
        "kv_write_prefill",
        struct(
          [
            ...[prompt.qkv, layer.queryNorm, layer.keyNorm, turns, prompt.slots, prompt.positions],
            ...[pageTable, pages, prompt.q],
          ],
          [i32(tableStride), epsilon],
        ),
        Math.ceil((heads + 2 * kvHeads) / 8),
      );
      step.push(
        this.#attention(
          struct(
            [prompt.q, pages, pageTable, prompt.blocks, prompt.attended, prompt.partials],
            [i32(tableStride), i32(1), i32(0)],
          ),
        ),
      );
      step.push(
        this.#product({
          ...{ name: "prefill_o", weights: layer.attentionOutput, type: "q4", x: prompt.attended },
          ...{ inputs: queryRows, out: residual },
        }),
      );
      perToken("norm_rows_f16", struct([prompt.x, layer.feedForwardNorm, prompt.normed], [epsilon]));
      step.push(
        this.#product({
          ...{ name: "prefill_gate_up", weights: layer.gateUp, type: "q4", x: prompt.normed, inputs: hidden },
          out: { at: prompt.h, rows: 2 * feedForward, stride: feedForward },
        }),
        this.#product({
          ...{ name: `prefill_down_${layer.downType}`, weights: layer.down, type: layer.downType, x: prompt.h },
          ...{ inputs: feedForward, out: residual },
        }),
      );
    }
  }

  run(chunk: PromptChunk): void {
    const step = { chunk, splits: this.#splits(chunk) };
    for (const run of this.#runs) run(step);
  }

  #attention(args: Argument): Run {
    const { block, sharedBytes } = this.#isWgmma ? flash.wgmma : flash.portable;
    const [splitsAt, blocksAt] = [6 * 8 + 4, 6 * 8 + 8];
    const attend = this.#device.kernel("attention_prefill").repeated({ block, sharedBytes }, args);
    const merge = this.#device.kernel("attention_merge").repeated({ block: 32 }, args);
    return ({ chunk: { blocks }, splits }) => {
      for (const launch of splits > 1 ? [attend, merge] : [attend]) {
        launch.args.setInt32(splitsAt, splits, true);
        launch.args.setInt32(blocksAt, blocks, true);
      }
      attend.run([blocks, this.#kvHeads, splits]);
      if (splits > 1) merge.run([blocks, this.#kvHeads, queryBlockRows]);
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
      launches.set(columns, kernel.repeated({ block: 256, sharedBytes: wgmmaSharedBytes(columns, type) }, args));
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
    const places = blocks * this.#kvHeads;
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
  const wanted = Math.floor((1.2 * multiprocessors) / tiles);
  const most = Math.min(8, units);
  return wanted >= 8 && most >= 8 ? 8 : wanted >= 4 && most >= 4 ? 4 : wanted >= 2 && most >= 2 ? 2 : 1;
}
