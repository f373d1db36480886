// The one path from a parsed request to its answer: every door (chat, completions, instruct, Anthropic, Ollama) builds an
// AnswerJob and formats the events that come out. Here several choices run side by side, tool calls are found in the text, and
// an abort becomes either silence (the client has gone) or an error (the server is stopping). It knows no protocol and no socket.
import { randomUUID } from "node:crypto";
import { AppError } from "../base/errors.ts";
import type {
  Engine,
  GenerateEvent,
  GenerateRequest,
  Prompt,
  Timings,
  TokenLogprob,
  Usage,
} from "../engine/contract.ts";
import { stoppingLimit } from "./errors.ts";
import { ToolCallParser } from "./tool-call-parser.ts";

export interface AnswerJob {
  /** For logs and the engine; unique while the job runs. */
  id: string;
  prompts: readonly Prompt[];
  /** Answers to each prompt; choice p * n + i is answer i to prompt p. With a seed, answer i takes seed + i. */
  choicesPerPrompt: number;
  request: Omit<GenerateRequest, "id" | "prompt">;
  /** Find tool calls in the text. `isForced`: the prompt ends with the opening tag. */
  toolCalls?: { isForced: boolean };
}

export type AnswerEnd = "stop" | "length" | "tool_calls" | "aborted";

export type AnswerEvent =
  | Extract<GenerateEvent, { type: "queued" | "prefill" }>
  | { type: "text"; choice: number; text: string; ids: readonly number[]; logprobs?: readonly TokenLogprob[] }
  | { type: "call"; choice: number; index: number; id: string; name: string }
  | { type: "arguments"; choice: number; index: number; text: string }
  | { type: "end"; choice: number; reason: AnswerEnd; stopText?: string; usage: Usage; timings: Timings };

export const callOpening = "<tool_call>\n";
export const callClosing = "</tool_call>";

/** Takes an event. A promise is awaited before the choice's next one: the client is behind, or something must be looked up. */
export type TakeEvent = (event: AnswerEvent) => Promise<void> | undefined;

interface Run {
  signal: AbortSignal;
  take: TakeEvent;
}

/**
 * Runs a job to its end, handing each event to `take` as it comes: a call, not another generator, which would cost every token of
 * every answer two more turns of the microtask queue. Throws the engine's AppError, the signal's reason when that is one, or what
 * `take` throws; by then all choices have ended, and none takes more events once one has failed.
 */
export async function runJob(engine: Engine, job: AnswerJob, { signal, take }: Run): Promise<void> {
  const choices = job.prompts.length * job.choicesPerPrompt;
  if (choices === 1) return runChoice(engine, job, { choice: 0, signal, take });
  const failed = new AbortController();
  const run: Run = {
    signal: AbortSignal.any([signal, failed.signal]),
    take: (event) => (failed.signal.aborted ? undefined : take(event)),
  };
  await Promise.all(
    Array.from({ length: choices }, (_, choice) =>
      runChoice(engine, job, { choice, ...run }).catch((error: unknown) => failed.abort(error)),
    ),
  );
  failed.signal.throwIfAborted();
}

async function runChoice(engine: Engine, job: AnswerJob, { choice, signal, take }: Run & { choice: number }) {
  const prompt = job.prompts[Math.floor(choice / job.choicesPerPrompt)];
  if (!prompt) throw new AppError("internal", `Choice ${choice} has no prompt.`);
  const request: GenerateRequest = { ...job.request, id: choice === 0 ? job.id : `${job.id}-${choice}`, prompt };
  const place = choice % job.choicesPerPrompt;
  const { seed } = request.sampling;
  if (seed !== undefined && place > 0) request.sampling = { ...request.sampling, seed: (seed + place) % 2 ** 32 };
  const parser = job.toolCalls ? new ToolCallParser({ isInside: job.toolCalls.isForced }) : undefined;
  for await (const event of engine.generate(request, { signal })) {
    switch (event.type) {
      case "queued":
      case "prefill":
        await take(event);
        break;
      case "tokens": {
        if (parser) {
          for (const found of toolEvents(parser, choice, event)) await take(found);
          break;
        }
        const { text, ids, logprobs } = event;
        const behind = take(
          logprobs ? { type: "text", choice, text, ids, logprobs } : { type: "text", choice, text, ids },
        );
        if (behind) await behind;
        break;
      }
      case "done": {
        if (event.reason === "aborted") throwIfTold(signal);
        if (parser) for (const found of toolEvents(parser, choice)) await take(found);
        const isCall = event.reason === "stop" && parser !== undefined && parser.calls > 0;
        const { usage, timings, stopText } = event;
        const reason = isCall ? "tool_calls" : event.reason;
        await take({ type: "end", choice, reason, ...(stopText === undefined ? {} : { stopText }), usage, timings });
      }
    }
  }
}

/** The events of one step's text, or of what was held back when the answer ends. Ids and logprobs go with the first text. */
function* toolEvents(
  parser: ToolCallParser,
  choice: number,
  tokens?: Extract<GenerateEvent, { type: "tokens" }>,
): Generator<AnswerEvent> {
  let ids: readonly number[] = tokens?.ids ?? [];
  let logprobs = tokens ? logprobsOf(tokens) : {};
  for (const piece of tokens ? parser.push(tokens.text) : parser.end()) {
    if (piece.type === "call") yield { ...piece, choice, id: `call_${randomUUID().replaceAll("-", "")}` };
    else if (piece.type === "arguments") yield { ...piece, choice };
    else {
      yield { ...piece, choice, ids, ...logprobs };
      ids = [];
      logprobs = {};
    }
  }
  if (ids.length > 0) yield { type: "text", choice, text: "", ids, ...logprobs };
}

function logprobsOf({ logprobs }: { logprobs?: readonly TokenLogprob[] }): { logprobs?: readonly TokenLogprob[] } {
  return logprobs ? { logprobs } : {};
}

/** An abort that somebody still waits for is told; one whose client has gone is not. */
function throwIfTold(signal: AbortSignal): void {
  if (!signal.aborted) {
    throw new AppError("busy", "The engine stopped before the answer was complete.", {
      details: { limit: stoppingLimit },
    });
  }
  if (signal.reason instanceof AppError) throw signal.reason;
}
