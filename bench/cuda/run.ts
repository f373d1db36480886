// The speed table of the native engine on one GPU:
//   node bench/cuda/run.ts --model FILE.gguf [--parts] [--only decode,long,prefill,engine,http] [--kv-type f16] [--out FILE.json] [--commit HASH]
// The model may be the random file of bench/make-qwen3-4b.ts: speed does not depend on what the weights say. Times are wall clock from submitting
// a step to having its token on the host, with steps in flight as the engine keeps them; medians of several runs. `--parts` adds what each kernel
// of a decode step takes by itself (GPU events). Ends with one JSON line.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { plainSampling, type Sampling } from "../../src/engine/contract.ts";
import { openEngineOverRunner } from "../../src/engine/cuda/cuda-engine.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";
import type { SampledToken } from "../../src/engine/cuda/runner-contract.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { modelFactsOf } from "../../src/models/inspect-model.ts";
import { openTokenizer } from "../../src/models/tokenizer.ts";
import { decodeSteps } from "./decode-steps.ts";
import { measureHttp } from "./http.ts";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    only: { type: "string", default: "decode,long,prefill,engine,http" },
    parts: { type: "boolean", default: false },
    out: { type: "string" },
    commit: { type: "string", default: "unknown" },
    memory: { type: "string" },
    "kv-type": { type: "string", default: "int8" },
    /** One sequence by five kernels a layer instead of one kernel for all layers. */
    five: { type: "boolean", default: false },
  },
});
if (!options.model) throw new Error("--model FILE.gguf is needed.");
const wanted = new Set(options.only.split(","));

/** llama.cpp v0.5.0 (sm_90, flash attention) on one H200 with the same kind of file. */
const peers: Record<string, number> = {
  ...{ decode_b1: 305, decode_32k: 190, decode_128k: 45.6, decode_b8: 1204, decode_b32: 3382 },
  ...{ ttft_512_ms: 37.3, prefill_8k: 13_297, prefill_128k_s: 26.4 },
};
const rows: { name: string; value: number; unit: string; peer?: number }[] = [];
function report(name: string, value: number, unit: string): void {
  const peer = facts.layers === 36 ? peers[name] : undefined; // measured with the 4B shape
  rows.push({ name, value: Number(value.toPrecision(5)), unit, ...(peer === undefined ? {} : { peer }) });
  console.log(
    `${name.padEnd(24)} ${value.toFixed(3).padStart(12)} ${unit}${peer === undefined ? "" : `   (llama.cpp ${peer})`}`,
  );
}
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
function clocks(when: string): void {
  try {
    const query = "clocks.sm,clocks.mem,power.draw,temperature.gpu";
    const said = execFileSync("nvidia-smi", [`--query-gpu=${query}`, "--format=csv,noheader"], { encoding: "utf8" });
    console.log(`# ${when}: ${said.trim()}`);
  } catch {
    console.log("# nvidia-smi is not there: no clocks");
  }
}

const facts = modelFactsOf(readGguf(options.model));
const longTokens = wanted.has("24gb") ? 262_144 : 140_000;
if (facts.trainedContextTokens < longTokens && (wanted.delete("long") || wanted.delete("24gb"))) {
  console.log(`# without long contexts: the model holds ${facts.trainedContextTokens} tokens`);
}
const kvType = options["kv-type"] === "f16" ? "f16" : "int8";
const started = performance.now();
const { runner, device, shape } = await openCudaRunner({
  ...{ modelFile: options.model, kvType },
  contextTokens: wanted.has("24gb") || wanted.has("long") ? longTokens : 16_384,
  parallel: wanted.has("24gb") ? 1 : 32,
  ...(options.memory ? { memoryBytes: Number(options.memory) } : {}),
});
if (options.five) runner.steps.isPersistent = false;
report("ready_s", (performance.now() - started) / 1000, "s");
const { driverVersion, name: gpu } = device.facts;
const { limits } = runner;
console.log(
  `# ${gpu}, driver API ${driverVersion}; ${limits.pages} pages in ${kvType}, context ${limits.contextTokens}, weights ${runner.weights.bytes} bytes`,
);

const settings = { sampling: { ...plainSampling, temperature: 0 }, seed: 1, drawn: 0, recentTokens: new Int32Array(0) };
const idsBelow = Math.min(150_000, facts.vocabularyTokens - 500);
const ids = (count: number, salt = 0): Int32Array =>
  Int32Array.from({ length: count }, (_, index) => ((index + salt) * 7919 + 13) % idsBelow);

