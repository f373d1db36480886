// What holds for a request on every engine, checked once where it comes in: the numbers make sense, the prompt is not empty and
// its token ids exist, and the prompt leaves room to answer. What only one engine cannot do, that engine refuses.
import { AppError } from "../base/errors.ts";
import type { GenerateRequest, PromptIds, Sampling } from "./contract.ts";

/** Throws `bad_request` with `param` for a setting that has no meaning. */
export function checkRequest(request: GenerateRequest): void {
  checkSampling(request.sampling);
  whole("maxTokens", request.maxTokens, 0, Number.MAX_SAFE_INTEGER);
  whole("minTokens", request.minTokens, 0, Number.MAX_SAFE_INTEGER);
  whole("topLogprobs", request.topLogprobs, 0, 20);
  if ((request.minTokens ?? 0) > (request.maxTokens ?? Number.POSITIVE_INFINITY)) {
    throw bad("minTokens", `minTokens (${request.minTokens}) is above maxTokens (${request.maxTokens}).`);
  }
  if (request.stop?.some((stop) => stop === "")) throw bad("stop", "A stop text must not be empty.");
  if (request.grammar?.kind === "choice") {
    const { options } = request.grammar;
    if (options.length === 0) throw bad("grammar", "A choice needs at least one option.");
    if (options.includes("")) throw bad("grammar", "An option of a choice must not be empty.");
  }
}

function checkSampling(sampling: Sampling): void {
  between("temperature", sampling.temperature, 0, 100);
  whole("topK", sampling.topK, 0, Number.MAX_SAFE_INTEGER);
  between("topP", sampling.topP, 0, 1);
  between("minP", sampling.minP, 0, 1);
  between("repeatPenalty", sampling.repeatPenalty, 0.01, 100);
  between("presencePenalty", sampling.presencePenalty, -100, 100);
  between("frequencyPenalty", sampling.frequencyPenalty, -100, 100);
  whole("penaltyTokens", sampling.penaltyTokens, 0, Number.MAX_SAFE_INTEGER);
  whole("seed", sampling.seed, 0, Number.MAX_SAFE_INTEGER);
  for (const [id, bias] of sampling.logitBias) {
    if (!Number.isInteger(id) || id < 0) throw bad("logitBias", `${id} is not a token id.`);
    between("logitBias", bias, -100, 100);
  }
}

/** Throws `bad_request` for an empty prompt or a token id that the model does not have. */
export function checkPromptIds(ids: PromptIds, vocabularyTokens: number): void {
  if (ids.length === 0) throw bad("prompt", "The prompt is empty.", "Send at least one token of text.");
  // By index: the iterator of a long list costs more than the checks.
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] as number;
    if (!Number.isInteger(id) || id < 0 || id >= vocabularyTokens) {
      throw bad("prompt", `${id} is not a token id of this model: it has ${vocabularyTokens}.`);
    }
  }
}

/** Tokens the answer may have at most. Throws `context_overflow` when the prompt leaves no room for a single one. */
export function answerRoom(promptTokens: number, contextTokens: number, maxTokens: number | undefined): number {
  const needed = maxTokens === 0 ? promptTokens : promptTokens + 1;
  if (needed > contextTokens) {
    throw new AppError(
      "context_overflow",
      `The prompt has ${promptTokens} tokens, ${needed - contextTokens} too many: this engine holds ${contextTokens}, prompt and answer together.`,
      {
        param: "prompt",
        hint: "Send a shorter prompt, or start Quern with a larger --context.",
        details: { promptTokens, limitTokens: contextTokens, overflowTokens: needed - contextTokens },
      },
    );
  }
  return Math.min(maxTokens ?? Number.POSITIVE_INFINITY, contextTokens - promptTokens);
}

function between(param: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high))
    throw bad(param, `${param} is ${value}; it must be between ${low} and ${high}.`);
}

function whole(param: string, value: number | undefined, low: number, high: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value)) throw bad(param, `${param} is ${value}; it must be a whole number.`);
  between(param, value, low, high);
}

function bad(param: string, message: string, hint?: string): AppError {
  return new AppError("bad_request", message, hint === undefined ? { param } : { param, hint });
}
