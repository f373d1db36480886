// The whole engine's numbers against quern-mini's golden vectors: log-probabilities of the next token within 0.15, with KV in f16 within 0.06 (decoding's
// activations are int8; the vectors are float32), greedy continuations equal wherever the margin is above 0.1.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { gpuMissing, miniFile, slotSettings } from "./gpu-test-tools.ts";
import { openCudaRunner, type RunnerOptions } from "./open-cuda.ts";

interface Golden {
  prompts: {
    name: string;
    ids: number[];
    top20: { ids: number[]; logprobs: number[] };
    greedy: { ids: number[]; margins: number[] };
  }[];
}
const golden = JSON.parse(readFileSync(path.join(path.dirname(miniFile), "golden.json"), "utf8")) as Golden;
const tolerances = { int8: 0.15, f16: 0.06 } as const;

const missing = gpuMissing();
test("golden vectors of quern-mini hold on the GPU", { skip: missing }, (t) => checkGolden(t));
// On a newer GPU the driver compiles them for it all the same.
test("golden vectors hold with the portable kernels", { skip: missing }, (t) => checkGolden(t, { capability: 80 }));
test("golden vectors hold with KV in f16", { skip: missing }, (t) => checkGolden(t, { kvType: "f16" }));
test("golden vectors hold with KV in f16 and the portable kernels", { skip: missing }, (t) =>
  checkGolden(t, { kvType: "f16", capability: 80 }),
);

async function checkGolden(t: test.TestContext, options: Partial<RunnerOptions> = {}): Promise<void> {
  const size = { contextTokens: 4096, parallel: 16 };
  const { runner } = await openCudaRunner({ modelFile: miniFile, ...size, ...options });
  await using _closed = runner;
  const tolerance = tolerances[runner.kvType];
  for (const { name, ids, top20, greedy } of golden.prompts) {
    await t.test(name, async () => {
      const pages = Math.ceil((ids.length + greedy.ids.length + 4) / 64);
      runner.fillSlot(0, slotSettings({ topLogprobs: 20 }));
      runner.setPages(
        0,
        0,
        Int32Array.from({ length: pages }, (_, page) => page),
      );
      let [first] = await runner.submit([]);
      for (let at = 0; at < ids.length; at += 1024) {
        const tokens = Int32Array.from(ids.slice(at, at + 1024));
        [first] = await runner.submit([{ slot: 0, startPosition: at, tokens, sample: at + 1024 >= ids.length }]);
      }
      const actual = new Map(first?.top?.map(({ id, logprob }) => [id, logprob]));
      let worst = 0;
      for (const [index, id] of top20.ids.entries()) {
        const wanted = top20.logprobs[index] ?? 0;
        // The last places may swap with places beyond 20.
        if (index < 10) assert.ok(actual.has(id), `${name}: token ${id} is not among the best 20`);
        // Far below the best, a log-probability has an error in proportion.
        worst = Math.max(worst, Math.abs((actual.get(id) ?? wanted) - wanted) / Math.max(1, -wanted / 4));
      }
      console.log(`${name}: ${ids.length} tokens, worst log-probability error ${worst.toFixed(4)}`);
      assert.ok(worst < tolerance, `${name}: log-probability off by ${worst}`);
      const out = first ? [first.id] : [];
      while (out.length < greedy.ids.length) {
        const [next] = await runner.submit([{ slot: 0, startPosition: ids.length + out.length - 1, sample: true }]);
        out.push(next?.id ?? -1);
      }
      const differs = greedy.ids.findIndex((id, index) => out[index] !== id);
      if (differs >= 0) {
        assert.ok(
          (greedy.margins[differs] ?? 1) < 0.1,
          `${name}: greedy differs at ${differs}, margin ${greedy.margins[differs]}`,
        );
        console.log(`${name}: greedy differs at ${differs}, where the margin is ${greedy.margins[differs]}`);
      }
    });
  }
}
