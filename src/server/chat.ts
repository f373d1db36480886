// POST /v1/chat/completions: OpenAI's request and answer, streamed or whole, with vLLM's and llama.cpp's extras.
//
// The order on the stream is what clients rely on: a chunk with the role, text or tool-call deltas, a chunk with finish_reason,
// then, only if asked for, one with usage and no choices, then [DONE]. Id and time of creation never change within an answer.
import { randomUUID } from "node:crypto";
import type { FileProgress } from "../documents/file-progress.ts";
import type { Grammar, Prompt } from "../engine/contract.ts";
import type { ChatMessage } from "../models/chat-template.ts";
import { parseFormat } from "./answer-format.ts";
import { type AnswerEvent, type AnswerJob, callClosing, callOpening } from "./answer-job.ts";
import { type Api, type ApiContext, assertModel, bodyOf, parseContextOf, watchClient } from "./api.ts";
import type { ChatCompletion } from "./api-types.ts";
import { parseJsonFields } from "./body.ts";
import { parseMessages } from "./chat-messages.ts";
import { refuse, unsupported, withParams } from "./errors.ts";
import { type Fields, given } from "./fields.ts";
import type { FileUse } from "./office/file-draft.ts";
import { fitFiles, hasFiles, quernBody } from "./office/file-prompt.ts";
import { chunkFrame, OpenAiStream, streamOpening } from "./openai-stream.ts";
import { parseGeneration } from "./sampling-fields.ts";
import { type CollectedChoice, streamAnswer, wholeAnswer } from "./serve-answer.ts";
import { parseStreamOptions, type StreamOptions } from "./stream-options.ts";
import { parseToolUse, type ToolUse } from "./tools.ts";
import { StreamTotals, timingsBody, usageBody } from "./totals.ts";

export interface ChatRequest {
  model: string;
  job: AnswerJob;
  /** When the answer was created, in seconds: on each of its chunks. */
  created: number;
  stream: StreamOptions | undefined;
  returnTokenIds: boolean;
  promptIds: number[] | undefined;
  /** The field that the answer's format came from. */
  formatParam: string;
  /** What became of the files in its messages. */
  fileUse: FileUse | undefined;
}

const mostChoices = 64;

export async function chatCompletions(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  const stream = parseStreamOptions(body);
  if (stream && hasFiles(body)) return streamWithFiles(context, api, { body, stream });
  using client = watchClient(context);
  const request = await parseChatRequest(body, api, { signal: client.signal });
  const door = "chat";
  const named = withParams({ prompt: "messages", grammar: request.formatParam });
  const { job } = request;
  if (request.stream) {
    const format = new ChatStreamFormat(request, request.stream, api);
    return streamAnswer(context, api, { door, job, format }).catch(named);
  }
  const respond = (choices: CollectedChoice[]): Response => context.json(chatCompletion(request, choices, api));
  return wholeAnswer(context, api, { door, job, respond }).catch(named);
}

/** The work on the files is the stream's first part: it is kept open by pings, and tells how far it is when progress is asked for. */
function streamWithFiles(
  context: ApiContext,
  api: Api,
  { body, stream }: { body: Fields; stream: StreamOptions },
): Promise<Response> {
  const names = { id: newId(), model: assertModel(api, body.string("model")), created: nowSeconds() };
  const opening = streamOpening(stream);
  const { head, tail } = chunkFrame(names, stream, chunkObject);
  let named = withParams({ prompt: "messages" });
  return streamAnswer(context, api, {
    door: "chat",
    opening,
    prepare: async (signal, tell) => {
      const onProgress = (progress: FileProgress): void =>
        tell(`${head}${tail},"file_progress":${JSON.stringify(progress)}}\n\n`);
      const request = await parseChatRequest(body, api, {
        signal,
        ...names,
        ...(stream.returnProgress ? { onProgress } : {}),
      });
      named = withParams({ prompt: "messages", grammar: request.formatParam });
      return { job: request.job, format: new ChatStreamFormat(request, stream, api) };
    },
  }).catch((error: unknown) => named(error));
}

const chunkObject = "chat.completion.chunk";
const newId = (): string => `chatcmpl-${randomUUID()}`;
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

