// Who has how many requests open, how they went, how long they took: the numbers behind per-key limits, /status and /metrics, and
// the one log line each request leaves. A request's end is always entered, with its reason, client gone included.
import { AppError, toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Timings, Usage } from "../engine/contract.ts";
import { perKeyLimit } from "./errors.ts";

export interface LedgerObserver {
  ended(entry: {
    door: string;
    reason: string;
    durationMs: number;
    firstMs: number | undefined;
    usage: Usage | undefined;
  }): void;
}

export interface RequestEntry {
  /** The first token has left. */
  first(): void;
  readonly hasBegun: boolean;
  /** One choice has ended. */
  done(reason: string, usage?: Usage, timings?: Timings): void;
  failed(error: unknown): void;
  /** The request is over; enters it. */
  [Symbol.dispose](): void;
}

export class RequestLedger {
  readonly #openByKey = new Map<string, number>();
  readonly #log: Log;
  readonly #perKey: number;
  readonly #observer: LedgerObserver;
  #open = 0;
  #served = 0;
  #failed = 0;

  constructor({ log, perKey, observer }: { log: Log; perKey: number; observer: LedgerObserver }) {
    this.#log = log;
    this.#perKey = perKey;
    this.#observer = observer;
  }

  get counts(): { open: number; served: number; failed: number } {
    return { open: this.#open, served: this.#served, failed: this.#failed };
  }

  /** Opens an entry. Throws `busy` when the key has its share of requests open; without keys only the engine's queue limits. */
  begin({ door, requestId, keyName }: { door: string; requestId: string; keyName: string | undefined }): RequestEntry {
    if (keyName !== undefined) {
      const open = this.#openByKey.get(keyName) ?? 0;
      if (open >= this.#perKey) {
        throw new AppError("busy", `The key "${keyName}" has ${open} requests open; ${this.#perKey} are the most.`, {
          hint: "Wait for one to end, or start Quern with a larger --per-key.",
          details: { limit: perKeyLimit, retryAfterSeconds: 1 },
        });
      }
      this.#openByKey.set(keyName, open + 1);
    }
    this.#open++;
    return this.#entry(door, requestId, keyName);
  }

  #entry(door: string, requestId: string, keyName: string | undefined): RequestEntry {
    const startedMs = performance.now();
    let firstMs: number | undefined;
    let reason = "unfinished";
    let usage: Usage | undefined;
    let timings: Timings | undefined;
    let failure: AppError | undefined;
    return {
      first() {
        firstMs ??= performance.now() - startedMs;
      },
      get hasBegun() {
        return firstMs !== undefined;
      },
      done(ended, used, took) {
        reason = ended;
        timings ??= took;
        if (used) usage = usage ? { ...usage, completionTokens: usage.completionTokens + used.completionTokens } : used;
      },
      failed(error) {
        failure = toAppError(error);
        reason = failure.code;
      },
      [Symbol.dispose]: () => {
        this.#open--;
        if (keyName !== undefined) this.#release(keyName);
        const durationMs = performance.now() - startedMs;
        if (failure) this.#failed++;
        else this.#served++;
        this.#observer.ended({ door, reason, durationMs, firstMs, usage });
        const fields = {
          id: requestId,
          door,
          reason,
          key: keyName,
          ms: durationMs,
          msToFirst: firstMs,
          ...usage,
          ...timings,
        };
        if (failure?.code === "internal") this.#log.error("request failed", { ...fields, error: stackOf(failure) });
        else if (failure) this.#log.warn("request failed", { ...fields, error: failure.message });
        else this.#log.info("request done", fields);
      },
    };
  }

  #release(keyName: string): void {
    const open = (this.#openByKey.get(keyName) ?? 1) - 1;
    if (open === 0) this.#openByKey.delete(keyName);
    else this.#openByKey.set(keyName, open);
  }
}

export function stackOf(error: AppError): string {
  return (error.cause instanceof Error ? error.cause.stack : error.stack) ?? error.message;
}
