// The fields that chat completions and completions share: OpenAI's, vLLM's and llama.cpp's names for how to sample, when to stop
// and who goes first. Each works, or is refused by name when its value would change the answer in a way Quern cannot follow;
// a value that asks for nothing (penalty 0, sampler off) is accepted from clients that always send it.
import { type GenerateRequest, type Priority, plainSampling, type Sampling } from "../engine/contract.ts";
import { qwen3Instruct, type SamplingDefaults } from "../models/catalogue.ts";
import { refuse, unsupported } from "./errors.ts";
import { either, type Fields, given, isObject, kindOf } from "./fields.ts";

/** What the loaded model brings to parsing: its own sampling settings, an answer limit if it needs one, its token ids. */
export interface ModelDefaults {
  sampling: Sampling;
  /** Answer tokens when the request names no limit; absent: what the context leaves. */
  maxTokens?: number;
}

/** Defaults from the catalogue's few numbers; what it does not set is off. Without an entry, those of Qwen3-Instruct. */
export function toModelDefaults({ maxTokens, ...sampling }: SamplingDefaults = qwen3Instruct.defaults): ModelDefaults {
  return { sampling: { ...plainSampling, ...sampling }, ...given("maxTokens", maxTokens) };
}

export type GenerationSettings = Omit<GenerateRequest, "id" | "prompt" | "grammar" | "topLogprobs">;

export interface ParseContext {
  defaults: ModelDefaults;
  vocabularyTokens: number;
}

const mostStops = 64;
const unlimited = -1;

export function parseGeneration(fields: Fields, { defaults, vocabularyTokens }: ParseContext): GenerationSettings {
  refuseWhatChangesTheAnswer(fields);
  checkWhatChangesNothing(fields);
  const lastTokenId = vocabularyTokens - 1;
  const maxTokens = parseMaxTokens(fields, defaults.maxTokens);
  const minTokens = fields.integer("min_tokens", 0, Number.MAX_SAFE_INTEGER);
  if (minTokens !== undefined && maxTokens !== undefined && minTokens > maxTokens) {
    throw refuse(
      fields.path("min_tokens"),
      `min_tokens (${minTokens}) is above the answer's limit of ${maxTokens} tokens.`,
    );
  }
  const stopTokenIds = fields.tokenIds("stop_token_ids", { most: lastTokenId, mostItems: 1024 });
  return {
    sampling: parseSampling(fields, defaults.sampling, lastTokenId),
    ...given("maxTokens", maxTokens),
    ...given("minTokens", minTokens),
    ...given("stop", parseStop(fields)),
    ...given("stopTokenIds", stopTokenIds && [...stopTokenIds]),
    ...given("includeStop", fields.boolean("include_stop_str_in_output")),
    ...given("ignoreEos", fields.boolean("ignore_eos")),
    priority: parsePriority(fields),
  };
}

