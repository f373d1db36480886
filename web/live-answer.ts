// One answer while the server writes it: follows its events, keeps what has come, and tells its watchers at most once a frame. A
// connection that breaks is taken up where it was; the answer goes on without it. It ends as the server's own message.
import type { AnswerUpdateBody } from "../src/server/api-types.ts";
import { ApiError } from "./api.ts";
import type { Message, MessageError } from "./conversation.ts";
import { Signal } from "./signal.ts";
import { messageOf, type ServerStore } from "./store-server.ts";

export type AnswerPhase =
  | { type: "sent" }
  | Extract<AnswerUpdateBody, { type: "files" }>
  | { type: "queued"; position: number; waitMs?: number }
  | { type: "prefill"; processedTokens: number; totalTokens: number }
  | { type: "writing" };

export interface LiveText {
  phase: AnswerPhase;
  text: string;
}

/** A server that is away this long has most likely ended, and the answer with it. */
const patienceMs = 20_000;

export class LiveAnswer {
  readonly live: Signal<LiveText>;
  readonly conversationId: string;
  readonly messageId: string;
  readonly #leave = new AbortController();
  readonly #store: ServerStore;
  #isStopped = false;
  #isBegun = false;
  #next: LiveText;
  #isFrameAsked = false;

  constructor(store: ServerStore, ids: { conversationId: string; messageId: string }, textSoFar: string) {
    this.#store = store;
    this.conversationId = ids.conversationId;
    this.messageId = ids.messageId;
    this.#next = { phase: { type: "sent" }, text: textSoFar };
    this.live = new Signal(this.#next);
  }

  get text(): string {
    return this.#next.text;
  }

  /** Ends the answer on the server, within one step of the engine; what there is is kept. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#isBegun) await this.#store.stop(this.messageId);
  }

  /** Lets go without ending anything. */
  leave(): void {
    this.#leave.abort();
  }

  /** Reads on until the answer has ended. `begin` is the request that starts it; absent for one that runs already. */
  async run(begin?: () => Promise<Message>): Promise<Message> {
    const begun = await begin?.();
    this.#isBegun = true;
    if (this.#isStopped) await this.stop();
    let lostAt: number | undefined;
    if (begun !== undefined && begun.text.length < this.#next.text.length)
      this.#show({ ...this.#next, text: begun.text });
    for (;;) {
      try {
        for await (const update of this.#store.follow(this.messageId, this.#next.text.length, this.#leave.signal)) {
          lostAt = undefined;
          if (update.type === "end") return messageOf(update.message);
          if (update.type === "text") {
            const text = this.#next.text.slice(0, update.position) + update.text;
            this.#show({ phase: { type: "writing" }, text });
          } else this.#show({ ...this.#next, phase: phaseOf(update) });
        }
        throw new ApiError("cut", "The stream ended early.");
      } catch (error) {
        if (this.#leave.signal.aborted) throw error;
        if (!(error instanceof ApiError) || !["cut", "unreachable", "stopping"].includes(error.code)) throw error;
        lostAt ??= performance.now();
        if (performance.now() - lostAt > patienceMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
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

function phaseOf(update: Exclude<AnswerUpdateBody, { type: "text" | "end" }>): AnswerPhase {
  if (update.type === "files") return update;
  if (update.type === "prefill") {
    return { type: "prefill", processedTokens: update.processedTokens, totalTokens: update.promptTokens };
  }
  const { position, estimatedWaitMs: waitMs } = update;
  return { type: "queued", position, ...(waitMs === undefined ? {} : { waitMs }) };
}

export function messageError(error: unknown): MessageError {
  if (error instanceof ApiError) {
    return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
  return { code: "unexpected", message: error instanceof Error ? error.message : String(error) };
}
