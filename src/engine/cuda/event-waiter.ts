// Waits for events of the stream on a thread of its own, so that the event loop sleeps until a step is done and is then woken once. Both sides
// share a ring of events and two counters: asking for one costs the loop a store, because the thread sits in the event before and sees the
// next by itself; libuv's pool would have a sleeping thread to wake, a request to make and a callback to register for every step.
//
// Events are waited for in the order in which they are asked for, which is the stream's order.
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { AppError } from "../../base/errors.ts";
import type { Handle } from "./bindings.ts";

/** What both sides share. Counters run on through the negative numbers: they are compared for equality only. */
export interface WaiterMemory {
  context: Handle;
  /** By counter modulo `ringEvents`. */
  events: Float64Array<SharedArrayBuffer>;
  statuses: Int32Array<SharedArrayBuffer>;
  /** Events asked for, events passed, whether the thread is to end. */
  words: Int32Array<SharedArrayBuffer>;
}

export const ringEvents = 64;
export const askedWord = 0;
export const passedWord = 1;
export const closedWord = 2;

interface Waiting {
  resolve: (status: number) => void;
  reject: (error: unknown) => void;
}

export class EventWaiter implements Disposable {
  readonly #memory: WaiterMemory;
  readonly #worker: Worker;
  /** Of the events not passed yet, oldest first. */
  readonly #waiting: Waiting[] = [];
  #asked = 0;
  #passed = 0;
  #isListening = false;
  #failure: AppError | undefined;

  /** `context`: the thread makes it its own, as some drivers want. */
  constructor(context: Handle) {
    this.#memory = {
      context,
      events: new Float64Array(new SharedArrayBuffer(8 * ringEvents)),
      statuses: new Int32Array(new SharedArrayBuffer(4 * ringEvents)),
      words: new Int32Array(new SharedArrayBuffer(4 * 3)),
    };
    this.#worker = new Worker(new URL("./event-waiter-worker.ts", import.meta.url), { workerData: this.#memory });
    this.#worker.on("error", (error) => this.#fail(error));
    // Only a wait keeps the process alive.
    this.#worker.unref();
  }

  /** Resolves with the driver's status once the stream has passed the event, in a later turn of the event loop. */
  wait(event: Handle): Promise<number> {
    if (this.#failure) return Promise.reject(this.#failure);
    assert.ok(this.#waiting.length < ringEvents, "more steps in flight than the ring holds");
    const { events, words } = this.#memory;
    events[this.#asked & (ringEvents - 1)] = event;
    this.#asked = (this.#asked + 1) | 0;
    Atomics.store(words, askedWord, this.#asked);
    Atomics.notify(words, askedWord);
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ resolve, reject }) === 1) this.#worker.ref();
      if (!this.#isListening) this.#listen();
    });
  }

  #listen(): void {
    this.#isListening = true;
    const { async: isLater, value } = Atomics.waitAsync(this.#memory.words, passedWord, this.#passed);
    if (isLater) void value.then(this.#collect);
    else setImmediate(this.#collect);
  }

  readonly #collect = (): void => {
    this.#isListening = false;
    const { statuses, words } = this.#memory;
    const passed = Atomics.load(words, passedWord);
    while (this.#passed !== passed) {
      const status = statuses[this.#passed & (ringEvents - 1)] ?? 0;
      this.#passed = (this.#passed + 1) | 0;
      this.#waiting.shift()?.resolve(status);
    }
    if (this.#waiting.length > 0) this.#listen();
    else this.#worker.unref();
  };

  #fail(cause: unknown): void {
    this.#failure = new AppError("device", "The thread that waits for the GPU has failed.", { cause });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }

  /** To be called when the stream has come to its end: the thread ends by itself. */
  [Symbol.dispose](): void {
    const { words } = this.#memory;
    Atomics.store(words, closedWord, 1);
    Atomics.store(words, askedWord, (this.#asked + 1) | 0);
    Atomics.notify(words, askedWord);
  }
}
