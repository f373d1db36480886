// Launches a few decode steps of one sequence one by one, for a profiler: ncu --clock-control none -k decode_layers node bench/cuda/profile.ts FILE.gguf
// With kernels built by QUERN_NVCC_FLAGS=-DTRACE_CLOCKS it says where the clocks of a layer go.

import { buckets } from "../../src/engine/cuda/kernels.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";

const [file = ""] = process.argv.slice(2);
const { runner, device } = await openCudaRunner({ modelFile: file, contextTokens: 4096, parallel: 1 });
const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 };
runner.fillSlot(0, {
  sampling: { ...greedy, penaltyTokens: 0, logitBias: new Map() },
  ...{ seed: 1, drawn: 0, recentTokens: new Int32Array(0) },
});
runner.setPages(
  0,
  0,
  Int32Array.from({ length: 16 }, (_, page) => page),
);
await runner.submit([{ slot: 0, startPosition: 0, tokens: new Int32Array(128).fill(5), sample: true }]);
const layers = 36;
runner.steps.trace = device.zeros(layers * 4 * 64, "trace");
for (let step = 0; step < 3; step++) runner.steps.decodeStep(buckets[0]);
device.synchronize();
// Mean clocks of each stretch between marks, per product of a layer: waiting for its input, preparing it, product, handing on, to the next.
const marks = new BigInt64Array(device.read(runner.steps.trace, layers * 4 * 64).buffer);
for (const [step, name] of ["qkv", "attention, output", "gate_up", "down"].entries()) {
  const stretches = [0, 1, 2, 3, 4].map((place) => {
    let sum = 0;
    for (let layer = 4; layer < layers - 1; layer++) {
      const at = (layer * 4 + step) * 8 + place;
      const next = marks[place === 4 ? at + 4 : at + 1] ?? 0n;
      sum += Number(next - (marks[at] ?? 0n));
    }
    return Math.round(sum / (layers - 5));
  });
  console.log(`# clocks of ${name}: wait, prepare, product, hand on, rest ${stretches.join(", ")}`);
}
await runner[Symbol.asyncDispose]();
