// Answers that belong to the workspace, not to a connection: the server generates them, keeps each piece in the store, and anybody may
// follow one from any position. A reload, a second tab or a browser that crashed finds the answer where it is; only `stop` ends it early.
import { toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { FileProgress } from "../documents/file-progress.ts";
import type { Engine, GenerateEvent, GenerateRequest, Timings, Usage } from "../engine/contract.ts";
import type { AnswerProgress } from "./answer-progress.ts";
import type { Conversations, Message } from "./conversations.ts";

export type AnswerUpdate =
  | WaitUpdate
  /** More text; `position` is its offset in the answer, in UTF-16 units. */
  | { type: "text"; position: number; text: string }
  | { type: "end"; message: Message };

/** What happens before the first token: its documents are made to fit, it waits for its turn, its prompt is read. */
type WaitUpdate = Extract<GenerateEvent, { type: "queued" | "prefill" }> | ({ type: "files" } & FileProgress);

/** What an answer is generated from. */
export interface AnswerWork {
  request: Omit<GenerateRequest, "id">;
  /** What the request was made for; absent: the workspace's own. */
  engine?: Engine;
  /** Kept beside the message. */
  details?: Record<string, unknown>;
}

/** Makes it, where that takes long: the answer has begun by then, and stop ends this too. */
export type PrepareWork = (signal: AbortSignal, tell: (progress: FileProgress) => void) => Promise<AnswerWork>;

/** Told about one answer's life: for limits, logs and meters. */
export interface AnswerWatch {
  /** The first token is there. */
  first?(): void;
  /** What it returns is kept beside the message. */
  ended(end: AnswerOutcome): Record<string, unknown>;
}

export type AnswerOutcome =
  | { kind: "done"; reason: string; usage: Usage; timings: Timings }
  | { kind: "failed"; error: unknown };

interface Live {
  readonly conversationId: string;
  readonly startedMs: number;
  firstMs?: number;
  tokens: number;
  text: string;
  /** Up to here the text is in the store. */
  keptLength: number;
  progress?: WaitUpdate;
  isEnded: boolean;
  readonly stop: AbortController;
  /** Resolved and replaced at each change. */
  changed: PromiseWithResolvers<void>;
  finished: Promise<void>;
}

export interface RunningAnswersOptions {
  engine: Engine;
  conversations: Conversations;
  log: Log;
  /** How long text may wait before it is written to the store. */
  keepEveryMs?: number;
}

export class RunningAnswers implements AsyncDisposable {
  readonly #options: Required<RunningAnswersOptions>;
  readonly #live = new Map<string, Live>();

  constructor(options: RunningAnswersOptions) {
    this.#options = { keepEveryMs: 100, ...options };
  }

  /** How many are being written. */
  get count(): number {
    return this.#live.size;
  }

  /** Adds an assistant message below `parentId` and starts writing it. The request's id is the message's. */
  start(
    place: { conversationId: string; parentId: string; id?: string; details?: Record<string, unknown> },
    work: AnswerWork | PrepareWork,
    watch?: AnswerWatch,
  ): Message {
    const message = this.#options.conversations.add({ ...place, role: "assistant", state: "streaming" });
    this.#begin(message, work, watch);
    return message;
  }

  /** Goes on writing an answer that has ended. The request must continue its text. Throws `conflict` while it is being written. */
  resume(messageId: string, work: AnswerWork | PrepareWork, watch?: AnswerWatch): Message {
    const message = this.#options.conversations.reopen(messageId);
    this.#begin(message, work, watch);
    return message;
  }

  /** What is being written now, in the order it was begun. */
  list(): AnswerProgress[] {
    return [...this.#live].map(([messageId, live]) => progressOf(messageId, live));
  }

  #begin(message: Message, work: AnswerWork | PrepareWork, watch: AnswerWatch | undefined): void {
    const live: Live = {
      conversationId: message.conversationId,
      startedMs: performance.now(),
      tokens: 0,
      text: message.content,
      keptLength: message.content.length,
      isEnded: false,
      stop: new AbortController(),
      changed: Promise.withResolvers(),
      finished: Promise.resolve(),
    };
    this.#live.set(message.id, live);
    live.finished = this.#write(message.id, live, work, watch);
  }

  /** What is new from `position` on, then all that comes, then the end. Any number may follow; an ended answer is told at once. */
  async *follow(messageId: string, position: number, signal: AbortSignal): AsyncGenerator<AnswerUpdate> {
    const live = this.#live.get(messageId);
    let shown = position;
    let progress: Live["progress"];
    const gone = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => gone.resolve(), { once: true });
    while (live && !signal.aborted) {
      const changed = live.changed.promise; // taken before looking, so that no change falls between
      if (live.progress && live.progress !== progress) {
        progress = live.progress;
        yield progress;
      }
      if (live.text.length > shown) {
        const text = live.text.slice(shown);
        yield { type: "text", position: shown, text };
        shown += text.length;
      }
      if (live.isEnded) break;
      await Promise.race([changed, gone.promise]);
    }
    if (signal.aborted) return;
    const message = this.#options.conversations.message(messageId);
    if (message.content.length > shown) yield { type: "text", position: shown, text: message.content.slice(shown) };
    yield { type: "end", message };
  }

  /** Ends an answer within one step and keeps what there is. Stopping one that has ended does nothing. */
  async stop(messageId: string): Promise<Message> {
    const live = this.#live.get(messageId);
    live?.stop.abort();
    await live?.finished;
    return this.#options.conversations.message(messageId);
  }

  async #write(
    messageId: string,
    live: Live,
    work: AnswerWork | PrepareWork,
    watch: AnswerWatch | undefined,
  ): Promise<void> {
    const { engine: usual, conversations, log, keepEveryMs } = this.#options;
    const keep = (): void => {
      if (live.text.length === live.keptLength) return;
      conversations.appendPiece(messageId, live.keptLength, live.text.slice(live.keptLength));
      live.keptLength = live.text.length;
    };
    const timer = setInterval(keep, keepEveryMs);
    timer.unref();
    try {
      const tell = (progress: FileProgress): void => {
        live.progress = { type: "files", ...progress };
        this.#tell(live);
      };
      const made = typeof work === "function" ? await work(live.stop.signal, tell) : work;
      const { request, engine = usual, details: own } = made;
      let done: Extract<GenerateEvent, { type: "done" }> | undefined;
      for await (const event of engine.generate({ ...request, id: messageId }, { signal: live.stop.signal })) {
        if (event.type === "done") done = event;
        else if (event.type === "tokens") {
          if (live.firstMs === undefined) watch?.first?.();
          live.firstMs ??= performance.now();
          live.tokens += event.ids.length;
          live.text += event.text;
        } else live.progress = event;
        this.#tell(live);
      }
      keep();
      const kept = done ? { usage: done.usage, timings: done.timings } : {};
      const outcome: AnswerOutcome = { kind: "done", ...(done ?? unfinished) };
      const details = { ...own, ...kept, ...watch?.ended(outcome) };
      const isStopped = live.stop.signal.aborted || done?.reason === "aborted";
      const reason = done?.reason ?? "aborted";
      conversations.endAnswer(messageId, { state: isStopped ? "stopped" : "done", reason, details });
    } catch (thrown) {
      // Whatever the work before the answer makes of an abort, a person has stopped it.
      if (live.stop.signal.aborted) {
        keep();
        const details = { ...watch?.ended({ kind: "done", ...unfinished }) };
        conversations.endAnswer(messageId, { state: "stopped", reason: "aborted", details });
        return;
      }
      const error = toAppError(thrown);
      log.warn("answer failed", { id: messageId, code: error.code, characters: live.text.length });
      keep();
      const details = { error: error.toData(), ...watch?.ended({ kind: "failed", error }) };
      conversations.endAnswer(messageId, { state: "failed", reason: error.code, failure: error.message, details });
    } finally {
      clearInterval(timer);
      live.isEnded = true;
      this.#live.delete(messageId);
      this.#tell(live);
    }
  }

  #tell(live: Live): void {
    live.changed.resolve();
    live.changed = Promise.withResolvers();
  }

  /** Stops all answers and waits until each is closed in the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#live.values()];
    for (const live of all) live.stop.abort();
    await Promise.all(all.map(({ finished }) => finished));
  }
}

const unfinished = {
  reason: "aborted",
  usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
};

function progressOf(messageId: string, live: Live): AnswerProgress {
  const { conversationId, startedMs, firstMs, tokens, progress } = live;
  const base = { messageId, conversationId, tokens };
  if (firstMs !== undefined) {
    const seconds = (performance.now() - firstMs) / 1000;
    const firstTokenMs = firstMs - startedMs;
    return {
      ...base,
      phase: "writing",
      firstTokenMs,
      ...(seconds > 0 ? { tokensPerSecond: (tokens - 1) / seconds } : {}),
    };
  }
  if (!progress) return { ...base, phase: "sent" };
  if (progress.type === "files") {
    const { type: phase, ...files } = progress;
    return { ...base, phase, files };
  }
  const { type: phase, ...rest } = progress;
  return { ...base, phase, ...rest };
}
