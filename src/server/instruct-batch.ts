// POST /v1/qwen3/instruct/batch: one JSON object a line in, one a line out as items finish, each with its id. Items run together
// in the engine's batch, as many as it takes at once; a bad line or a failed item becomes a line of its own and stops no other.
// An item that meets a full queue or a lost engine is tried again: it was accepted here, so it is answered here.
import { randomUUID } from "node:crypto";
import { AppError, toAppError } from "../base/errors.ts";
import type { AnswerJob } from "./answer-job.ts";
import { answerWith } from "./answer-sink.ts";
import { type Api, type ApiContext, beginRequest, bodyOf } from "./api.ts";
import { toText } from "./body.ts";
import { refuse, toHttpFailure } from "./errors.ts";
import { Fields } from "./fields.ts";
import { assertKnownOptions, parseInstructOptions, queryFields, textPrompt } from "./instruct.ts";
import { collectAnswer, sinkOf } from "./serve-answer.ts";
import { timingsBody, usageBody } from "./totals.ts";

const mostItems = 100_000;
const mostAttempts = 5;
const longestWaitMs = 60_000;

interface Item {
  line: number;
  /** As sent; the line's number when there was none. */
  id: string | number;
  job?: AnswerJob;
  error?: unknown;
}

export async function instructBatch(context: ApiContext, api: Api): Promise<Response> {
  const question = context.req.url.indexOf("?");
  const shared = queryFields(question < 0 ? "" : context.req.url.slice(question + 1));
  parseInstructOptions(shared, api); // refused once for all rather than on every line
  const items = parseItems(toText(await bodyOf(context, api)), shared, api);
  return answerWith(sinkOf(context, api), async (sink) => {
    using entry = beginRequest(context, api, "instruct_batch");
    sink.open(200, {
      "content-type": "application/x-ndjson; charset=utf-8",
      "cache-control": "no-store",
      ...context.var.commonHeaders,
    });
    const waiting = items[Symbol.iterator]();
    const work = async (): Promise<void> => {
      // One iterator for all workers: each takes the next item that nobody has.
      for (const item of waiting) {
        const answer = await answerTo(item, api, sink.signal);
        if (sink.signal.aborted && !(sink.signal.reason instanceof AppError)) return;
        entry.first();
        await sink.write(`${JSON.stringify(answer)}\n`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(items.length, workersFor(api)) }, work));
    entry.done(sink.signal.aborted ? "aborted" : "stop");
    sink.end();
    return undefined;
  });
}

/** Enough to fill the engine's batch and keep the next ones ready; never more than its queue takes. */
function workersFor(api: Api): number {
  const { parallel, queueLimit } = api.engine.status();
  return parallel + Math.min(parallel, queueLimit);
}

function parseItems(text: string, shared: Fields, api: Api): Item[] {
  const lines = text.split("\n");
  if (lines.length > mostItems + 1)
    throw refuse("body", `The body has ${lines.length} lines; ${mostItems} are the most.`);
  const seen = new Set<string | number>();
  const items = lines.flatMap((content, index) =>
    content.trim() === "" ? [] : [parseItem(content, index + 1, { shared, seen, api })],
  );
  if (items.length === 0) throw refuse("body", "The body holds no items; send one JSON object a line.");
  return items;
}

function parseItem(
  content: string,
  line: number,
  { shared, seen, api }: { shared: Fields; seen: Set<string | number>; api: Api },
): Item {
  let id: string | number = line;
  try {
    const own = Fields.of(parsedLine(content));
    id = idOf(own) ?? line;
    if (seen.has(id)) throw refuse("id", `The id ${JSON.stringify(id)} stands on an earlier line already.`);
    seen.add(id);
    assertKnownOptions(own, ["id", "instruction"]);
    const instruction = own.required("instruction", own.string("instruction"));
    const options = parseInstructOptions(new Fields({ priority: "batch", ...shared.values, ...own.values }), api);
    const prompt = textPrompt(instruction, options, api);
    return {
      line,
      id,
      job: { id: `insb-${randomUUID()}`, prompts: [prompt], choicesPerPrompt: 1, request: options.request },
    };
  } catch (error) {
    return { line, id, error };
  }
}

function idOf(fields: Fields): string | number | undefined {
  const id = fields.raw("id");
  return typeof id === "number" ? fields.integer("id", 0, Number.MAX_SAFE_INTEGER) : fields.string("id");
}

function parsedLine(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new AppError("bad_request", "The line is not valid JSON.", { param: "body", cause });
  }
}

async function answerTo(item: Item, api: Api, signal: AbortSignal): Promise<object> {
  const { id, line } = item;
  try {
    if (!item.job) throw item.error;
    const [choice] = await withRetries(item.job, api, signal);
    if (!choice) throw new AppError("internal", "The engine gave no answer.");
    return {
      id,
      text: choice.text,
      finish_reason: choice.reason,
      usage: usageBody(choice),
      timings: timingsBody(choice),
    };
  } catch (error) {
    return { id, line, error: toHttpFailure(error).error };
  }
}

async function withRetries(
  job: AnswerJob,
  api: Api,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<typeof collectAnswer>>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await collectAnswer(api, { ...job, id: `${job.id}-${attempt}` }, { signal });
    } catch (thrown) {
      const error = toAppError(thrown);
      // A full queue empties in its own time; a lost engine is given up after a few tries, as it may be this item that kills it.
      const isFull = error.code === "busy" && error.details?.limit === undefined;
      if (signal.aborted || !(isFull || (error.code === "engine_lost" && attempt < mostAttempts))) throw thrown;
      const seconds = Number(error.details?.retryAfterSeconds ?? 1);
      await pause(Math.min(longestWaitMs, Math.max(50, seconds * 1000)), signal);
    }
  }
}

/** Waits, or until the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
