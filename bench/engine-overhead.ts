// What the engine costs on the host: node bench/engine-overhead.ts. A runner that computes nothing and answers in the next turn of
// the event loop, so every microsecond of a step is planning, bookkeeping, text and events. On a device a step of the 4B model takes
// 700 us and more, and two steps are in flight: the host must stay well below that to never be waited for.

import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type ModelInfo, plainSampling } from "../src/engine/contract.ts";
import { openEngineOverRunner } from "../src/engine/cuda/cuda-engine.ts";
import type { Launched, Runner, StepEntry } from "../src/engine/cuda/runner-contract.ts";
import { readGguf } from "../src/models/gguf.ts";
import { openTokenizer } from "../src/models/tokenizer.ts";

const file = path.join(import.meta.dirname, "../models/quern-mini/quern-mini-q4_k_m.gguf");
const tokenizer = openTokenizer(readGguf(file).metadata);
const { vocabularyTokens } = tokenizer;
const model: ModelInfo = {
  id: "none",
  file,
  fileBytes: 0,
  architecture: "qwen3",
  quantisation: "none",
  parameters: 0,
  layers: 0,
  vocabularyTokens,
  trainedContextTokens: 262_144,
  eosTokenIds: [],
  isDemonstration: true,
};

class IdleRunner implements Runner {
  readonly limits = {
    slots: 64,
    pageTokens: 64,
    pages: 8192,
    stepTokens: 2048,
    contextTokens: 262_144,
    vocabularyTokens,
  };
  readonly device = "none";
  readonly kvType = "int8";
  steps = 0;
  #token = 1000;

  memory(): { weightBytes: number; kvBytes: number; otherBytes: number } {
    return { weightBytes: 0, kvBytes: 0, otherBytes: 0 };
  }
  fillSlot(): void {
    this.#token++;
  }
  setPages(): void {
    this.#token++;
  }
  launch(plan: readonly StepEntry[], steps = 1): Launched {
    this.steps += steps;
    const sampled = Array.from({ length: steps }, () => plan.filter(({ sample }) => sample))
      .flat()
      .map(({ slot }) => ({ slot, id: 1000 + (this.#token++ % 3000) }));
    return { passed: nextTurn, sampled: () => sampled };
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.steps = 0;
  }
}

const rows = [];
for (const [sequences, promptTokens] of [
  [1, 100],
  [8, 100],
  [32, 100],
  [1, 131_072],
] as const) {
  const runner = new IdleRunner();
  await using engine = openEngineOverRunner({ runner, tokenizer, model, parallel: 64, queueLimit: 64 });
  const run = async (tokens: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: sequences }, async (_, index) => {
        const ids = Array.from({ length: promptTokens }, (_, at) => 100 + ((at * 7 + index) % 5000));
        const request = {
          id: `r${index}`,
          prompt: { kind: "tokens", ids },
          sampling: plainSampling,
          maxTokens: tokens,
        } as const;
        for await (const event of engine.generate(request)) if (event.type === "done") return;
      }),
    );
  };
  await run(200);
  const [steps, start, cpu] = [runner.steps, performance.now(), process.cpuUsage()];
  await run(2000);
  const stepCount = runner.steps - steps;
  const { user, system } = process.cpuUsage(cpu);
  rows.push({
    sequences,
    promptTokens,
    steps: stepCount,
    wallMicrosecondsPerStep: Number((((performance.now() - start) * 1000) / stepCount).toFixed(1)),
    cpuMicrosecondsPerStep: Number(((user + system) / stepCount).toFixed(1)),
  });
}
console.table(rows);

// A second question about a document of some 30,000 tokens, as text: what stands between the request and its first token on the host.
const document = Array.from({ length: 2600 }, (_, line) => `第${line}行 the amount is ${line * 37} 元；`).join("\n");
const firstTokenMs: number[] = [];
{
  const runner = new IdleRunner();
  await using engine = openEngineOverRunner({ runner, tokenizer, model, parallel: 4, queueLimit: 4 });
  for (let question = 0; question < 8; question++) {
    const prompt = { kind: "text", pieces: [`${document}\n问题 ${question}`] } as const;
    const start = performance.now();
    for await (const event of engine.generate({ id: `q${question}`, prompt, sampling: plainSampling, maxTokens: 1 })) {
      if (event.type === "tokens") firstTokenMs.push(Number((performance.now() - start).toFixed(2)));
    }
  }
}
const documentTokens = tokenizer.encode(document).length;
console.log("first token, ms:", { documentTokens, firstTokenMs });
console.log(JSON.stringify({ bench: "engine-overhead", node: process.version, rows, documentTokens, firstTokenMs }));
