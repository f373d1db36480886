// The side of an engine that faces its callers: checks a request, lets it start, wait or be refused, carries its events to its
// reader, and counts. The engine's loop takes admitted requests from here and gives them back when they end. Knows no model and
// no device.
import { AppError } from "../base/errors.ts";
import { ActiveRequest } from "./active-request.ts";
import { Admission } from "./admission.ts";
import { answerRoom, checkPromptIds, checkRequest } from "./check-request.ts";
import type { EngineStatus, FinishReason, GenerateEvent, GenerateRequest, PromptIds } from "./contract.ts";

export interface IntakeOptions {
  parallel: number;
  queueLimit: number;
  /** KV tokens all sequences may hold together. */
  kvTokens: number;
  /** Tokens one sequence may hold. */
  contextTokens: number;
  vocabularyTokens: number;
  /** The model's own end-of-turn tokens. */
  eosTokenIds: readonly number[];
  /** Tells the loop that there is something to do. */
  wake: () => void;
  now?: () => number;
}

export interface Arrival {
  signal?: AbortSignal | undefined;
  /** The prompt's token ids; may throw, or take a while. */
  promptIds: () => PromptIds | Promise<PromptIds>;
}

export class Intake {
  readonly now: () => number;
  readonly #options: IntakeOptions;
  readonly #admission: Admission<ActiveRequest>;
  readonly #open = new Set<ActiveRequest>(); // waiting or running
  readonly #admitted: ActiveRequest[] = []; // not yet taken by the loop
  #closedBy: AppError | undefined;
  readonly #totals = { requests: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0, failures: 0, aborts: 0 };

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.now = options.now ?? (() => performance.now());
    const { parallel: sequences, kvTokens, queueLimit } = options;
    this.#admission = new Admission({ sequences, kvTokens, queueLimit, now: this.now });
  }

  /** The whole life of a request, as its caller sees it. */
  async *generate(request: GenerateRequest, arrival: Arrival): AsyncGenerator<GenerateEvent, void, undefined> {
    this.#totals.requests++;
    let active: ActiveRequest;
    try {
      active = await this.#accept(request, arrival);
    } catch (error) {
      this.#totals.failures++;
      throw error;
    }
    const leave = (): void => {
      active.isLeaving = true;
      if (this.#admission.isWaiting(active)) this.finish(active, "aborted");
      else this.#options.wake();
    };
    const { signal } = arrival;
    if (signal?.aborted) leave();
    signal?.addEventListener("abort", leave, { once: true });
    this.#options.wake();
    try {
      yield* active.channel.read();
    } finally {
      signal?.removeEventListener("abort", leave);
      if (active.channel.isOpen) leave();
    }
  }

  async #accept(request: GenerateRequest, arrival: Arrival): Promise<ActiveRequest> {
    const { contextTokens, vocabularyTokens, eosTokenIds } = this.#options;
    if (this.#closedBy) throw this.#closedBy;
    checkRequest(request);
    for (const id of request.sampling.logitBias.keys()) {
      if (id >= vocabularyTokens) {
        throw new AppError("bad_request", `${id} is not a token id of this model.`, { param: "logitBias" });
      }
    }
    this.#admission.refuseIfFull();
    const promptIds = await arrival.promptIds();
    checkPromptIds(promptIds, vocabularyTokens);
    const limits = {
      maxTokens: answerRoom(promptIds.length, contextTokens, request.maxTokens),
      ...(request.minTokens === undefined ? {} : { minTokens: request.minTokens }),
      ...(request.stop === undefined ? {} : { stop: request.stop }),
      ...(request.includeStop === undefined ? {} : { includeStop: request.includeStop }),
      endTokenIds: new Set([...(request.ignoreEos ? [] : eosTokenIds), ...(request.stopTokenIds ?? [])]),
    };
    if (this.#closedBy) throw this.#closedBy;
    const active = new ActiveRequest(request, promptIds, limits, this.now());
    this.#admission.enter(active);
    this.#open.add(active);
    this.#admitAll();
    return active;
  }

  /** Requests admitted since the last call, each now to be started by the loop; those that have left again are ended here. */
  take(): readonly ActiveRequest[] {
    const admitted: ActiveRequest[] = [];
    for (let next = this.#admitted.shift(); next; next = this.#admitted.shift()) {
      if (next.isLeaving) this.finish(next, "aborted");
      else admitted.push(next);
    }
    return admitted;
  }

  /** Whether a request waits to be taken, or to be let go. */
  get hasNews(): boolean {
    if (this.#admitted.length > 0) return true;
    for (const active of this.#open) if (active.isLeaving) return true;
    return false;
  }

  /** Ends a request well and gives back what it held. */
  finish(active: ActiveRequest, reason: FinishReason, stopText?: string): void {
    if (!this.#open.delete(active)) return;
    active.finish(reason, { stopText, now: this.now() });
    const { promptTokens, cachedTokens, completionTokens } = active.usage;
    this.#totals.promptTokens += promptTokens;
    this.#totals.cachedTokens += cachedTokens;
    this.#totals.completionTokens += completionTokens;
    if (reason === "aborted") this.#totals.aborts++;
    this.#letGo(active);
  }

  /** Ends a request with an error and gives back what it held. */
  fail(active: ActiveRequest, error: unknown): void {
    if (!this.#open.delete(active)) return;
    this.#totals.failures++;
    active.channel.fail(error);
    this.#letGo(active);
  }

  /** Ends every request with `error`, and every later one too: nobody is left waiting on an engine that has stopped. */
  close(error: AppError): void {
    this.#closedBy = error;
    for (const active of [...this.#open]) this.fail(active, error);
    this.#admitted.length = 0;
  }

  /** The part of EngineStatus that is known here. */
  status(): Pick<EngineStatus, "parallel" | "queueLimit" | "runningRequests" | "queuedRequests" | "totals"> {
    return {
      parallel: this.#options.parallel,
      queueLimit: this.#options.queueLimit,
      runningRequests: this.#admission.runningCount,
      queuedRequests: this.#admission.waitingCount,
      totals: { ...this.#totals },
    };
  }

  #letGo(active: ActiveRequest): void {
    this.#admission.leave(active);
    if (!this.#closedBy) this.#admitAll();
  }

  #admitAll(): void {
    for (let next = this.#admission.admit(); next; next = this.#admission.admit()) this.#admitted.push(next);
    this.#admission.announce();
  }
}
