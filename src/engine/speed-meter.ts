// Tokens per second over the last minute of work. Idle time does not count: an engine that waited is not a slow engine.
export class SpeedMeter {
  readonly #windowMs: number;
  readonly #steps: { at: number; tokens: number; ms: number }[] = [];
  #tokens = 0;
  #ms = 0;

  constructor(windowMs = 60_000) {
    this.#windowMs = windowMs;
  }

  /** `tokens` were made in `ms` milliseconds that ended at `at`. Steps within a quarter of a second are kept as one. */
  record(tokens: number, ms: number, at: number): void {
    if (tokens <= 0) return;
    const last = this.#steps.at(-1);
    if (last && at - last.at < 250) {
      last.tokens += tokens;
      last.ms += ms;
    } else {
      this.#steps.push({ at, tokens, ms });
    }
    this.#tokens += tokens;
    this.#ms += ms;
    for (let first = this.#steps[0]; first && this.#ms - first.ms > this.#windowMs; first = this.#steps[0]) {
      this.#tokens -= first.tokens;
      this.#ms -= first.ms;
      this.#steps.shift();
    }
  }

  get tokensPerSecond(): number {
    return this.#ms > 0 ? (this.#tokens * 1000) / this.#ms : 0;
  }
}
