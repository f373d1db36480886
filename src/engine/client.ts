// The engine as the server sees it: the contract, kept by a process of its own. Requests go out, events come in; when the process
// dies, a request with no token yet is sent again to the next one, and a request whose text was already shown ends in
// `engine_lost`, because a second answer need not begin like the first.
import { AppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Engine, EngineStatus, GenerateEvent, GenerateRequest } from "./contract.ts";
import { EventChannel } from "./event-channel.ts";
import type { FromHost, HostEvent, ToHost } from "./host-messages.ts";
import type { EngineSettings } from "./open.ts";
import { Supervisor } from "./supervisor.ts";

export interface EngineClientOptions {
  log: Log;
  onProgress?: (loaded: number) => void;
  /** For tests: another process entry, a shorter wait between restarts and before a silent process is ended. */
  hostFile?: string;
  backoffMs?: number;
  silenceMs?: number;
}

export interface EngineClient extends Engine {
  /** Resolves when the engine serves; rejects with what kept it from opening. */
  readonly ready: Promise<void>;
  readonly processId: number | undefined;
}

/** Starts the engine in its own process and waits until it serves. Throws what kept it from opening. */
export async function openEngineClient(settings: EngineSettings, options: EngineClientOptions): Promise<EngineClient> {
  const client = startEngineClient(settings, options);
  await client.ready;
  return client;
}

/** Starts the engine in its own process without waiting: requests wait until it serves, status() tells how far it is. */
export function startEngineClient(settings: EngineSettings, options: EngineClientOptions): EngineClient {
  return new ProcessEngine(settings, options);
}

interface Call {
  message: Extract<ToHost, { key: number }>;
  /** How often it was sent: a request that took its engine down twice is not tried on a third. */
  attempts: number;
  isStarted: boolean;
  isAborted: boolean;
  receive: (event: GenerateEvent) => void;
  answer: (value: readonly number[] | string) => void;
  fail: (error: AppError) => void;
}

const attemptLimit = 2;

class ProcessEngine implements EngineClient {
  readonly #supervisor: Supervisor;
  readonly #calls = new Map<number, Call>();
  readonly #settings: EngineSettings;
  #nextKey = 1;
  #status: EngineStatus;
  #totalsBefore: EngineStatus["totals"] | undefined; // of processes that are gone

