// Microseconds of a decode step by context and by the sequences in it, greedy and as chats sample:
//   node bench/cuda/contexts.ts FILE.gguf [CONTEXTS] [SEQUENCES], each a list such as 128,512,2048
// The device alone counts: tokens are launched one step at a time, three on their way, and nobody reads them. Of a context only the end is computed; what
// its first pages hold is whatever was there.
import { median } from "../../src/cli/bench/measure.ts";
import { plainSampling } from "../../src/engine/contract.ts";
import { pageTokens } from "../../src/engine/cuda/kernels.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";
import { decodeSteps } from "./decode-steps.ts";

const [file = "", contexts = "128,512,1024,2048,8192,30000", batches = "1,2,8,32"] = process.argv.slice(2);
const numbers = (list: string): number[] => list.split(",").map(Number);
const most = Math.max(...numbers(contexts)) + 256;
const { runner } = await openCudaRunner({ modelFile: file, contextTokens: most, parallel: 32 });

const kinds = { greedy: { temperature: 0 }, "the best 20": { temperature: 0.7, topK: 20, topP: 0.8 } };
for (const [kind, settings] of Object.entries(kinds)) {
  const sampling = { ...plainSampling, ...settings };
  for (const context of numbers(contexts)) {
    const pages = Math.ceil((context + 256) / pageTokens);
    const said: string[] = [];
    for (const sequences of numbers(batches)) {
      if (pages * sequences > runner.limits.pages) continue;
      for (let slot = 0; slot < sequences; slot++) {
        runner.fillSlot(slot, { sampling, seed: 1, drawn: 0, recentTokens: new Int32Array(0) });
        runner.setPages(
          slot,
          0,
          Int32Array.from({ length: pages }, (_, page) => slot * pages + page),
        );
        const tokens = Int32Array.from({ length: 32 }, (_, index) => 1000 + index * 77 + slot);
        await runner.submit([{ slot, startPosition: context - 32, tokens, sample: true }]);
      }
      const decode = (position: number, steps: number): Promise<number> =>
        decodeSteps(
          runner,
          Array.from({ length: sequences }, (_, slot) => ({ slot, position })),
          steps,
        );
      await decode(context, 10);
      const runs: number[] = [];
      for (let run = 0; run < 3; run++) runs.push(await decode(context + 10 + run * 40, 40));
      said.push(`${sequences}: ${(median(runs) * 1000).toFixed(0)}`);
    }
    console.log(`${kind}, ${context} tokens: ${said.join("  ")}`);
  }
}
await runner[Symbol.asyncDispose]();
