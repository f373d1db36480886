// Between an engine's loop, which never waits for a reader, and the reader's `for await`. Events that a slow reader has not taken
// yet are joined (tokens) or replaced by the newer (queue position, prefill progress), so a reader at one byte a second costs
// memory for the answer it has not read, and nobody's time.
import type { GenerateEvent, TokenLogprob } from "./contract.ts";

export class EventChannel {
  readonly #events: GenerateEvent[] = [];
  /** The last event, when it is one that tokens may be added to. */
  #joined: JoinedTokens | undefined;
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
    if (last?.type === "tokens" && event.type === "tokens") {
      this.#joined ??= this.#reopen(last);
      add(this.#joined, event);
    } else if (last && (last.type === "queued" || last.type === "prefill") && last.type === event.type) {
      this.#events[this.#events.length - 1] = event;
    } else {
      this.#events.push(event);
      this.#joined = undefined;
    }
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
        if (this.#events.length === 0) this.#joined = undefined; // the reader has it now
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

  /** Replaces the last event by a copy of our own: events are shared with whoever pushed them. */
  #reopen(last: Extract<GenerateEvent, { type: "tokens" }>): JoinedTokens {
    const { ids, text, logprobs } = last;
    const copy = { type: "tokens" as const, ids: [...ids], text, ...(logprobs ? { logprobs: [...logprobs] } : {}) };
    this.#events[this.#events.length - 1] = copy;
    return copy;
  }
}

interface JoinedTokens {
  type: "tokens";
  ids: number[];
  text: string;
  logprobs?: TokenLogprob[];
}

function add(joined: JoinedTokens, { ids, text, logprobs }: Extract<GenerateEvent, { type: "tokens" }>): void {
  for (const id of ids) joined.ids.push(id);
  joined.text += text;
  if (!logprobs) return;
  joined.logprobs ??= [];
  for (const logprob of logprobs) joined.logprobs.push(logprob);
}
