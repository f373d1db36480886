// The engine as the server sees it: the contract, kept by a process of its own. Requests go out, events come in; when the process
// dies, a request with no token yet is sent again to the next one, and a request whose text was already shown ends in
// `engine_lost`, because a second answer need not begin like the first.
import { AppError, toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { anotherModel, type Call, type CallHandlers, Calls, lostError } from "./calls.ts";
import type { Embedder, Embeddings, Engine, EngineStatus, GenerateRequest } from "./contract.ts";
import { EventChannel } from "./event-channel.ts";
import type { FromHost, HostAnswer, ToHost } from "./host-messages.ts";
import type { EngineSettings } from "./open.ts";
import { Supervisor } from "./supervisor.ts";
import { addTotals, noTotals, unopenedStatus } from "./unopened-status.ts";

export interface EngineClientOptions {
  log: Log;
  onProgress?: (loaded: number) => void;
  /** For tests: another process entry, a shorter wait between restarts and before a silent process is ended. */
  hostFile?: string;
  backoffMs?: number;
  silenceMs?: number;
}

export interface ReopenOptions {
  /** What running answers get to end in; 5 s when absent. */
  drainMs?: number;
  /** The engine before has gone: what is asked from here on is for the new one. */
  onLeft?: () => void;
  /** The new one could not be opened: what is asked from here on is for the one before. */
  onReturned?: () => void;
}

export interface EngineClient extends Engine {
  /** Resolves when the engine serves; rejects with what kept it from opening. */
  readonly ready: Promise<void>;
  readonly processId: number | undefined;
  /** What it was opened with last. */
  readonly settings: EngineSettings;
  /**
   * Opens the engine anew with other settings. Answers that run have a few seconds to end; then they fail with `engine_lost`. What waits is
   * answered by the new engine, unless that has another model: a prompt is made for one model, so it fails with `busy` and can be
   * asked again. Resolves when the new engine serves. When it cannot be opened, the one before is started again and the reason is thrown;
   * `conflict` while another reopening is under way.
   */
  reopen(settings: EngineSettings, options?: ReopenOptions): Promise<void>;
  /** The engine for prompts made now: once it has another model, it refuses them with `busy`. */
  forModelNow(): Engine;
}

/** Starts the engine in its own process and waits until it serves. Throws what kept it from opening. */
export async function openEngineClient(
  settings: EngineSettings,
  options: EngineClientOptions,
): Promise<EngineClient & Embedder> {
  const client = startEngineClient(settings, options);
  await client.ready;
  return client;
}

/** Starts the engine in its own process without waiting: requests wait until it serves, status() tells how far it is. */
export function startEngineClient(settings: EngineSettings, options: EngineClientOptions): EngineClient & Embedder {
  return new ProcessEngine(settings, options);
}

const usualDrainMs = 5000;

/**
 * The request with its prompt's ids as one block of memory: numbers one by one take the channel milliseconds for a long prompt. What is no
 * whole number of 32 bits stays as it came, for the engine to refuse.
 */
function packed(request: GenerateRequest): GenerateRequest {
  const { prompt } = request;
  if (prompt.kind !== "tokens" || prompt.ids instanceof Int32Array) return request;
  const ids = new Int32Array(prompt.ids.length);
  for (let index = 0; index < ids.length; index++) {
    const id = prompt.ids[index] as number;
    ids[index] = id;
    if (ids[index] !== id) return request;
  }
  return { ...request, prompt: { kind: "tokens", ids } };
}

class ProcessEngine implements EngineClient, Embedder {
  readonly #options: EngineClientOptions;
  readonly #calls = new Calls();
  #supervisor: Supervisor;
  #settings: EngineSettings;
  #nextKey = 1;
  /** Grows with each change of the model. */
  #modelNumber = 0;
  #isReopening = false;
  /** Calls wait here and go to no process. */
  #isHolding = false;
  #isDisposed = false;
  #status: EngineStatus;
  #totalsBefore: EngineStatus["totals"] | undefined; // of processes that are gone

  constructor(settings: EngineSettings, options: EngineClientOptions) {
    this.#options = options;
    this.#settings = settings;
    this.#status = unopenedStatus(settings);
    this.#supervisor = this.#launch(settings);
  }

  #launch(settings: EngineSettings, { hasServed = false } = {}): Supervisor {
    const { log, onProgress, hostFile, backoffMs, silenceMs } = this.#options;
    const supervisor: Supervisor = new Supervisor({
      settings,
      log,
      hasServed,
      hostFile,
      backoffMs,
      silenceMs,
      onProgress: (loaded) => onProgress?.(loaded),
      onReady: (status) => {
        this.#status = status;
        if (!this.#isHolding) for (const call of this.#calls) this.#dispatch(call);
      },
      onMessage: (message) => this.#receive(message),
      // The end of one that was replaced may be told after its successor has begun.
      onLost: (error) => supervisor === this.#supervisor && this.#lost(error),
    });
    return supervisor;
  }

  get ready(): Promise<void> {
    return this.#supervisor.ready;
  }

  get processId(): number | undefined {
    return this.#supervisor.processId;
  }

  get settings(): EngineSettings {
    return this.#settings;
  }

  async *generate(request: GenerateRequest, { signal }: { signal?: AbortSignal } = {}) {
    const key = this.#nextKey++;
    const channel = new EventChannel();
    const call = this.#enter(
      { type: "generate", key, request: packed(request) },
      {
        receive: (event) => channel.push(event),
        fail: (error) => channel.fail(error),
      },
    );
    const abort = (): void => {
      if (!this.#calls.abort(call)) this.#supervisor.send({ type: "abort", key });
    };
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      yield* channel.read();
    } finally {
      signal?.removeEventListener("abort", abort);
      if (this.#calls.drop(call) && call.isSent) this.#supervisor.send({ type: "leave", key });
    }
  }

  tokenize(text: string, { special = false }: { special?: boolean } = {}): Promise<number[]> {
    return this.#ask({ type: "tokenize", key: this.#nextKey++, text, special }) as Promise<number[]>;
  }

  detokenize(ids: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    return this.#ask({ type: "detokenize", key: this.#nextKey++, ids, special }) as Promise<string>;
  }

  embed(texts: readonly string[]): Promise<Embeddings> {
    return this.#ask({ type: "embed", key: this.#nextKey++, texts }) as Promise<Embeddings>;
  }

  status(): EngineStatus {
    const { restarts, lastFailure, loadProgress } = this.#supervisor;
    const { totals, lastFailure: _, ...current } = this.#status;
    const state = this.#state;
    const isServing = state === "ready";
    const waiting = isServing ? current.queuedRequests : this.#calls.requests;
    return {
      ...current,
      state,
      ...(isServing ? {} : { loadProgress, runningRequests: 0, queuedRequests: waiting }),
      totals: this.#totalsBefore ? addTotals(this.#totalsBefore, totals) : totals,
      restarts,
      ...(lastFailure === undefined ? {} : { lastFailure }),
    };
  }

  /** An engine that stops to be opened anew is loading for whoever asks. */
  get #state(): EngineStatus["state"] {
    const { state } = this.#supervisor;
    return this.#isReopening && (state === "stopped" || state === "failed") ? "loading" : state;
  }

  forModelNow(): Engine {
    const number = this.#modelNumber;
    const check = (): void => {
      if (number !== this.#modelNumber) throw anotherModel();
    };
    const client = this;
    return {
      async *generate(request, options) {
        check();
        yield* client.generate(request, options);
      },
      async tokenize(text, options) {
        check();
        return client.tokenize(text, options);
      },
      async detokenize(ids, options) {
        check();
        return client.detokenize(ids, options);
      },
      status: () => client.status(),
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  }

  async reopen(settings: EngineSettings, { drainMs = usualDrainMs, onLeft, onReturned }: ReopenOptions = {}) {
    if (this.#isReopening) {
      throw new AppError("conflict", "The engine is being opened anew already.", { hint: "Wait until it serves." });
    }
    const before = this.#settings;
    const isOtherModel = settings.modelFile !== before.modelFile;
    this.#isReopening = true;
    this.#isHolding = true;
    try {
      for (const key of this.#calls.callBack()) this.#supervisor.send({ type: "leave", key });
      await this.#calls.drained(drainMs);
      this.#calls.leaveProcess({ isOtherModel });
      await this.#supervisor.stop();
      if (this.#isDisposed) throw new AppError("busy", "The engine is stopping.");
      if (isOtherModel) this.#modelNumber++;
      onLeft?.();
      this.#open(settings);
      await this.#supervisor.ready;
    } catch (error) {
      if (this.#isDisposed) throw error;
      this.#options.log.error("engine not reopened", { failure: toAppError(error).message });
      await this.#supervisor.stop();
      this.#calls.leaveProcess({ isOtherModel });
      if (isOtherModel) this.#modelNumber++;
      onReturned?.();
      this.#open(before, { hasServed: true });
      throw error;
    } finally {
      this.#isReopening = false;
    }
  }

  #open(settings: EngineSettings, options?: { hasServed: boolean }): void {
    this.#keepTotals();
    this.#settings = settings;
    this.#status = unopenedStatus(settings);
    this.#isHolding = false;
    this.#supervisor = this.#launch(settings, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#supervisor.stop();
    this.#calls.failAll(new AppError("busy", "The engine is stopping.", { details: { retryAfterSeconds: 5 } }));
  }

  #ask(message: Extract<ToHost, { type: "tokenize" | "detokenize" | "embed" }>): Promise<HostAnswer> {
    return new Promise((answer, fail) => {
      try {
        this.#enter(message, { answer, fail });
      } catch (error) {
        fail(error);
      }
    });
  }

  #enter(message: Call["message"], handlers: CallHandlers): Call {
    const { lastFailure } = this.#supervisor;
    const state = this.#state;
    if (state === "stopped") throw new AppError("busy", "The engine has stopped.");
    if (state === "failed") {
      throw new AppError("engine_lost", `The engine keeps failing: ${lastFailure ?? "unknown reason"}`, {
        hint: "Quern goes on trying to restart it. `quern doctor` may tell more.",
      });
    }
    const { parallel, queueLimit } = this.#settings;
    if ((state !== "ready" || this.#isHolding) && this.#calls.size >= parallel + queueLimit) {
      throw new AppError("busy", `The engine is ${state} and ${this.#calls.size} requests wait already.`, {
        details: { retryAfterSeconds: 5, queuedRequests: this.#calls.size },
      });
    }
    const call = this.#calls.add(message, handlers);
    if (!this.#isHolding) this.#dispatch(call);
    return call;
  }

  #dispatch(call: Call): void {
    if (!this.#supervisor.send(call.message)) return;
    call.attempts++;
    call.isSent = true;
  }

  #receive(message: FromHost): void {
    switch (message.type) {
      case "events":
        if (message.status) this.#status = message.status;
        for (const each of message.batch) this.#calls.handOut(each);
        return;
      case "status":
        this.#status = message.status;
        return;
      case "answer":
        this.#calls.answer(message.key, message.value);
        return;
    }
  }

  #keepTotals(): void {
    const { totals } = this.#status;
    this.#totalsBefore = this.#totalsBefore ? addTotals(this.#totalsBefore, totals) : totals;
    this.#status = { ...this.#status, totals: noTotals, runningRequests: 0, queuedRequests: 0 };
  }

  #lost(error: AppError): void {
    this.#keepTotals();
    const { state } = this.#supervisor;
    const isOver = !this.#isReopening && (state === "stopped" || state === "failed");
    this.#calls.lost(error, isOver ? (state === "stopped" ? error : lostError(error.message)) : undefined);
  }
}
