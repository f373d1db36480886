// POST /v1/completions: text on from a prompt as it is, without a chat template. The prompt is a text, token ids, or a list of
// either; special tokens in a text count as such. Answers are numbered prompt by prompt.
import { randomUUID } from "node:crypto";
import type { Prompt, TokenLogprob } from "../engine/contract.ts";
import { parseFormat } from "./answer-format.ts";
import type { AnswerEvent, AnswerJob } from "./answer-job.ts";
import { type Api, type ApiContext, assertModel, bodyOf, parseContextOf } from "./api.ts";
import { parseJsonFields } from "./body.ts";
import { refuse, unsupported, withParams } from "./errors.ts";
import { type Fields, given, kindOf, readTokenIds } from "./fields.ts";
import { OpenAiStream } from "./openai-stream.ts";
import { parseGeneration } from "./sampling-fields.ts";
import { type CollectedChoice, streamAnswer, wholeAnswer } from "./serve-answer.ts";
import { parseStreamOptions, type StreamOptions } from "./stream-options.ts";
import type { TokenTexts } from "./token-texts.ts";
import { StreamTotals, timingsBody, usageBody } from "./totals.ts";

interface CompletionRequest {
  model: string;
  job: AnswerJob;
  stream: StreamOptions | undefined;
  /** The prompts' texts, when they are to be repeated before the answers. */
  echoes: string[] | undefined;
  returnTokenIds: boolean;
  formatParam: string;
}

const mostPrompts = 256;
const mostChoices = 64;

export async function completions(context: ApiContext, api: Api): Promise<Response> {
  const request = await parseCompletionRequest(parseJsonFields(await bodyOf(context, api)), api);
  const door = "completions";
  const named = withParams({ grammar: request.formatParam });
  const { job } = request;
  if (request.stream) {
    const format = new CompletionStreamFormat(request, request.stream, api);
    return streamAnswer(context, api, { door, job, format }).catch(named);
  }
  const respond = (choices: CollectedChoice[]): Response => context.json(completion(request, choices, api));
  return wholeAnswer(context, api, { door, job, respond }).catch(named);
}

export async function parseCompletionRequest(body: Fields, api: Api): Promise<CompletionRequest> {
  const model = assertModel(api, body.string("model"));
  const context = parseContextOf(api);
  const prompts = parsePrompts(body, context.vocabularyTokens);
  const settings = parseGeneration(body, context);
  const stream = parseStreamOptions(body);
  const format = parseFormat(body);
  // The old form: a number of alternatives instead of a boolean.
  const topLogprobs = body.integer("logprobs", 0, 20);
  const echo = body.boolean("echo") ?? false;
  if (echo && topLogprobs !== undefined) {
    throw unsupported(
      "echo",
      "Quern does not report log-probabilities of the prompt.",
      "Send echo or logprobs, not both.",
    );
  }
  const choicesPerPrompt = body.integer("n", 1, mostChoices) ?? 1;
  return {
    model,
    stream,
    formatParam: format?.param ?? "grammar",
    echoes: echo ? await Promise.all(prompts.map((prompt) => textOf(prompt, api))) : undefined,
    returnTokenIds: body.boolean("return_token_ids") ?? false,
    job: {
      id: `cmpl-${randomUUID()}`,
      prompts,
      choicesPerPrompt,
      request: { ...settings, ...given("topLogprobs", topLogprobs), ...given("grammar", format?.grammar) },
    },
  };
}

function parsePrompts(body: Fields, vocabularyTokens: number): Prompt[] {
  const value = body.raw("prompt");
  if (typeof value === "string") return [textPrompt(value, "prompt")];
  const list = body.required("prompt", body.list("prompt", 10_000_000));
  if (list.length === 0) throw refuse("prompt", "prompt is empty.");
  const ids = { most: vocabularyTokens - 1, mostItems: 10_000_000 };
  if (typeof list[0] === "number")
    return [{ kind: "tokens", ids: body.required("prompt", body.tokenIds("prompt", ids)) }];
  if (list.length > mostPrompts)
    throw refuse("prompt", `prompt holds ${list.length} prompts; ${mostPrompts} are the most.`);
  return list.map((item, index) => {
    const path = `prompt[${index}]`;
    if (typeof item === "string") return textPrompt(item, path);
    if (!Array.isArray(item)) throw refuse(path, `${path} must be a text or a list of token ids, not ${kindOf(item)}.`);
    if (item.length === 0) throw refuse(path, `${path} is empty.`);
    const { ids: found, stray } = readTokenIds(item, ids.most);
    if (stray >= 0)
      throw refuse(path, `${path} must hold token ids from 0 to ${ids.most}, not ${kindOf(item[stray])}.`);
    return { kind: "tokens", ids: found };
  });
}

function textPrompt(text: string, path: string): Prompt {
  if (text === "") throw refuse(path, `${path} is empty.`);
  return { kind: "text", pieces: [text] };
}

