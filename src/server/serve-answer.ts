// Runs a job and carries its answer to the client: as a stream of chunks that a door formats, or collected whole. This is the only
// loop between engine and socket. A stream's status goes out with its first event, so that what fails before it has a status of
// its own; what fails later is told inside the stream, or by cutting it, as the door's format decides.
import { AppError } from "../base/errors.ts";
import type { Timings, TokenLogprob, Usage } from "../engine/contract.ts";
import { type AnswerEnd, type AnswerEvent, type AnswerJob, runJob } from "./answer-job.ts";
import type { AnswerSink } from "./answer-sink.ts";
import { answerWith } from "./answer-sink.ts";
import { type Api, type ApiContext, beginRequest } from "./api.ts";
import { toHttpFailure } from "./errors.ts";

/** What holds for a stream before its first event is known. */
export interface StreamOpening {
  /** Asked for when the stream opens. */
  headers(): Record<string, string>;
  /** A comment for silent times, where the protocol has one. */
  ping?: string;
  pingMs?: number;
  /** See SinkOptions. */
  gathersTurn?: boolean;
  /** What a failure in mid-stream looks like; undefined cuts the connection. */
  failure(error: unknown): string | undefined;
}

export interface StreamFormat extends StreamOpening {
  /** The chunk for an event, if it makes one. A door that opens at the first token returns nothing for what comes before. */
  event(event: AnswerEvent): string | Uint8Array | undefined;
  /** What follows the last event. */
  end(): { chunk?: string; trailers?: Record<string, string> };
}

interface ReadyAnswer {
  door: string;
  job: AnswerJob;
  format: StreamFormat;
}

/** An answer whose job has to be made first, which may take long: the stream is kept open meanwhile. */
interface PreparedAnswer {
  door: string;
  opening: StreamOpening;
  prepare: (signal: AbortSignal, tell: (chunk: string) => void) => Promise<Omit<ReadyAnswer, "door">>;
}

export function streamAnswer(context: ApiContext, api: Api, answer: ReadyAnswer | PreparedAnswer): Promise<Response> {
  const opening = "format" in answer ? answer.format : answer.opening;
  const { gathersTurn = false } = opening;
  return answerWith({ ...sinkOf(context, api), gathersTurn }, async (sink) => {
    using entry = beginRequest(context, api, answer.door);
    const stream = new PingedStream(sink, opening, { common: context.var.commonHeaders, pingMs: api.pingMs });
    try {
      const { job, format } =
        "format" in answer ? answer : await answer.prepare(sink.signal, (chunk) => void stream.write(chunk));
      const send = (event: AnswerEvent): Promise<void> | undefined => {
        const chunk = format.event(event);
        if (event.type === "end") entry.done(event.reason, event.usage, event.timings);
        else if (event.type !== "queued" && event.type !== "prefill") entry.first();
        return chunk === undefined ? undefined : stream.write(chunk);
      };
      makeWay(api, job);
      await runJob(api.engine, job, {
        signal: sink.signal,
        take: (event) =>
          event.type === "text" && event.logprobs
            ? api.texts.fetch(event.logprobs).then(() => send(event))
            : send(event),
      });
      const { chunk, trailers } = format.end();
      if (chunk !== undefined) stream.write(chunk);
      else if (!sink.isOpen) stream.write("");
      sink.end(trailers);
    } catch (error) {
      entry.failed(error);
      const chunk = sink.isOpen ? opening.failure(error) : undefined;
      if (chunk === undefined) throw error; // before the first byte a status; after it, a cut
      stream.write(chunk);
      sink.end();
    } finally {
      stream.close();
    }
    return undefined;
  });
}

export interface CollectedChoice {
  text: string;
  ids: number[];
  logprobs: TokenLogprob[];
  calls: { id: string; name: string; arguments: string }[];
  reason: AnswerEnd;
  stopText?: string;
  usage: Usage;
  timings: Timings;
}

/**
 * Runs a job to its end and answers with `respond`'s response. A client that leaves stops the work. An engine lost in mid-answer is no
 * loss here: the client has seen nothing yet, so the job runs once more on the next engine.
 */
