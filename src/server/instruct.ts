// POST /v1/qwen3/instruct, the lean door: an instruction as raw bytes in, the answer as raw bytes out, written as each step brings
// them. No envelope, so nothing per token is quoted or parsed; the price is that all else travels outside the text. Options stand
// in the query; usage, finish reason and timings come as trailers; a failure before the first byte is a status with the usual
// error object, and after it the connection is cut without its terminating chunk, which every HTTP client reports.
import { randomUUID } from "node:crypto";
import type { Grammar, Prompt, Timings, Usage } from "../engine/contract.ts";
import { checkedSchema } from "./answer-format.ts";
import type { AnswerEvent, AnswerJob } from "./answer-job.ts";
import { type Api, type ApiContext, bodyOf, parseContextOf, watchClient } from "./api.ts";
import { toText } from "./body.ts";
import { refuse, withParams } from "./errors.ts";
import { Fields, given } from "./fields.ts";
import { templatePrompt } from "./instruct-templates.ts";
import { overflowChoices } from "./office/file-prompt.ts";
import { instructWithFiles } from "./office/instruct-files.ts";
import { parseGeneration } from "./sampling-fields.ts";
import { type StreamFormat, streamAnswer } from "./serve-answer.ts";

/** Files and an instruction as parts of a form. */
const formType = "multipart/form-data";

/** Token ids, little-endian, four bytes each. */
export const tokensType = "application/vnd.quern.tokens";

// curl --data-binary says the form type for whatever it sends, so that counts as raw bytes too.
const textTypes = new Set([
  "",
  "text/plain",
  "text/markdown",
  "application/octet-stream",
  "application/x-www-form-urlencoded",
]);

const numberOptions = [
  "temperature",
  "top_k",
  "top_p",
  "min_p",
  "seed",
  "max_tokens",
  "min_tokens",
  "repetition_penalty",
  "presence_penalty",
  "frequency_penalty",
] as const;
const textOptions = ["system", "template", "format", "schema", "priority", "stop", "file_overflow"] as const;
/** What may stand in the query, and in a line of a batch. */
export const knownOptions: ReadonlySet<string> = new Set<string>([...numberOptions, ...textOptions]);

export interface InstructOptions {
  system: string | undefined;
  request: AnswerJob["request"];
  /** What to do with files that do not fit. */
  fileOverflow: (typeof overflowChoices)[number] | undefined;
}

export async function instruct(context: ApiContext, api: Api): Promise<Response> {
  const { incoming } = context.env ?? {};
  const url = incoming?.url ?? context.req.url;
  const question = url.indexOf("?");
  const options = parseInstructOptions(question < 0 ? noFields : queryFields(url.slice(question + 1)), api);
  const header = context.req.header("content-type") ?? "";
  const type = mediaType(header);
  const body = await bodyOf(context, api);
  using client = watchClient(context);
  const filled =
    type === formType ? await instructWithFiles({ body, header, options, signal: client.signal }, api) : undefined;
  const prompt =
    filled?.prompt ??
    (type === tokensType ? tokensPrompt(body, options, api) : textPrompt(textOf(body, type), options, api));
  const job: AnswerJob = {
    id: `ins-${randomUUID()}`,
    prompts: [prompt],
    choicesPerPrompt: 1,
    request: options.request,
  };
  const wantsIds = context.req.header("accept")?.includes(tokensType) ?? false;
  const format = wantsIds ? new TokenFormat(filled?.headers) : new TextFormat(filled?.headers);
  return streamAnswer(context, api, { door: "instruct", job, format }).catch(
    withParams({ prompt: "body", grammar: "schema" }),
  );
}

const noFields = new Fields({});

/** The query as fields: numbers where numbers belong, `stop` as often as it stands there. Unknown names are refused. */
export function queryFields(query: string): Fields {
  const values: Record<string, unknown> = {};
  const stops: string[] = [];
  for (const [name, text] of new URLSearchParams(query)) {
    if (!knownOptions.has(name)) throw unknownOption(name);
    if (name === "stop") stops.push(text);
    else if (Object.hasOwn(values, name)) throw refuse(name, `${name} stands in the query twice.`);
    else values[name] = (numberOptions as readonly string[]).includes(name) ? numberOrText(text) : text;
  }
  if (stops.length > 0) values.stop = stops;
  return new Fields(values);
}

/** Refuses field names that the lean doors do not know: they are ours alone, so a stranger is a slip. */
export function assertKnownOptions(fields: Fields, also: readonly string[]): void {
  for (const name of Object.keys(fields.values)) {
    if (!knownOptions.has(name) && !also.includes(name)) throw unknownOption(name);
  }
}

export function parseInstructOptions(fields: Fields, api: Api): InstructOptions {
  const settings = parseGeneration(fields, parseContextOf(api));
  const system = fields.string("system");
  const template = fields.string("template");
  if (system !== undefined && template !== undefined) {
    throw refuse(fields.path("template"), "A template is a system prompt; send template or system, not both.");
  }
  return {
    system: template === undefined ? system : templatePrompt(template, fields.path("template")),
    request: { ...settings, ...given("grammar", parseInstructFormat(fields)) },
    fileOverflow: fields.choice("file_overflow", overflowChoices),
  };
}

