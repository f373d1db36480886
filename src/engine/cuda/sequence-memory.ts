// The pages of sequences: taken when a sequence gets its slot, shared where the prefix tree knows its beginning, kept there when it
// goes. Decides nothing: who gets pages and who loses them is the scheduler's word.
import assert from "node:assert/strict";
import { KvPages } from "./kv-pages.ts";
import { type PrefixNode, PrefixTree } from "./prefix-tree.ts";
import type { RunnerLimits } from "./runner-contract.ts";
import type { Sequence } from "./sequence.ts";

export class SequenceMemory {
  readonly #pageTokens: number;
  readonly #pages: KvPages;
  readonly #tree: PrefixTree;

  constructor({ pages, pageTokens }: Pick<RunnerLimits, "pages" | "pageTokens">) {
    this.#pageTokens = pageTokens;
    this.#pages = new KvPages(pages);
    this.#tree = new PrefixTree(pageTokens, this.#pages);
  }

  /** Pages held by sequences, kept by the prefix tree alone, and free: together all there are. */
  get counts(): { held: number; cached: number; free: number } {
    const { count, freeCount: free, reclaimableCount: cached } = this.#pages;
    return { held: count - free - cached, cached, free };
  }

  /** Pages that can be taken now, out of the prefix tree if need be. */
  get availableCount(): number {
    return this.#pages.freeCount + this.#pages.reclaimableCount;
  }

  /** Pages that would become available if these sequences went. */
  heldAloneBy(sequences: readonly Sequence[]): number {
    return sequences.flatMap(({ pages }) => pages).filter((page) => this.#pages.holdersOf(page) === 1).length;
  }

  /** Pages out of those available that the sequence's tokens need: all but the ones other sequences hold for it already. */
  neededBy(sequence: Sequence): number {
    const shared = this.#tree.match(sequence.tokens, sequence.tokenCount - 1);
    const held = shared.filter((node) => this.#pages.holdersOf(node.page) > 0).length;
    return this.pagesFor(sequence.tokenCount) - held;
  }

  /** Gives a sequence pages for all its tokens, shared ones first. They must be available. */
  fill(sequence: Sequence): void {
    this.adoptPrefix(sequence);
    sequence.pages.push(...this.#take(this.pagesFor(sequence.tokenCount) - sequence.pages.length));
  }

  /** Whether the next token goes to a page the sequence does not have yet. */
  isFull(sequence: Sequence): boolean {
    return sequence.submittedTokens >= sequence.pages.length * this.#pageTokens;
  }

  /** Gives a sequence one more page, which must be available. */
  grow(sequence: Sequence): void {
    sequence.pages.push(...this.#take(1));
  }

  /** Takes all pages back; full ones of known tokens stay in the prefix tree. */
  empty(sequence: Sequence): void {
    this.keepPrefix(sequence);
    for (const page of sequence.pages) this.#pages.release(page);
    sequence.pages = [];
    sequence.node = undefined;
    sequence.nodePages = 0;
  }

  pagesFor(tokens: number): number {
    return Math.ceil(tokens / this.#pageTokens);
  }

  /** Takes pages that are known to be there, out of the prefix tree if need be. */
  #take(count: number): Int32Array {
    if (count > this.#pages.freeCount) this.#tree.evict(count - this.#pages.freeCount);
    const pages = this.#pages.take(count);
    assert.ok(pages, `${count} pages were promised and are not there`);
    return pages;
  }

  /**
   * Goes on along the prefix tree from where the sequence stands, sharing pages that are computed already in place of its own. The
   * last token is always computed anew: its logits are wanted.
   */
  adoptPrefix(sequence: Sequence): void {
    const pageTokens = this.#pageTokens;
    const { tokens } = sequence;
    let start = sequence.submittedTokens;
    if (start % pageTokens !== 0 || sequence.nodePages * pageTokens !== start) return;
    for (; start + pageTokens < sequence.prefillTokens; start += pageTokens) {
      const node = this.#tree.childOf(sequence.node, tokens, start);
      if (!node) break;
      this.#stepInto(sequence, node);
    }
    if (start === sequence.submittedTokens) return;
    // Prompt tokens spared, once: what a pre-empted sequence finds of its own is no gift of an earlier request.
    if (sequence.epoch === 0) sequence.cachedTokens += start - sequence.submittedTokens;
    sequence.submittedTokens = start;
    if (sequence.node) this.#tree.touch(sequence.node);
  }

  /** Makes the node's page the sequence's next one on its path, in place of its own. */
  #stepInto(sequence: Sequence, node: PrefixNode): void {
    const index = sequence.nodePages++;
    const own = sequence.pages[index];
    sequence.node = node;
    if (own === node.page) return;
    this.#pages.share(node.page);
    sequence.pages[index] = node.page;
    sequence.pagesTold = Math.min(sequence.pagesTold, index);
    if (own !== undefined) this.#pages.release(own);
  }

  /** Offers the sequence's full pages of known tokens to the prefix tree. They are, or will be when read, computed: same stream. */
  keepPrefix(sequence: Sequence): void {
    const pageTokens = this.#pageTokens;
    const { tokens } = sequence;
    const full = Math.floor(Math.min(sequence.submittedTokens, tokens.length) / pageTokens);
    if (sequence.nodePages >= full) return;
    while (sequence.nodePages < full) {
      const index = sequence.nodePages;
      const page = sequence.pages[index] ?? -1;
      this.#stepInto(sequence, this.#tree.add(sequence.node, page, { tokens, start: index * pageTokens }));
    }
    if (sequence.node) this.#tree.touch(sequence.node);
  }
}
