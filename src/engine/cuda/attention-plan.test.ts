import assert from "node:assert/strict";
import test from "node:test";
import { type AttentionPlan, planAttention, queryBlocksOf, queryBlockTokens } from "./attention-plan.ts";

const h200 = { kvHeads: 8, multiprocessors: 132, partialTokens: 4752 };
const small = { kvHeads: 8, multiprocessors: 20, partialTokens: 2048 };
const chunks = (...all: [tokens: number, position: number][]) => {
  let row = 0;
  return all.flatMap(([tokens, position], slot) => {
    row += tokens;
    return queryBlocksOf({ slot, row: row - tokens, tokens, position });
  });
};
const splitsOf = ({ position, tokens }: { position: number; tokens: number }): number =>
  Math.floor((position + tokens - 1) / 4096) + 1;

test("a chunk is cut into blocks of queries without a gap", () => {
  assert.deepEqual(queryBlocksOf({ slot: 3, row: 10, tokens: 100, position: 4090 }), [
    { slot: 3, row: 10, tokens: 48, position: 4090 },
    { slot: 3, row: 58, tokens: 48, position: 4138 },
    { slot: 3, row: 106, tokens: 4, position: 4186 },
  ]);
});

test("every block of queries is in one launch, which has room for its splits", () => {
  for (const size of [h200, small]) {
    for (const blocks of [
      ...[chunks([1, 0]), chunks([4752, 0]), chunks([512, 131_000]), chunks([200, 262_000 - 200])],
      ...[chunks([68, 30_000], [300, 0], [1, 100_000], [47, 4090]), chunks([1900, 8000], [100, 4000])],
    ]) {
      const plan = planAttention(blocks, size);
      let next = 0;
      for (const { firstBlock, blocks: count, splits } of plan.launches) {
        assert.equal(firstBlock, next);
        next += count;
        if (splits === 1) continue;
        assert.ok(count * splits * queryBlockTokens <= size.partialTokens, `${count} blocks of ${splits} splits`);
        for (const block of plan.blocks.slice(firstBlock, next)) assert.ok(splitsOf(block) <= splits);
      }
      assert.equal(next, blocks.length);
      assert.deepEqual(new Set(plan.blocks), new Set(blocks));
    }
  }
});

test("few tokens behind a long context get a block of threads a split, many go through it", () => {
  const shape = ({ launches }: AttentionPlan) => launches.map(({ blocks, splits }) => [blocks, splits]);
  assert.deepEqual(shape(planAttention(chunks([68, 30_000]), h200)), [[2, 8]]);
  assert.deepEqual(shape(planAttention(chunks([4752, 126_000]), h200)), [[99, 1]]);
  assert.deepEqual(shape(planAttention(chunks([512, 0]), h200)), [[11, 1]]);
  // 32 splits of three blocks are what the partial results have room for.
  assert.deepEqual(shape(planAttention(chunks([200, 131_072 - 200]), h200)), [
    [3, 32],
    [2, 32],
  ]);
});

test("the longest contexts come first, and those of one split by themselves", () => {
  const { blocks, launches } = planAttention(chunks([300, 0], [20, 30_000], [30, 60_000]), h200);
  assert.deepEqual(
    blocks.map(({ slot }) => slot),
    [2, 1, 0, 0, 0, 0, 0, 0, 0],
  );
  assert.deepEqual(launches, [
    { firstBlock: 0, blocks: 2, splits: 15 },
    { firstBlock: 2, blocks: 7, splits: 1 },
  ]);
});
