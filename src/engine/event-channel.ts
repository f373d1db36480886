// Between an engine's loop, which never waits for a reader, and the reader's `for await`. Events that a slow reader has not taken
// yet are joined (tokens) or replaced by the newer (queue position, prefill progress), so a reader at one byte a second costs
// memory for the answer it has not read, and nobody's time.
import type { GenerateEvent } from "./contract.ts";

export class EventChannel {
  readonly #events: GenerateEvent[] = [];
  #error: unknown;
  #isClosed = false;
  #wake: (() => void) | undefined;

  /** False once `done` or an error is in: nothing may follow. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  push(event: GenerateEvent): void {
    if (this.#isClosed) return;
    const last = this.#events.at(-1);
    const joined = last ? join(last, event) : undefined;
    if (joined) this.#events[this.#events.length - 1] = joined;
    else this.#events.push(event);
    if (event.type === "done") this.#isClosed = true;
    this.#wake?.();
  }

  /** Events already in are still read, then `error` is thrown. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    this.#wake?.();
  }

  /** Reads until `done` or an error. One reader. */
  async *read(): AsyncGenerator<GenerateEvent, void, undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event) {
        yield event;
        if (event.type === "done") return;
      } else if (this.#isClosed) {
        throw this.#error;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}

function join(last: GenerateEvent, next: GenerateEvent): GenerateEvent | undefined {
  if (last.type === "tokens" && next.type === "tokens") {
    const logprobs = last.logprobs || next.logprobs ? [...(last.logprobs ?? []), ...(next.logprobs ?? [])] : undefined;
    const text = last.text + next.text;
    return { type: "tokens", ids: [...last.ids, ...next.ids], text, ...(logprobs ? { logprobs } : {}) };
  }
  if ((last.type === "queued" || last.type === "prefill") && last.type === next.type) return next;
  return undefined;
}
