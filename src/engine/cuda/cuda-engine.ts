// The engine contract over a runner: takes requests in, turns text into tokens and tokens into text, and lets scheduler and loop do
// the rest. Knows neither CUDA nor GGUF; over the simulated runner it is tested without a device.
//
// A failed step means a lost device: every request fails with its error, the engine is `failed` and stays so. Starting anew is for
// whoever started the process.
import { randomInt } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError, toAppError } from "../../base/errors.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { joined, PromptEncoder } from "../../models/prompt-encoder.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { ActiveRequest } from "../active-request.ts";
import { answerRoom, checkPromptIds, checkRequest } from "../check-request.ts";
import type {
  Engine,
  EngineStatus,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
  Prompt,
  PromptIds,
  Sampling,
} from "../contract.ts";
import { SpeedMeter } from "../speed-meter.ts";
import { type FollowingConstraint, type Grammars, openGrammars, type Told } from "./grammar.ts";
import { News, runLoop } from "./loop.ts";
import type { Runner, RunnerLimits, SampledToken } from "./runner-contract.ts";
import { Scheduler } from "./scheduler.ts";
import { Sequence } from "./sequence.ts";
import type { Step } from "./step.ts";

export interface RunnerEngineOptions {
  runner: Runner;
  tokenizer: Tokenizer;
  model: ModelInfo;
  parallel: number;
  queueLimit: number;
  /** Why this engine was picked. */
  reason?: string | undefined;
  /** Owned by the engine. By default a thread that starts with the first grammar. */
  grammars?: Grammars;
  /** Sequences whose decode steps are launched two at a time, at most; see loop.ts. */
  together?: number | undefined;
  log?: Log;
  /** Milliseconds, monotonic. */
  now?: () => number;
}

/** Opens an engine over a runner, which it owns from then on. */
export function openEngineOverRunner(options: RunnerEngineOptions): Engine {
  return new RunnerEngine(options);
}

class RunnerEngine implements Engine {
  readonly #options: RunnerEngineOptions;
  readonly #runner: Runner;
  readonly #scheduler: Scheduler;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #prompts: PromptEncoder;
  readonly #grammars: Grammars;
  readonly #news = new News();
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  readonly #promptSpeed = new SpeedMeter();
  readonly #decodeSpeed = new SpeedMeter();
  readonly #totals = { requests: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0, failures: 0, aborts: 0 };
  #closedBy: AppError | undefined;
  #state: EngineStatus["state"] = "ready";
  /** End of the last step, or when work began; undefined while there is none. */
  #busySince: number | undefined;
  /** How long requests lately held a slot; a moving average over about eight. */
  #serviceMs: number | undefined;

  constructor(options: RunnerEngineOptions) {
    const { runner, parallel, queueLimit, log = silentLog, now = () => performance.now() } = options;
    this.#options = options;
    this.#runner = runner;
    this.#now = now;
    this.#log = log;
    const { tokenizer, model } = options;
    this.#prompts = new PromptEncoder(tokenizer);
    this.#grammars = options.grammars ?? openGrammars({ tokenizer, stopTokenIds: model.eosTokenIds, log });
    this.#scheduler = new Scheduler({
      limits: runner.limits,
      parallel,
      queueLimit,
      retryAfterSeconds: () => Math.max(1, Math.ceil((this.#estimatedWaitMs(1) ?? 1000) / 1000)),
    });
    this.#loop = this.#run();
  }

  async #run(): Promise<void> {
    const [scheduler, runner, news] = [this.#scheduler, this.#runner, this.#news];
    const { together } = this.#options;
    const onStep = (step: Step): void => this.#measure(step);
    // Whoever hears of it must find the engine failed, and nobody may enter any more.
    const onLost = (error: unknown): void => {
      this.#closedBy = toAppError(error);
      this.#state = "failed";
      this.#log.error("engine failed", { code: this.#closedBy.code, message: this.#closedBy.message });
    };
    const stop = this.#stop.signal;
    await runLoop({ scheduler, runner, news, stop, together, onStep, onLost }).catch(() => undefined);
  }

  async *generate(
    request: GenerateRequest,
    { signal }: { signal?: AbortSignal } = {},
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    this.#totals.requests++;
    using accepted = await this.#accept(request, signal);
    if (!accepted) {
      this.#totals.aborts++;
      yield goneBeforeAccepted;
      return;
    }
    const { active, sequence } = accepted;
    const leave = (): void => {
      sequence.isLeaving = true;
      this.#news.tell();
    };
    if (signal?.aborted) leave();
    signal?.addEventListener("abort", leave, { once: true });
    this.#news.tell();
    try {
      yield* active.channel.read();
    } finally {
      signal?.removeEventListener("abort", leave);
      if (active.channel.isOpen) leave();
    }
  }

  /** Undefined when the caller aborted before the request could be accepted. */
  async #accept(request: GenerateRequest, signal: AbortSignal | undefined): Promise<Accepted | undefined> {
    const stack = new DisposableStack();
    try {
      this.#refuseIfClosed();
      checkRequest(request);
      const { vocabularyTokens } = this.#runner.limits;
      checkSampling(request.sampling, this.#runner.limits);
      const promptIds = await this.#promptIds(request.prompt, signal);
      if (signal?.aborted) return undefined;
      checkPromptIds(promptIds, vocabularyTokens);
      const maxTokens = answerRoom(promptIds.length, this.#runner.limits.contextTokens, request.maxTokens);
      let sequence: Sequence | undefined;
      let failure: AppError | undefined;
      const opening = this.#constraint(request, {
        onMask: () => this.#news.tell(),
        onFailure: (error) => {
          failure = error;
          if (sequence) this.#scheduler.fail(sequence, error);
        },
      });
      const constraint = opening && (await unlessAborted(opening, signal));
      if (constraint) stack.use(constraint);
      if (signal?.aborted) return undefined;
      if (failure) throw failure;
      this.#refuseIfClosed();
      const active = new ActiveRequest(request, promptIds, this.#limitsOf(request, maxTokens), this.#now());
      sequence = this.#sequenceOf(active, constraint);
      this.#scheduler.enter(sequence);
      this.#busySince ??= this.#now();
      const held = stack.move();
      return { active, sequence, [Symbol.dispose]: () => held.dispose() };
    } catch (error) {
      this.#totals.failures++;
      throw error;
    } finally {
      stack.dispose();
    }
  }

  #refuseIfClosed(): void {
    if (this.#closedBy) throw this.#closedBy;
  }

  /** Long texts are tokenised a few milliseconds at a time: the loop shares this thread. */
  async #promptIds(prompt: Prompt, signal: AbortSignal | undefined): Promise<PromptIds> {
    if (prompt.kind === "tokens") return prompt.ids;
    const parts: Int32Array[] = [];
    for (const piece of prompt.pieces) {
      for (const part of this.#prompts.encode(piece)) {
        parts.push(part);
        if (signal?.aborted) return joined(parts);
        if (parts.length % 4 === 0) await nextTurn();
      }
    }
    return joined(parts);
  }