async function textOf(prompt: Prompt, api: Api): Promise<string> {
  return prompt.kind === "text" ? prompt.pieces.join("") : api.engine.detokenize([...prompt.ids], { special: true });
}

interface LogprobLists {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[];
  text_offset: number[];
}

/** The old form of logprobs: parallel lists, offsets in characters of the answer. */
function logprobLists(logprobs: readonly TokenLogprob[], texts: TokenTexts, offset: number): LogprobLists {
  const lists: LogprobLists = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  let at = offset;
  for (const one of logprobs) {
    const { token, logprob, top_logprobs: top } = texts.entry(one);
    lists.tokens.push(token);
    lists.token_logprobs.push(logprob);
    lists.top_logprobs.push(Object.fromEntries(top.map((other) => [other.token, other.logprob])));
    lists.text_offset.push(at);
    at += token.length;
  }
  return lists;
}

class CompletionStreamFormat extends OpenAiStream {
  readonly #request: CompletionRequest;
  readonly #texts: TokenTexts;
  /** Characters of each choice so far; undefined before its first chunk. */
  readonly #offsets: (number | undefined)[] = [];

  constructor(request: CompletionRequest, options: StreamOptions, api: Api) {
    super(request, options, "text_completion");
    this.#request = request;
    this.#texts = api.texts;
  }

  event(event: AnswerEvent): string | undefined {
    this.totals.take(event);
    switch (event.type) {
      case "queued":
        if (!this.options.returnProgress) return undefined;
        return this.#line("", {
          queue: { position: event.position, estimated_wait_ms: event.estimatedWaitMs ?? null },
        });
      case "prefill":
        if (!this.options.returnProgress) return undefined;
        return this.#line("", { prompt_progress: this.totals.progress(event) });
      case "text":
        if (event.text === "" && !event.logprobs && !this.#request.returnTokenIds) return undefined;
        return this.#text(event);
      case "end": {
        const reason = event.reason === "aborted" ? "stop" : event.reason;
        return this.#line(this.#choice(event.choice, this.#echo(event.choice), { reason }), {
          timings: timingsBody(event),
        });
      }
      default:
        return undefined;
    }
  }

  #text(event: Extract<AnswerEvent, { type: "text" }>): string {
    const text = this.#echo(event.choice) + event.text;
    const offset = this.#offsets[event.choice] ?? 0;
    this.#offsets[event.choice] = offset + text.length;
    const logprobs = event.logprobs ? { logprobs: logprobLists(event.logprobs, this.#texts, offset) } : {};
    const ids = this.#request.returnTokenIds ? { token_ids: event.ids } : {};
    const more = this.options.timingsPerToken ? { timings: this.totals.timingsNow() } : undefined;
    return this.#line(this.#choice(event.choice, text, { more: { ...logprobs, ...ids } }), more);
  }

  /** The prompt, before a choice's first text. */
  #echo(choice: number): string {
    if (this.#offsets[choice] !== undefined) return "";
    this.#offsets[choice] = 0;
    return this.#request.echoes?.[Math.floor(choice / this.#request.job.choicesPerPrompt)] ?? "";
  }

  #choice(choice: number, text: string, { reason, more }: { reason?: string; more?: object }): string {
    const rest = more === undefined ? "" : JSON.stringify(more).slice(1, -1);
    const logprobs = rest.includes('"logprobs"') ? "" : '"logprobs":null,';
    return `{"index":${choice},"text":${JSON.stringify(text)},${logprobs}${rest === "" ? "" : `${rest},`}"finish_reason":${reason === undefined ? "null" : `"${reason}"`}}`;
  }

  #line(choice: string, more?: object): string {
    const rest = more === undefined ? "" : JSON.stringify(more).slice(1, -1);
    return `${this.head}${choice}${this.tail}${rest === "" ? "" : `,${rest}`}}\n\n`;
  }
}

function completion(request: CompletionRequest, choices: readonly CollectedChoice[], api: Api): object {
  const totals = new StreamTotals(request.job);
  for (const [index, choice] of choices.entries()) totals.take({ type: "end", choice: index, ...choice });
  const { choicesPerPrompt } = request.job;
  return {
    id: request.job.id,
    object: "text_completion",
    created: Math.floor(Date.now() / 1000),
    model: request.model,
    choices: choices.map(({ text, logprobs, reason, ids }, index) => ({
      index,
      text: (request.echoes?.[Math.floor(index / choicesPerPrompt)] ?? "") + text,
      logprobs: request.job.request.topLogprobs === undefined ? null : logprobLists(logprobs, api.texts, 0),
      finish_reason: reason === "aborted" ? "stop" : reason,
      ...(request.returnTokenIds ? { token_ids: ids } : {}),
    })),
    usage: usageBody(totals),
    timings: timingsBody(totals),
  };
}
