// Sums over an answer's choices, in the shapes clients read: OpenAI's usage and llama.cpp's timings. A prompt counts once,
// however many answers it gets.
import type { Timings, Usage } from "../engine/contract.ts";
import type { AnswerEvent, AnswerJob } from "./answer-job.ts";
import type { TimingsBody, UsageBody } from "./api-types.ts";

export class StreamTotals {
  readonly usage: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  readonly timings: Timings = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
  readonly #choicesPerPrompt: number;
  readonly #startedMs = performance.now();
  #firstMs: number | undefined;
  #tokens = 0;
  #promptTokens = 0;
  #cachedTokens = 0;

  constructor({ choicesPerPrompt }: Pick<AnswerJob, "choicesPerPrompt">) {
    this.#choicesPerPrompt = choicesPerPrompt;
  }

  take(event: AnswerEvent): void {
    if (event.type === "text") {
      this.#firstMs ??= performance.now();
      this.#tokens += event.ids.length;
    } else if (event.type === "prefill") {
      this.#promptTokens = event.promptTokens;
      this.#cachedTokens = event.cachedTokens;
    } else if (event.type === "end") {
      const { usage, timings } = event;
      this.usage.completionTokens += usage.completionTokens;
      if (event.choice % this.#choicesPerPrompt === 0) {
        this.usage.promptTokens += usage.promptTokens;
        this.usage.cachedTokens += usage.cachedTokens;
      }
      // Choices run side by side: the longest is what the client waited.
      this.timings.queueMs = Math.max(this.timings.queueMs, timings.queueMs);
      this.timings.prefillMs = Math.max(this.timings.prefillMs, timings.prefillMs);
      this.timings.decodeMs = Math.max(this.timings.decodeMs, timings.decodeMs);
    }
  }

  /** llama.cpp's `prompt_progress`. */
  progress(event: Extract<AnswerEvent, { type: "prefill" }>): {
    total: number;
    cache: number;
    processed: number;
    time_ms: number;
  } {
    return {
      total: event.promptTokens,
      cache: event.cachedTokens,
      processed: event.processedTokens,
      time_ms: Math.round(performance.now() - this.#startedMs),
    };
  }

  /** Timings in mid-answer, as seen from here. */
  timingsNow(): TimingsBody {
    const first = this.#firstMs ?? performance.now();
    return timingsBody({
      usage: { promptTokens: this.#promptTokens, cachedTokens: this.#cachedTokens, completionTokens: this.#tokens },
      timings: { queueMs: 0, prefillMs: first - this.#startedMs, decodeMs: performance.now() - first },
    });
  }
}

export function usageBody({ usage }: { usage: Usage }): UsageBody {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

export function timingsBody({ usage, timings }: { usage: Usage; timings: Timings }): TimingsBody {
  const computed = usage.promptTokens - usage.cachedTokens;
  return {
    cache_n: usage.cachedTokens,
    prompt_n: computed,
    prompt_ms: round(timings.prefillMs),
    prompt_per_second: perSecond(computed, timings.prefillMs),
    predicted_n: usage.completionTokens,
    predicted_ms: round(timings.decodeMs),
    // The first token belongs to the prefill: decodeMs spans the steps between the first and the last.
    predicted_per_second: perSecond(Math.max(0, usage.completionTokens - 1), timings.decodeMs),
    queue_ms: round(timings.queueMs),
  };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

const perSecond = (count: number, ms: number): number => (ms > 0 ? round((count * 1000) / ms) : 0);
