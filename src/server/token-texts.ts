// The text of single tokens, for log-probabilities. The engine is asked once for each token; a vocabulary's worth is the most
// that is kept.
import type { Engine, TokenLogprob } from "../engine/contract.ts";
import type { LogprobEntry } from "./api-types.ts";

const replacement = "\uFFFD";
const encoder = new TextEncoder();

export class TokenTexts {
  readonly #engine: Engine;
  readonly #texts = new Map<number, string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Fetches what is missing, so that `entry` can answer at once. */
  async fetch(logprobs: readonly TokenLogprob[]): Promise<void> {
    const missing = new Set<number>();
    for (const { id, top } of logprobs) {
      for (const one of [id, ...top.map((other) => other.id)]) if (!this.#texts.has(one)) missing.add(one);
    }
    await Promise.all(
      [...missing].map(async (id) => this.#texts.set(id, await this.#engine.detokenize([id], { special: true }))),
    );
  }

  textOf(id: number): string {
    return this.#texts.get(id) ?? "";
  }

  entry({ id, logprob, top }: TokenLogprob): LogprobEntry {
    return { ...this.#described(id, logprob), top_logprobs: top.map((one) => this.#described(one.id, one.logprob)) };
  }

  #described(id: number, logprob: number): { token: string; logprob: number; bytes: number[] | null } {
    const token = this.textOf(id);
    // JSON has no -Infinity; -9999 is what OpenAI's API says for "as good as never".
    const finite = Number.isFinite(logprob) ? logprob : -9999;
    return { token, logprob: finite, bytes: token.includes(replacement) ? null : [...encoder.encode(token)] };
  }
}
