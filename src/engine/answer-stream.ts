// Turns the bytes of one answer's tokens into text that may be shown: whole characters only, nothing of a stop text, and held
// back no longer than a stop text could still begin there. It also decides when the answer ends. It knows neither model nor
// device, so every engine of ours ends answers at the same character.
//
// Of several stop texts the one complete first wins, and of two that end at the same character the longer; so where an answer
// ends does not depend on how its text was cut into tokens.
import type { FinishReason } from "./contract.ts";

export interface AnswerLimits {
  /** Tokens after which the answer ends with "length". */
  maxTokens: number;
  /** Before this many tokens nothing but `maxTokens` ends the answer. */
  minTokens?: number;
  stop?: readonly string[];
  includeStop?: boolean;
  /** Tokens that end the answer: the model's own (unless ignored) and the request's. */
  endTokenIds: ReadonlySet<number>;
}

export interface AnswerPart {
  /** What may be shown now; "" while a character or a possible stop text is incomplete. */
  text: string;
  finish?: { reason: FinishReason; stopText?: string };
}

export class AnswerStream {
  readonly #limits: AnswerLimits;
  readonly #stops: StopMatcher | undefined;
  // A byte order mark is a character like any other here: dropping it would lose part of the answer.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** The decoder may hold the beginning of a character. */
  #mayHold = false;
  #tokens = 0;

  constructor(limits: AnswerLimits) {
    this.#limits = limits;
    this.#stops = limits.stop?.length ? new StopMatcher(limits.stop) : undefined;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Takes the next token: its id and the bytes it stands for (none for a control token). */
  take(id: number, bytes: Uint8Array): AnswerPart {
    this.#tokens++;
    const { maxTokens, minTokens = 0, endTokenIds, includeStop } = this.#limits;
    const mayEnd = this.#tokens > minTokens;
    if (mayEnd && endTokenIds.has(id)) {
      const last = includeStop ? this.#decode(bytes) : "";
      return { text: this.#release(last + this.#decoder.decode()), finish: { reason: "stop" } };
    }
    const isLast = this.#tokens >= maxTokens;
    let text = this.#decode(bytes);
    if (isLast) text += this.#decoder.decode();
    if (this.#stops) {
      const found = this.#stops.push(text, mayEnd);
      text = found.text;
      if (found.stopText !== undefined) {
        if (includeStop) text += found.stopText;
        return { text, finish: { reason: "stop", stopText: found.stopText } };
      }
    }
    if (!isLast) return { text };
    return { text: this.#release(text), finish: { reason: "length" } };
  }

  /** Ends the answer from outside (abort): the text still held back, an incomplete character as U+FFFD. */
  end(): string {
    return this.#release(this.#decoder.decode());
  }

  /** Many tokens are a few bytes of ASCII, which need no decoder: it is a call into the runtime for every token. */
  #decode(bytes: Uint8Array): string {
    if (!this.#mayHold && bytes.length <= 16) {
      const text = asciiText(bytes);
      if (text !== undefined) return text;
    }
    if (bytes.length > 0) this.#mayHold = (bytes[bytes.length - 1] ?? 0) >= 0x80;
    return this.#decoder.decode(bytes, { stream: true });
  }

  #release(text: string): string {
    if (!this.#stops) return text;
    const pushed = this.#stops.push(text, false);
    return pushed.text + this.#stops.release();
  }
}

function asciiText(bytes: Uint8Array): string | undefined {
  let text = "";
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0;
    if (byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Finds stop texts in a stream of text, however it is cut. */
export class StopMatcher {
  readonly #stops: readonly string[];
  readonly #longest: number;
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
    this.#longest = Math.max(0, ...this.#stops.map((stop) => stop.length));
  }

  /** The text that certainly precedes any stop text, and the stop text when one is complete (unless `mayStop` is false). */
  push(text: string, mayStop = true): { text: string; stopText?: string } {
    const buffer = this.#held + text;
    if (!mayStop) {
      this.#held = "";
      return { text: buffer };
    }
    const found = this.#firstComplete(buffer);
    if (found) {
      this.#held = "";
      return { text: buffer.slice(0, found.start), stopText: found.stop };
    }
    const keepFrom = this.#possibleStart(buffer);
    this.#held = buffer.slice(keepFrom);
    return { text: buffer.slice(0, keepFrom) };
  }

  /** The text still held back, which now turns out to begin no stop text. */
  release(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #firstComplete(buffer: string): { start: number; stop: string } | undefined {
    let best: { start: number; stop: string } | undefined;
    for (const stop of this.#stops) {
      const start = buffer.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      const bestEnd = best ? best.start + best.stop.length : Number.POSITIVE_INFINITY;
      if (end < bestEnd || (end === bestEnd && best && start < best.start)) best = { start, stop };
    }
    return best;
  }

  /** Where the longest suffix begins that is the beginning of a stop text; the end of the buffer when there is none. */
  #possibleStart(buffer: string): number {
    for (let start = Math.max(0, buffer.length - this.#longest + 1); start < buffer.length; start++) {
      const length = buffer.length - start;
      for (const stop of this.#stops) {
        if (length < stop.length && stop.startsWith(buffer.slice(start))) return start;
      }
    }
    return buffer.length;
  }
}
