// Where the time of a prompt's step goes, by kind of kernel: node bench/cuda/profile-prompt.ts FILE.gguf [tokens@position ...]
// GPU events around all layers' kernels of one kind, one after another; the sum is less than a step, which also has the gaps between kinds.
import { queryBlocksOf } from "../../src/engine/cuda/attention-plan.ts";
import { pageTokens } from "../../src/engine/cuda/kernels.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";
import type { PromptPart } from "../../src/engine/cuda/prompt-steps.ts";

const [file = "", ...wanted] = process.argv.slice(2);
const cases = (wanted.length > 0 ? wanted : ["68@29952", "512@0", "4752@0", "4752@30016"]).map((text) => {
  const [tokens = 0, position = 0] = text.split("@").map(Number);
  return { tokens, position };
});
const most = Math.max(...cases.map(({ tokens, position }) => tokens + position));
const { runner, device, shape } = await openCudaRunner({ modelFile: file, contextTokens: most + 64, parallel: 1 });
const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 };
runner.fillSlot(0, {
  sampling: { ...greedy, penaltyTokens: 0, logitBias: new Map() },
  ...{ seed: 1, drawn: 0, recentTokens: new Int32Array(0) },
});
runner.setPages(
  0,
  0,
  Int32Array.from({ length: Math.ceil(most / pageTokens) }, (_, page) => page),
);
const ids = (count: number, salt: number): Int32Array =>
  Int32Array.from({ length: count }, (_, index) => ((index + salt) * 7919 + 13) % shape.vocabularyTokens);
const { stepTokens } = runner.limits;
for (let at = 0; at < most; at += stepTokens) {
  const tokens = ids(Math.min(stepTokens, most - at), at);
  await runner.submit([{ slot: 0, startPosition: at, tokens, sample: true }]);
}
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const parts: PromptPart[] = ["embed", "norm", "qkv", "kv_write", "attention", "o", "gate_up", "down"];
for (const { tokens, position } of cases) {
  const chunk = ids(tokens, position);
  await runner.submit([{ slot: 0, startPosition: position, tokens: chunk, sample: true }]);
  const { launches } = runner.steps.planAttention(queryBlocksOf({ slot: 0, row: 0, tokens, position }));
  const step = { tokens, attention: launches };
  const timed = (only?: PromptPart): number => {
    const launch = device.graph(() => runner.steps.prefillStep(step, only));
    launch();
    return median(Array.from({ length: 5 }, () => device.time(launch)));
  };
  const all = timed();
  const said = parts.map((part) => `${part} ${((timed(part) * 1000) / shape.layers).toFixed(1)}`);
  const head = device.graph(() => runner.steps.sampleAfterPrefill(1));
  head();
  console.log(`${tokens} tokens at ${position}: ${all.toFixed(2)} ms; us a layer: ${said.join(", ")}`);
  console.log(
    `  sampling after it: ${(median(Array.from({ length: 5 }, () => device.time(head))) * 1000).toFixed(0)} us`,
  );
  const walls: number[] = [];
  const hosts: number[] = [];
  for (let run = 0; run < 5; run++) {
    const begin = performance.now();
    const done = runner.submit([{ slot: 0, startPosition: position, tokens: chunk, sample: true }]);
    hosts.push(performance.now() - begin);
    await done;
    walls.push(performance.now() - begin);
  }
  console.log(
    `  through the runner: ${median(walls).toFixed(2)} ms, of which submitting ${median(hosts).toFixed(2)} ms`,
  );
}
await runner[Symbol.asyncDispose]();
