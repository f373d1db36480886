// POST /v1/messages and /v1/messages/count_tokens: Anthropic's API over the same job as chat completions. The job's events become
// message_start, content blocks, message_delta and message_stop.
import { randomUUID } from "node:crypto";
import type { Timings, Usage } from "../engine/contract.ts";
import type { AnswerEnd, AnswerEvent } from "./answer-job.ts";
import { chatBody } from "./anthropic-request.ts";
import { type Api, type ApiContext, bodyOf } from "./api.ts";
import { parseJsonFields } from "./body.ts";
import { parseChatRequest } from "./chat.ts";
import { errorBody, toHttpFailure, withParams } from "./errors.ts";
import { Fields } from "./fields.ts";
import { type CollectedChoice, type StreamFormat, streamAnswer, wholeAnswer } from "./serve-answer.ts";
import { sseHeaders } from "./stream-options.ts";

const door = "messages";
const named = withParams({ prompt: "messages", grammar: "tools" });
export async function messages(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  const maxTokens = body.required("max_tokens", body.integer("max_tokens", 1, Number.MAX_SAFE_INTEGER));
  const isStream = body.boolean("stream") ?? false;
  const { job, model } = await parseChatRequest(new Fields({ ...chatBody(body), max_tokens: maxTokens }), api);
  const head = { id: `msg_${randomUUID().replaceAll("-", "")}`, model };
  if (isStream) return streamAnswer(context, api, { door, job, format: new MessageStream(head) }).catch(named);
  return wholeAnswer(context, api, {
    door,
    job,
    respond: ([choice]) => context.json(wholeMessage(head, choice)),
  }).catch(named);
}

export async function countTokens(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  const { job } = await parseChatRequest(new Fields({ ...chatBody(body), return_token_ids: true }), api);
  const [prompt] = job.prompts;
  return context.json({ input_tokens: prompt?.kind === "tokens" ? prompt.ids.length : 0 });
}

interface MessageHead {
  id: string;
  model: string;
}

function usageOf(usage: Usage): {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
} {
  return {
    input_tokens: usage.promptTokens - usage.cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage.cachedTokens,
    output_tokens: usage.completionTokens,
  };
}

function endOf(reason: AnswerEnd, stopText: string | undefined): { stop_reason: string; stop_sequence: string | null } {
  if (reason === "tool_calls") return { stop_reason: "tool_use", stop_sequence: null };
  if (reason === "length") return { stop_reason: "max_tokens", stop_sequence: null };
  return stopText === undefined
    ? { stop_reason: "end_turn", stop_sequence: null }
    : { stop_reason: "stop_sequence", stop_sequence: stopText };
}

function wholeMessage({ id, model }: MessageHead, choice: CollectedChoice | undefined): object {
  const { text = "", calls = [], reason = "stop", stopText, usage } = choice ?? {};
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(text === "" ? [] : [{ type: "text", text }]),
      ...calls.map((call) => ({ type: "tool_use", id: call.id, name: call.name, input: parsedInput(call.arguments) })),
    ],
    ...endOf(reason, stopText),
    usage: usage && usageOf(usage),
  };
}

/** The input of a whole call is an object on this protocol; what was cut short by a limit is none, and is told as such. */
function parsedInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { incomplete_json: text };
  }
}

class MessageStream implements StreamFormat {
  readonly ping = 'event: ping\ndata: {"type":"ping"}\n\n';
  readonly #head: MessageHead;
  #isStarted = false;
  /** The open content block, and how many were opened. */
  #block: "text" | "tool_use" | undefined;
  #blocks = 0;
  #end: { reason: AnswerEnd; stopText?: string; usage: Usage; timings: Timings } | undefined;

  constructor(head: MessageHead) {
    this.#head = head;
  }

  headers(): Record<string, string> {
    return sseHeaders;
  }

  event(event: AnswerEvent): string | undefined {
    switch (event.type) {
      case "queued":
        return undefined;
      case "prefill":
        return this.#start(event) || undefined;
      case "text":
        if (event.text === "") return undefined;
        return (
          this.#start() +
          (this.#block === "text" ? "" : this.#open({ type: "text", text: "" })) +
          this.#delta({ type: "text_delta", text: event.text })
        );
      case "call":
        return this.#start() + this.#open({ type: "tool_use", id: event.id, name: event.name, input: {} });
      case "arguments":
        return this.#delta({ type: "input_json_delta", partial_json: event.text });
      case "end":
        this.#end = event;
        return undefined;
    }
  }

  end(): { chunk: string } {
    const { reason = "stop", stopText, usage } = this.#end ?? {};
    const delta = { type: "message_delta", delta: endOf(reason, stopText), usage: usage && usageOf(usage) };
    return { chunk: this.#start() + this.#close() + line(delta) + line({ type: "message_stop" }) };
  }

  failure(error: unknown): string {
    return line(errorBody(toHttpFailure(error), "anthropic", error) as { type: string });
  }

  #start(event?: { promptTokens: number; cachedTokens: number }): string {
    if (this.#isStarted) return "";
    this.#isStarted = true;
    const usage = usageOf({
      promptTokens: event?.promptTokens ?? 0,
      cachedTokens: event?.cachedTokens ?? 0,
      completionTokens: 0,
    });
    const message = {
      ...this.#head,
      type: "message",
      role: "assistant",
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage,
    };
    return line({ type: "message_start", message });
  }

  #open(block: { type: "text" | "tool_use"; [more: string]: unknown }): string {
    const closed = this.#close();
    this.#block = block.type;
    return closed + line({ type: "content_block_start", index: this.#blocks++, content_block: block });
  }

  #delta(delta: object): string {
    return line({ type: "content_block_delta", index: this.#blocks - 1, delta });
  }

  #close(): string {
    if (this.#block === undefined) return "";
    this.#block = undefined;
    return line({ type: "content_block_stop", index: this.#blocks - 1 });
  }
}

const line = (event: { type: string; [field: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
