// Which model the server runs, and with how much context, how many requests together and what KV type: the one place that changes it while
// the server serves. What requests need of the model (engine, template, defaults) is one object, read once for each request and replaced
// as a whole; a request that was made for the model before is refused by the engine it holds.
import { AppError, toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { EngineClient } from "../engine/client.ts";
import type { Engine } from "../engine/contract.ts";
import { type MemoryNeeds, memoryNeeds } from "../engine/memory-needs.ts";
import type { EngineSettings } from "../engine/open.ts";
import { type ResolvedModel, resolveModel } from "../models/catalogue.ts";
import { type ChatTemplate, openChatTemplate } from "../models/chat-template.ts";
import { readGguf } from "../models/gguf.ts";
import { modelFactsOf, specialTokensOf } from "../models/inspect-model.ts";
import { type ModelDefaults, toModelDefaults } from "./sampling-fields.ts";

/** What a model brings to every request. */
export interface ServedModel {
  engine: Engine;
  template: ChatTemplate;
  /** Sampling settings and answer limit for requests that name none: the catalogue's. */
  defaults: ModelDefaults;
  /** Why it is not the model that would rather be taken. */
  note?: string | undefined;
}

/** As a person chose it: 0 and "auto" leave it to the engine. */
export interface EngineChoice {
  model: string;
  contextTokens: number;
  parallel: number;
  kvType: EngineSettings["kvType"];
}

export interface EngineSwitchOptions {
  engine: EngineClient;
  /** What `engine` was started with. */
  model: ResolvedModel;
  dataFolder: string;
  log: Log;
  /** See ReopenOptions. */
  drainMs?: number;
}

export class EngineSwitch {
  readonly #options: EngineSwitchOptions;
  readonly #listeners: ((served: ServedModel) => void)[] = [];
  #current: ServedModel;
  #choice: EngineChoice;

  /** Throws as readGguf does. */
  constructor(options: EngineSwitchOptions) {
    const { engine, model } = options;
    const { contextTokens, parallel, kvType } = engine.settings;
    this.#options = options;
    this.#current = { engine: engine.forModelNow(), ...opened(model) };
    this.#choice = { model: model.id, contextTokens, parallel, kvType };
  }

  get current(): ServedModel {
    return this.#current;
  }

  get choice(): EngineChoice {
    return this.#choice;
  }

  /** Called with each model that is served from then on. */
  onChange(listener: (served: ServedModel) => void): void {
    this.#listeners.push(listener);
  }

  /** What a model (absent: the one that runs) would take. Throws `not_found`, `unreadable`. */
  needs(model?: string): MemoryNeeds & { trainedContextTokens: number } {
    const { engine, dataFolder } = this.#options;
    const file = model === undefined ? engine.settings.modelFile : resolveModel({ model, dataFolder }).file;
    const gguf = readGguf(file);
    const { trainedContextTokens } = modelFactsOf(gguf);
    return { ...memoryNeeds(engine.status().engine, gguf), trainedContextTokens };
  }

  /** Bytes that the engine could have: what it has now, and what is free beside it. Absent where nobody tells. */
  availableBytes(): number | undefined {
    const { weightBytes, kvBytes, otherBytes, freeBytes } = this.#options.engine.status().memory;
    return freeBytes === undefined ? undefined : freeBytes + weightBytes + kvBytes + otherBytes;
  }

  /**
   * Opens the engine anew with `change`. What can be told beforehand is refused before anything stops; when the engine cannot be opened
   * all the same, the one before goes on, and the error says both.
   */
  async change(change: Partial<EngineChoice>): Promise<void> {
    const { engine, dataFolder, log } = this.#options;
    const wanted = { ...this.#choice, ...change };
    const isOther = change.model !== undefined && change.model !== this.#choice.model;
    // A context chosen for one model may be more than another was made for.
    if (isOther && change.contextTokens === undefined) {
      wanted.contextTokens = Math.min(wanted.contextTokens, this.needs(wanted.model).trainedContextTokens);
    }
    const before = { served: this.#current, choice: this.#choice };
    // The same model is not looked for again: it may have been started from a path that is no name.
    const model = isOther ? resolveModel({ model: wanted.model, dataFolder }) : undefined;
    const { engine: _, ...same } = before.served;
    const next = model ? opened(model) : same;
    this.#refuseTooMuch(wanted, isOther);
    const { contextTokens, parallel, kvType } = wanted;
    const settings: EngineSettings = {
      ...engine.settings,
      ...{ contextTokens, parallel, kvType },
      ...(model ? { modelFile: model.file, modelId: model.id, isDemonstration: model.isDemonstration } : {}),
    };
    try {
      await engine.reopen(settings, {
        ...(this.#options.drainMs === undefined ? {} : { drainMs: this.#options.drainMs }),
        onLeft: () => this.#serve({ engine: engine.forModelNow(), ...next }, wanted),
        onReturned: () => this.#serve({ ...before.served, engine: engine.forModelNow() }, before.choice),
      });
      log.info("engine changed", { ...wanted });
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === "conflict" || error.code === "busy") throw error; // another change is under way, or Quern stops
      throw new AppError(error.code, `${error.message.replace(/[.\s]*$/, ".")} Quern goes on as before.`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        ...(error.details === undefined ? {} : { details: error.details }),
        cause: error,
      });
    }
  }

  #refuseTooMuch({ model, contextTokens, parallel, kvType }: EngineChoice, isOther: boolean): void {
    const needs = this.needs(isOther ? model : undefined);
    const { trainedContextTokens, kvTokenBytes, autoKvType, isForEach, weightBytes } = needs;
    if (trainedContextTokens > 0 && contextTokens > trainedContextTokens) {
      throw new AppError(
        "bad_request",
        `A context of ${contextTokens} tokens is beyond the ${trainedContextTokens} that ${model} was made for.`,
        { param: "contextTokens", details: { limitTokens: trainedContextTokens } },
      );
    }
    const types = Object.keys(kvTokenBytes);
    if (kvType !== "auto" && types.length > 0 && !types.includes(kvType)) {
      throw new AppError("unsupported", `This engine keeps no KV cache in ${kvType}.`, {
        param: "kvType",
        hint: `It can keep ${types.join(" or ")}.`,
      });
    }
    const availableBytes = this.availableBytes();
    const type = kvType === "auto" ? autoKvType : kvType;
    const tokenBytes = type && kvTokenBytes[type];
    if (availableBytes === undefined || tokenBytes === undefined) return;
    const neededBytes = weightBytes + tokenBytes * contextTokens * (isForEach ? parallel : 1);
    if (neededBytes <= availableBytes) return;
    throw new AppError(
      "device",
      `This takes ${gigabytes(neededBytes)} GB of memory; the engine can have ${gigabytes(availableBytes)} GB.`,
      {
        param: "contextTokens",
        hint: "Choose a shorter context or fewer requests together.",
        details: { neededBytes, availableBytes },
      },
    );
  }

  #serve(served: ServedModel, choice: EngineChoice): void {
    this.#current = served;
    this.#choice = choice;
    for (const listener of this.#listeners) listener(served);
  }
}

function opened({ file, defaults, note }: ResolvedModel): Omit<ServedModel, "engine"> {
  const gguf = readGguf(file);
  const { chatTemplate } = modelFactsOf(gguf);
  const template = openChatTemplate(chatTemplate, { specialTokens: specialTokensOf(gguf) });
  return { template, defaults: toModelDefaults(defaults), note };
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
