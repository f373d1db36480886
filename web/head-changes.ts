import type { HeadChange, ServerStore } from "./store-server.ts";

/** Changes of heads on their way: while one is sent, later ones to the same conversation wait together, in order. */
export class HeadChanges {
  readonly #store: ServerStore;
  readonly #sending = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, { change: HeadChange; sent: Promise<void> }>();

  constructor(store: ServerStore) {
    this.#store = store;
  }

  /** How many were made so far. */
  count = 0;

  isPending(id: string): boolean {
    return this.#waiting.has(id) || this.#sending.has(id);
  }

  async send(id: string, change: HeadChange): Promise<void> {
    this.count++;
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      Object.assign(waiting.change, change);
      return waiting.sent;
    }
    const next = { change: { ...change }, sent: Promise.resolve() };
    this.#waiting.set(id, next);
    next.sent = this.#next(id, next.change);
    return next.sent;
  }

  /** Resolves when nothing is on its way any more. */
  async settled(id: string): Promise<void> {
    await (this.#waiting.get(id)?.sent ?? this.#sending.get(id));
  }

  async #next(id: string, change: HeadChange): Promise<void> {
    await this.#sending.get(id)?.catch(() => undefined); // its own caller hears of its failure
    this.#waiting.delete(id);
    const sending = this.#store.change(id, change);
    this.#sending.set(id, sending);
    try {
      await sending;
    } finally {
      if (this.#sending.get(id) === sending) this.#sending.delete(id);
    }
  }
}
