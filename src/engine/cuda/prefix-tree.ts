// Shared beginnings: a tree whose every node is one full page of tokens, so that a path from the root spells the start of a prompt
// and names the pages that hold its KV. Nodes outlive the sequences that computed them and are given up, oldest leaf first, when
// memory is needed.
//
// Only full pages are shared. A prompt that differs within a page computes that page anew (63 tokens at most, in the step that has
// to compute the prompt's end anyway); copying the page instead would need a device operation to save next to nothing.
//
// Invariant: whoever holds a node's page holds the pages of all its ancestors too. So a page nobody holds has no held page below
// it, and everything counted as reclaimable can really be reclaimed.
import type { KvPages } from "./kv-pages.ts";

export interface PrefixNode {
  readonly page: number;
  readonly parent: PrefixNode | undefined;
  readonly key: string;
  readonly children: Map<string, PrefixNode>;
}

export class PrefixTree {
  readonly #pageTokens: number;
  readonly #pages: KvPages;
  readonly #roots = new Map<string, PrefixNode>();
  /** All nodes, least recently used first. A child is always used just before its parent, so it comes up before its parent does. */
  readonly #byUse = new Set<PrefixNode>();

  constructor(pageTokens: number, pages: KvPages) {
    this.#pageTokens = pageTokens;
    this.#pages = pages;
  }

  /** Pages in the tree, held or not. */
  get pageCount(): number {
    return this.#byUse.size;
  }

  /** The node below `parent` (a root, if undefined) for the page of tokens that starts at `start`. */
  childOf(parent: PrefixNode | undefined, tokens: Int32Array, start: number): PrefixNode | undefined {
    return (parent?.children ?? this.#roots).get(this.#keyOf(tokens, start));
  }

  /** The nodes that spell the beginning of `tokens`, at most `limitTokens` of them. */
  match(tokens: Int32Array, limitTokens: number): PrefixNode[] {
    const path: PrefixNode[] = [];
    for (let start = 0; start + this.#pageTokens <= limitTokens; start += this.#pageTokens) {
      const node = this.childOf(path.at(-1), tokens, start);
      if (!node) break;
      path.push(node);
    }
    return path;
  }

  /**
   * Adds a page held by the caller below `parent`; if those tokens are there already, returns the node that has them. After adding
   * a run of pages, touch() the last.
   */
  add(
    parent: PrefixNode | undefined,
    page: number,
    { tokens, start }: { tokens: Int32Array; start: number },
  ): PrefixNode {
    const siblings = parent?.children ?? this.#roots;
    const key = this.#keyOf(tokens, start);
    const present = siblings.get(key);
    if (present) return present;
    const node: PrefixNode = { page, parent, key, children: new Map() };
    siblings.set(key, node);
    this.#pages.keep(page);
    this.#byUse.add(node);
    return node;
  }

  /** Marks the path to the node as just used. */
  touch(node: PrefixNode): void {
    for (let at: PrefixNode | undefined = node; at; at = at.parent) {
      this.#byUse.delete(at);
      this.#byUse.add(at);
    }
  }

  /** Gives up to `count` pages back to the pool, least recently used first; returns how many. */
  evict(count: number): number {
    const wanted = Math.min(count, this.#pages.reclaimableCount);
    let given = 0;
    // One round, unless a node stands before its own child, as it does from add() to touch().
    while (given < wanted) {
      for (const node of this.#byUse) {
        if (given >= wanted) break;
        if (node.children.size > 0 || this.#pages.holdersOf(node.page) > 0) continue;
        this.#remove(node);
        given++;
      }
    }
    return given;
  }

  #remove(node: PrefixNode): void {
    (node.parent?.children ?? this.#roots).delete(node.key);
    this.#byUse.delete(node);
    this.#pages.drop(node.page);
  }

  /** The page's ids as text of two code units each: a Map of strings compares all of it, a hash alone would not. */
  #keyOf(tokens: Int32Array, start: number): string {
    const units = new Uint16Array(tokens.buffer, tokens.byteOffset + 4 * start, 2 * this.#pageTokens);
    return String.fromCharCode.apply(undefined, units as unknown as number[]);
  }
}
