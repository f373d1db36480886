// What the streams of both OpenAI doors share: server-sent events whose chunks begin and end alike, pings, and the closing lines.
import type { AnswerEvent, AnswerJob } from "./answer-job.ts";
import { type StreamFormat, sseFailure } from "./serve-answer.ts";
import type { StreamOptions } from "./stream-options.ts";
import { sseHeaders } from "./stream-options.ts";
import { StreamTotals, timingsBody, usageBody } from "./totals.ts";

const doneLine = "data: [DONE]\n\n";

export abstract class OpenAiStream implements StreamFormat {
  readonly headers = () => sseHeaders;
  readonly ping = ": ping\n\n";
  readonly pingMs?: number;
  protected readonly options: StreamOptions;
  protected readonly totals: StreamTotals;
  /** What every chunk begins with, and what stands between the choices and its end: written once, not once a token. */
  protected readonly head: string;
  protected readonly tail: string;

  constructor({ job, model }: { job: AnswerJob; model: string }, options: StreamOptions, object: string) {
    this.options = options;
    if (options.pingMs !== undefined) this.pingMs = options.pingMs;
    this.totals = new StreamTotals(job);
    const created = Math.floor(Date.now() / 1000);
    const fixed = JSON.stringify({ id: job.id, object, created, model });
    this.head = `data: ${fixed.slice(0, -1)},"choices":[`;
    this.tail = options.includeUsage ? `],"usage":null` : "]";
  }

  abstract event(event: AnswerEvent): string | undefined;

  end(): { chunk: string } {
    const totals = this.options.includeUsage
      ? `${this.head}],"usage":${JSON.stringify(usageBody(this.totals))},"timings":${JSON.stringify(timingsBody(this.totals))}}\n\n`
      : "";
    return { chunk: `${totals}${doneLine}` };
  }

  failure(error: unknown): string {
    return `${sseFailure(error)}${doneLine}`;
  }
}
