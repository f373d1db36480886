// What the streams of both OpenAI doors share: server-sent events whose chunks begin and end alike, pings, and the closing lines.
import type { AnswerEvent, AnswerJob } from "./answer-job.ts";
import { type StreamFormat, type StreamOpening, sseFailure } from "./serve-answer.ts";
import type { StreamOptions } from "./stream-options.ts";
import { sseHeaders } from "./stream-options.ts";
import { StreamTotals, timingsBody, usageBody } from "./totals.ts";

const doneLine = "data: [DONE]\n\n";

/** What goes for a stream before its answer has begun. */
export function streamOpening({ pingMs }: StreamOptions): StreamOpening {
  return {
    headers: () => sseHeaders,
    ping: ": ping\n\n",
    ...(pingMs === undefined ? {} : { pingMs }),
    failure: (error) => `${sseFailure(error)}${doneLine}`,
  };
}

/** What every chunk begins with, and what stands between the choices and its end: written once, not once a token. */
export function chunkFrame(
  { id, model, created }: { id: string; model: string; created: number },
  { includeUsage }: StreamOptions,
  object: string,
): { head: string; tail: string } {
  const fixed = JSON.stringify({ id, object, created, model });
  return { head: `data: ${fixed.slice(0, -1)},"choices":[`, tail: includeUsage ? `],"usage":null` : "]" };
}

export abstract class OpenAiStream implements StreamFormat {
  readonly headers: StreamOpening["headers"];
  readonly ping?: string;
  readonly pingMs?: number;
  readonly gathersTurn: boolean;
  readonly failure: StreamOpening["failure"];
  protected readonly options: StreamOptions;
  protected readonly totals: StreamTotals;
  protected readonly head: string;
  protected readonly tail: string;

  constructor(
    { job, model, created = Math.floor(Date.now() / 1000) }: { job: AnswerJob; model: string; created?: number },
    options: StreamOptions,
    object: string,
  ) {
    this.options = options;
    this.gathersTurn = job.prompts.length * job.choicesPerPrompt > 1;
    const { headers, ping, pingMs, failure } = streamOpening(options);
    this.headers = headers;
    this.failure = failure;
    if (ping !== undefined) this.ping = ping;
    if (pingMs !== undefined) this.pingMs = pingMs;
    this.totals = new StreamTotals(job);
    const { head, tail } = chunkFrame({ id: job.id, model, created }, options, object);
    this.head = head;
    this.tail = tail;
  }

  abstract event(event: AnswerEvent): string | undefined;

  end(): { chunk: string } {
    const totals = this.options.includeUsage
      ? `${this.head}],"usage":${JSON.stringify(usageBody(this.totals))},"timings":${JSON.stringify(timingsBody(this.totals))}}\n\n`
      : "";
    return { chunk: `${totals}${doneLine}` };
  }
}
