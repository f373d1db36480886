// Writes test/vectors/qwen3-4b-random.json: logits of llama.cpp on a model file, as a reference for the native engine.
//   node bench/llama-logits.ts FILE.gguf OUT.json
// One prompt of fixed token ids; at a few positions the log-probabilities of the likeliest tokens and of fixed others, with the KV cache in f16 and
// in 8 bits: how far these two lie apart says how much a model amplifies rounding. A minute on two cores, and the same numbers every time.
import { writeFileSync } from "node:fs";
import os from "node:os";
import { silentLog } from "../src/base/log.ts";
import { openNative } from "../src/engine/llama/native.ts";
import { readGguf } from "../src/models/gguf.ts";
import { modelFactsOf } from "../src/models/inspect-model.ts";
import { observedIds, observedPositions, promptIds } from "./logit-probe.ts";

const [modelFile, out] = process.argv.slice(2);
if (!modelFile || !out) {
  console.error("Usage: node bench/llama-logits.ts FILE.gguf OUT.json");
  process.exit(2);
}
const { vocabularyTokens } = modelFactsOf(readGguf(modelFile));
const ids = promptIds(vocabularyTokens);
const f16 = await logprobs("f16");
const int8 = await logprobs("int8");
const positions = observedPositions.map((position, index) => ({ position, f16: f16[index], int8: int8[index] }));
writeFileSync(out, `${JSON.stringify({ made: `llama.cpp on ${os.arch()}`, vocabularyTokens, positions })}\n`);

async function logprobs(kvType: "f16" | "int8"): Promise<{ top: number[][]; observed: number[] }[]> {
  await using native = await openNative({
    ...{ modelFile: modelFile ?? "", contextTokens: 1024, sequences: 1, stepTokens: ids.length },
    ...{ threads: os.availableParallelism(), kvType, log: silentLog, onProgress: () => undefined },
  });
  const { context } = native;
  context.initBatch(ids.length);
  const places = context.addToBatch(0, 0, Uint32Array.from(ids), Uint32Array.from(observedPositions));
  await context.decodeBatch();
  const sampler = native.openSampler();
  sampler.applyConfig({});
  const found: { top: number[][]; observed: number[] }[] = [];
  for (const place of places) {
    const [, list = []] = await context.sampleToken(place, sampler, true, false);
    const all = new Map<number, number>();
    for (let at = 0; at + 1 < list.length; at += 2) all.set(list[at] ?? 0, rounded(Math.log(list[at + 1] ?? 0)));
    found.push({
      top: [...all].slice(0, 20).map(([id, logprob]) => [id, logprob]),
      observed: observedIds(vocabularyTokens).map((id) => all.get(id) ?? Number.NaN),
    });
  }
  sampler.dispose();
  return found;
}

function rounded(value: number): number {
  return Number(value.toFixed(4));
}