export interface ParseOptions {
  /** Ends the work on files when nobody waits for it any more. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: FileProgress) => void) | undefined;
  id?: string;
  created?: number;
}

export async function parseChatRequest(
  body: Fields,
  api: Api,
  { signal = new AbortController().signal, onProgress, id = newId(), created = nowSeconds() }: ParseOptions = {},
): Promise<ChatRequest> {
  const model = assertModel(api, body.string("model"));
  const settings = parseGeneration(body, parseContextOf(api));
  const stream = parseStreamOptions(body);
  const toolUse = parseToolUse(body);
  const format = parseFormat(body);
  if (toolUse && format) {
    throw unsupported(
      format.param,
      "An answer cannot be held to a format and be free to call tools at once.",
      'Send tool_choice "none", or leave the format out.',
    );
  }
  if (body.boolean("echo")) throw unsupported("echo", "Chat answers do not repeat the prompt.");
  const render = (messages: readonly ChatMessage[]): string[] => renderPrompt(body, messages, { api, toolUse });
  const { maxTokens } = settings;
  const fileUse = await fitFiles(body, {
    api,
    signal,
    ...given("maxTokens", maxTokens),
    ...given("onProgress", onProgress),
    countPrompt: async (filled) => (await idsOf(api, render(parseMessages(filled)))).length,
  });
  const pieces = render(parseMessages(fileUse?.body ?? body));
  if (toolUse?.forced) pieces.push(callOpening);
  const returnTokenIds = body.boolean("return_token_ids") ?? false;
  const promptIds = returnTokenIds ? await idsOf(api, pieces) : undefined;
  const prompt: Prompt = promptIds ? { kind: "tokens", ids: promptIds } : { kind: "text", pieces };
  // With one call at most, its closing tag ends the answer; the parser does without it.
  const isSingle = toolUse?.single === true && !toolUse.forced;
  const constraint: Grammar | undefined = toolUse?.forced ?? format?.grammar;
  return {
    model,
    created,
    stream,
    returnTokenIds,
    promptIds,
    formatParam: format?.param ?? "tools",
    fileUse,
    job: {
      id,
      prompts: [prompt],
      choicesPerPrompt: body.integer("n", 1, mostChoices) ?? 1,
      request: {
        ...settings,
        ...given("topLogprobs", parseTopLogprobs(body)),
        ...given("grammar", constraint),
        ...(isSingle ? { stop: [...(settings.stop ?? []), callClosing] } : {}),
      },
      ...(toolUse ? { toolCalls: { isForced: toolUse.forced !== undefined } } : {}),
    },
  };
}

/** The messages as the model's template has them; the last of the assistant is left open to be continued. */
function renderPrompt(
  body: Fields,
  messages: readonly ChatMessage[],
  { api, toolUse }: { api: Api; toolUse: ToolUse | undefined },
): string[] {
  const wantsContinue = body.boolean("continue_final_message");
  const wantsTurn = body.boolean("add_generation_prompt");
  const last = messages.at(-1);
  const canContinue = last?.role === "assistant" && last.content !== undefined && !last.toolCalls;
  const endsOpen = canContinue && wantsContinue !== false && wantsTurn !== true;
  if (wantsContinue && !endsOpen) {
    throw refuse(
      "continue_final_message",
      "Only a last message of the assistant can be continued, and not with add_generation_prompt.",
    );
  }
  if (endsOpen && toolUse?.forced)
    throw refuse("tool_choice", "A continued message cannot be forced to be a tool call.");
  const variables = body.object("chat_template_kwargs")?.values;
  return api.template.render({
    messages,
    tools: toolUse?.tools.map((tool) => tool.definition) ?? [],
    continueFinalMessage: endsOpen,
    addGenerationPrompt: !endsOpen && wantsTurn !== false,
    ...given("variables", variables),
  });
}

function parseTopLogprobs(body: Fields): number | undefined {
  const wanted = body.boolean("logprobs");
  const top = body.integer("top_logprobs", 0, 20);
  if (top !== undefined && top > 0 && !wanted) throw refuse("top_logprobs", "top_logprobs needs logprobs: true.");
  return wanted ? (top ?? 0) : undefined;
}

async function idsOf(api: Api, pieces: readonly string[]): Promise<number[]> {
  const lists = await Promise.all(pieces.map((piece) => api.engine.tokenize(piece, { special: true })));
  return lists.flat();
}

class ChatStreamFormat extends OpenAiStream {
  readonly #request: ChatRequest;
  readonly #api: Api;
  readonly #isOpen: boolean[];
  /** Each choice's text, kept only where citations are looked for in it. */
  readonly #answers: string[];

  constructor(request: ChatRequest, options: StreamOptions, api: Api) {
    super(request, options, chunkObject);
    this.#request = request;
    this.#api = api;
    this.#isOpen = Array.from({ length: request.job.choicesPerPrompt }, () => false);
    this.#answers = this.#isOpen.map(() => "");
  }