  #constraint(request: GenerateRequest, told: Told): Promise<FollowingConstraint> | undefined {
    if (!request.grammar) return undefined;
    // The grammar alone says when the answer is complete.
    for (const param of ["ignoreEos", "minTokens"] as const) {
      if (request[param]) throw new AppError("unsupported", `A grammar and ${param} cannot be combined.`, { param });
    }
    return this.#grammars.open(request.grammar, told);
  }

  #limitsOf(request: GenerateRequest, maxTokens: number): ConstructorParameters<typeof ActiveRequest>[2] {
    const { minTokens, stop, includeStop } = request;
    return {
      maxTokens,
      ...(minTokens === undefined ? {} : { minTokens }),
      ...(stop === undefined ? {} : { stop }),
      ...(includeStop === undefined ? {} : { includeStop }),
      endTokenIds: this.#endTokenIds(request),
    };
  }

  #endTokenIds({ ignoreEos, stopTokenIds = [] }: GenerateRequest): ReadonlySet<number> {
    return new Set([...(ignoreEos ? [] : this.#options.model.eosTokenIds), ...stopTokenIds]);
  }

  #sequenceOf(active: ActiveRequest, constraint: FollowingConstraint | undefined): Sequence {
    const { request, promptIds, priority, maxTokens } = active;
    const { sampling, topLogprobs, minTokens } = request;
    let startedAt: number | undefined;
    const ended = (): void => {
      if (startedAt === undefined) return;
      const tookMs = this.#now() - startedAt;
      this.#serviceMs = this.#serviceMs === undefined ? tookMs : this.#serviceMs + (tookMs - this.#serviceMs) / 8;
    };
    return new Sequence({
      promptIds,
      priority,
      maxTokens,
      ...(minTokens ? { minTokens, earlyMask: this.#maskWithout(this.#endTokenIds(request)) } : {}),
      settings: {
        sampling: penalises(sampling) ? sampling : { ...sampling, penaltyTokens: 0 },
        seed: sampling.seed ?? randomInt(2 ** 47),
        ...(topLogprobs === undefined ? {} : { topLogprobs }),
      },
      ...(constraint ? { constraint } : {}),
      reader: {
        waits: (position) => active.onWait(position, this.#estimatedWaitMs(position)),
        started: (cachedTokens) => {
          startedAt = this.#now();
          active.start(cachedTokens, startedAt);
        },
        prefilled: ({ processedTokens, cachedTokens }) => {
          active.cachedTokens = cachedTokens;
          active.prefilled(processedTokens);
        },
        take: (token) => {
          const end = this.#hand(token, active);
          if (!end) constraint?.accept(token.id);
          return end;
        },
        finished: (reason, stopText) => {
          active.finish(reason, { stopText, now: this.#now() });
          this.#count(active);
          if (reason === "aborted") this.#totals.aborts++;
          ended();
        },
        failed: (error) => {
          active.channel.fail(error);
          this.#totals.failures++;
          ended();
        },
      },
    });
  }

  #hand(token: SampledToken, active: ActiveRequest): ReturnType<ActiveRequest["take"]> {
    const { id, logprob, top = [] } = token;
    const bytes = this.#options.tokenizer.tokenBytes(id);
    return active.take(id, bytes, {
      logprob: logprob === undefined ? undefined : { id, logprob, top },
      now: this.#now(),
    });
  }

  #maskWithout(ids: ReadonlySet<number>): Int32Array {
    const mask = new Int32Array(Math.ceil(this.#runner.limits.vocabularyTokens / 32)).fill(-1);
    for (const id of ids) mask[id >> 5] = (mask[id >> 5] ?? 0) & ~(1 << (id & 31));
    return mask;
  }

  #count({ usage }: ActiveRequest): void {
    this.#totals.promptTokens += usage.promptTokens;
    this.#totals.cachedTokens += usage.cachedTokens;
    this.#totals.completionTokens += usage.completionTokens;
  }

  #measure({ promptTokens, decodeTokens }: Step): void {
    const at = this.#now();
    const ms = at - (this.#busySince ?? at);
    this.#promptSpeed.record(promptTokens, ms, at);
    this.#decodeSpeed.record(decodeTokens, ms, at);
    this.#busySince = this.#scheduler.runningCount > 0 ? at : undefined;
  }

  #estimatedWaitMs(position: number): number | undefined {
    if (this.#serviceMs === undefined) return undefined;
    return Math.round((this.#serviceMs * position) / Math.max(1, this.#scheduler.runningCount));
  }

  async tokenize(text: string, options: { special?: boolean } = {}): Promise<number[]> {
    return [...this.#options.tokenizer.encode(text, options)];
  }

  async detokenize(ids: readonly number[], options: { special?: boolean } = {}): Promise<string> {
    return this.#options.tokenizer.decode(ids, options);
  }

  status(): EngineStatus {
    const { runner, model, parallel, queueLimit, reason } = this.#options;
    const { pageTokens, pages, slots, contextTokens } = runner.limits;
    const { held, cached } = this.#scheduler.pageCounts;
    return {
      engine: "cuda",
      ...(reason === undefined ? {} : { reason }),
      device: runner.device,
      state: this.#state,
      model,
      contextTokens,
      parallel: Math.min(parallel, slots),
      kvType: runner.kvType,
      kv: { totalTokens: pages * pageTokens, usedTokens: held * pageTokens, cachedTokens: cached * pageTokens },
      memory: runner.memory(),
      runningRequests: this.#scheduler.runningCount,
      queuedRequests: this.#scheduler.waitingCount,
      queueLimit,
      speed: {
        promptTokensPerSecond: this.#promptSpeed.tokensPerSecond,
        decodeTokensPerSecond: this.#decodeSpeed.tokensPerSecond,
      },
      totals: { ...this.#totals },
      restarts: 0,
      ...(this.#closedBy && this.#state === "failed" ? { lastFailure: this.#closedBy.message } : {}),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closedBy ??= new AppError("busy", "The engine is stopping.");
    if (this.#state !== "failed") this.#state = "stopped";
    this.#stop.abort();
    this.#news.tell();
    await this.#loop;
    await this.#grammars[Symbol.asyncDispose]();
    await this.#runner[Symbol.asyncDispose]();
  }
}

/** What only the device limits: refused here, because a step in which one sequence cannot be served fails all of them. */
function checkSampling(sampling: Sampling, limits: RunnerLimits): void {
  const { vocabularyTokens, biases = Number.POSITIVE_INFINITY, penaltyTokens = Number.POSITIVE_INFINITY } = limits;
  for (const id of sampling.logitBias.keys()) {
    if (id >= vocabularyTokens) {
      throw new AppError("bad_request", `${id} is not a token id of this model.`, { param: "logitBias" });
    }
  }
  if (sampling.logitBias.size > biases) {
    throw new AppError(
      "unsupported",
      `${sampling.logitBias.size} logit biases are too many: the engine takes ${biases}.`,
      {
        param: "logitBias",
      },
    );
  }
  if (penalises(sampling) && sampling.penaltyTokens > penaltyTokens) {
    throw new AppError(
      "unsupported",
      `Penalties over the last ${sampling.penaltyTokens} tokens: the engine looks at ${penaltyTokens} at most.`,
      { param: "penaltyTokens" },
    );
  }
}

function penalises({ repeatPenalty, presencePenalty, frequencyPenalty }: Sampling): boolean {
  return repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
}

const goneBeforeAccepted: GenerateEvent = {
  type: "done",
  reason: "aborted",
  usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
};

/** What is being opened, or undefined once the signal is aborted; what is opened after that is closed again. */
async function unlessAborted<T extends Disposable>(
  opening: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  if (!signal) return opening;
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const abort = (): void => resolve(undefined);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    const opened = await Promise.race([opening, aborted]);
    if (!opened) opening.then((late) => late[Symbol.dispose](), abort);
    return opened;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

interface Accepted extends Disposable {
  active: ActiveRequest;
  sequence: Sequence;
}