function parseInstructFormat(fields: Fields): Grammar | undefined {
  const format = fields.choice("format", ["text", "json"]);
  const schema = fields.raw("schema");
  if (schema === undefined) return format === "json" ? { kind: "json" } : undefined;
  if (format === "text") throw refuse(fields.path("schema"), "A schema needs format=json.");
  let parsed = schema;
  if (typeof schema === "string") {
    try {
      parsed = JSON.parse(schema);
    } catch {
      throw refuse(fields.path("schema"), "schema is not valid JSON.");
    }
  }
  return { kind: "json_schema", schema: checkedSchema(parsed, fields.path("schema")) };
}

export function textPrompt(
  text: string,
  { system, fileOverflow }: Pick<InstructOptions, "system" | "fileOverflow">,
  api: Api,
): Prompt {
  if (fileOverflow) throw refuse("file_overflow", "file_overflow goes with files, which come as multipart/form-data.");
  if (text.trim() === "") throw refuse("body", "The instruction is empty.");
  const user = { role: "user", content: text } as const;
  const messages = system === undefined ? [user] : [{ role: "system", content: system } as const, user];
  return { kind: "text", pieces: api.template.render({ messages }) };
}

function textOf(body: Buffer, type: string): string {
  if (textTypes.has(type)) return toText(body);
  throw refuse(
    "content-type",
    `The body's type is "${type.slice(0, 60)}"; this door takes text/plain, application/octet-stream, multipart/form-data or ${tokensType}.`,
    "For JSON there is /v1/chat/completions.",
  );
}

/** Ids are the whole prompt as the model sees it: nothing is put around them. */
function tokensPrompt(body: Buffer, { system }: InstructOptions, api: Api): Prompt {
  if (system !== undefined)
    throw refuse("system", "Token ids are the whole prompt; system and template do not go with them.");
  if (body.length === 0 || body.length % 4 !== 0) {
    throw refuse("body", `The body has ${body.length} bytes; token ids take four bytes each.`);
  }
  const { vocabularyTokens } = api.engine.status().model;
  const ids = new Array<number>(body.length / 4);
  for (let index = 0; index < ids.length; index++) {
    const id = body.readUInt32LE(index * 4);
    if (id >= vocabularyTokens)
      throw refuse("body", `Token ${index} is ${id}; this model's ids end at ${vocabularyTokens - 1}.`);
    ids[index] = id;
  }
  return { kind: "tokens", ids };
}

const charset = /^utf-?8$/i;

function mediaType(header: string): string {
  const [type = "", ...parameters] = header.split(";");
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.trim().split("=");
    if (name.toLowerCase() === "charset" && !charset.test(value.replaceAll('"', ""))) {
      throw refuse("content-type", `The body's charset is ${value.slice(0, 20)}; send UTF-8.`);
    }
  }
  return type.trim().toLowerCase();
}

function numberOrText(text: string): unknown {
  return /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(text) ? Number(text) : text;
}

function unknownOption(name: string): Error {
  return refuse(
    name.slice(0, 60),
    `There is no option "${name.slice(0, 60)}".`,
    `There are ${[...knownOptions].join(", ")}.`,
  );
}

const trailerNames = [
  "quern-finish-reason",
  "quern-prompt-tokens",
  "quern-cached-tokens",
  "quern-completion-tokens",
  "server-timing",
].join(", ");

/** What both forms of the answer share: headers, trailers, and silence until the first token. */
abstract class LeanFormat implements StreamFormat {
  readonly #startedMs = performance.now();
  readonly #more: Readonly<Record<string, string>>;
  #end: { reason: string; usage: Usage; timings: Timings } | undefined;
  abstract readonly type: string;

  constructor(more: Readonly<Record<string, string>> = {}) {
    this.#more = more;
  }

  headers(): Record<string, string> {
    return {
      "content-type": this.type,
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      trailer: trailerNames,
      ...this.#more,
      // Trailers are out of reach for fetch; the time to the first token is known now.
      "server-timing": `first;dur=${milliseconds(performance.now() - this.#startedMs)}`,
    };
  }

  event(event: AnswerEvent): string | Uint8Array | undefined {
    if (event.type === "text") return this.chunk(event.text, event.ids);
    if (event.type === "end") this.#end = event;
    return undefined;
  }

  protected abstract chunk(text: string, ids: readonly number[]): string | Uint8Array | undefined;

  end(): { trailers: Record<string, string> } {
    if (!this.#end) return { trailers: {} };
    const { reason, usage, timings } = this.#end;
    return {
      trailers: {
        "quern-finish-reason": reason,
        "quern-prompt-tokens": String(usage.promptTokens),
        "quern-cached-tokens": String(usage.cachedTokens),
        "quern-completion-tokens": String(usage.completionTokens),
        "server-timing": `queue;dur=${milliseconds(timings.queueMs)}, prefill;dur=${milliseconds(timings.prefillMs)}, decode;dur=${milliseconds(timings.decodeMs)}`,
      },
    };
  }

  failure(): undefined {
    return undefined;
  }
}

class TextFormat extends LeanFormat {
  readonly type = "text/plain; charset=utf-8";

  protected chunk(text: string): string | undefined {
    return text === "" ? undefined : text;
  }
}

class TokenFormat extends LeanFormat {
  readonly type = tokensType;

  protected chunk(_text: string, ids: readonly number[]): Uint8Array | undefined {
    if (ids.length === 0) return undefined;
    const bytes = Buffer.allocUnsafe(ids.length * 4);
    for (const [index, id] of ids.entries()) bytes.writeUInt32LE(id, index * 4);
    return bytes;
  }
}

const milliseconds = (value: number): string => value.toFixed(1);
