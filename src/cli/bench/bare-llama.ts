// What node-llama-cpp does on its own: one sequence, its public evaluate() loop, the same file and threads. The bar for our llama engine.
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

export interface BareLlama extends AsyncDisposable {
  /** Decode speed over `tokens` tokens behind a prompt, in tokens a second, the prompt's time left out. */
  decode(prompt: readonly number[], tokens: number): Promise<number>;
}

export async function openBareLlama(modelFile: string, threads: number): Promise<BareLlama> {
  const llama = await getLlama({
    gpu: process.platform === "darwin" ? "auto" : false,
    build: "never",
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath: modelFile });
  const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads, flashAttention: true });
  const sequence = context.getSequence();
  return {
    async decode(prompt, tokens) {
      await sequence.clearHistory();
      let count = 0;
      let first = 0;
      for await (const _id of sequence.evaluate([...prompt] as Parameters<typeof sequence.evaluate>[0], {
        temperature: 0,
        yieldEogToken: true,
      })) {
        if (count === 0) first = performance.now();
        if (++count === tokens) break;
      }
      return ((count - 1) / (performance.now() - first)) * 1000;
    },
    async [Symbol.asyncDispose]() {
      await context.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}