export function wholeAnswer(
  context: ApiContext,
  api: Api,
  { door, job, respond }: { door: string; job: AnswerJob; respond: (choices: CollectedChoice[]) => Response },
): Promise<Response> {
  return answerWith(sinkOf(context, api), async (sink) => {
    using entry = beginRequest(context, api, door);
    const { signal } = sink;
    try {
      const choices = await collectAnswer(api, job, { signal, entry }).catch((error: unknown) => {
        // One that was lost before its first token has had its second try already: the engine's client sees to those.
        const isReplayable = error instanceof AppError && error.code === "engine_lost" && entry.hasBegun;
        if (!isReplayable || signal.aborted || api.engine.status().state === "failed") throw error;
        api.log.warn("answer begun again", { id: job.id });
        return collectAnswer(api, job, { signal, entry });
      });
      return respond(choices);
    } catch (error) {
      entry.failed(error);
      throw error;
    }
  });
}

const nothing = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

export async function collectAnswer(
  api: Api,
  job: AnswerJob,
  { signal, entry }: { signal: AbortSignal; entry?: ReturnType<typeof beginRequest> },
): Promise<CollectedChoice[]> {
  const choices = Array.from(
    { length: job.prompts.length * job.choicesPerPrompt },
    (): CollectedChoice & { parts: string[] } => ({
      parts: [],
      text: "",
      ids: [],
      logprobs: [],
      calls: [],
      reason: "aborted",
      usage: nothing,
      timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 },
    }),
  );
  const take = (event: AnswerEvent): undefined => {
    if (event.type === "queued" || event.type === "prefill") return;
    const choice = choices[event.choice];
    if (!choice) return;
    switch (event.type) {
      case "text":
        entry?.first();
        choice.parts.push(event.text);
        for (const id of event.ids) choice.ids.push(id);
        if (event.logprobs) choice.logprobs.push(...event.logprobs);
        break;
      case "call":
        entry?.first();
        choice.calls.push({ id: event.id, name: event.name, arguments: "" });
        break;
      case "arguments": {
        const call = choice.calls[event.index];
        if (call) call.arguments += event.text;
        break;
      }
      case "end": {
        const { reason, usage, timings, stopText } = event;
        Object.assign(choice, { reason, usage, timings }, stopText === undefined ? {} : { stopText });
        entry?.done(reason, usage, timings);
      }
    }
  };
  makeWay(api, job);
  await runJob(api.engine, job, { signal, take });
  for (const choice of choices) {
    choice.text = choice.parts.join("");
    if (choice.logprobs.length > 0) await api.texts.fetch(choice.logprobs);
  }
  return choices;
}

/** A person waits for this one: drafts and titles that are being computed ahead end. */
function makeWay(api: Api, { request }: AnswerJob): void {
  if ((request.priority ?? "interactive") === "interactive") api.makeWay?.();
}

export function sinkOf(context: ApiContext, api: Api): Parameters<typeof answerWith>[0] {
  return {
    outgoing: context.env?.outgoing,
    request: () => context.req.raw,
    stopping: context.env?.stopping,
    idleMs: api.idleMs,
  };
}

/** The data line for a failure in a server-sent stream. */
export function sseFailure(error: unknown): string {
  return `data: ${JSON.stringify({ error: toHttpFailure(error).error })}\n\n`;
}

/** A sink that opens with the first chunk and is kept awake by comments while nothing else goes out. */
class PingedStream {
  readonly #sink: AnswerSink;
  readonly #headers: () => Record<string, string>;
  readonly #timer: NodeJS.Timeout | undefined;
  #wroteSincePing = false;

  constructor(
    sink: AnswerSink,
    opening: StreamOpening,
    { common, pingMs: usualPingMs }: { common: Record<string, string>; pingMs: number },
  ) {
    const { ping, pingMs = usualPingMs } = opening;
    this.#sink = sink;
    this.#headers = () => ({ ...opening.headers(), ...common });
    if (ping === undefined || pingMs === 0) return;
    this.#timer = setInterval(() => {
      if (!this.#wroteSincePing) void this.write(ping);
      this.#wroteSincePing = false;
    }, pingMs);
  }

  write(chunk: string | Uint8Array): Promise<void> | undefined {
    this.#wroteSincePing = true;
    if (!this.#sink.isOpen) this.#sink.open(200, this.#headers());
    return chunk.length === 0 ? undefined : this.#sink.write(chunk);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
