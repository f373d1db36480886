// The live panel's numbers: read once a second whoever looks, told to all who look, and kept for an hour, a point a minute. Readings cost
// microseconds: the GPU's library, the engine's status as it lies here, counters of the system.
import { cpus, freemem, totalmem } from "node:os";
import type { Engine } from "../../engine/contract.ts";
import type { GpuMeter } from "../../engine/gpu-meter.ts";
import type { RunningAnswers } from "../../workspace/running-answers.ts";
import type { HourSpeedBody, LiveBody, LiveHistory } from "../api-types.ts";
import type { EnergyLedger } from "./energy-ledger.ts";
import type { ModelPulls } from "./model-pulls.ts";
import { SpeedByCount } from "./speed-by-count.ts";

export interface LiveNumbersOptions {
  engine: Pick<Engine, "status">;
  gpu: Pick<GpuMeter, "read" | "deviceCount"> | undefined;
  answers: Pick<RunningAnswers, "list">;
  pulls: Pick<ModelPulls, "list">;
  energy: Pick<EnergyLedger, "share">;
  cores: number;
  now?: () => number;
  /** CPU time of the machine so far, busy and all of it, in milliseconds. */
  cpuTimes?: () => { busyMs: number; totalMs: number };
}

const pointMs = 60_000;
const points = 60;

type Series = keyof Omit<LiveHistory, "endsAt" | "secondsPerPoint">;

const seriesNames: readonly Series[] = [
  "tokensPerSecond",
  "firstTokenMs",
  "gpuPercent",
  "gpuMemoryBytes",
  "temperatureCelsius",
  "powerWatts",
  "cpuPercent",
  "running",
  "queued",
];

export class LiveNumbers {
  readonly #options: Required<LiveNumbersOptions>;
  readonly #history = new Map<Series, (number | null)[]>(seriesNames.map((name) => [name, []]));
  #minute: { at: number; sums: Map<Series, { sum: number; count: number }> } | undefined;
  #cpuBefore: { busyMs: number; totalMs: number };
  #cpuPercent = 0;
  #lastCompletionTokens: { at: number; tokens: number } | undefined;
  #firstTokenMs: number | undefined;
  readonly #speeds = new SpeedByCount();
  #current: LiveBody;
  #changed = Promise.withResolvers<void>();

  constructor(options: LiveNumbersOptions) {
    this.#options = { now: Date.now, cpuTimes: machineCpuTimes, ...options };
    this.#cpuBefore = this.#options.cpuTimes();
    this.#current = this.#take();
  }

  get current(): LiveBody {
    return this.#current;
  }

