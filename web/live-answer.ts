// One answer while it is being written: reads the stream, keeps what has come, and tells its watchers at most once a frame. It
// ends in a Message's fields, whatever happened: complete, cut, stopped or failed; text that arrived is never dropped.
import { ApiError, type ChatRequest, streamChat } from "./api.ts";
import type { AnswerStats, Message, MessageError } from "./conversation.ts";
import { Signal } from "./signal.ts";

export type AnswerPhase =
  | { type: "sent" }
  | { type: "queued"; position: number; waitMs?: number }
  | { type: "prefill"; processedTokens: number; totalTokens: number }
  | { type: "writing" };

export interface LiveText {
  phase: AnswerPhase;
  text: string;
  firstTokenMs?: number;
  tokensPerSecond?: number;
}

export type Finished = Pick<Message, "text" | "state"> & Partial<Pick<Message, "error" | "stats">>;

export class LiveAnswer {
  readonly live: Signal<LiveText>;
  readonly conversationId: string;
  readonly messageId: string;
  readonly #abort = new AbortController();
  #next: LiveText;
  #isFrameAsked = false;

  constructor(ids: { conversationId: string; messageId: string }, textSoFar: string) {
    this.conversationId = ids.conversationId;
    this.messageId = ids.messageId;
    this.#next = { phase: { type: "sent" }, text: textSoFar };
    this.live = new Signal(this.#next);
  }

  stop(): void {
    this.#abort.abort();
  }

  async run(request: ChatRequest): Promise<Finished> {
    const startedAt = performance.now();
    let firstAt: number | undefined;
    let pieces = 0;
    try {
      for await (const event of streamChat(request, this.#abort.signal)) {
        if (event.type === "text") {
          firstAt ??= performance.now();
          pieces++;
          const seconds = (performance.now() - firstAt) / 1000;
          this.#show({
            phase: { type: "writing" },
            text: this.#next.text + event.text,
            firstTokenMs: firstAt - startedAt,
            ...(seconds > 0.2 ? { tokensPerSecond: (pieces - 1) / seconds } : {}),
          });
        } else if (event.type === "done") {
          const stats = event.usage && statsOf(event, (firstAt ?? performance.now()) - startedAt, this.#next);
          return {
            text: this.#next.text,
            state: event.reason === "length" ? "cut" : "complete",
            ...(stats === undefined ? {} : { stats }),
          };
        } else {
          this.#show({ ...this.#next, phase: event });
        }
      }
      throw new ApiError("cut", "The answer ended early.");
    } catch (error) {
      if (this.#abort.signal.aborted) return { text: this.#next.text, state: "stopped" };
      return { text: this.#next.text, state: "failed", error: messageError(error) };
    }
  }

  #show(next: LiveText): void {
    this.#next = next;
    if (this.#isFrameAsked) return;
    this.#isFrameAsked = true;
    const flush = (): void => {
      this.#isFrameAsked = false;
      this.live.value = this.#next;
    };
    // A hidden tab gets no frames, but its answer should be complete when the reader comes back.
    if (document.hidden) setTimeout(flush, 250);
    else requestAnimationFrame(flush);
  }
}

function statsOf(
  {
    usage,
    tokensPerSecond,
  }: { usage?: { promptTokens: number; cachedTokens: number; completionTokens: number }; tokensPerSecond?: number },
  firstTokenMs: number,
  last: LiveText,
): AnswerStats | undefined {
  return usage && { ...usage, firstTokenMs, tokensPerSecond: tokensPerSecond ?? last.tokensPerSecond ?? 0 };
}

export function messageError(error: unknown): MessageError {
  if (error instanceof ApiError) {
    return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
  return { code: "unexpected", message: error instanceof Error ? error.message : String(error) };
}
