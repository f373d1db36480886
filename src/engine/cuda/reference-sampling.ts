// What kernels/sample.cu must come to, in plain float64: the tokens that may be drawn, their probabilities, and the one that (seed, draw) picks.
// Where the choice hangs on the last bits of a sum, it says so: the kernel's arithmetic is float32 there.
import type { Sampling } from "../contract.ts";

export interface ReferenceDraw {
  sampling: Sampling;
  seed: number;
  draw: number;
  /** Prompt and answer so far. */
  recent: ArrayLike<number>;
  mask?: Int32Array | undefined;
}

export interface ReferenceChoice {
  id: number;
  /** Tokens that may be drawn, likeliest first, with the probability of each. */
  kept: readonly { id: number; probability: number }[];
  /** How near the choice is to another one, as a share of all probability. */
  margin: number;
}

/** Top-k up to here draws in order of likelihood; without it the draw goes through the vocabulary in the threads' order. */
const longestList = 1024;
const threads = 1024;

export function referenceChoice(
  logits: Float32Array,
  { sampling, seed, draw, recent, mask }: ReferenceDraw,
): ReferenceChoice {
  const values = changedLogits(logits, sampling, recent);
  const sorted = Array.from(values.keys())
    .filter((id) => !mask || ((mask[id >> 5] ?? 0) >>> (id & 31)) & 1)
    .sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
  const best = values[sorted[0] ?? 0] ?? 0;
  if (sampling.temperature === 0)
    return { id: sorted[0] ?? 0, kept: [{ id: sorted[0] ?? 0, probability: 1 }], margin: 1 };
  const away = (id: number): number => (values[id] ?? 0) - best;
  const { topK, topP, minP, temperature } = sampling;
  const listed = topK > 0 ? sorted.slice(0, topK) : sorted;
  const share = shareOf(
    listed.map((id) => Math.exp(away(id))),
    topP,
  );
  const least = Math.log(minP);
  const kept = listed.slice(0, share.count).filter((id) => away(id) >= least);
  const minMargin =
    minP > 0 ? Math.min(...listed.slice(0, share.count).map((id) => Math.abs(away(id) - least) || 1)) : 1;
  const weights = new Map(kept.map((id) => [id, Math.exp(away(id) / temperature)]));
  const total = kept.reduce((sum, id) => sum + (weights.get(id) ?? 0), 0);
  const order =
    topK > 0 && topK <= longestList ? kept : kept.toSorted((a, b) => (a % threads) - (b % threads) || a - b);
  const target = uniform(seed, draw) * total;
  let [upto, id, margin] = [0, order.at(-1) ?? 0, 1];
  for (const candidate of order) {
    const from = upto;
    upto += weights.get(candidate) ?? 0;
    if (target >= upto) continue;
    id = candidate;
    margin = Math.min(target - from, upto - target) / total;
    break;
  }
  return {
    id,
    kept: kept.map((each) => ({ id: each, probability: (weights.get(each) ?? 0) / total })),
    margin: Math.min(kept.length === 1 ? 1 : margin, share.margin, minMargin),
  };
}

/** Biases, then penalties, rounded to float32 where the kernel stores. */
function changedLogits(logits: Float32Array, sampling: Sampling, recent: ArrayLike<number>): Float32Array {
  const { logitBias, penaltyTokens, repeatPenalty, presencePenalty, frequencyPenalty } = sampling;
  const values = logits.slice();
  for (const [id, bias] of logitBias) values[id] = Math.fround((values[id] ?? 0) + bias);
  const counts = new Map<number, number>();
  for (const id of Array.from(recent).slice(Math.max(0, recent.length - penaltyTokens))) {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  if (penaltyTokens === 0) counts.clear();
  for (const [id, count] of counts) {
    const before = values[id] ?? 0;
    const repeated = before > 0 ? before / repeatPenalty : before * repeatPenalty;
    values[id] = Math.fround(repeated - (presencePenalty + frequencyPenalty * count));
  }
  return values;
}

/** How many of these falling masses it takes to come to a share of them all, and how near that is to one more or one less. */
function shareOf(masses: readonly number[], topP: number): { count: number; margin: number } {
  if (topP >= 1) return { count: masses.length, margin: 1 };
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  let [sum, count, margin] = [0, 0, 1];
  for (const mass of masses) {
    if (count > 0) margin = Math.min(margin, Math.abs(sum / total - topP));
    if (count > 0 && sum >= topP * total) break;
    sum += mass;
    count++;
  }
  return { count, margin };
}

/** In [0, 1), 24 bits of (seed, draw): the kernel's. */
export function uniform(seed: number, draw: number): number {
  const mask = (1n << 64n) - 1n;
  let z = (BigInt(seed) + 0x9e3779b97f4a7c15n * BigInt(draw + 1)) & mask;
  for (let round = 0; round < 2; round++) {
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    z ^= z >> 31n;
  }
  return Number(z >> 40n) / 2 ** 24;
}