/** Gives a slot its own pages from `firstPage` on. */
function openSlot(
  slot: number,
  { tokens, firstPage, sampling = settings.sampling }: { tokens: number; firstPage: number; sampling?: Sampling },
): void {
  runner.fillSlot(slot, { ...settings, sampling });
  runner.setPages(
    slot,
    0,
    Int32Array.from({ length: Math.ceil(tokens / 64) }, (_, page) => firstPage + page),
  );
}
async function prefill(slot: number, tokens: Int32Array, from = 0): Promise<number> {
  const begin = performance.now();
  const submitted: Promise<readonly SampledToken[]>[] = [];
  for (let at = 0; at < tokens.length; at += limits.stepTokens) {
    const chunk = tokens.slice(at, at + limits.stepTokens);
    const sample = at + limits.stepTokens >= tokens.length;
    submitted.push(runner.submit([{ slot, startPosition: from + at, tokens: chunk, sample }]));
    if (submitted.length > 2) await submitted[submitted.length - 3];
  }
  await Promise.all(submitted);
  return performance.now() - begin;
}
const decode = (slots: readonly { slot: number; position: number }[], steps: number): Promise<number> =>
  decodeSteps(runner, slots, steps);

if (wanted.has("24gb")) {
  // One sequence of 262,144 tokens where no more than --memory bytes may be used; KV of zeros, since only room and plumbing are in question.
  const { weightBytes, kvBytes, otherBytes } = runner.memory();
  console.log(
    `# weights ${weightBytes} + KV ${kvBytes} + other ${otherBytes} = ${weightBytes + kvBytes + otherBytes} bytes`,
  );
  openSlot(0, { tokens: 262_144, firstPage: 0 });
  await prefill(0, ids(32), 262_080);
  report("decode_256k_24gb", 1000 / (await decode([{ slot: 0, position: 262_112 }], 24)), "tok/s");
}
if (options.parts) {
  const words = 1_000_000_000;
  // The KV pool is free before anything is prefilled.
  const big = runner.workspace.pool;
  const { i32, u64 } = await import("../../src/engine/cuda/launch.ts");
  device.kernel("fill_words").launch({ grid: [1056], block: 256 }, [u64(big), i32(0x5a5a1234), u64(words)]);
  const read = (): void =>
    device
      .kernel("read_all")
      .launch({ grid: [device.facts.multiprocessors * 8], block: 512 }, [u64(big), u64(words / 4), u64(big)]);
  read();
  const readMs = median(Array.from({ length: 5 }, () => device.time(read)));
  console.log(`# plain read of 4 GB: ${(4000 / readMs).toFixed(0)} GB/s`);
  openSlot(0, { tokens: 4096, firstPage: 0 });
  for (const position of [128, 2048]) {
    await prefill(0, ids(position));
    await decode([{ slot: 0, position }], 1);
    const names = ["qkv", "attention", "o", "gate_up", "down"] as const;
    for (const part of names) {
      const launch = device.graph(() => {
        for (let layer = 0; layer < shape.layers; layer++) runner.steps.decodePart(part, layer);
      });
      launch();
      const ms = median(Array.from({ length: 15 }, () => device.time(launch)));
      console.log(`# part ${part.padEnd(10)} at ${position}: ${((ms * 1000) / shape.layers).toFixed(2)} us`);
    }
    const order = [...names, "qkv"] as const;
    for (let index = 0; index < 5; index++) {
      const launch = device.graph(() => {
        for (let layer = 0; layer < shape.layers; layer++) {
          for (const part of order.slice(index, index + 2)) runner.steps.decodePart(part, layer);
        }
      });
      launch();
      const ms = median(Array.from({ length: 15 }, () => device.time(launch)));
      console.log(
        `# pair ${order.slice(index, index + 2).join("+")} at ${position}: ${((ms * 1000) / shape.layers).toFixed(2)} us`,
      );
    }
    for (const part of ["head", "sample"] as const) {
      const launch = device.graph(() => runner.steps.decodePart(part, 0));
      launch();
      console.log(
        `# part ${part}: ${(median(Array.from({ length: 15 }, () => device.time(launch))) * 1000).toFixed(2)} us`,
      );
    }
  }
}

