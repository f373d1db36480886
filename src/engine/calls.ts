// The calls that the engine client has open: who waits for what, what a process has of it, and what becomes of each call when a process dies
// or is replaced. Knows no process; the client says what is sent and tells what came.
import { AppError } from "../base/errors.ts";
import type { GenerateEvent } from "./contract.ts";
import type { HostAnswer, HostEvent, ToHost } from "./host-messages.ts";

export interface Call {
  readonly message: Extract<ToHost, { key: number }>;
  /** How often it was sent: a request that took its engine down twice is not tried on a third. */
  attempts: number;
  /** The present process has it. */
  isSent: boolean;
  /** The engine computes it; before, it waits in the engine's queue. */
  isAdmitted: boolean;
  isStarted: boolean;
  isAborted: boolean;
  readonly receive: (event: GenerateEvent) => void;
  readonly answer: (value: HostAnswer) => void;
  readonly fail: (error: AppError) => void;
}

export type CallHandlers = Partial<Pick<Call, "receive" | "answer">> & Pick<Call, "fail">;

const attemptLimit = 2;

export class Calls {
  readonly #open = new Map<number, Call>();
  #onDrop: (() => void) | undefined;

  get size(): number {
    return this.#open.size;
  }

  /** Of them, those that generate. */
  get requests(): number {
    return [...this.#open.values()].filter(({ message }) => message.type === "generate").length;
  }

  [Symbol.iterator](): Iterator<Call> {
    return this.#open.values();
  }

  add(message: Call["message"], { receive = ignore, answer = ignore, fail }: CallHandlers): Call {
    const state = { attempts: 0, isSent: false, isAdmitted: false, isStarted: false, isAborted: false };
    const call: Call = { message, ...state, receive, answer, fail };
    this.#open.set(message.key, call);
    return call;
  }

  /** True when it was open until now. */
  drop({ message: { key } }: Call): boolean {
    const wasOpen = this.#open.delete(key);
    this.#onDrop?.();
    return wasOpen;
  }

  /** The caller's signal fired. False when a process has the call and must be told. */
  abort(call: Call): boolean {
    call.isAborted = true;
    if (call.isSent) return false;
    this.drop(call);
    call.receive(abortedDone);
    return true;
  }

  /** Hands on what a process says of a call. */
  handOut(each: HostEvent): void {
    const call = this.#open.get(each.key);
    if (!call?.isSent) return; // its reader has left, or it was called back
    if ("error" in each) {
      this.drop(call);
      call.fail(AppError.fromData(each.error));
      return;
    }
    if (each.event.type === "prefill") call.isAdmitted = true;
    if (each.event.type === "tokens") call.isStarted = true;
    if (each.event.type === "done") this.drop(call);
    call.receive(each.event);
  }

  answer(key: number, value: HostAnswer): void {
    const call = this.#open.get(key);
    if (!call) return;
    this.drop(call);
    call.answer(value);
  }

  /** The process is gone. What nobody has seen a word of waits for the next one; without a next one, everything ends in `final`. */
  lost(error: AppError, final: AppError | undefined): void {
    for (const call of [...this.#open.values()]) {
      call.isSent = false;
      call.isAdmitted = false;
      if (!final && !call.isStarted && !call.isAborted && call.attempts < attemptLimit) continue;
      this.drop(call);
      if (call.isAborted) call.receive(abortedDone);
      else call.fail(final ?? lostError(error.message));
    }
  }

  /** Takes back what only waits in the process' queue; returns the keys it can forget. */
  callBack(): number[] {
    const waiting = [...this.#open.values()].filter(
      ({ message, isSent, isAdmitted, isAborted }) =>
        message.type === "generate" && isSent && !isAdmitted && !isAborted,
    );
    for (const call of waiting) unsend(call);
    return waiting.map(({ message }) => message.key);
  }

  /** Resolves when a process has nothing to do that anybody waits for, at the latest after `ms`. */
  async drained(ms: number): Promise<void> {
    const idle = Promise.withResolvers<void>();
    const timer = setTimeout(idle.resolve, ms);
    this.#onDrop = () => {
      const isBusy = [...this.#open.values()].some((call) => call.isSent && !isBackground(call));
      if (!isBusy) idle.resolve();
    };
    this.#onDrop();
    await idle.promise;
    this.#onDrop = undefined;
    clearTimeout(timer);
  }

  /** Before a process is ended: what has begun is told so; the rest waits for the next process, or is told that it has another model. */
  leaveProcess({ isOtherModel }: { isOtherModel: boolean }): void {
    for (const call of [...this.#open.values()]) {
      if (!call.isAborted && !call.isStarted && !isOtherModel) {
        unsend(call);
        continue;
      }
      this.drop(call);
      if (call.isAborted) call.receive(abortedDone);
      else call.fail(call.isStarted ? changedMeanwhile() : anotherModel());
    }
  }

  failAll(error: AppError): void {
    for (const call of [...this.#open.values()]) {
      this.drop(call);
      call.fail(error);
    }
  }
}

const ignore = (): void => undefined;

/** As if it had never been sent. */
function unsend(call: Call): void {
  call.isSent = false;
  call.isAdmitted = false;
  call.attempts = 0;
}

const isBackground = ({ message }: Call): boolean =>
  message.type === "generate" && message.request.priority === "background";

const abortedDone: GenerateEvent = {
  type: "done",
  reason: "aborted",
  usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
};

export function lostError(message: string): AppError {
  return new AppError("engine_lost", `The engine was lost with this request: ${message}`, {
    hint: "Send the request again; the engine is being restarted.",
  });
}

function changedMeanwhile(): AppError {
  return new AppError("engine_lost", "The engine was opened anew with other settings before this answer ended.", {
    hint: "Send the request again.",
  });
}

export function anotherModel(): AppError {
  return new AppError(
    "busy",
    "The model was changed before this request began; its prompt was made for the model before.",
    { hint: "Send the request again.", details: { retryAfterSeconds: 1, limit: "model_changed" } },
  );
}
