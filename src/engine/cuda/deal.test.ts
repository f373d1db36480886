// How a matrix's work is dealt over the GPU: every segment once, no row tile in three blocks, about the same bytes for all.
import assert from "node:assert/strict";
import test from "node:test";
import {
  attentionSharedBytes,
  batchSharedBytes,
  buckets,
  dealSegments,
  firstLooseTile,
  gemvSharedBytes,
  kernelShapes,
  type MatrixPlan,
  persistentSharedBytes,
  segmentsOf,
  unitBytes,
} from "./kernels.ts";

const plans: Record<string, MatrixPlan> = {
  "qkv, values in Q6": { inputs: 2560, tilesA: 320, typeA: "q4", tilesB: 64, typeB: "q6" },
  qkv: { inputs: 2560, tilesA: 384, typeA: "q4", tilesB: 0, typeB: "q4" },
  output: { inputs: 4096, tilesA: 160, typeA: "q4", tilesB: 0, typeB: "q4" },
  down: { inputs: 9728, tilesA: 160, typeA: "q6", tilesB: 0, typeB: "q6" },
  "gate and up": { inputs: 2560, tilesA: 1216, typeA: "q4", tilesB: 0, typeB: "q4" },
  head: { inputs: 2560, tilesA: 9496, typeA: "q6", tilesB: 0, typeB: "q6" },
  "mini qkv": { inputs: 512, tilesA: 40, typeA: "q4", tilesB: 8, typeB: "q6" },
  "mini down": { inputs: 1536, tilesA: 32, typeA: "q4", tilesB: 0, typeB: "q4" },
};

for (const [name, plan] of Object.entries(plans)) {
  for (const blocks of [24, 46, 82, 108, 128, 132, 144]) {
    for (const [whole, busy] of [
      [false, 0],
      [true, 0],
      [false, 8],
    ] as const) {
      test(`${name} over ${blocks} blocks${whole ? ", whole tiles" : ""}${busy ? `, ${busy} with less` : ""}`, () => {
        const segments = segmentsOf(plan);
        const { ranges, splits } = dealSegments(plan, { blocks, whole, busy });
        const owners = Array.from({ length: plan.tilesA + plan.tilesB }, () => new Set<number>());
        let [nextA, nextB] = [0, 0];
        for (let block = 0; block < blocks; block++) {
          const [fromA = 0, toA = 0, fromB = 0, toB = 0] = ranges.subarray(block * 4);
          assert.equal(fromA, nextA);
          assert.equal(fromB, nextB);
          [nextA, nextB] = [toA, toB];
          for (let at = fromA; at < toA; at++) owners[Math.floor(at / segments)]?.add(block);
          for (let at = fromB; at < toB; at++) owners[plan.tilesA + Math.floor(at / segments)]?.add(block);
        }
        assert.equal(nextA, plan.tilesA * segments);
        assert.equal(nextB, plan.tilesB * segments);
        for (const [tile, blocksOfTile] of owners.entries()) {
          assert.ok(blocksOfTile.size <= (whole ? 1 : 2), `tile ${tile} is in ${blocksOfTile.size} blocks`);
          const isSplit = (splits[tile] ?? segments) < segments;
          assert.equal(blocksOfTile.size === 2, isSplit, `tile ${tile}`);
        }
      });
    }
  }
}

test("matrices that write the same planes split the same tiles: a plane that only one of them writes would keep its rest for the other", () => {
  for (let blocks = 16; blocks <= 160; blocks++) {
    for (const inputs of [1536, 9728]) {
      const down = { inputs, tilesA: 160, tilesB: 0 };
      const [q4, q6] = (["q4", "q6"] as const).map((type) =>
        dealSegments({ ...down, typeA: type, typeB: type }, { blocks, whole: false }),
      );
      assert.deepEqual(q4?.ranges, q6?.ranges, `${inputs} inputs over ${blocks} blocks`);
    }
  }
});

test("on an H200 no block has more than a tenth over its share of the large matrices", () => {
  for (const name of ["output", "down", "gate and up", "head"]) {
    const plan = plans[name];
    assert.ok(plan);
    const { mostSegments } = dealSegments(plan, { blocks: 132, whole: name === "gate and up" || name === "head" });
    const share = ((plan.tilesA + plan.tilesB) * segmentsOf(plan)) / 132;
    assert.ok(mostSegments <= share * 1.1 + 1, `${name}: ${mostSegments} of ${share}`);
  }
});

test("on an H200 blocks with attention have three fifths of a share, and no other a twentieth more for it", () => {
  for (const name of ["output", "down"]) {
    const plan = plans[name];
    assert.ok(plan);
    const { ranges, mostSegments } = dealSegments(plan, { blocks: 132, whole: false, busy: 8 });
    const share = (plan.tilesA * segmentsOf(plan)) / 132;
    for (let block = 0; block < 8; block++) {
      const segments = (ranges[block * 4 + 1] ?? 0) - (ranges[block * 4] ?? 0);
      assert.ok(Math.abs(segments - 0.6 * share) < 1.2, `${name}, block ${block}: ${segments} of ${share}`);
    }
    assert.ok(mostSegments <= Math.ceil(share * 1.05), `${name}: ${mostSegments} of ${share}`);
  }
});

test("gate and up come out even: whole tiles as many for every block, and at most two rows of h besides", () => {
  for (const tilesA of [1216, 192]) {
    for (let blocks = 16; blocks <= 160; blocks++) {
      const first = firstLooseTile({ tilesA }, blocks);
      const words = (tilesA - first) * 4;
      assert.ok(words <= blocks, `${tilesA} tiles over ${blocks} blocks: ${words} words of h`);
      assert.ok(first === tilesA || first % blocks === 0);
    }
  }
  assert.equal(firstLooseTile({ tilesA: 1216 }, 132), 1188);
  const { mostSegments } = dealSegments(
    { inputs: 2560, tilesA: 1188, typeA: "q4", tilesB: 0, typeB: "q4" },
    { blocks: 132, whole: true },
  );
  assert.equal(mostSegments, 45);
});

test("shared memory stays within what a block may have", () => {
  for (const plan of Object.values(plans)) {
    const deal = dealSegments(plan, { blocks: 132, whole: true });
    assert.ok(gemvSharedBytes(plan, deal, { isHopper: true }) <= 227 * 1024);
    assert.ok(gemvSharedBytes(plan, deal, { isHopper: false }) <= 99 * 1024);
  }
  for (const plan of Object.values(plans)) {
    for (const bucket of buckets.filter(({ tiles }) => tiles > 0)) {
      assert.ok(batchSharedBytes(plan, bucket, { isHopper: false }) <= 99 * 1024, `batches of ${bucket.batch}`);
      // Up to eight sequences two blocks share a multiprocessor.
      const room = (bucket.tiles === 1 ? 113 : 227) * 1024;
      assert.ok(batchSharedBytes(plan, bucket, { isHopper: true }) <= room, `batches of ${bucket.batch} on Hopper`);
    }
  }
  for (const shape of kernelShapes) assert.ok(persistentSharedBytes(shape) <= 227 * 1024, shape.name);
  // Beside the pages, the decode kernels have 20 KB that is theirs from the start.
  for (const bytes of Object.values(attentionSharedBytes)) assert.ok(bytes + 20 * 1024 <= 99 * 1024);
  assert.equal(unitBytes.q4, (16 * 256 * 4.5) / 8);
});
