// How many tokens a text is, as the loaded model counts. The server counts; until its number is in, an estimate stands in and is
// marked as one. Counts are kept, so a 20,000-line attachment is counted once and not with each key.
import { ApiError, countTokens } from "./api.ts";
import { Signal } from "./signal.ts";

/** What a chat template adds around one message. */
export const tokensPerMessage = 5;
const keptCounts = 400;

export interface TokenCount {
  tokens: number;
  isExact: boolean;
}

export class TokenCounter {
  /** Grows with each number that comes in; components watch it to show the exact count. */
  readonly revision = new Signal(0);
  readonly #known = new Map<string, number>();
  readonly #asked = new Set<string>();

  count(text: string): TokenCount {
    if (text === "") return { tokens: 0, isExact: true };
    const tokens = this.#known.get(text);
    return tokens === undefined ? { tokens: estimateTokens(text), isExact: false } : { tokens, isExact: true };
  }

  /** Asks the server unless it was asked before. A failure leaves the estimate standing; the next call asks again. */
  async ask(text: string): Promise<void> {
    if (text === "" || this.#known.has(text) || this.#asked.has(text)) return;
    this.#asked.add(text);
    try {
      const tokens = await countTokens(text, AbortSignal.timeout(30_000));
      const oldest = this.#known.keys().next().value;
      if (this.#known.size >= keptCounts && oldest !== undefined) this.#known.delete(oldest);
      this.#known.set(text, tokens);
      this.revision.value++;
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof DOMException)) throw error;
    } finally {
      this.#asked.delete(text);
    }
  }

  /** Another model counts differently. */
  forget(): void {
    this.#known.clear();
    this.revision.value++;
  }
}

/** A guess from the first 20,000 characters: about 1.5 characters a token in Chinese, 3.8 elsewhere. */
export function estimateTokens(text: string): number {
  const sample = text.slice(0, 20_000);
  const wide = sample.match(/[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]/g)?.length ?? 0;
  const tokens = wide / 1.5 + (sample.length - wide) / 3.8;
  return Math.ceil(tokens * (text.length / Math.max(1, sample.length)));
}
