// A short measurement that a person starts: how fast this machine reads and writes, alone and with several together, greedy and sampled. Each
// run generates a few words from tokens drawn at random, so that nothing is found in memory; on slow machines it ends after some seconds.
import { AppError } from "../../base/errors.ts";
import { type GenerateRequest, plainSampling, type Sampling } from "../../engine/contract.ts";
import type { Api } from "../api.ts";
import type { MeasuredBody } from "../api-types.ts";

const answerTokens = 32;
/** After its first token a run may take so long. */
const longestWritingMs = 4000;
/** A prompt that is read sooner than this says little about speed; a longer one is taken. */
const shortestReadingMs = 100;
const promptSizes = { first: 128, longer: 1024 };

const greedy: Sampling = { ...plainSampling, temperature: 0 };
const creative: Sampling = { ...plainSampling, temperature: 0.7, topP: 0.8, topK: 20, minP: 0.05 };

interface Run {
  promptPerSecond: number;
  tokensPerSecond: number;
}

/** Throws `busy` when the signal aborts: what else runs would be part of the figures. */
export async function measureSpeed(api: Api, signal: AbortSignal): Promise<MeasuredBody> {
  const { engine, device, model, contextTokens, parallel, kvType } = api.engine.status();
  // The first run of all loads pages and kernels.
  const first = await runOnce(api, { sampling: greedy, signal, promptTokens: promptSizes.first });
  const readingMs = (1000 * promptSizes.first) / Math.max(1, first.promptPerSecond);
  const promptTokens = readingMs < shortestReadingMs ? promptSizes.longer : promptSizes.first;
  const run = (sampling: Sampling): Promise<Run> => runOnce(api, { sampling, signal, promptTokens });
  // In turns, so that a machine that grows slower is not mistaken for a setting's doing.
  const turns: [Run, Run][] = [];
  for (let turn = 0; turn < 2; turn++) turns.push([await run(greedy), await run(creative)]);
  const alone = turns.map(([first]) => first);
  const together: MeasuredBody["together"] = [{ sequences: 1, tokensPerSecond: mean(alone, "tokensPerSecond") }];
  for (const sequences of new Set([Math.ceil(parallel / 2), parallel])) {
    if (sequences === 1) continue;
    const runs = await Promise.all(Array.from({ length: sequences }, () => run(greedy)));
    together.push({ sequences, tokensPerSecond: sequences * mean(runs, "tokensPerSecond") });
  }
  return {
    at: Date.now(),
    ...{ engine, device, model: model.id, contextTokens, parallel, kvType },
    promptPerSecond: mean(alone, "promptPerSecond"),
    together,
    sampledPerSecond: mean(
      turns.map(([, second]) => second),
      "tokensPerSecond",
    ),
  };
}

async function runOnce(
  api: Api,
  { sampling, signal, promptTokens }: { sampling: Sampling; signal: AbortSignal; promptTokens: number },
): Promise<Run> {
  const { contextTokens, model } = api.engine.status();
  const length = Math.max(1, Math.min(promptTokens, contextTokens - answerTokens - 1));
  const random = (): number => Math.floor(Math.random() * Math.max(1, Math.min(model.vocabularyTokens, 100_000)));
  const request: GenerateRequest = {
    id: `measure-${crypto.randomUUID()}`,
    prompt: { kind: "tokens", ids: Array.from({ length }, random) },
    sampling,
    maxTokens: answerTokens,
    ignoreEos: true,
    priority: "batch",
  };
  const enough = new AbortController();
  const end = AbortSignal.any([signal, enough.signal]);
  let firstMs: number | undefined;
  let lastMs = 0;
  let tokens = 0;
  let prefillMs = 0;
  for await (const event of api.engine.generate(request, { signal: end })) {
    if (event.type === "tokens") {
      lastMs = performance.now();
      if (firstMs === undefined) firstMs = lastMs;
      else tokens += event.ids.length;
      if (lastMs - firstMs > longestWritingMs) enough.abort();
    } else if (event.type === "done") prefillMs = event.timings.prefillMs;
  }
  if (signal.aborted) {
    throw new AppError("busy", "Something else came first, so there is no figure.", {
      hint: "Measure again when no answer is being written.",
      details: { retryAfterSeconds: 5 },
    });
  }
  const seconds = (lastMs - (firstMs ?? lastMs)) / 1000;
  return {
    promptPerSecond: prefillMs > 0 ? (length * 1000) / prefillMs : 0,
    tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
  };
}

function mean(runs: readonly Run[], name: keyof Run): number {
  const known = runs.map((run) => run[name]).filter((value) => value > 0);
  return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length;
}
