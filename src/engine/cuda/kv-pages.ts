// The pool of KV pages: which are free, how many sequences hold each, and which the prefix tree keeps although nobody holds them.
// Knows page ids only, not what is in them. Pages change hands in the order of the steps: a page may be given to another sequence
// while a step in flight still writes to it for the old one, because the new owner's steps run later on the same stream.
//
// What must hold is checked without making the sentence first: a long prompt shares hundreds of pages at once.
import assert from "node:assert/strict";

export class KvPages {
  readonly count: number;
  /** Free ids are free[0..freeCount). */
  readonly #free: Int32Array;
  #freeCount: number;
  /** Sequences that hold the page. */
  readonly #holders: Int32Array;
  readonly #isKept: Uint8Array;
  #reclaimable = 0;

  constructor(count: number) {
    this.count = count;
    // Lowest id on top of the stack: a quiet engine touches few pages.
    this.#free = Int32Array.from({ length: count }, (_, index) => count - 1 - index);
    this.#freeCount = count;
    this.#holders = new Int32Array(count);
    this.#isKept = new Uint8Array(count);
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  /** Pages that only the prefix tree keeps: free for the asking, by its evict(). */
  get reclaimableCount(): number {
    return this.#reclaimable;
  }

  /** Takes `count` pages, or none: a sequence with half its pages could neither run nor finish. */
  take(count: number): Int32Array | undefined {
    if (count > this.#freeCount) return undefined;
    this.#freeCount -= count;
    // A copy, not a view: the next release overwrites this stretch of the stack.
    const pages = this.#free.slice(this.#freeCount, this.#freeCount + count).reverse();
    for (const page of pages) this.#holders[page] = 1;
    return pages;
  }

  holdersOf(page: number): number {
    return this.#holders[page] ?? 0;
  }

  /** One more sequence holds a page that is held or kept already. */
  share(page: number): void {
    const holders = this.holdersOf(page);
    if (holders === 0 && !this.#isKept[page]) assert.fail(`page ${page} is free and cannot be shared`);
    if (holders === 0) this.#reclaimable--;
    this.#holders[page] = holders + 1;
  }

  release(page: number): void {
    const holders = this.holdersOf(page);
    if (holders === 0) assert.fail(`page ${page} is held by nobody and cannot be released`);
    this.#holders[page] = holders - 1;
    if (holders > 1) return;
    if (this.#isKept[page]) this.#reclaimable++;
    else this.#free[this.#freeCount++] = page;
  }

  /** The prefix tree keeps the page beyond its holders' lives. */
  keep(page: number): void {
    if (this.#isKept[page] || this.holdersOf(page) === 0) assert.fail(`page ${page} cannot be kept`);
    this.#isKept[page] = 1;
  }

  /** The prefix tree lets go of a page that nobody else holds. */
  drop(page: number): void {
    if (!this.#isKept[page] || this.holdersOf(page) > 0) assert.fail(`page ${page} cannot be dropped`);
    this.#isKept[page] = 0;
    this.#reclaimable--;
    this.#free[this.#freeCount++] = page;
  }
}
