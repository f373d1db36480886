// What `auto` picks, told without the GPUs and drivers it is about.
import assert from "node:assert/strict";
import test from "node:test";
import { AppError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { Engine } from "./contract.ts";
import { type Choices, type CudaSupport, openPicked } from "./open.ts";
import { openScriptedEngine } from "./scripted/scripted-engine.ts";

interface Picked {
  opened: string[];
  reason: string | undefined;
  warnings: string[];
}

async function pick(support: CudaSupport, cudaFailure?: AppError): Promise<Picked> {
  const opened: string[] = [];
  const warnings: string[] = [];
  let reason: string | undefined;
  const open =
    (name: string) =>
    async (options: { reason?: string }): Promise<Engine> => {
      opened.push(name);
      if (name === "cuda" && cudaFailure) throw cudaFailure;
      reason = options.reason;
      return openScriptedEngine();
    };
  const choices: Choices = { cudaSupport: async () => support, openCuda: open("cuda"), openLlama: open("llama") };
  const log: Log = { ...silentLog, warn: (event, fields) => void warnings.push(`${event}: ${fields?.reason}`) };
  const size = { contextTokens: 0, parallel: 1, queueLimit: 1, threads: 0, kvType: "auto" } as const;
  const model = { modelFile: "m.gguf", modelId: "m", isDemonstration: false };
  await using _engine = await openPicked({ engine: "auto", ...model, ...size, log }, choices);
  return { opened, reason, warnings };
}

const gpu: CudaSupport = { ok: true, device: "NVIDIA H200" };

test("auto takes cuda where it can run, and says why", async () => {
  const { opened, reason, warnings } = await pick(gpu);
  assert.deepEqual([opened, warnings], [["cuda"], []]);
  assert.equal(reason, "Picked cuda: NVIDIA H200 can run this model natively.");
});

test("auto takes llama where there is no GPU, quietly, and loudly where there is one that cannot be used", async () => {
  const none = await pick({ ok: false, reason: "there is no NVIDIA driver on this machine.", gpuPresent: false });
  assert.deepEqual([none.opened, none.warnings], [["llama"], []]);
  const old = await pick({ ok: false, reason: "GTX 1080 is too old.", gpuPresent: true });
  assert.deepEqual([old.opened, old.warnings], [["llama"], ["GPU not used: GTX 1080 is too old."]]);
  assert.match(old.reason ?? "", /^Picked llama \(slow\): there is an NVIDIA GPU, but it cannot be used: GTX 1080/);
});

test("a driver that cannot take the kernels shows only in trying: auto says so and takes llama", async () => {
  const refusal = new AppError("unsupported", "The NVIDIA driver cannot take the kernels: unsupported PTX.");
  const { opened, reason, warnings } = await pick(gpu, refusal);
  assert.deepEqual(opened, ["cuda", "llama"]);
  assert.match(reason ?? "", /cannot take the kernels/);
  assert.equal(warnings.length, 1);
});

test("too little memory, and a setting that cuda lacks, are the user's to decide: auto passes them on", async () => {
  for (const refusal of [
    new AppError("device", "The GPU has 1 GB free.", { details: { largestContextTokens: 512 } }),
    new AppError("unsupported", "The native engine keeps no KV cache of that type.", { param: "kvType" }),
  ]) {
    await assert.rejects(pick(gpu, refusal), refusal);
  }
});
