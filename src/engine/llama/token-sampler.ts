// Chooses a sequence's next token with llama.cpp's samplers, in their fixed order: bias, penalties, top-k, top-p, min-p, then
// temperature and the draw. One sampler a request, with a random state of its own: what runs beside a request does not change its
// draws.
//
// The model's own probabilities (before all of that) come from two further looks at the same logits. llama.cpp gives
// probabilities only of what a sampler kept, relative to each other. A greedy sampler keeps the whole vocabulary and tells the
// absolute probability of the likeliest token; a top-k sampler tells the ratios to it:  p(t) = p(best) · r(t) / r(best).
import { AppError } from "../../base/errors.ts";
import type { GenerateRequest, PromptIds, TokenLogprob } from "../contract.ts";
import type { Native, NativeSampler, SamplerConfig } from "./native.ts";

export interface SamplerOptions {
  native: Native;
  request: GenerateRequest;
  promptIds: PromptIds;
  /** Tokens that end the answer; they cannot be drawn before `minTokens`. */
  endTokenIds: readonly number[];
  /** What the answer must match, as GBNF. */
  gbnf?: string | undefined;
}

/** Logarithm reported for a probability too small for a 32-bit float; also what the APIs call "minus infinity". */
const leastLogprob = -9999;

export class TokenSampler {
  readonly #native: Native;
  readonly #sampler: NativeSampler;
  readonly #config: SamplerConfig;
  readonly #topLogprobs: number | undefined;
  #endsHeldBack: number; // tokens until the end tokens may be drawn
  #greedy: NativeSampler | undefined;
  #topK: NativeSampler | undefined;

  constructor(options: SamplerOptions) {
    const { native, request, endTokenIds } = options;
    this.#native = native;
    this.#topLogprobs = request.topLogprobs;
    this.#endsHeldBack = request.minTokens ?? 0;
    this.#config = configOf(options);
    this.#sampler = native.openSampler();
    const held = this.#endsHeldBack > 0 ? withBias(this.#config, endTokenIds) : this.#config;
    this.#sampler.applyConfig(held);
  }

  /** The next token by the logits at this place of the last batch; undefined when the grammar allows none. */
  async next(logits: number): Promise<{ id: number; logprob?: TokenLogprob } | undefined> {
    const id = await this.#native.context.sampleToken(logits, this.#sampler);
    if (id < 0) return undefined;
    if (this.#endsHeldBack > 0 && --this.#endsHeldBack === 0) this.#sampler.applyConfig(this.#config);
    return this.#topLogprobs === undefined
      ? { id }
      : { id, logprob: await this.#logprobOf(id, logits, this.#topLogprobs) };
  }

  async #logprobOf(id: number, logits: number, count: number): Promise<TokenLogprob> {
    const { context } = this.#native;
    this.#greedy ??= this.#open({});
    this.#topK ??= this.#open({ temperature: 1, topK: Math.max(40, count), seed: 0 });
    const [, , bestProbability = 0] = await context.sampleToken(logits, this.#greedy, false, true);
    const [, list = []] = await context.sampleToken(logits, this.#topK, true, false);
    const scale = Math.log(bestProbability) - Math.log(list[1] ?? 1);
    const top: { id: number; logprob: number }[] = [];
    let own: number | undefined;
    for (let place = 0; place + 1 < list.length; place += 2) {
      const [candidate = 0, ratio = 0] = [list[place], list[place + 1]];
      const logprob = logarithm(ratio, scale);
      if (top.length < count) top.push({ id: candidate, logprob });
      if (candidate === id) own = logprob;
    }
    return { id, logprob: own ?? (await this.#rareLogprob(id, logits)), top };
  }

  /** Of a token outside the top: from the list of the whole vocabulary, which costs milliseconds to make. */
  async #rareLogprob(id: number, logits: number): Promise<number> {
    this.#greedy ??= this.#open({});
    const [, list = []] = await this.#native.context.sampleToken(logits, this.#greedy, true, false);
    for (let place = 0; place + 1 < list.length; place += 2) {
      if (list[place] === id) return logarithm(list[place + 1] ?? 0, 0);
    }
    throw new AppError("internal", `Token ${id} was drawn but has no probability.`);
  }

  #open(config: SamplerConfig): NativeSampler {
    const sampler = this.#native.openSampler();
    sampler.applyConfig(config);
    return sampler;
  }

  dispose(): void {
    this.#sampler.dispose();
    this.#greedy?.dispose();
    this.#topK?.dispose();
  }
}

function logarithm(probability: number, scale: number): number {
  return probability > 0 ? Math.min(0, Math.log(probability) + scale) : leastLogprob;
}

function configOf({ native, request, promptIds, gbnf }: SamplerOptions): SamplerConfig {
  const { sampling } = request;
  const config: SamplerConfig = {};
  if (sampling.temperature > 0) {
    config.temperature = sampling.temperature;
    config.seed = seed32(sampling.seed ?? Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
    // Only what restricts: each of these sorts the vocabulary first.
    if (sampling.topK > 0) config.topK = sampling.topK;
    if (sampling.topP < 1) config.topP = sampling.topP;
    if (sampling.minP > 0) config.minP = sampling.minP;
  }
  const hasPenalty = sampling.repeatPenalty !== 1 || sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0;
  if (hasPenalty && sampling.penaltyTokens > 0) {
    config.repeatPenalty = sampling.repeatPenalty;
    config.repeatPenaltyPresencePenalty = sampling.presencePenalty;
    config.repeatPenaltyFrequencyPenalty = sampling.frequencyPenalty;
    // More than a sequence can hold looks at all of it; the native ring has this length.
    config.repeatPenaltyMaxTokens = Math.min(sampling.penaltyTokens, 2 ** 20);
    config.repeatPenaltyTokens = Uint32Array.from(promptIds.slice(-config.repeatPenaltyMaxTokens));
  }
  if (sampling.logitBias.size > 0) {
    config.tokenBiasKeys = Uint32Array.from(sampling.logitBias.keys());
    config.tokenBiasValues = Float32Array.from(sampling.logitBias.values());
  }
  if (gbnf !== undefined) {
    const isOurs = request.grammar?.kind !== "gbnf";
    config.grammarEvaluationState = beginGrammar(native, { gbnf, isOurs });
  }
  return config;
}

function beginGrammar(native: Native, { gbnf, isOurs }: { gbnf: string; isOurs: boolean }): object {
  try {
    return native.beginGrammar(native.parseGrammar(gbnf));
  } catch (cause) {
    if (isOurs) {
      throw new AppError("unsupported", "The schema repeats or nests too much to be enforced.", {
        param: "grammar",
        cause,
      });
    }
    throw new AppError("bad_request", "The grammar cannot be read.", {
      param: "grammar",
      hint: "It must be GBNF with a rule named root, and each rule it names must be there.",
      cause,
    });
  }
}

/** The config with these tokens impossible, besides what it biases already. */
function withBias(config: SamplerConfig, ids: readonly number[]): SamplerConfig {
  const keys = [...(config.tokenBiasKeys ?? []), ...ids];
  const values = [...(config.tokenBiasValues ?? []), ...ids.map(() => Number.NEGATIVE_INFINITY)];
  return { ...config, tokenBiasKeys: Uint32Array.from(keys), tokenBiasValues: Float32Array.from(values) };
}

/** 53 bits folded into 32, never the value that llama.cpp takes for "random". */
function seed32(seed: number): number {
  const folded = ((seed % 2 ** 32) ^ Math.floor(seed / 2 ** 32)) >>> 0;
  return folded === 0xffff_ffff ? 0xffff_fffe : folded;
}
