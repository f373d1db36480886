// Shared beginnings: a tree whose every node is one full page of tokens, so that a path from the root spells the start of a prompt
// and names the pages that hold its KV. Nodes outlive the sequences that computed them and are given up, oldest leaf first, when
// memory is needed.
//
// Only full pages are shared. A prompt that differs within a page computes that page anew (63 tokens at most, in the step that has
// to compute the prompt's end anyway); copying the page instead would need a device operation to save next to nothing.
//
// Invariant: whoever holds a node's page holds the pages of all its ancestors too. So a page nobody holds has no held page below
// it, and everything counted as reclaimable can really be reclaimed.
//
// A prompt of 30,000 tokens walks through 470 nodes before its first step, so a node is found by a hash of its page's tokens and by comparing
// them, and moves in the order of use by pointers alone.
import type { KvPages } from "./kv-pages.ts";

export interface PrefixNode {
  readonly page: number;
  readonly parent: PrefixNode | undefined;
  /** Of the page's tokens. */
  readonly hash: number;
  /** By hash. */
  readonly children: Map<number, PrefixNode>;
  /** Another child of the same parent whose hash happens to be the same. */
  twin: PrefixNode | undefined;
  /** Used just before it, and just after. */
  before: PrefixNode | undefined;
  after: PrefixNode | undefined;
}

export class PrefixTree {
  readonly #pageTokens: number;
  readonly #pages: KvPages;
  readonly #roots = new Map<number, PrefixNode>();
  /** What each page in the tree spells: [pages, pageTokens]. */
  readonly #tokens: Int32Array;
  /** The ends of the order of use. A child is always used just before its parent, so it comes up before its parent does. */
  #oldest: PrefixNode | undefined;
  #newest: PrefixNode | undefined;
  #pageCount = 0;

  constructor(pageTokens: number, pages: KvPages) {
    this.#pageTokens = pageTokens;
    this.#pages = pages;
    this.#tokens = new Int32Array(pages.count * pageTokens);
  }

  /** Pages in the tree, held or not. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** The node below `parent` (a root, if undefined) for the page of tokens that starts at `start`. */
  childOf(parent: PrefixNode | undefined, tokens: Int32Array, start: number): PrefixNode | undefined {
    return this.#find(parent, hashOfPage(tokens, start, this.#pageTokens), { tokens, start });
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
  add(parent: PrefixNode | undefined, page: number, { tokens, start }: PageTokens): PrefixNode {
    const hash = hashOfPage(tokens, start, this.#pageTokens);
    const present = this.#find(parent, hash, { tokens, start });
    if (present) return present;
    const siblings = parent?.children ?? this.#roots;
    const links = { twin: siblings.get(hash), before: undefined, after: undefined };
    const node: PrefixNode = { page, parent, hash, children: new Map(), ...links };
    siblings.set(hash, node);
    this.#tokens.set(tokens.subarray(start, start + this.#pageTokens), page * this.#pageTokens);
    this.#pages.keep(page);
    this.#pageCount++;
    this.#append(node);
    return node;
  }

  /** Marks the path to the node as just used. */
  touch(node: PrefixNode): void {
    for (let at: PrefixNode | undefined = node; at; at = at.parent) {
      this.#unlink(at);
      this.#append(at);
    }
  }

  /** Gives up to `count` pages back to the pool, least recently used first; returns how many. */
  evict(count: number): number {
    const wanted = Math.min(count, this.#pages.reclaimableCount);
    let given = 0;
    // One round, unless a node stands before its own child, as it does from add() to touch().
    while (given < wanted) {
      let next: PrefixNode | undefined;
      for (let node = this.#oldest; node && given < wanted; node = next) {
        next = node.after;
        if (node.children.size > 0 || this.#pages.holdersOf(node.page) > 0) continue;
        this.#remove(node);
        given++;
      }
    }
    return given;
  }

  /** Equal hashes alone would give a prompt another one's memory. */
  #find(parent: PrefixNode | undefined, hash: number, { tokens, start }: PageTokens): PrefixNode | undefined {
    let node = (parent?.children ?? this.#roots).get(hash);
    while (node && !this.#spells(node, tokens, start)) node = node.twin;
    return node;
  }

  #spells({ page }: PrefixNode, tokens: Int32Array, start: number): boolean {
    const first = page * this.#pageTokens;
    for (let index = 0; index < this.#pageTokens; index++) {
      if (this.#tokens[first + index] !== tokens[start + index]) return false;
    }
    return true;
  }

  #remove(node: PrefixNode): void {
    const siblings = node.parent?.children ?? this.#roots;
    let sameHash = siblings.get(node.hash);
    if (sameHash !== node) {
      while (sameHash && sameHash.twin !== node) sameHash = sameHash.twin;
      if (sameHash) sameHash.twin = node.twin;
    } else if (node.twin) siblings.set(node.hash, node.twin);
    else siblings.delete(node.hash);
    this.#unlink(node);
    this.#pageCount--;
    this.#pages.drop(node.page);
  }

  #append(node: PrefixNode): void {
    node.before = this.#newest;
    if (this.#newest) this.#newest.after = node;
    else this.#oldest = node;
    this.#newest = node;
  }

  #unlink(node: PrefixNode): void {
    const { before, after } = node;
    if (before) before.after = after;
    else this.#oldest = after;
    if (after) after.before = before;
    else this.#newest = before;
    node.before = undefined;
    node.after = undefined;
  }
}

interface PageTokens {
  tokens: Int32Array;
  start: number;
}

/** 32 bits of `count` tokens: two pages in a tree seldom agree in it, and nothing goes wrong when they do. */
export function hashOfPage(tokens: Int32Array, start: number, count: number): number {
  let hash = count;
  for (let index = start; index < start + count; index++) {
    hash = Math.imul(hash ^ (tokens[index] ?? 0), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
