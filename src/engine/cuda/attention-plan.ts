// Deals attention of a prompt's step over the GPU: which blocks of queries, and whether a block of threads goes through all of a context or one of
// its splits (64 pages each). What is computed is the same either way, bit for bit (kernels/attention_prefill.cu); here only time is decided.
import { pageTokens } from "./kernels.ts";

/** Tokens of one sequence that share a block of attention_prefill. */
export const queryBlockTokens = 48;
const splitPages = 64;

/** As the kernels read it: four 32-bit words. */
export interface QueryBlock {
  slot: number;
  /** The first token's row in the step. */
  row: number;
  tokens: number;
  /** The first token's place in its sequence. */
  position: number;
}

/** One launch of attention_prefill; with several splits a block each, attention_merge follows. */
export interface AttentionLaunch {
  firstBlock: number;
  blocks: number;
  splits: number;
}

export interface AttentionPlan {
  /** The longest first: launches mean this order. */
  blocks: readonly QueryBlock[];
  launches: readonly AttentionLaunch[];
}

/** A chunk of a sequence, cut into blocks. */
export function queryBlocksOf({ slot, row, tokens, position }: QueryBlock): QueryBlock[] {
  return Array.from({ length: Math.ceil(tokens / queryBlockTokens) }, (_, block) => {
    const at = block * queryBlockTokens;
    return { slot, row: row + at, tokens: Math.min(queryBlockTokens, tokens - at), position: position + at };
  });
}

export const blockWords = (blocks: readonly QueryBlock[]): Int32Array<ArrayBuffer> =>
  Int32Array.from(blocks.flatMap(({ slot, row, tokens, position }) => [slot, row, tokens, position]));

const pagesOf = ({ position, tokens }: QueryBlock): number => Math.ceil((position + tokens) / pageTokens);
const splitsOf = (block: QueryBlock): number => Math.ceil(pagesOf(block) / splitPages);

/** In pages of one block of threads: what it costs to begin and hand over, and what a launch and its merge cost. */
const [blockCost, launchCost] = [6, 10];

/**
 * Few blocks of queries behind a long context leave most of the GPU idle: then every split gets a block of threads, in launches whose partial results
 * fit `partialTokens` places. `partialTokens` is at least the tokens of the step.
 */
export function planAttention(unordered: readonly QueryBlock[], size: Size): AttentionPlan {
  const blocks = unordered.toSorted((a, b) => pagesOf(b) - pagesOf(a));
  const together = { launches: [{ firstBlock: 0, blocks: blocks.length, splits: 1 }], cost: wholeCost(blocks, size) };
  const apart = splitLaunches(blocks, size);
  return { blocks, launches: (apart && apart.cost < together.cost ? apart : together).launches };
}

interface Size {
  kvHeads: number;
  multiprocessors: number;
  partialTokens: number;
}
interface Priced {
  launches: AttentionLaunch[];
  cost: number;
}

/** Wave by wave, each as long as its longest block. */
function wholeCost(blocks: readonly QueryBlock[], { kvHeads, multiprocessors }: Size): number {
  let cost = 0;
  for (let place = 0; place < blocks.length * kvHeads; place += multiprocessors) {
    const longest = blocks[Math.floor(place / kvHeads)];
    cost += blockCost + (longest ? pagesOf(longest) : 0);
  }
  return cost;
}

/** Undefined where a single block has more splits than there are places. */
function splitLaunches(blocks: readonly QueryBlock[], size: Size): Priced | undefined {
  const short = blocks.findIndex((block) => splitsOf(block) === 1);
  const long = short < 0 ? blocks.length : short;
  const launches: AttentionLaunch[] = [];
  let cost = 0;
  for (let firstBlock = 0; firstBlock < long; ) {
    const longest = blocks[firstBlock];
    const splits = longest ? splitsOf(longest) : 1;
    const count = Math.min(long - firstBlock, Math.floor(size.partialTokens / queryBlockTokens / splits));
    if (count === 0) return undefined;
    const places = blocks.slice(firstBlock, firstBlock + count).reduce((sum, block) => sum + splitsOf(block), 0);
    cost += launchCost + Math.ceil((places * size.kvHeads) / size.multiprocessors) * (splitPages + blockCost);
    launches.push({ firstBlock, blocks: count, splits });
    firstBlock += count;
  }
  if (long < blocks.length) launches.push({ firstBlock: long, blocks: blocks.length - long, splits: 1 });
  return { launches, cost: cost + wholeCost(blocks.slice(long), size) };
}