if (wanted.has("decode") || wanted.has("b1")) {
  openSlot(0, { tokens: 2048, firstPage: 0 });
  await prefill(0, ids(128));
  await decode([{ slot: 0, position: 128 }], 50);
  clocks("before decode");
  const times: number[] = [];
  for (let run = 0; run < 5; run++) {
    await prefill(0, ids(128));
    times.push(await decode([{ slot: 0, position: 128 }], 200));
  }
  clocks("after decode");
  report("decode_b1", 1000 / median(times), "tok/s");
  console.log(`# decode_b1 runs: ${times.map((ms) => (1000 / ms).toFixed(0)).join(" ")}`);
  // The catalogue's settings for Qwen3: what chats use.
  openSlot(0, { tokens: 2048, firstPage: 0, sampling: { ...plainSampling, temperature: 0.7, topK: 20, topP: 0.8 } });
  await prefill(0, ids(128));
  const sampled: number[] = [];
  for (let run = 0; run < 3; run++) sampled.push(await decode([{ slot: 0, position: 128 + run * 200 }], 200));
  report("decode_b1_sampled", 1000 / median(sampled), "tok/s");
  report("decode_b1_bandwidth", runner.weights.bytes / median(times) / 1e6, "GB/s");
  const { buckets } = await import("../../src/engine/cuda/kernels.ts");
  const gpuOnly = (batch: number): void => {
    const bucket = buckets.find((candidate) => candidate.batch === batch) ?? buckets[0];
    const launch = device.graph(() => runner.steps.decodeStep(bucket));
    const ms = device.time(() => {
      for (let step = 0; step < 40; step++) launch();
    });
    console.log(`# graphs back to back, batch ${batch}: ${((ms * 1000) / 40).toFixed(1)} us a step`);
  };
  gpuOnly(1);
  const batchParts = (batch: number): void => {
    const bucket = buckets.find((candidate) => candidate.batch === batch) ?? buckets[0];
    const all = ["norm", "qkv", "attention", "o", "inner_norm", "gate_up", "silu", "down"] as const;
    const said = all.map((part) => {
      const launch = device.graph(() => {
        for (let layer = 0; layer < shape.layers; layer++) runner.steps.decodePart(part, layer, bucket);
      });
      launch();
      const ms = median(Array.from({ length: 7 }, () => device.time(launch)));
      return `${part} ${((ms * 1000) / shape.layers).toFixed(1)}`;
    });
    console.log(`# parts of batch ${batch}, us a layer: ${said.join(", ")}`);
  };
  for (const batch of wanted.has("decode") ? [2, 4, 8, 16, 32] : []) {
    const slots: { slot: number; position: number }[] = [];
    for (let slot = 0; slot < batch; slot++) {
      openSlot(slot, { tokens: 1024, firstPage: slot * 16 });
      await prefill(slot, ids(512, slot * 31));
      slots.push({ slot, position: 512 });
    }
    await decode(slots, 10);
    const each: number[] = [];
    for (let run = 0; run < 3; run++) {
      each.push(
        await decode(
          slots.map(({ slot, position }) => ({ slot, position: position + 10 + run * 64 })),
          64,
        ),
      );
    }
    report(`decode_b${batch}`, (batch * 1000) / median(each), "tok/s");
    gpuOnly(batch);
    if (options.parts && (batch === 8 || batch === 32)) batchParts(batch);
  }
}

if (wanted.has("prefill")) {
  openSlot(0, { tokens: 8192, firstPage: 0 });
  for (const count of [512, 2048, 8192]) {
    await prefill(0, ids(count));
    const each = [await prefill(0, ids(count)), await prefill(0, ids(count)), await prefill(0, ids(count))];
    report(`prefill_${count === 8192 ? "8k" : count}`, (count * 1000) / median(each), "tok/s");
  }
  clocks("after prefill");
}

if (wanted.has("long")) {
  const long = 131_072;
  openSlot(0, { tokens: long + 1024, firstPage: 0 });
  report("prefill_128k_s", (await prefill(0, ids(long))) / 1000, "s");
  clocks("after 128k prefill");
  await decode([{ slot: 0, position: long }], 4);
  const far: number[] = [];
  for (let run = 0; run < 3; run++) far.push(await decode([{ slot: 0, position: long + 4 + run * 50 }], 50));
  report("decode_128k", 1000 / median(far), "tok/s");
  // Slot 1 reads the same pages up to 32,768 and writes its own behind them.
  for (const [name, length] of [
    ["decode_1k", 1024],
    ["decode_4k", 4096],
    ["decode_32k", 32_768],
  ] as const) {
    openSlot(1, { tokens: length, firstPage: 0 });
    runner.setPages(
      1,
      length / 64,
      Int32Array.from({ length: 16 }, (_, page) => 2200 + page),
    );
    await prefill(1, ids(2), length);
    await decode([{ slot: 1, position: length + 2 }], 4);
    const each: number[] = [];
    for (let run = 0; run < 3; run++) each.push(await decode([{ slot: 1, position: length + 6 + run * 100 }], 100));
    report(name, 1000 / median(each), "tok/s");
  }
}

