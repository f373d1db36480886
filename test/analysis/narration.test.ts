// No unsupported number reaches the reader, whatever the engine says. The full measurement (200 workbooks, and quern-mini) is
// bench/analysis/narration.ts; here are enough of them to notice a leak.
import assert from "node:assert/strict";
import test from "node:test";
import { untrueFigures } from "../../bench/analysis/independent-check.ts";
import { openLyingEngine } from "../../bench/analysis/lying-engine.ts";
import { openMini } from "../../bench/analysis/mini-engine.ts";
import { measureNarration } from "../../bench/analysis/narration.ts";
import { silentLog } from "../../src/base/log.ts";

test("an engine that lies in most sentences gets no wrong number through", async () => {
  const figures = await measureNarration((seed) => openLyingEngine(seed, 0.8), { count: 25, closes: true });
  assert.deepEqual(figures.examples, []);
  assert.equal(figures.untrue, 0);
  // It did lie, it was caught, and what was true was kept.
  assert.ok(figures.replaced > 20 && figures.rewritten > 5 && figures.fromModel > 10, JSON.stringify(figures));
});

test("an engine that lies in every sentence leaves only what is true", async () => {
  const figures = await measureNarration((seed) => openLyingEngine(seed, 1), { count: 10, closes: true });
  assert.equal(figures.untrue, 0);
});

test("quern-mini narrates in its own wording, and its numbers are right", async () => {
  const engine = await openMini(silentLog);
  try {
    const figures = await measureNarration(() => engine, { count: 3, closes: false });
    assert.equal(figures.untrue, 0);
    assert.ok(figures.fromModel >= 6, JSON.stringify(figures));
  } finally {
    await engine[Symbol.asyncDispose]();
  }
});

test("the independent check is able to find a lie", () => {
  const truth = {
    whole: { current: 123, previous: 100 },
    members: new Map([
      ["甲 5", { current: 80, previous: 60 }],
      ["乙", { current: 43, previous: 40 }],
    ]),
    memberCount: 2,
  };
  assert.deepEqual(untrueFigures("2025年第三季度增长23%，从100到123；甲 5贡献87%。", truth), []);
  assert.deepEqual(untrueFigures("增长32%。", truth), ["32%"]);
  assert.deepEqual(untrueFigures("乙贡献87%。", truth), ["87%"]);
});
