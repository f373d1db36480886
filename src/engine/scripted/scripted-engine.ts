// An engine that replays a script: no model, no device, every promise of the contract. Server, page and client are tested on it,
// and it shows how an engine is built from the shared parts: intake in front, one loop behind.
//
// It obeys all that is about the request's life (limits, stop texts, queue, prefix reuse, abort, usage). It does not sample: the
// script is the answer, so sampling settings and grammar change nothing here and a script for a grammar must fit it.
import { AppError } from "../../base/errors.ts";
import type { ActiveRequest } from "../active-request.ts";
import { commonPrefixTokens } from "../common-prefix.ts";
import type { Engine, EngineStatus, GenerateRequest, ModelInfo, TokenLogprob } from "../contract.ts";
import { Intake } from "../intake.ts";
import { SpeedMeter } from "../speed-meter.ts";
import {
  scriptedBytes,
  scriptedEosId,
  scriptedIds,
  scriptedPromptIds,
  scriptedText,
  scriptedVocabularyTokens,
} from "./scripted-tokenizer.ts";

export interface ScriptedOptions {
  /**
   * The answer to a request: a text, one token a step; or several texts, each brought by one step. A text may hold
   * "<|im_end|>" to end the turn; the end of the script ends it too. Throwing plays a failure: at once, or, from a generator
   * function, in mid-answer. The default repeats what the user said last.
   */
  answer?: (request: GenerateRequest, promptText: string) => string | Iterable<string>;
  /** Steps a second, for all sequences together; as fast as it goes when absent. */
  tokensPerSecond?: number;
  /** Prompt tokens one step takes in. */
  prefillTokens?: number;
  contextTokens?: number;
  /** KV tokens of all sequences together; as many as they could hold when absent. */
  kvTokens?: number;
  parallel?: number;
  queueLimit?: number;
  model?: Partial<ModelInfo>;
  reason?: string;
}

interface Script {
  active: ActiveRequest;
  processedTokens: number;
  /** What each coming step brings. */
  steps: Iterator<string | readonly number[]>;
  ids: number[];
}

/** Opens an engine that answers by script. Close it with `await using` or `[Symbol.asyncDispose]()`. */
export function openScriptedEngine(options: ScriptedOptions = {}): Engine {
  return new ScriptedEngine(options);
}

class ScriptedEngine implements Engine {
  readonly #options: ScriptedOptions;
  readonly #contextTokens: number;
  readonly #kvTokens: number;
  readonly #intake: Intake;
  readonly #running: Script[] = [];
  readonly #kept: number[][] = []; // token ids of earlier sequences, the latest last
  readonly #promptSpeed = new SpeedMeter();
  readonly #decodeSpeed = new SpeedMeter();
  #wake: (() => void) | undefined;
  #isStopped = false;
  readonly #loop: Promise<void>;

