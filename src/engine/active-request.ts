// One accepted request on its way through an engine: its prompt as token ids, its answer so far, its clock and the channel to its
// reader. Whatever happens, it ends once: in a `done` event or in an error.
import type { Ticket } from "./admission.ts";
import { type AnswerLimits, AnswerStream } from "./answer-stream.ts";
import type { FinishReason, GenerateRequest, Priority, PromptIds, Timings, TokenLogprob, Usage } from "./contract.ts";
import { EventChannel } from "./event-channel.ts";

export class ActiveRequest implements Ticket {
  readonly request: GenerateRequest;
  readonly promptIds: PromptIds;
  readonly priority: Priority;
  readonly kvTokens: number;
  readonly maxTokens: number;
  readonly channel = new EventChannel();
  /** Set when the reader left or aborted: the loop ends the request before its next step. */
  isLeaving = false;
  cachedTokens = 0;
  readonly #answer: AnswerStream;
  readonly #acceptedAt: number;
  #admittedAt: number | undefined;
  #firstTokenAt: number | undefined;
  #lastTokenAt: number | undefined;

  constructor(request: GenerateRequest, promptIds: PromptIds, limits: AnswerLimits, now: number) {
    this.request = request;
    this.promptIds = promptIds;
    this.priority = request.priority ?? "interactive";
    this.maxTokens = limits.maxTokens;
    this.kvTokens = promptIds.length + limits.maxTokens;
    this.#answer = new AnswerStream(limits);
    this.#acceptedAt = now;
  }

  onWait(position: number, estimatedWaitMs: number | undefined): void {
    this.channel.push({ type: "queued", position, ...(estimatedWaitMs === undefined ? {} : { estimatedWaitMs }) });
  }

  /** It has a sequence; `cachedTokens` of its prompt are there already. */
  start(cachedTokens: number, now: number): void {
    this.cachedTokens = cachedTokens;
    this.#admittedAt = now;
    this.prefilled(cachedTokens);
  }

  /** `processedTokens` of the prompt are in the KV memory. */
  prefilled(processedTokens: number): void {
    const { cachedTokens } = this;
    this.channel.push({ type: "prefill", promptTokens: this.promptIds.length, cachedTokens, processedTokens });
  }

  /** Hands the next token to the reader; says whether (and how) the answer ended with it. */
  take(id: number, bytes: Uint8Array, { logprob, now }: { logprob?: TokenLogprob | undefined; now: number }) {
    this.#firstTokenAt ??= now;
    this.#lastTokenAt = now;
    const part = this.#answer.take(id, bytes);
    this.channel.push({ type: "tokens", ids: [id], text: part.text, ...(logprob ? { logprobs: [logprob] } : {}) });
    return part.finish;
  }

  /** Ends it well. An aborted answer first shows what was held back, so that no text is lost. */
  finish(reason: FinishReason, { stopText, now }: { stopText?: string | undefined; now: number }): void {
    if (reason === "aborted") {
      const text = this.#answer.end();
      if (text) this.channel.push({ type: "tokens", ids: [], text });
    }
    const ended = { reason, ...(stopText === undefined ? {} : { stopText }) };
    this.channel.push({ type: "done", ...ended, usage: this.usage, timings: this.#timings(now) });
  }

  get usage(): Usage {
    const { cachedTokens } = this;
    return { promptTokens: this.promptIds.length, cachedTokens, completionTokens: this.#answer.tokens };
  }

  get completionTokens(): number {
    return this.#answer.tokens;
  }

  #timings(now: number): Timings {
    const admittedAt = this.#admittedAt ?? now;
    const firstTokenAt = this.#firstTokenAt ?? now;
    return {
      queueMs: admittedAt - this.#acceptedAt,
      prefillMs: firstTokenAt - admittedAt,
      decodeMs: (this.#lastTokenAt ?? firstTokenAt) - firstTokenAt,
    };
  }
}
