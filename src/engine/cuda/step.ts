// One step as it is planned: which slots to fill, which page table entries to set, what to compute, and whose it is.
import type { SlotSettings, StepEntry } from "./runner-contract.ts";
import type { Sequence } from "./sequence.ts";

/** Whose entry it is, the filling it belongs to, and the prompt tokens not computed until then: a later step may find more. */
export interface EntryOwner {
  sequence: Sequence;
  epoch: number;
  cachedTokens: number;
}

/** What the runner is to do, in this order: fill slots, set page table entries, compute the entries. */
export interface Step {
  readonly fills: readonly { slot: number; settings: SlotSettings }[];
  readonly pages: readonly { slot: number; firstPage: number; pages: Int32Array }[];
  readonly entries: readonly StepEntry[];
  readonly owners: readonly EntryOwner[];
  readonly promptTokens: number;
  readonly decodeTokens: number;
}

/** Collects a step's entries with the fills and page table entries they need. */
export class StepDraft {
  room: number;
  readonly #fills: { slot: number; settings: SlotSettings }[] = [];
  readonly #pages: { slot: number; firstPage: number; pages: Int32Array }[] = [];
  readonly #entries: StepEntry[] = [];
  readonly #owners: EntryOwner[] = [];
  #promptTokens = 0;
  #decodeTokens = 0;

  constructor(stepTokens: number) {
    this.room = stepTokens;
  }

  add(sequence: Sequence, entry: StepEntry): void {
    const { slot, epoch, pages, pagesTold } = sequence;
    if (sequence.filledEpoch !== epoch) {
      this.#fills.push({ slot, settings: sequence.slotSettings() });
      sequence.filledEpoch = epoch;
    }
    if (pagesTold < pages.length) {
      this.#pages.push({ slot, firstPage: pagesTold, pages: Int32Array.from(pages.slice(pagesTold)) });
      sequence.pagesTold = pages.length;
    }
    this.#entries.push(entry);
    this.#owners.push({ sequence, epoch, cachedTokens: sequence.cachedTokens });
    const tokens = entry.tokens?.length ?? 1;
    this.room -= tokens;
    if (entry.tokens) this.#promptTokens += tokens;
    else this.#decodeTokens++;
  }

  step(): Step | undefined {
    if (this.#entries.length === 0) return undefined;
    return {
      fills: this.#fills,
      pages: this.#pages,
      entries: this.#entries,
      owners: this.#owners,
      promptTokens: this.#promptTokens,
      decodeTokens: this.#decodeTokens,
    };
  }
}
