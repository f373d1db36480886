import assert from "node:assert/strict";
import test from "node:test";
import { KvPages } from "./kv-pages.ts";
import { hashOfPage, PrefixTree } from "./prefix-tree.ts";

const tokens = (...ids: number[]): Int32Array => Int32Array.from(ids);

test("a request for more pages than are free takes none", () => {
  const pages = new KvPages(3);
  assert.equal(pages.take(4), undefined);
  assert.deepEqual(pages.take(3), tokens(0, 1, 2));
  assert.equal(pages.take(1), undefined);
});

test("a shared page is free only when its last holder has released it", () => {
  const pages = new KvPages(1);
  pages.take(1);
  pages.share(0);
  pages.release(0);
  assert.equal(pages.freeCount, 0);
  pages.release(0);
  assert.equal(pages.freeCount, 1);
});

test("releasing or sharing a free page is a broken invariant, not a silent double owner", () => {
  const pages = new KvPages(2);
  assert.throws(() => pages.release(0), /page 0 is held by nobody/);
  assert.throws(() => pages.share(1), /page 1 is free/);
});

test("a kept page survives its holder, counts as reclaimable and can be held again", () => {
  const pages = new KvPages(2);
  const tree = new PrefixTree(2, pages);
  pages.take(1);
  tree.add(undefined, 0, { tokens: tokens(5, 6), start: 0 });
  pages.release(0);
  assert.deepEqual([pages.freeCount, pages.reclaimableCount], [1, 1]);
  pages.share(0);
  assert.deepEqual([pages.freeCount, pages.reclaimableCount], [1, 0]);
  assert.equal(tree.evict(1), 0);
  pages.release(0);
  assert.equal(tree.evict(5), 1);
  assert.deepEqual([pages.freeCount, pages.reclaimableCount, tree.pageCount], [2, 0, 0]);
});

test("a beginning is matched by whole pages, within the limit, and only along equal tokens", () => {
  const { tree } = treeOf(tokens(1, 2, 3, 4, 5, 6));
  const length = (...ids: number[]): number => tree.match(tokens(...ids), ids.length).length;
  assert.equal(length(1, 2, 3, 4, 5, 6), 3);
  assert.equal(length(1, 2, 3, 4, 5), 2);
  assert.equal(length(1, 2, 9, 4, 5, 6), 1);
  assert.equal(length(3, 4), 0);
  assert.equal(tree.match(tokens(1, 2, 3, 4), 3).length, 1);
});

test("ids above 65,535 and ids that share their low half are told apart", () => {
  const { tree } = treeOf(tokens(151_645, 151_643));
  assert.equal(tree.match(tokens(151_645, 151_643), 2).length, 1);
  assert.equal(tree.match(tokens(151_645 - 65_536, 151_643), 2).length, 0);
});

test("pages whose hashes happen to be the same are told apart, and one can go without the other", () => {
  const [first, second] = sameHash();
  for (const gone of [first, second]) {
    const pages = new KvPages(2);
    const tree = new PrefixTree(2, pages);
    pages.take(2);
    for (const [page, path] of [first, second].entries()) tree.add(undefined, page, { tokens: path, start: 0 });
    assert.deepEqual([tree.childOf(undefined, first, 0)?.page, tree.childOf(undefined, second, 0)?.page], [0, 1]);
    pages.release(gone === first ? 0 : 1);
    assert.equal(tree.evict(1), 1);
    const stays = gone === first ? second : first;
    assert.deepEqual([tree.childOf(undefined, gone, 0), tree.match(stays, 2).length], [undefined, 1]);
  }
});

test("the least recently used leaf goes first, and a parent only after its children", () => {
  const pages = new KvPages(4);
  const tree = new PrefixTree(1, pages);
  pages.take(4);
  const root = tree.add(undefined, 0, { tokens: tokens(1), start: 0 });
  const old = tree.add(root, 1, { tokens: tokens(1, 2), start: 1 });
  const recent = tree.add(root, 2, { tokens: tokens(1, 3), start: 1 });
  const other = tree.add(undefined, 3, { tokens: tokens(9), start: 0 });
  for (const node of [recent, old, other, recent]) tree.touch(node);
  for (const page of [0, 1, 2, 3]) pages.release(page);
  const left = (): number[] =>
    [root, old, recent, other]
      .filter((node) => tree.match(pathOf(node), pathOf(node).length).includes(node))
      .map(({ page }) => page);
  assert.deepEqual(left(), [0, 1, 2, 3]);
  tree.evict(1);
  assert.deepEqual(left(), [0, 2, 3]);
  tree.evict(1);
  assert.deepEqual(left(), [0, 2]);
  tree.evict(1);
  assert.deepEqual(left(), [0]);
  assert.equal(tree.evict(1), 1);

  function pathOf(node: typeof root): Int32Array {
    return { 0: tokens(1), 1: tokens(1, 2), 2: tokens(1, 3), 3: tokens(9) }[node.page] ?? tokens();
  }
});

test("everything reclaimable is given up in one call, whatever the order of the nodes", () => {
  const { pages, tree } = treeOf(tokens(1, 2, 3, 4, 5, 6, 7, 8));
  assert.equal(pages.reclaimableCount, 4);
  assert.equal(tree.evict(4), 4);
  assert.equal(pages.freeCount, 4);
});

/** Two different pages of two tokens with one hash: among a few hundred thousand there are some. */
function sameHash(): [Int32Array, Int32Array] {
  const seen = new Map<number, Int32Array>();
  for (let count = 1; count < 1_000_000; count++) {
    const page = tokens(Math.imul(count, 0x2545f491), Math.imul(count, 0x85ebca6b) >>> 9);
    const hash = hashOfPage(page, 0, 2);
    const other = seen.get(hash);
    if (other) return [other, page];
    seen.set(hash, page);
  }
  assert.fail("no two pages have one hash");
}

function treeOf(path: Int32Array): { pages: KvPages; tree: PrefixTree } {
  const count = path.length / 2;
  const pages = new KvPages(count);
  const tree = new PrefixTree(2, pages);
  pages.take(count);
  let node: ReturnType<PrefixTree["add"]> | undefined;
  for (let page = 0; page < count; page++) node = tree.add(node, page, { tokens: path, start: 2 * page });
  for (let page = 0; page < count; page++) pages.release(page);
  return { pages, tree };
}
