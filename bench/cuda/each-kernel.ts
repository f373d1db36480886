// Runs every kernel of the engine on quern-mini a few times, in small and awkward shapes, and nothing else: for compute-sanitizer.
//   compute-sanitizer --tool racecheck --kernel-name kns=attention node bench/cuda/each-kernel.ts [SEQUENCES] [f16] [portable] [decode]
// `portable`: the kernels of GPUs before Hopper. `decode`: no prompts, so none of Hopper's kernels of prompts, which racecheck cannot run; what the
// sequences' pages hold is whatever was there.
import path from "node:path";
import { plainSampling } from "../../src/engine/contract.ts";
import { buckets, maxBatch } from "../../src/engine/cuda/kernels.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";

const sequences = Number(process.argv[2] ?? 3);
const modelFile = path.join(import.meta.dirname, "../../models/quern-mini/quern-mini-q4_k_m.gguf");
const words = process.argv.slice(3);
const kvType = words.includes("f16") ? "f16" : "int8";
const { runner, device } = await openCudaRunner({
  ...{ modelFile, contextTokens: 5248, parallel: sequences, kvType, isWarmedUp: false },
  ...(words.includes("portable") ? { capability: 80 } : {}),
});
await using _closed = runner;
const { vocabularyTokens } = runner.limits;
const ids = (count: number): Int32Array => Int32Array.from({ length: count }, (_, index) => (index * 37 + 5) % 14_000);
const mask = new Int32Array(Math.ceil(vocabularyTokens / 32)).fill(0x5555_5555);
const slots = Array.from({ length: sequences }, (_, slot) => slot);
// One setting a sequence, so that every path of sampling is taken.
const settings = [
  { ...plainSampling, temperature: 0 },
  { ...plainSampling, topK: 20, topP: 0.8, minP: 0.01, repeatPenalty: 1.1 },
  { ...plainSampling, topP: 0.9, logitBias: new Map([[7, 3]]) },
  { ...plainSampling, topK: 5000, topP: 0.5, presencePenalty: 1 },
];
for (const slot of slots) {
  const sampling = settings[slot % settings.length] ?? plainSampling;
  runner.fillSlot(slot, { sampling, seed: slot, drawn: 0, recentTokens: ids(40), topLogprobs: slot % 3 });
  runner.setPages(
    slot,
    0,
    Int32Array.from({ length: 11 }, (_, page) => slot * 11 + page),
  );
}
const length = (slot: number): number => 1 + ((slot * 63) % 130);
if (words.includes("decode")) decodeAlone();
else await runEverything();

/** What a decode step reads is written as the runner would leave it behind prompts. */
function decodeAlone(): void {
  const { batchSlot, slotPosition, slotToken } = runner.workspace;
  const write = (target: number, values: readonly number[]): void =>
    device.write(target, new Uint8Array(Int32Array.from(values).buffer));
  write(batchSlot, [...slots, ...new Array<number>(maxBatch - sequences).fill(-1)]);
  write(slotPosition, slots.map(length));
  write(slotToken, slots);
  const bucket = buckets.find(({ batch }) => batch >= sequences) ?? buckets[0];
  for (let step = 0; step < 2; step++) runner.steps.decodeStep(bucket);
  device.synchronize();
  console.log(`ran a decode step of ${sequences} sequences twice with KV in ${kvType}`);
}

async function runEverything(): Promise<void> {
  await runner.submit(slots.map((slot) => ({ slot, startPosition: 0, tokens: ids(length(slot)), sample: true })));
  for (let step = 0; step < 2; step++) {
    await runner.submit(
      slots.map((slot) => ({
        ...{ slot, startPosition: length(slot) + step, sample: true },
        ...(slot % 2 ? { mask } : {}),
      })),
    );
  }
  // More than one split of prompt attention, added up by the block that goes through them; then a few tokens behind many: blocks of their own.
  runner.setPages(
    0,
    0,
    Int32Array.from({ length: 81 }, (_, page) => sequences * 11 + page),
  );
  for (const startPosition of [0, 1700, 3400]) {
    await runner.submit([{ slot: 0, startPosition, tokens: ids(1700), sample: false }]);
  }
  await runner.submit([{ slot: 0, startPosition: 5100, tokens: ids(21), sample: true }]);
  await runner.submit([{ slot: 0, startPosition: 5121, sample: true }]);
  console.log(`ran every kernel with ${sequences} sequences and KV in ${kvType}`);
}
