import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  contributionsToAverage,
  contributionsToSum,
  exactShares,
  foldOthers,
  type MemberPair,
  splitPriceVolume,
} from "./attribution.ts";

const amount = fc.integer({ min: -1_000_000, max: 1_000_000 }).map((cents) => cents / 100);
const count = fc.integer({ min: 0, max: 50 });
const members = fc
  .array(fc.record({ current: amount, previous: amount, currentCount: count, previousCount: count }), {
    minLength: 1,
    maxLength: 30,
  })
  .map((list) => list.map((member, index): MemberPair => ({ ...member, label: `m${index}` })));
const settings = { seed: 11, numRuns: 300 };

test("shares of a change sum to exactly 100.0 %, negative parts among them, also after folding into others", () => {
  fc.assert(
    fc.property(members, fc.integer({ min: 1, max: 12 }), (list, top) => {
      const contributions = contributionsToSum(list);
      const { shown, others } = foldOthers(contributions, top, "others");
      const shares = [...shown, ...(others === undefined ? [] : [others])].map(({ share }) => share);
      if (shares.some((share) => share === undefined)) return;
      assert.equal(Math.round(shares.reduce<number>((sum, share) => sum + Math.round((share ?? 0) * 1000), 0)), 1000);
    }),
    settings,
  );
});

test("parts of a sum add up to its change", () => {
  fc.assert(
    fc.property(members, (list) => {
      const change = list.reduce((sum, { current, previous }) => sum + current - previous, 0);
      const parts = contributionsToSum(list).reduce((sum, { part }) => sum + part, 0);
      assert.ok(Math.abs(change - parts) < 1e-6);
    }),
    settings,
  );
});

test("parts of an average add up to its change, with members that come and go", () => {
  fc.assert(
    fc.property(members, (list) => {
      const average = (value: (m: MemberPair) => number, weight: (m: MemberPair) => number): number =>
        list.reduce((sum, m) => sum + value(m) * weight(m), 0) / list.reduce((sum, m) => sum + weight(m), 0);
      const [now, before] = [
        average(
          (m) => m.current,
          (m) => m.currentCount,
        ),
        average(
          (m) => m.previous,
          (m) => m.previousCount,
        ),
      ];
      if (!Number.isFinite(now) || !Number.isFinite(before)) return;
      const parts = contributionsToAverage(list).reduce((sum, { part }) => sum + part, 0);
      assert.ok(Math.abs(now - before - parts) < 1e-6, `${now - before} against ${parts}`);
    }),
    settings,
  );
});

test("volume, price and mix add up to the change", () => {
  const quantity = fc.integer({ min: 0, max: 1000 });
  const sold = fc.array(
    fc.record({ currentAmount: amount, previousAmount: amount, currentQuantity: quantity, previousQuantity: quantity }),
    { minLength: 1, maxLength: 12 },
  );
  fc.assert(
    fc.property(sold, (list) => {
      const split = splitPriceVolume(list.map((member, index) => ({ ...member, label: `m${index}` })));
      assert.ok(Math.abs(split.volume + split.price + split.mix - split.change) < 1e-6);
      const inside = split.members.reduce((sum, member) => sum + member.volume + member.price + member.mix, 0);
      assert.ok(Math.abs(inside - split.change) < 1e-6);
    }),
    settings,
  );
});

test("volume, price and mix by hand", () => {
  // A: 10 at 5 -> 12 at 6; B: 10 at 15 -> 8 at 15. Old average price 10, quantity unchanged: no volume, mix 2*5 - 2*15, price 12*1.
  const split = splitPriceVolume([
    { label: "A", previousAmount: 50, previousQuantity: 10, currentAmount: 72, currentQuantity: 12 },
    { label: "B", previousAmount: 150, previousQuantity: 10, currentAmount: 120, currentQuantity: 8 },
  ]);
  assert.deepEqual([split.change, split.volume, split.price, split.mix], [-8, 0, 12, -20]);
});

test("rounding to tenths of a percent gives the rest to the largest remainders", () => {
  assert.deepEqual(exactShares([1 / 3, 1 / 3, 1 / 3]), [0.334, 0.333, 0.333]);
  assert.deepEqual(exactShares([1.5, -0.5]), [1.5, -0.5]);
});

test("no change gives no shares instead of a division by nothing", () => {
  const [first] = contributionsToSum([
    { label: "a", current: 5, previous: 4, currentCount: 1, previousCount: 1 },
    { label: "b", current: 4, previous: 5, currentCount: 1, previousCount: 1 },
  ]);
  assert.equal(first?.share, undefined);
});