  event(event: AnswerEvent): string | undefined {
    this.totals.take(event);
    switch (event.type) {
      case "queued":
        if (!this.options.returnProgress) return undefined;
        return this.#openAll({ queue: { position: event.position, estimated_wait_ms: event.estimatedWaitMs ?? null } });
      case "prefill":
        return this.#openAll(
          this.options.returnProgress ? { prompt_progress: this.totals.progress(event) } : undefined,
        );
      case "text":
        if (event.text === "" && !event.logprobs && !this.#request.returnTokenIds) return undefined;
        return this.#open(event.choice) + this.#text(event);
      case "call": {
        const call = {
          index: event.index,
          id: event.id,
          type: "function",
          function: { name: event.name, arguments: "" },
        };
        return this.#open(event.choice) + this.#chunk(event.choice, `{"tool_calls":[${JSON.stringify(call)}]}`);
      }
      case "arguments":
        return this.#chunk(
          event.choice,
          `{"tool_calls":[{"index":${event.index},"function":{"arguments":${JSON.stringify(event.text)}}}]}`,
        );
      case "end": {
        const reason = event.reason === "aborted" ? "stop" : event.reason;
        const { fileUse } = this.#request;
        const quern = fileUse ? { quern: quernBody(fileUse, this.#answers[event.choice] ?? "") } : {};
        const more = { timings: timingsBody(event), ...quern };
        return this.#open(event.choice) + this.#chunk(event.choice, "{}", { reason, more });
      }
    }
  }

  #text(event: Extract<AnswerEvent, { type: "text" }>): string {
    if (this.#request.fileUse) this.#answers[event.choice] += event.text;
    const logprobs = event.logprobs
      ? JSON.stringify({ content: event.logprobs.map((one) => this.#api.texts.entry(one)), refusal: null })
      : undefined;
    return this.#chunk(event.choice, `{"content":${JSON.stringify(event.text)}}`, {
      ...(logprobs === undefined ? {} : { logprobs }),
      ...(this.#request.returnTokenIds ? { ids: event.ids } : {}),
      ...(this.options.timingsPerToken ? { more: { timings: this.totals.timingsNow() } } : {}),
    });
  }

  /** The chunk that brings the role, once for each choice. */
  #open(choice: number, more?: object): string {
    if (this.#isOpen[choice] && !more) return "";
    if (this.#isOpen[choice]) return this.#chunk(choice, "{}", { more: more ?? {} });
    this.#isOpen[choice] = true;
    const promptIds = this.#request.promptIds ? { prompt_token_ids: this.#request.promptIds } : {};
    return this.#chunk(choice, '{"role":"assistant","content":""}', { more: { ...promptIds, ...more } });
  }

  #openAll(more: object | undefined): string | undefined {
    const chunks = this.#isOpen.map((_, choice) => this.#open(choice, choice === 0 ? more : undefined)).join("");
    return chunks === "" ? undefined : chunks;
  }

  #chunk(
    choice: number,
    delta: string,
    {
      reason,
      logprobs,
      ids,
      more,
    }: { reason?: string; logprobs?: string; ids?: readonly number[]; more?: object } = {},
  ): string {
    const withLogprobs = logprobs === undefined ? "" : `"logprobs":${logprobs},`;
    const withIds = ids === undefined ? "" : `,"token_ids":${JSON.stringify(ids)}`;
    const finish = reason === undefined ? "null" : `"${reason}"`;
    const rest = more === undefined ? "" : JSON.stringify(more).slice(1, -1);
    return `${this.head}{"index":${choice},"delta":${delta},${withLogprobs}"finish_reason":${finish}${withIds}}${this.tail}${rest === "" ? "" : `,${rest}`}}\n\n`;
  }
}

function chatCompletion(request: ChatRequest, choices: readonly CollectedChoice[], api: Api): ChatCompletion {
  const totals = new StreamTotals(request.job);
  for (const [index, choice] of choices.entries()) totals.take({ type: "end", choice: index, ...choice });
  return {
    id: request.job.id,
    object: "chat.completion",
    created: request.created,
    model: request.model,
    choices: choices.map(({ text, calls, logprobs, reason, ids }, index) => ({
      index,
      message: {
        role: "assistant",
        content: calls.length > 0 && text === "" ? null : text,
        refusal: null,
        ...(calls.length > 0
          ? {
              tool_calls: calls.map(({ id, name, arguments: args }) => ({
                id,
                type: "function" as const,
                function: { name, arguments: args },
              })),
            }
          : {}),
      },
      logprobs:
        request.job.request.topLogprobs === undefined
          ? null
          : { content: logprobs.map((one) => api.texts.entry(one)), refusal: null },
      finish_reason: reason === "aborted" ? "stop" : reason,
      ...(request.returnTokenIds ? { token_ids: ids } : {}),
      ...(request.fileUse ? { quern: quernBody(request.fileUse, text) } : {}),
    })),
    usage: usageBody(totals),
    timings: timingsBody(totals),
    ...(request.promptIds ? { prompt_token_ids: request.promptIds } : {}),
  };
}
