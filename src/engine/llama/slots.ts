// The KV memory of the llama engine: a fixed stretch for each sequence that may run together. What an ended sequence left behind
// stays until its slot is needed, so a request that begins like an earlier one computes only its tail. llama.cpp as we reach it
// cannot copy KV from one sequence to another: a prefix is reused where it lies, by one request at a time.
import { commonPrefixTokens } from "../common-prefix.ts";
import type { PromptIds } from "../contract.ts";

export interface Slot {
  readonly sequence: number;
  /** Tokens whose KV is there, in order. */
  tokens: number[];
  isRunning: boolean;
  /** When it was last taken; smaller is longer ago. */
  takenAt: number;
}

export class Slots {
  readonly all: readonly Slot[];
  #taken = 0;

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_, sequence) => ({ sequence, tokens: [], isRunning: false, takenAt: 0 }));
  }

  /**
   * The idle slot that serves this prompt best, and how many of its tokens it has already; undefined when all run. Best is
   * least work: tokens to compute now, and a quarter of those thrown away, which somebody may come back for.
   */
  take(promptIds: PromptIds): { slot: Slot; cachedTokens: number } | undefined {
    let best: { slot: Slot; cachedTokens: number; cost: number } | undefined;
    for (const slot of this.all) {
      if (slot.isRunning) continue;
      // The last prompt token is computed in any case: the first answer token comes from its logits.
      const cachedTokens = Math.min(commonPrefixTokens(slot.tokens, promptIds), promptIds.length - 1);
      const cost = promptIds.length - cachedTokens + (slot.tokens.length - cachedTokens) / 4;
      const isBetter = !best || cost < best.cost || (cost === best.cost && slot.takenAt < best.slot.takenAt);
      if (isBetter) best = { slot, cachedTokens, cost };
    }
    if (!best) return undefined;
    best.slot.isRunning = true;
    best.slot.takenAt = ++this.#taken;
    return best;
  }

  release(slot: Slot): void {
    slot.isRunning = false;
  }

  /** Tokens held by running sequences, and tokens kept for later ones. */
  counts(): { usedTokens: number; cachedTokens: number } {
    let usedTokens = 0;
    let cachedTokens = 0;
    for (const slot of this.all) {
      if (slot.isRunning) usedTokens += slot.tokens.length;
      else cachedTokens += slot.tokens.length;
    }
    return { usedTokens, cachedTokens };
  }
}
