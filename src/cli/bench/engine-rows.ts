// What the engine alone does, through its client: prompt and decode speed, time to first token (first and tenth request, and on a shared
// prefix), and 1 to 8 sequences together.
import { type Engine, type GenerateRequest, plainSampling } from "../../engine/contract.ts";
import { median, type Row, toRow } from "./measure.ts";

export interface Run {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  /** From the call to the first token. */
  firstTokenMs: number;
  /** From the first token to the last. */
  decodeMs: number;
  /** From the call to the end. */
  totalMs: number;
}

let counter = 0;

export function benchRequest(ids: readonly number[], maxTokens: number): GenerateRequest {
  return {
    id: `bench-${++counter}`,
    prompt: { kind: "tokens", ids },
    sampling: { ...plainSampling, temperature: 0 },
    maxTokens,
    ignoreEos: true,
  };
}

export async function runOnce(engine: Engine, request: GenerateRequest): Promise<Run> {
  const start = performance.now();
  let first = Number.NaN;
  let last = start;
  for await (const event of engine.generate(request)) {
    if (event.type === "tokens") {
      last = performance.now();
      if (Number.isNaN(first)) first = last;
    } else if (event.type === "done") {
      return {
        ...event.usage,
        firstTokenMs: first - start,
        decodeMs: last - first,
        totalMs: performance.now() - start,
      };
    }
  }
  throw new Error(`${request.id} ended without an end`);
}

/** Prompts that share no beginning, so that no run profits from another: each starts with its own number. */
export class Prompts {
  readonly #words: readonly number[];
  #next = 0;
  readonly #vocabularyTokens: number;

  constructor(words: readonly number[], vocabularyTokens: number) {
    this.#words = words;
    this.#vocabularyTokens = vocabularyTokens;
  }

  fresh(tokens: number): number[] {
    const start = this.#next++;
    const limit = Math.min(this.#vocabularyTokens, 10_000);
    return Array.from({ length: tokens }, (_, index) => {
      if (index === 0) return 300 + ((start * 7919) % (limit - 300));
      return this.#words[(index + start) % this.#words.length] ?? 300;
    });
  }
}

export async function engineRows(engine: Engine, prompts: Prompts, firstRunMs: number): Promise<Row[]> {
  const { contextTokens, parallel } = engine.status();
  const rows: Row[] = [];
  const promptTokens = Math.min(512, contextTokens - 160);
  const runs: Run[] = [];
  for (let index = 0; index < 10; index++)
    runs.push(await runOnce(engine, benchRequest(prompts.fresh(promptTokens), 128)));
  const later = runs.slice(1);
  rows.push(
    toRow(
      "prompt_tps",
      later.map((run) => (run.promptTokens / run.firstTokenMs) * 1000),
      {
        unit: "tok/s",
        note: `prompt of ${promptTokens} tokens, nothing cached`,
      },
    ),
    toRow(
      "decode_tps",
      later.map((run) => ((run.completionTokens - 1) / run.decodeMs) * 1000),
      {
        unit: "tok/s",
        note: "one sequence, 128 tokens",
      },
    ),
  );
  const tenth = median(later.slice(-5).map(({ firstTokenMs }) => firstTokenMs));
  rows.push({
    name: "ttft_first_over_tenth",
    value: firstRunMs / tenth,
    unit: "x",
    bar: "<= 1.25",
    holds: firstRunMs / tenth <= 1.25,
    note: "time to first token of the process's first request over the tenth's",
  });

  const shared = prompts.fresh(Math.min(2000, contextTokens - 200));
  const cold = await runOnce(engine, benchRequest([...shared, 301, 302], 8));
  const warm: Run[] = [];
  for (let index = 0; index < 5; index++)
    warm.push(await runOnce(engine, benchRequest([...shared, 310 + index, 302], 8)));
  rows.push(
    { name: "ttft_cold_ms", value: cold.firstTokenMs, unit: "ms", note: `${cold.promptTokens} tokens, nothing cached` },
    toRow(
      "ttft_shared_ms",
      warm.map(({ firstTokenMs }) => firstTokenMs),
      {
        unit: "ms",
        note: `same beginning: ${warm[0]?.cachedTokens} of ${warm[0]?.promptTokens} tokens cached`,
      },
    ),
  );

  for (const together of [1, 2, 4, 8].filter((count) => count <= parallel)) {
    const totals: number[] = [];
    for (let round = 0; round < 3; round++) totals.push(await throughput(engine, prompts, together));
    rows.push(
      toRow(`together_${together}_tps`, totals, { unit: "tok/s", note: `${together} sequences, 64 in, 128 out each` }),
    );
  }
  return rows;
}

/** How many times as fast as one sequence the engine is with several, at best. */
export function togetherGain(rows: readonly Row[]): number {
  const speeds = rows.filter(({ name }) => name.startsWith("together_")).map(({ value }) => value);
  return Math.max(...speeds) / (speeds[0] ?? Number.NaN);
}

/** Tokens a second of `together` sequences from the first start to the last end. */
export async function throughput(engine: Engine, prompts: Prompts, together: number): Promise<number> {
  const start = performance.now();
  const runs = await Promise.all(
    Array.from({ length: together }, () => runOnce(engine, benchRequest(prompts.fresh(64), 128))),
  );
  return (runs.reduce((sum, { completionTokens }) => sum + completionTokens, 0) / (performance.now() - start)) * 1000;
}
