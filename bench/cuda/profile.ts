// Launches a few decode steps of one sequence one by one, for a profiler: ncu --clock-control none -k decode_layers node bench/cuda/profile.ts FILE.gguf
// With kernels built by QUERN_NVCC_FLAGS=-DTRACE_CLOCKS it says where the time of a layer goes, over all blocks: how long after the last block handed
// its results on the others had them, how long they multiplied, how far apart they ended.
import { buckets } from "../../src/engine/cuda/kernels.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";

const [file = "", length = "128"] = process.argv.slice(2);
const position = Number(length);
const { runner, device, shape } = await openCudaRunner({
  modelFile: file,
  contextTokens: position + 4096,
  parallel: 1,
});
const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 };
runner.fillSlot(0, {
  sampling: { ...greedy, penaltyTokens: 0, logitBias: new Map() },
  ...{ seed: 1, drawn: 0, recentTokens: new Int32Array(0) },
});
runner.setPages(
  0,
  0,
  Int32Array.from({ length: Math.ceil(position / 64) + 2 }, (_, page) => page),
);
const { stepTokens } = runner.limits;
for (let at = 0; at < position; at += stepTokens) {
  const count = Math.min(stepTokens, position - at);
  const tokens = new Int32Array(count).fill(5);
  await runner.submit([{ slot: 0, startPosition: at, tokens, sample: at + count === position }]);
}
const [steps, marks] = [4, 8];
const blocks = device.facts.multiprocessors;
const traceBytes = (shape.layers + 1) * steps * marks * blocks * 8; // the head after the last layer
runner.steps.trace = device.zeros(traceBytes, "trace");
for (let step = 0; step < 5; step++) runner.steps.decodeStep(buckets[0]);
device.synchronize();
const trace = new BigInt64Array(device.read(runner.steps.trace, traceBytes).buffer);
const rawClock = (layer: number, step: number, mark: number, block: number): number =>
  Number((trace[((layer * steps + step) * marks + mark) * blocks + block] ?? 0n) - (trace[2 * blocks] ?? 0n));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const all = Array.from({ length: blocks }, (_, block) => block);
// Clocks of the multiprocessors differ by a constant and a little in speed: each is fitted, so that on average all blocks have their inputs at once.
const middle = Array.from({ length: shape.layers - 3 }, (_, layer) => layer + 2);
const places = [0, 2, 3].flatMap((step) => middle.map((layer) => [layer, step] as const));
const commonTimes = places.map(([layer, step]) => mean(all.map((block) => rawClock(layer, step, 2, block))));
const fits = all.map((block) => {
  const own = places.map(([layer, step]) => rawClock(layer, step, 2, block));
  const [x, y] = [mean(own), mean(commonTimes)];
  const slope =
    mean(own.map((at, index) => (at - x) * ((commonTimes[index] ?? 0) - y))) / mean(own.map((at) => (at - x) ** 2));
  return { slope, offset: y - slope * x };
});
const clockOf = (layer: number, step: number, mark: number, block: number): number => {
  const { slope, offset } = fits[block] ?? { slope: 1, offset: 0 };
  return offset + slope * rawClock(layer, step, mark, block);
};
console.log(`# ${position} tokens; clocks, means over layers`);
const products = ["q, k, v", "attention, output", "gate and up", "down"].map((name, step) => ({
  name,
  step,
  layers: middle,
}));
for (const { name, step, layers } of [...products, { name: "head", step: 0, layers: [shape.layers] }]) {
  const rows: number[][] = [];
  for (const layer of layers) {
    const at = (mark: number): number[] => all.map((block) => clockOf(layer, step, mark, block));
    const before = all.map((block) =>
      step === 0 ? clockOf(layer - 1, 3, 4, block) : clockOf(layer, step - 1, 4, block),
    );
    const [begin, ready, ended, told] = [Math.max(...before), at(2), at(3), at(4)];
    rows.push([
      Math.min(...ready) - begin,
      mean(ready) - begin,
      Math.max(...ready) - begin,
      mean(ended.map((end, block) => end - (ready[block] ?? 0))),
      Math.max(...ended.map((end, block) => end - (ready[block] ?? 0))),
      Math.max(...ended) - mean(ended),
      mean(told.map((end, block) => end - (ended[block] ?? 0))),
      Math.max(...told) - begin,
    ]);
  }
  const [soonest, usual, latest, product, longest, spread, telling, whole] =
    rows[0]?.map((_, column) => Math.round(mean(rows.map((row) => row[column] ?? 0)))) ?? [];
  console.log(
    `# ${name.padEnd(18)} inputs after ${soonest} / ${usual} / ${latest} (first, mean, last block); product ${product}, longest ${longest}; last ends ${spread} behind the mean; telling ${telling}; step ${whole}`,
  );
}
await runner[Symbol.asyncDispose]();