  /** The last hour, oldest first; null where nothing was measured. */
  history(): LiveHistory {
    const series = Object.fromEntries([...this.#history].map(([name, values]) => [name, [...values]]));
    return {
      endsAt: this.#minute?.at ?? this.#options.now(),
      secondsPerPoint: pointMs / 1000,
      ...series,
    } as LiveHistory;
  }

  speedByCount(): HourSpeedBody[] {
    return this.#speeds.lastHour(this.#options.now());
  }

  /** An answer's first token came after this long. */
  firstToken(ms: number): void {
    this.#firstTokenMs = ms;
    this.#count("firstTokenMs", ms);
  }

  /** Takes a reading and tells it; the door calls it each second. */
  read(): void {
    this.#options.energy.share();
    this.#current = this.#take();
    const { at, answers, gpu, cpu, engine, tokensPerSecond } = this.#current;
    this.#speeds.read(at, answers, engine.runningRequests);
    this.#count("tokensPerSecond", tokensPerSecond);
    this.#count("gpuPercent", gpu?.utilisationPercent);
    this.#count("gpuMemoryBytes", gpu?.memoryUsedBytes);
    this.#count("temperatureCelsius", gpu?.temperatureCelsius);
    this.#count("powerWatts", gpu?.powerWatts);
    this.#count("cpuPercent", cpu.percent);
    this.#count("running", engine.runningRequests);
    this.#count("queued", engine.queuedRequests);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** The present reading, then each new one until the signal aborts. A slow reader misses some, and never gets an old one. */
  async *follow(signal: AbortSignal): AsyncGenerator<LiveBody> {
    const gone = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => gone.resolve(), { once: true });
    let told: LiveBody | undefined;
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      if (told !== this.#current) {
        told = this.#current;
        yield told;
        continue;
      }
      await Promise.race([changed, gone.promise]);
    }
  }

  #take(): LiveBody {
    const { engine, gpu, answers, pulls, cores, now } = this.#options;
    const status = engine.status();
    const { weightBytes, kvBytes, otherBytes, freeBytes, totalBytes } = status.memory;
    const reading = gpu?.read(0);
    const bytesPerToken = status.kv.totalTokens > 0 ? kvBytes / status.kv.totalTokens : 0;
    return {
      at: now(),
      engine: {
        engine: status.engine,
        device: status.device,
        state: status.state,
        ...(status.loadProgress === undefined ? {} : { loadProgress: status.loadProgress }),
        modelId: status.model.id,
        contextTokens: status.contextTokens,
        parallel: status.parallel,
        runningRequests: status.runningRequests,
        queuedRequests: status.queuedRequests,
        queueLimit: status.queueLimit,
        kv: status.kv,
        memory: {
          weightBytes,
          kvUsedBytes: Math.round(bytesPerToken * status.kv.usedTokens),
          kvKeptBytes: Math.round(bytesPerToken * status.kv.cachedTokens),
          kvBytes,
          otherBytes,
          ...(freeBytes === undefined ? {} : { freeBytes }),
          ...(totalBytes === undefined ? {} : { totalBytes }),
        },
        speed: status.speed,
        restarts: status.restarts,
      },
      ...(reading ? { gpu: reading } : {}),
      cpu: { percent: this.#cpu(), cores, memoryTotalBytes: totalmem(), memoryUsedBytes: totalmem() - freemem() },
      tokensPerSecond: this.#tokensPerSecond(status.totals.completionTokens, answers.list()),
      ...(this.#firstTokenMs === undefined ? {} : { firstTokenMs: this.#firstTokenMs }),
      answers: answers.list(),
      pulls: pulls.list(),
    };
  }

  /** Of all answers together, since the reading before. Totals grow when a request ends; of those that run, what is written counts. */
  #tokensPerSecond(ended: number, running: ReturnType<RunningAnswers["list"]>): number {
    const at = this.#options.now();
    const before = this.#lastCompletionTokens;
    const rates = running.flatMap(({ tokensPerSecond }) => (tokensPerSecond === undefined ? [] : [tokensPerSecond]));
    this.#lastCompletionTokens = { at, tokens: ended };
    if (rates.length > 0) return rates.reduce((sum, rate) => sum + rate, 0);
    if (!before || at <= before.at || ended < before.tokens) return 0;
    return ((ended - before.tokens) * 1000) / (at - before.at);
  }

  #cpu(): number {
    const after = this.#options.cpuTimes();
    const total = after.totalMs - this.#cpuBefore.totalMs;
    // Two readings within a tick of the system's clock say nothing new.
    if (total > 0) this.#cpuPercent = Math.round(((after.busyMs - this.#cpuBefore.busyMs) * 100) / total);
    if (total > 0) this.#cpuBefore = after;
    return this.#cpuPercent;
  }

  /** Enters a value into the mean of its minute. A minute in which something was idle is part of it. */
  #count(name: Series, value: number | undefined): void {
    this.#closeMinutes();
    if (value === undefined || !this.#minute) return;
    const entry = this.#minute.sums.get(name) ?? { sum: 0, count: 0 };
    this.#minute.sums.set(name, { sum: entry.sum + value, count: entry.count + 1 });
  }

  #closeMinutes(): void {
    const now = this.#options.now();
    this.#minute ??= { at: now, sums: new Map() };
    for (let closed = 0; now - this.#minute.at >= pointMs && closed <= points; closed++) {
      for (const [name, values] of this.#history) {
        const entry = this.#minute.sums.get(name);
        values.push(entry ? Math.round((entry.sum / entry.count) * 100) / 100 : null);
        if (values.length > points) values.shift();
      }
      this.#minute = { at: this.#minute.at + pointMs, sums: new Map() };
    }
    if (now - this.#minute.at >= pointMs) this.#minute.at = now;
  }
}

function machineCpuTimes(): { busyMs: number; totalMs: number } {
  let busyMs = 0;
  let totalMs = 0;
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.idle + times.irq;
    totalMs += all;
    busyMs += all - times.idle;
  }
  return { busyMs, totalMs };
}
