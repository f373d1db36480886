// Who may start, who waits, and who is refused. A request is admitted when a sequence is free and its worst case in KV tokens
// (prompt and longest possible answer) can be reserved, so that nothing admitted ever has to be stopped for want of memory. What
// does not fit waits: interactive before batch before background, first come first served within each. The queue is bounded and a
// full one refuses at once, with the time to come back.
//
// A big request at the head is not overtaken by a smaller one behind it: it would wait for ever under steady load. Pure: the
// clock is passed in, and nothing here waits.
import { AppError } from "../base/errors.ts";
import type { Priority } from "./contract.ts";

export interface AdmissionOptions {
  /** Sequences that may run together. */
  sequences: number;
  /** KV tokens all running sequences may hold together. */
  kvTokens: number;
  /** Requests that may wait. */
  queueLimit: number;
  /** Milliseconds, monotonic. */
  now: () => number;
}

export interface Ticket {
  readonly priority: Priority;
  /** Worst case in KV tokens, reserved while the request runs. */
  readonly kvTokens: number;
  /** Called with the position (1 is next) when a request has to wait, and again when that changes. */
  readonly onWait: (position: number, estimatedWaitMs: number | undefined) => void;
}

const rank: Record<Priority, number> = { interactive: 0, batch: 1, background: 2 };

export class Admission<T extends Ticket> {
  readonly #options: AdmissionOptions;
  readonly #waiting: T[] = [];
  readonly #told = new Map<T, number>();
  readonly #running = new Map<T, number>(); // ticket -> time of admission
  #reservedTokens = 0;
  #averageServiceMs: number | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  get reservedTokens(): number {
    return this.#reservedTokens;
  }

  /** Throws `busy` when nothing more can be taken in, whatever its size: asked before the work of reading a prompt. */
  refuseIfFull(): void {
    const { sequences, queueLimit } = this.#options;
    const mustWait = this.#waiting.length > 0 || this.#running.size >= sequences;
    if (mustWait && this.#waiting.length >= queueLimit) throw this.#busy();
  }

  /** Takes a request in; admit() may then start it. Throws `busy` when it cannot start at once and the queue is full. */
  enter(ticket: T): void {
    const { kvTokens, queueLimit } = this.#options;
    if (ticket.kvTokens > kvTokens) {
      throw new AppError("context_overflow", `The request needs ${ticket.kvTokens} KV tokens; there are ${kvTokens}.`, {
        details: { promptTokens: ticket.kvTokens, limitTokens: kvTokens, overflowTokens: ticket.kvTokens - kvTokens },
        hint: "Ask for fewer tokens.",
      });
    }
    const startsAtOnce = this.#waiting.length === 0 && this.#fits(ticket);
    if (!startsAtOnce && this.#waiting.length >= queueLimit) throw this.#busy();
    const place = this.#waiting.findIndex((other) => rank[other.priority] > rank[ticket.priority]);
    this.#waiting.splice(place < 0 ? this.#waiting.length : place, 0, ticket);
  }

  /** The next request that may start, now reserved for; undefined when none waits or the first does not fit. */
  admit(): T | undefined {
    const first = this.#waiting[0];
    if (!first || !this.#fits(first)) return undefined;
    this.#waiting.shift();
    this.#told.delete(first);
    this.#running.set(first, this.#options.now());
    this.#reservedTokens += first.kvTokens;
    return first;
  }

  /** Tells those who wait where they stand, if that has changed. Call after admitting all that fit. */
  announce(): void {
    for (const [index, ticket] of this.#waiting.entries()) {
      if (this.#told.get(ticket) === index + 1) continue;
      this.#told.set(ticket, index + 1);
      ticket.onWait(index + 1, this.estimatedWaitMs(index + 1));
    }
  }

  /** Gives back what a running or waiting request holds; harmless when it holds nothing. */
  leave(ticket: T): void {
    const since = this.#running.get(ticket);
    if (since !== undefined) {
      this.#running.delete(ticket);
      this.#reservedTokens -= ticket.kvTokens;
      const tookMs = this.#options.now() - since;
      // A moving average over about eight requests: follows a change of load within seconds, not thrown by one long answer.
      this.#averageServiceMs =
        this.#averageServiceMs === undefined ? tookMs : this.#averageServiceMs + (tookMs - this.#averageServiceMs) / 8;
      return;
    }
    const place = this.#waiting.indexOf(ticket);
    if (place >= 0) this.#waiting.splice(place, 1);
    this.#told.delete(ticket);
  }

  /** Whether `ticket` still waits. */
  isWaiting(ticket: T): boolean {
    return this.#waiting.includes(ticket);
  }

  /** Until the request at this position starts, by how long requests have lately held a sequence; unknown before the first. */
  estimatedWaitMs(position: number): number | undefined {
    const service = this.#serviceMs();
    return service === undefined ? undefined : Math.round((service * position) / this.#options.sequences);
  }

  /** Whole seconds until a place in the queue is free. */
  retryAfterSeconds(): number {
    return Math.max(1, Math.ceil((this.estimatedWaitMs(1) ?? 1000) / 1000));
  }

  /** The average, or, when that is less, how long the present requests have run already: the average was too hopeful. */
  #serviceMs(): number | undefined {
    let runningMs: number | undefined;
    const now = this.#options.now();
    for (const since of this.#running.values()) runningMs = Math.max(runningMs ?? 0, now - since);
    if (this.#averageServiceMs === undefined) return runningMs;
    return Math.max(this.#averageServiceMs, runningMs === undefined ? 0 : runningMs / 2);
  }

  #busy(): AppError {
    return new AppError("busy", `All sequences are at work and ${this.#waiting.length} requests wait already.`, {
      hint: "Send it again later, or start with a larger --queue.",
      details: { retryAfterSeconds: this.retryAfterSeconds(), queuedRequests: this.#waiting.length },
    });
  }

  #fits(ticket: T): boolean {
    const { sequences, kvTokens } = this.#options;
    return this.#running.size < sequences && this.#reservedTokens + ticket.kvTokens <= kvTokens;
  }
}
