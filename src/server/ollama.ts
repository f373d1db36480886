// Ollama's own API for clients that speak no other: /api/chat and /api/generate as translations to chat.ts and completions.ts.
// Streams are lines of JSON and the default; durations are in ns.
import type { Timings, Usage } from "../engine/contract.ts";
import type { AnswerEnd, AnswerEvent, AnswerJob } from "./answer-job.ts";
import { type Api, type ApiContext, assertModel, bodyOf } from "./api.ts";
import { parseJsonFields } from "./body.ts";
import { parseChatRequest } from "./chat.ts";
import { parseCompletionRequest } from "./completions.ts";
import { errorBody, refuse, toHttpFailure, unsupported, withParams } from "./errors.ts";
import { Fields, given, isObject, kindOf } from "./fields.ts";
import { type CollectedChoice, type StreamFormat, streamAnswer, wholeAnswer } from "./serve-answer.ts";

// Options that are ours under another name, or under the same.
const options: Readonly<Record<string, string>> = {
  temperature: "temperature",
  top_k: "top_k",
  top_p: "top_p",
  min_p: "min_p",
  seed: "seed",
  stop: "stop",
  repeat_penalty: "repeat_penalty",
  repeat_last_n: "repeat_last_n",
  presence_penalty: "presence_penalty",
  frequency_penalty: "frequency_penalty",
  typical_p: "typical_p",
  tfs_z: "tfs_z",
  mirostat: "mirostat",
};

export async function ollamaChat(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  const model = assertModel(api, body.string("model"));
  const list = body.list("messages", 100_000) ?? [];
  if (list.length === 0) return context.json(new Lines(model, "message").loaded());
  const messages = list.map((item, index) => messageOf(Fields.of(item, `messages[${index}]`)));
  const tools = body.list("tools", 1024);
  const { job } = await parseChatRequest(new Fields({ ...sharedBody(body), messages, ...given("tools", tools) }), api);
  return respond(context, api, { model, body, job, field: "message" });
}

export async function ollamaGenerate(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  const model = assertModel(api, body.string("model"));
  for (const name of ["template", "context"]) {
    const value = body.raw(name);
    if (value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0)) {
      throw unsupported(
        name,
        `${name} is not supported.`,
        "Send the conversation to /api/chat, or your own prompt with raw: true.",
      );
    }
  }
  refuseImages(body);
  const prompt = body.string("prompt") ?? "";
  if (prompt === "") return context.json(new Lines(model, "response").loaded());
  const shared = { ...sharedBody(body), ...given("suffix", body.raw("suffix")) };
  const system = body.string("system");
  if (body.boolean("raw")) {
    if (system !== undefined) throw refuse("system", "A raw prompt takes no system prompt.");
    const { job } = await parseCompletionRequest(new Fields({ ...shared, prompt }), api);
    return respond(context, api, { model, body, job, field: "response" });
  }
  const user = { role: "user", content: prompt };
  const messages = system === undefined || system === "" ? [user] : [{ role: "system", content: system }, user];
  const { job } = await parseChatRequest(new Fields({ ...shared, messages }), api);
  return respond(context, api, { model, body, job, field: "response" });
}

/** What both doors share, in the words of chat completions. num_ctx needs no obeying: the context is what it is, and nothing is cut. */
function sharedBody(body: Fields): Record<string, unknown> {
  const think = body.raw("think");
  if (think !== undefined && think !== false) throw unsupported("think", "This model answers without thinking first.");
  const wanted = body.object("options");
  const shared: Record<string, unknown> = {};
  for (const [name, ours] of Object.entries(options)) {
    const value = wanted?.raw(name);
    if (value !== undefined) shared[ours] = value;
  }
  // -1 is without end, -2 to the end of the context: both are what the context leaves.
  const limit = wanted?.integer("num_predict", -2, Number.MAX_SAFE_INTEGER);
  if (limit !== undefined) shared.max_tokens = Math.max(-1, limit);
  const format = body.raw("format");
  if (format === "json") shared.response_format = { type: "json_object" };
  else if (isObject(format)) shared.json_schema = format;
  else if (format !== undefined && format !== "") {
    throw refuse("format", `format must be "json" or a JSON schema, not ${kindOf(format)}.`);
  }
  if (body.boolean("logprobs")) throw unsupported("logprobs", "Log-probabilities are at /v1/chat/completions.");
  return shared;
}

