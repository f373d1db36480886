// Work nobody waits for yet: prefilling a draft, a title, follow-up questions. A person who sends a message comes first, so all of it ends
// at once when an answer begins; a draft also ends when the same writer's next one comes.
export class BackgroundWork {
  readonly #running = new Map<AbortController, string>();

  /** Runs `work` until it ends, `signal` aborts, or something more urgent comes. `key`: a newer one of the same key ends it. */
  async run<T>(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    for (const [other, otherKey] of this.#running) if (otherKey === key) other.abort("superseded");
    const own = new AbortController();
    this.#running.set(own, key);
    try {
      return await work(AbortSignal.any([signal, own.signal]));
    } finally {
      this.#running.delete(own);
    }
  }

  /** Ends all of it: somebody waits for an answer. */
  makeWay(): void {
    for (const controller of this.#running.keys()) controller.abort("an answer begins");
  }

  get count(): number {
    return this.#running.size;
  }
}