if (wanted.has("engine")) {
  const gguf = readGguf(options.model);
  const engine = openEngineOverRunner({
    ...{ runner, tokenizer: openTokenizer(gguf.metadata), parallel: 32, queueLimit: 64 },
    model: { ...modelFactsOf(gguf), id: "bench", isDemonstration: false },
  });
  let serial = 0;
  const ask = async (
    prompt: readonly number[],
    maxTokens: number,
  ): Promise<{ firstMs: number; msPerToken: number; busy: number }> => {
    const begin = performance.now();
    let [first, last, tokens] = [0, 0, 0];
    let before = performance.eventLoopUtilization();
    const request = {
      ...{ id: `bench-${serial++}`, prompt: { kind: "tokens", ids: prompt } as const, maxTokens, ignoreEos: true },
      sampling: settings.sampling,
    };
    for await (const event of engine.generate(request)) {
      if (event.type !== "tokens") continue;
      last = performance.now();
      if (tokens === 0) [first, before] = [last, performance.eventLoopUtilization()];
      tokens += event.ids.length;
    }
    const { utilization: busy } = performance.eventLoopUtilization(before); // the prompt is not in it
    return { firstMs: first - begin, msPerToken: (last - first) / Math.max(1, tokens - 1), busy };
  };
  const salted = (count: number): number[] => Array.from(ids(count, 100_003 * ++serial));
  await ask(salted(512), 4);
  const firsts: number[] = [];
  for (let run = 0; run < 5; run++) firsts.push((await ask(salted(512), 2)).firstMs);
  report("ttft_512_engine_ms", median(firsts), "ms");
  const shared = Array.from(ids(30_000));
  if (limits.contextTokens > 31_000) {
    await ask([...shared, ...salted(20)], 2);
    const again: number[] = [];
    for (let run = 0; run < 5; run++) again.push((await ask([...shared, ...salted(20)], 2)).firstMs);
    report("ttft_shared_30k_engine_ms", median(again), "ms");
  }
  // What the host does for a step is many times dearer until V8 has compiled it, which takes a few thousand steps. The share is that of a
  // process that serves, not of one that has just started.
  await ask(salted(128), 3000);
  const answers: { msPerToken: number; busy: number }[] = [];
  for (let run = 0; run < 5; run++) answers.push(await ask(salted(128), 600));
  report("engine_decode_b1", 1000 / median(answers.map(({ msPerToken }) => msPerToken)), "tok/s");
  report("host_share_pct", median(answers.map(({ busy }) => busy)) * 100, "%");
  console.log(`# host_share_pct runs: ${answers.map(({ busy }) => (busy * 100).toFixed(2)).join(" ")}`);
  await engine[Symbol.asyncDispose]();
} else {
  await runner[Symbol.asyncDispose]();
}
if (wanted.has("http")) {
  const { ttft_512_ms, ttft_shared_30k_ms, readyMs, engine } = await measureHttp(options.model);
  console.log(`# quern serve: ${engine.engine} on ${engine.device}. ${engine.reason ?? ""}`);
  if (engine.engine !== "cuda") throw new Error("`quern serve --engine auto` did not pick cuda.");
  report("serve_ready_s", readyMs / 1000, "s");
  report("ttft_512_ms", ttft_512_ms, "ms");
  if (ttft_shared_30k_ms !== undefined) report("ttft_shared_30k_ms", ttft_shared_30k_ms, "ms");
}
const command = `node bench/cuda/run.ts ${process.argv.slice(2).join(" ")}`;
const line = { engine: "cuda", gpu, driver: driverVersion, model: modelName(), commit: options.commit, command, rows };
if (options.out) writeFileSync(options.out, `${JSON.stringify(line, undefined, 1)}\n`);
console.log(JSON.stringify(line));

function modelName(): string {
  return options.model?.replace(/^.*[\\/]/, "") ?? "";
}