function messageOf(fields: Fields): Record<string, unknown> {
  refuseImages(fields);
  const calls = fields.list("tool_calls", 1024)?.map((item, index) => {
    const call = Fields.of(item, `${fields.path("tool_calls")}[${index}]`);
    return { type: "function", function: call.required("function", call.object("function")).values };
  });
  const toolName = fields.string("tool_name");
  return {
    role: fields.raw("role"),
    content: fields.raw("content") ?? (calls ? null : ""),
    ...given("name", toolName),
    ...(calls && calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

function refuseImages(fields: Fields): void {
  if ((fields.list("images", 1024)?.length ?? 0) > 0)
    throw unsupported(fields.path("images"), "This model reads text only; it cannot see images.");
}

type TextField = "message" | "response";

function respond(
  context: ApiContext,
  api: Api,
  { model, body, job, field }: { model: string; body: Fields; job: AnswerJob; field: TextField },
): Promise<Response> {
  const lines = new Lines(model, field);
  const named = withParams({ prompt: field === "message" ? "messages" : "prompt", grammar: "format" });
  const door = field === "message" ? "ollama_chat" : "ollama_generate";
  if (body.boolean("stream") ?? true) return streamAnswer(context, api, { door, job, format: lines }).catch(named);
  return wholeAnswer(context, api, { door, job, respond: ([choice]) => context.json(lines.whole(choice)) }).catch(
    named,
  );
}

/** Answers as Ollama writes them: one object a line, the last with the counts. Calls come whole, their arguments as an object. */
class Lines implements StreamFormat {
  readonly #model: string;
  readonly #field: TextField;
  readonly #startedMs = performance.now();
  #calls: { name: string; arguments: string }[] = [];
  #end: { reason: AnswerEnd; usage: Usage; timings: Timings } | undefined;

  constructor(model: string, field: TextField) {
    this.#model = model;
    this.#field = field;
  }

  headers(): Record<string, string> {
    return { "content-type": "application/x-ndjson", "cache-control": "no-cache", "x-accel-buffering": "no" };
  }

  event(event: AnswerEvent): string | undefined {
    if (event.type === "text")
      return event.text === "" ? undefined : this.#line({ ...this.#text(event.text), done: false });
    if (event.type === "call") this.#calls[event.index] = { name: event.name, arguments: "" };
    else if (event.type === "arguments") {
      const call = this.#calls[event.index];
      if (call) call.arguments += event.text;
    } else if (event.type === "end") this.#end = event;
    return undefined;
  }

  end(): { chunk: string } {
    const calls = this.#calls.length > 0 ? this.#line({ ...this.#text("", this.#calls), done: false }) : "";
    return { chunk: calls + this.#line({ ...this.#text(""), ...this.#totals(this.#end) }) };
  }

  failure(error: unknown): string {
    return `${JSON.stringify(errorBody(toHttpFailure(error), "ollama", error))}\n`;
  }

  whole(choice: CollectedChoice | undefined): object {
    return { ...this.#base(), ...this.#text(choice?.text ?? "", choice?.calls), ...this.#totals(choice) };
  }

  /** The answer to a request that only wants the model loaded, which it is. */
  loaded(): object {
    return { ...this.#base(), ...this.#text(""), done: true, done_reason: "load" };
  }

  #base(): { model: string; created_at: string } {
    return { model: this.#model, created_at: new Date().toISOString() };
  }

  #line(fields: object): string {
    return `${JSON.stringify({ ...this.#base(), ...fields })}\n`;
  }

  #text(text: string, calls: readonly { name: string; arguments: string }[] = []): object {
    if (this.#field === "response") return { response: text };
    const made = calls.map((call) => ({ function: { name: call.name, arguments: parsedArguments(call.arguments) } }));
    return { message: { role: "assistant", content: text, ...(made.length > 0 ? { tool_calls: made } : {}) } };
  }

  #totals(end: { reason: AnswerEnd; usage: Usage; timings: Timings } | undefined): object {
    return {
      done: true,
      done_reason: end?.reason === "length" ? "length" : "stop",
      total_duration: nanoseconds(performance.now() - this.#startedMs),
      load_duration: 0,
      prompt_eval_count: end?.usage.promptTokens ?? 0,
      prompt_eval_duration: nanoseconds(end?.timings.prefillMs ?? 0),
      eval_count: end?.usage.completionTokens ?? 0,
      eval_duration: nanoseconds(end?.timings.decodeMs ?? 0),
    };
  }
}

function parsedArguments(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { incomplete_json: text };
  }
}

const nanoseconds = (ms: number): number => Math.round(ms * 1e6);