  constructor(settings: EngineSettings, { log, onProgress, hostFile, backoffMs, silenceMs }: EngineClientOptions) {
    this.#settings = settings;
    this.#status = statusBefore(settings);
    this.#supervisor = new Supervisor({
      settings,
      log,
      hostFile,
      backoffMs,
      silenceMs,
      onProgress: (loaded) => onProgress?.(loaded),
      onReady: (status) => {
        this.#status = status;
        for (const call of this.#calls.values()) this.#dispatch(call);
      },
      onMessage: (message) => this.#receive(message),
      onLost: (error) => this.#lost(error),
    });
  }

  get ready(): Promise<void> {
    return this.#supervisor.ready;
  }

  get processId(): number | undefined {
    return this.#supervisor.processId;
  }

  async *generate(request: GenerateRequest, { signal }: { signal?: AbortSignal } = {}) {
    const key = this.#nextKey++;
    const channel = new EventChannel();
    const call = this.#enter(
      { type: "generate", key, request },
      {
        receive: (event) => channel.push(event),
        fail: (error) => channel.fail(error),
      },
    );
    const abort = (): void => {
      call.isAborted = true;
      if (call.attempts === 0) this.#endUnsent(key, channel);
      else this.#supervisor.send({ type: "abort", key });
    };
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      yield* channel.read();
    } finally {
      signal?.removeEventListener("abort", abort);
      if (this.#calls.delete(key) && call.attempts > 0) this.#supervisor.send({ type: "leave", key });
    }
  }

  tokenize(text: string, { special = false }: { special?: boolean } = {}): Promise<number[]> {
    return this.#ask({ type: "tokenize", key: this.#nextKey++, text, special }) as Promise<number[]>;
  }

  detokenize(ids: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    return this.#ask({ type: "detokenize", key: this.#nextKey++, ids, special }) as Promise<string>;
  }

  status(): EngineStatus {
    const { state, restarts, lastFailure, loadProgress } = this.#supervisor;
    const { totals, lastFailure: _, ...current } = this.#status;
    const isServing = state === "ready";
    const waiting = isServing ? current.queuedRequests : this.#calls.size;
    return {
      ...current,
      state,
      ...(isServing ? {} : { loadProgress, runningRequests: 0, queuedRequests: waiting }),
      totals: this.#totalsBefore ? addTotals(this.#totalsBefore, totals) : totals,
      restarts,
      ...(lastFailure === undefined ? {} : { lastFailure }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.stop();
    this.#failAll(new AppError("busy", "The engine is stopping.", { details: { retryAfterSeconds: 5 } }));
  }

  #ask(message: Extract<ToHost, { type: "tokenize" | "detokenize" }>): Promise<readonly number[] | string> {
    return new Promise((answer, fail) => {
      try {
        this.#enter(message, { answer, fail });
      } catch (error) {
        fail(error);
      }
    });
  }

  #enter(message: Call["message"], handlers: Partial<Pick<Call, "receive" | "answer">> & Pick<Call, "fail">): Call {
    const { state, lastFailure } = this.#supervisor;
    if (state === "stopped") throw new AppError("busy", "The engine has stopped.");
    if (state === "failed") {
      throw new AppError("engine_lost", `The engine keeps failing: ${lastFailure ?? "unknown reason"}`, {
        hint: "Quern goes on trying to restart it. `quern doctor` may tell more.",
      });
    }
    const { parallel, queueLimit } = this.#settings;
    if (state !== "ready" && this.#calls.size >= parallel + queueLimit) {
      throw new AppError("busy", `The engine is ${state} and ${this.#calls.size} requests wait already.`, {
        details: { retryAfterSeconds: 5, queuedRequests: this.#calls.size },
      });
    }
    const ignore = (): void => undefined;
    const call: Call = {
      message,
      attempts: 0,
      isStarted: false,
      isAborted: false,
      receive: handlers.receive ?? ignore,
      answer: handlers.answer ?? ignore,
      fail: handlers.fail,
    };
    this.#calls.set(message.key, call);
    this.#dispatch(call);
    return call;
  }

  #dispatch(call: Call): void {
    if (this.#supervisor.send(call.message)) call.attempts++;
  }

  #receive(message: FromHost): void {
    switch (message.type) {
      case "events":
        if (message.status) this.#status = message.status;
        for (const each of message.batch) this.#handOut(each);
        return;
      case "status":
        this.#status = message.status;
        return;
      case "answer": {
        const call = this.#calls.get(message.key);
        this.#calls.delete(message.key);
        call?.answer(message.value);
        return;
      }
    }
  }

  #handOut(each: HostEvent): void {
    const call = this.#calls.get(each.key);
    if (!call) return; // its reader has left
    if ("error" in each) {
      this.#calls.delete(each.key);
      call.fail(AppError.fromData(each.error));
      return;
    }
    if (each.event.type === "tokens") call.isStarted = true;
    if (each.event.type === "done") this.#calls.delete(each.key);
    call.receive(each.event);
  }

  #lost(error: AppError): void {
    const { totals } = this.#status;
    this.#totalsBefore = this.#totalsBefore ? addTotals(this.#totalsBefore, totals) : totals;
    this.#status = { ...this.#status, totals: noTotals, runningRequests: 0, queuedRequests: 0 };
    const { state } = this.#supervisor;
    const isOver = state === "stopped" || state === "failed";
    for (const [key, call] of [...this.#calls]) {
      // Sent again, or for the first time, when the next process serves.
      if (!isOver && !call.isStarted && !call.isAborted && call.attempts < attemptLimit) continue;
      this.#calls.delete(key);
      if (call.isAborted) call.receive(abortedDone);
      else call.fail(state === "stopped" ? error : lostError(error.message));
    }
  }

  /** Ends a request that no process has seen yet. */
  #endUnsent(key: number, channel: EventChannel): void {
    this.#calls.delete(key);
    channel.push(abortedDone);
  }

  #failAll(error: AppError): void {
    for (const [key, call] of [...this.#calls]) {
      this.#calls.delete(key);
      call.fail(error);
    }
  }
}

const abortedDone: GenerateEvent = {
  type: "done",
  reason: "aborted",
  usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
};

function lostError(message: string): AppError {
  return new AppError("engine_lost", `The engine was lost with this request: ${message}`, {
    hint: "Send the request again; the engine is being restarted.",
  });
}

const noTotals = { requests: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0, failures: 0, aborts: 0 };

function addTotals(left: EngineStatus["totals"], right: EngineStatus["totals"]): EngineStatus["totals"] {
  return {
    requests: left.requests + right.requests,
    promptTokens: left.promptTokens + right.promptTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    completionTokens: left.completionTokens + right.completionTokens,
    failures: left.failures + right.failures,
    aborts: left.aborts + right.aborts,
  };
}

/** What is known before the process has said anything. */
function statusBefore(settings: EngineSettings): EngineStatus {
  const { engine, modelId, modelFile, isDemonstration, contextTokens, parallel, queueLimit, kvType } = settings;
  return {
    engine: engine === "auto" ? "llama" : engine,
    device: "",
    state: "loading",
    model: {
      id: modelId,
      file: modelFile,
      fileBytes: 0,
      architecture: "",
      quantisation: "",
      parameters: 0,
      layers: 0,
      vocabularyTokens: 0,
      trainedContextTokens: 0,
      eosTokenIds: [],
      isDemonstration,
    },
    contextTokens,
    parallel,
    kvType,
    kv: { totalTokens: 0, usedTokens: 0, cachedTokens: 0 },
    memory: { weightBytes: 0, kvBytes: 0, otherBytes: 0 },
    runningRequests: 0,
    queuedRequests: 0,
    queueLimit,
    speed: { promptTokensPerSecond: 0, decodeTokensPerSecond: 0 },
    totals: noTotals,
    restarts: 0,
  };
}