  constructor(options: ScriptedOptions) {
    this.#options = options;
    const { contextTokens = 4096, parallel = 4, queueLimit = 64, kvTokens = contextTokens * parallel } = options;
    this.#contextTokens = contextTokens;
    this.#kvTokens = kvTokens;
    this.#intake = new Intake({
      parallel,
      queueLimit,
      kvTokens,
      contextTokens,
      vocabularyTokens: scriptedVocabularyTokens,
      eosTokenIds: [scriptedEosId],
      wake: () => this.#wake?.(),
    });
    this.#loop = this.#run();
  }

  generate(request: GenerateRequest, { signal }: { signal?: AbortSignal } = {}) {
    return this.#intake.generate(request, { signal, promptIds: () => scriptedPromptIds(request.prompt) });
  }

  async tokenize(text: string, { special = false }: { special?: boolean } = {}): Promise<number[]> {
    return scriptedIds(text, special);
  }

  async detokenize(ids: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    const stranger = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= scriptedVocabularyTokens);
    if (stranger !== undefined) throw new AppError("bad_request", `${stranger} is not a token id.`, { param: "ids" });
    return scriptedText(ids, special);
  }

  status(): EngineStatus {
    const usedTokens = this.#running.reduce((sum, { active }) => sum + active.kvTokens, 0);
    return {
      engine: "scripted",
      ...(this.#options.reason === undefined ? {} : { reason: this.#options.reason }),
      device: "script",
      state: this.#isStopped ? "stopped" : "ready",
      model: { ...scriptedModel, trainedContextTokens: this.#contextTokens, ...this.#options.model },
      contextTokens: this.#contextTokens,
      kvType: "none",
      kv: { totalTokens: this.#kvTokens, usedTokens, cachedTokens: sumTokens(this.#kept) },
      memory: { weightBytes: 0, kvBytes: 0, otherBytes: 0 },
      speed: {
        promptTokensPerSecond: this.#promptSpeed.tokensPerSecond,
        decodeTokensPerSecond: this.#decodeSpeed.tokensPerSecond,
      },
      restarts: 0,
      ...this.#intake.status(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#intake.close(new AppError("busy", "The engine is stopping.", { details: { retryAfterSeconds: 5 } }));
    this.#wake?.();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      for (const active of this.#intake.take()) this.#start(active);
      for (const script of [...this.#running]) if (script.active.isLeaving) this.#end(script, "aborted");
      if (this.#running.length === 0) {
        if (!this.#intake.hasNews) await this.#sleep();
        continue;
      }
      const before = this.#intake.now();
      await this.#pace();
      this.#step(before);
    }
  }

  #start(active: ActiveRequest): void {
    try {
      const { answer = echo } = this.#options;
      const said = answer(active.request, scriptedText(active.promptIds, true));
      const steps = typeof said === "string" ? oneTokenAStep(said) : said;
      const best = Math.max(0, ...this.#kept.map((kept) => commonPrefixTokens(kept, active.promptIds)));
      // The last prompt token is always computed: the first answer token comes from it.
      const cachedTokens = Math.min(best, active.promptIds.length - 1);
      active.start(cachedTokens, this.#intake.now());
      const ids = [...active.promptIds];
      this.#running.push({ active, processedTokens: cachedTokens, steps: steps[Symbol.iterator](), ids });
    } catch (error) {
      this.#intake.fail(active, error);
    }
  }

  /** One step: each sequence takes in a stretch of its prompt, or brings its next tokens. */
  #step(before: number): void {
    const { prefillTokens = 512 } = this.#options;
    let promptTokens = 0;
    let answerTokens = 0;
    for (const script of [...this.#running]) {
      const { active } = script;
      if (active.isLeaving) continue; // the loop ends it before the next step
      const left = active.promptIds.length - script.processedTokens;
      if (left > 0) {
        const taken = Math.min(left, prefillTokens);
        script.processedTokens += taken;
        promptTokens += taken;
        active.prefilled(script.processedTokens);
        if (script.processedTokens < active.promptIds.length) continue;
      }
      if (active.maxTokens === 0) this.#end(script, "length");
      else answerTokens += this.#bring(script);
    }
    const now = this.#intake.now();
    this.#promptSpeed.record(promptTokens, now - before, now);
    this.#decodeSpeed.record(answerTokens, now - before, now);
  }

  #bring(script: Script): number {
    const { active } = script;
    let count = 0;
    for (const id of this.#nextIds(script)) {
      count++;
      script.ids.push(id);
      const logprob = logprobOf(id, active.request.topLogprobs);
      const finish = active.take(id, scriptedBytes(id, false), { logprob, now: this.#intake.now() });
      if (finish) {
        this.#end(script, finish.reason, finish.stopText);
        break;
      }
    }
    return count;
  }

  /** The ids of the script's next step; the end of turn once it is over; none, and the request failed, when it throws. */
  #nextIds(script: Script): readonly number[] {
    try {
      const next = script.steps.next();
      if (next.done) return [scriptedEosId];
      return typeof next.value === "string" ? scriptedIds(next.value, true) : next.value;
    } catch (error) {
      this.#running.splice(this.#running.indexOf(script), 1);
      this.#intake.fail(script.active, error);
      return [];
    }
  }

  #end(script: Script, reason: "stop" | "length" | "aborted", stopText?: string): void {
    this.#running.splice(this.#running.indexOf(script), 1);
    if (script.processedTokens > 0) {
      // What the KV memory holds afterwards: an aborted prompt only as far as it came.
      this.#kept.push(
        script.processedTokens < script.active.promptIds.length
          ? script.ids.slice(0, script.processedTokens)
          : script.ids,
      );
    }
    while (this.#kept.length > 1 && sumTokens(this.#kept) > this.#kvTokens) this.#kept.shift();
    this.#intake.finish(script.active, reason, stopText);
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Waits out a step's time; without a set speed only lets others run. */
  #pace(): Promise<void> {
    const { tokensPerSecond } = this.#options;
    return new Promise((resolve) => {
      if (tokensPerSecond === undefined) setImmediate(resolve);
      else setTimeout(resolve, 1000 / tokensPerSecond);
    });
  }
}

const scriptedModel: ModelInfo = {
  id: "scripted",
  file: "",
  fileBytes: 0,
  architecture: "scripted",
  quantisation: "none",
  parameters: 0,
  layers: 0,
  vocabularyTokens: scriptedVocabularyTokens,
  trainedContextTokens: 0,
  eosTokenIds: [scriptedEosId],
  isDemonstration: false,
};

/** What the user said last, or the whole prompt when it is no conversation. */
function echo(_request: GenerateRequest, promptText: string): string {
  const turns = promptText.split("<|im_start|>user\n");
  const last = turns.length > 1 ? (turns.at(-1) ?? "") : promptText;
  return last.split("<|im_end|>")[0] ?? "";
}

/** One step a token; in ids, because a token may be part of a character. */
function* oneTokenAStep(text: string): Generator<readonly number[]> {
  for (const id of scriptedIds(text, true)) yield [id];
}

/** Made-up but well-formed: the token itself is the likeliest, its neighbours follow, each less likely than the one before. */
function logprobOf(id: number, count: number | undefined): TokenLogprob | undefined {
  if (count === undefined) return undefined;
  const top = Array.from({ length: count }, (_, place) => ({
    id: (id + place) % scriptedVocabularyTokens,
    logprob: -0.25 - place,
  }));
  return { id, logprob: -0.25, top };
}

function sumTokens(lists: readonly (readonly number[])[]): number {
  return lists.reduce((sum, list) => sum + list.length, 0);
}