function parseSampling(fields: Fields, defaults: Sampling, lastTokenId: number): Sampling {
  const topK = fields.integer("top_k", -1, Number.MAX_SAFE_INTEGER);
  const repeat = either(fields, ["repetition_penalty", "repeat_penalty"], (name) => fields.number(name, 0.01, 100));
  const seed = parseSeed(fields.integer("seed", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
  return {
    temperature: fields.number("temperature", 0, 2) ?? defaults.temperature,
    topK: topK === undefined ? defaults.topK : Math.max(0, topK),
    topP: fields.number("top_p", 0, 1) ?? defaults.topP,
    minP: fields.number("min_p", 0, 1) ?? defaults.minP,
    repeatPenalty: repeat ?? defaults.repeatPenalty,
    presencePenalty: fields.number("presence_penalty", -2, 2) ?? defaults.presencePenalty,
    frequencyPenalty: fields.number("frequency_penalty", -2, 2) ?? defaults.frequencyPenalty,
    penaltyTokens: parsePenaltyTokens(fields) ?? defaults.penaltyTokens,
    logitBias: parseLogitBias(fields, lastTokenId) ?? defaults.logitBias,
    ...given("seed", seed ?? defaults.seed),
  };
}

const mostPenaltyTokens = 1_048_576;

/** -1 means the whole context to llama.cpp and Ollama clients. */
function parsePenaltyTokens(fields: Fields): number | undefined {
  const wanted = fields.integer("repeat_last_n", -1, mostPenaltyTokens);
  return wanted === -1 ? mostPenaltyTokens : wanted;
}

/** Engines take 32 bits; -1 means "any" to llama.cpp and vLLM clients. */
export function parseSeed(seed: number | undefined): number | undefined {
  return seed === undefined || seed === -1 ? undefined : Number(BigInt.asUintN(32, BigInt(seed)));
}

function parseMaxTokens(fields: Fields, initial: number | undefined): number | undefined {
  const names = ["max_completion_tokens", "max_tokens", "n_predict"] as const;
  const wanted = either(fields, names, (name) => fields.integer(name, unlimited, Number.MAX_SAFE_INTEGER));
  return wanted === unlimited ? undefined : (wanted ?? initial);
}

function parseStop(fields: Fields): string[] | undefined {
  const single = fields.raw("stop");
  const stops = typeof single === "string" ? [single] : fields.strings("stop", mostStops);
  const empty = stops?.indexOf("") ?? -1;
  if (empty >= 0) {
    throw refuse(
      typeof single === "string" ? fields.path("stop") : `${fields.path("stop")}[${empty}]`,
      "A stop text must not be empty.",
    );
  }
  return stops?.length ? stops : undefined;
}

function parseLogitBias(fields: Fields, lastTokenId: number): Map<number, number> | undefined {
  const biases = fields.object("logit_bias");
  if (!biases) return undefined;
  const parsed = new Map<number, number>();
  for (const name of biases.names()) {
    const id = /^\d+$/.test(name) ? Number(name) : Number.NaN;
    if (!(id <= lastTokenId)) throw refuse(biases.path(name), `"${name}" is no token id from 0 to ${lastTokenId}.`);
    parsed.set(id, biases.number(name, -100, 100) ?? 0);
  }
  return parsed;
}

/** vLLM's numbers (lower runs first) on our three lanes: up to 0 a person waits, up to 9 a batch, then background. */
function parsePriority(fields: Fields): Priority {
  const value = fields.raw("priority");
  if (value === "interactive" || value === "batch" || value === "background") return value;
  if (typeof value === "string") {
    throw refuse(fields.path("priority"), 'priority must be a whole number, "interactive", "batch" or "background".');
  }
  const level = fields.integer("priority", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ?? 0;
  return level <= 0 ? "interactive" : level < 10 ? "batch" : "background";
}

interface Refusal {
  /** Values that ask for nothing, also as the items of a list. */
  neutral: readonly unknown[];
  why: string;
  /** That it is there asks for something already, even as an empty object. */
  isAsking?: boolean;
}

const off = (why: string, ...neutral: unknown[]): Refusal => ({ neutral: [false, ...neutral], why });
const never = (why: string, ...neutral: unknown[]): Refusal => ({ neutral, why });

/** docs/api.md lists these; keep its table in step (a test holds them together). */
export const refusedFields: Readonly<Record<string, Refusal>> = {
  // OpenAI
  audio: never("Quern answers in text only."),
  functions: never("Functions are the old form of tools; send `tools`."),
  function_call: never("Functions are the old form of tools; send `tool_choice`.", "none"),
  modalities: never("Quern answers in text only.", "text"),
  prediction: never("Quern takes no predicted output."),
  reasoning_effort: never("This model answers without reasoning first.", "none"),
  suffix: never("This model does not fill in the middle.", ""),
  verbosity: never("This model has no verbosity setting; ask for short or long in the prompt.", "medium"),
  web_search_options: { ...never("Quern does not search the web."), isAsking: true },
  // vLLM
  allowed_token_ids: never("Quern cannot restrict an answer to a list of tokens; use logit_bias or a grammar."),
  bad_words: { neutral: [], why: "Quern cannot forbid words; use logit_bias for single tokens." },
  best_of: never("Quern does not rank candidates; use n.", 1),
  cache_salt: never("Quern shares prefixes among all requests; it keeps no separate caches."),
  chat_template: never("The template of the model is used; build your own prompt for /v1/completions."),
  documents: never("Quern puts no documents into templates; put their text into a message."),
  length_penalty: never("There is no beam search to weigh lengths for.", 1, 0),
  mm_processor_kwargs: never("This model reads text only."),
  prompt_logprobs: off("Quern does not report log-probabilities of the prompt."),
  repetition_detection: off("Quern does not detect repetition; set a token limit."),
  skip_special_tokens: never("Answers never hold special tokens.", true),
  thinking_token_budget: never("This model answers without reasoning first."),
  truncate_prompt_tokens: never("Quern never cuts a prompt; send a shorter one."),
  use_beam_search: off("Quern samples; it has no beam search."),
  // llama.cpp
  dry_multiplier: never("Quern has no DRY sampler.", 0),
  dynatemp_range: never("Quern has no dynamic temperature.", 0),
  lora: never("Quern loads no adapters."),
  mirostat: never("Quern has no mirostat sampler.", 0),
  n_discard: never("Quern never drops tokens from a prompt.", 0),
  n_indent: never("Quern does not stop by indentation.", 0),
  n_probs: never("Use logprobs and top_logprobs.", 0),
  response_fields: never("Quern answers with all fields."),
  samplers: never("The order of samplers is fixed."),
  t_max_predict_ms: never("Quern has no limit of time; set max_tokens.", 0, -1),
  tfs_z: never("Quern has no tail-free sampling.", 1),
  top_n_sigma: never("Quern has no top-n-sigma sampler.", -1, 0),
  typical_p: never("Quern has no typical sampling.", 1),
  xtc_probability: never("Quern has no XTC sampler.", 0),
};

function refuseWhatChangesTheAnswer(fields: Fields): void {
  for (const name of fields.names()) {
    const refusal = Object.hasOwn(refusedFields, name) ? refusedFields[name] : undefined;
    if (!refusal) continue;
    const value = fields.raw(name);
    const isEmpty = isObject(value) && Object.keys(value).length === 0 && !refusal.isAsking;
    const asksNothing = Array.isArray(value)
      ? value.every((item) => refusal.neutral.includes(item))
      : isEmpty || refusal.neutral.includes(value);
    if (asksNothing) continue;
    throw unsupported(
      fields.path(name),
      `${fields.path(name)} is not supported (it was ${kindOf(value)}). ${refusal.why}`,
    );
  }
}

/** Known fields that change no answer are passed over, but one of the wrong type is a slip that its sender should hear of. */
function checkWhatChangesNothing(fields: Fields): void {
  for (const name of ["user", "safety_identifier", "prompt_cache_key", "service_tier", "request_id"])
    fields.string(name);
  for (const name of ["store", "cache_prompt"]) fields.boolean(name);
  fields.object("metadata");
}
