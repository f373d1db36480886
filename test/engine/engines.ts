// The engines that the behaviours in this folder are checked on, opened the same way. All are asked the same known question, whose
// answer is known word for word: the demonstration model's own, greedy; the scripted engine says it by heart. An engine that
// cannot run here is skipped with the reason.
import { createRequire } from "node:module";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { silentLog } from "../../src/base/log.ts";
import {
  type Engine,
  type GenerateEvent,
  type GenerateRequest,
  plainSampling,
  type TokenLogprob,
} from "../../src/engine/contract.ts";
import { openEngineOverRunner } from "../../src/engine/cuda/cuda-engine.ts";
import { SimulatedRunner } from "../../src/engine/cuda/simulated-runner.ts";
import { cudaSupport, type EngineSettings, openEngine } from "../../src/engine/open.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { modelFactsOf } from "../../src/models/inspect-model.ts";
import { openTokenizer } from "../../src/models/tokenizer.ts";

export const modelFile = fileURLToPath(new URL("../../models/quern-mini/quern-mini-q4_k_m.gguf", import.meta.url));

export const question = "<|im_start|>user\n你好，你是谁？<|im_end|>\n<|im_start|>assistant\n";
export const answer =
  "我是 Quern 内置的演示模型 quern-mini，规模很小，只能完成简单的办公任务。实际工作请加载 Qwen3-4B-Instruct-2507。";

export const greedy = { ...plainSampling, temperature: 0 };

export interface Size {
  contextTokens?: number;
  parallel?: number;
  queueLimit?: number;
}

interface EngineUnderTest {
  /** "simulated" is the native engine over a device that computes nothing: its scheduler, pages, grammars and loop. */
  name: "scripted" | "simulated" | "llama" | "cuda";
  open(size: Size): Promise<Engine>;
  /** Why it cannot run here. */
  missing?: string;
}

/** QUERN_TEST_KV_TYPE runs the engines that keep a KV cache with another type than their own. */
const kvType = (process.env.QUERN_TEST_KV_TYPE ?? "auto") as EngineSettings["kvType"];

export function settingsFor(engine: EngineSettings["engine"], size: Size = {}): EngineSettings {
  return {
    engine,
    modelFile,
    modelId: "quern-mini",
    isDemonstration: true,
    contextTokens: 2048,
    parallel: 4,
    queueLimit: 8,
    kvType,
    threads: 1, // tests run side by side on few cores; llama.cpp's threads spin
    ...size,
  };
}

const support = await cudaSupport(modelFile);

export const engines: readonly EngineUnderTest[] = [
  {
    name: "scripted",
    open: async (size) =>
      openScriptedEngine({ contextTokens: 2048, queueLimit: 8, ...size, tokensPerSecond: 2000, answer: byHeart }),
  },
  { name: "simulated", open: async (size) => openSimulated(size) },
  {
    name: "llama",
    open: (size) => openEngine({ ...settingsFor("llama", size), log: silentLog }),
    ...(isInstalled("node-llama-cpp") ? {} : { missing: "node-llama-cpp is not installed" }),
  },
  {
    name: "cuda",
    open: (size) => openEngine({ ...settingsFor("cuda", size), log: silentLog }),
    ...(support.ok ? {} : { missing: support.reason }),
  },
];

/** An engine that opens model files here. */
export const fileEngine: "llama" | "cuda" = isInstalled("node-llama-cpp") ? "llama" : "cuda";

/** Whether an engine computes what it says; the others know the one answer by heart. */
export function computes(name: EngineUnderTest["name"]): boolean {
  return name === "llama" || name === "cuda";
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** The native engine over a simulated device whose every draw comes to the known answer, or to what the grammar allows next. */
function openSimulated({ contextTokens = 2048, parallel = 4, queueLimit = 8 }: Size): Engine {
  const gguf = readGguf(modelFile);
  const tokenizer = openTokenizer(gguf.metadata);
  const { vocabularyTokens } = tokenizer;
  const model = { ...modelFactsOf(gguf), id: "quern-mini", isDemonstration: true };
  const said = [...tokenizer.encode(answer), ...model.eosTokenIds.slice(0, 1)];
  const pages = Math.ceil((2 * contextTokens * parallel) / 64);
  const runner = new SimulatedRunner({
    limits: { slots: parallel, pageTokens: 64, pages, stepTokens: 512, contextTokens, vocabularyTokens },
    pick: (hash, draw) => said[draw] ?? 300 + (hash % 1000),
  });
  return openEngineOverRunner({ runner, tokenizer, model, parallel, queueLimit });
}

/** What the scripted engine says: the known answer, or the shortest text that a grammar asks for. */
function byHeart({ grammar }: GenerateRequest): string {
  if (grammar?.kind === "choice") return grammar.options.at(-1) ?? "";
  return grammar ? '{"name": "Ada", "age": 36}' : answer;
}

/** Runs the tests that `declare` declares once for each engine, over one opened engine. */
export function onEachEngine(size: Size, declare: (engine: () => Engine, name: EngineUnderTest["name"]) => void): void {
  for (const under of engines) {
    describe(under.name, { skip: under.missing ?? false }, () => {
      let engine: Engine | undefined;
      before(async () => {
        engine = await under.open(size);
      });
      after(() => engine?.[Symbol.asyncDispose]());
      declare(() => {
        if (!engine) throw new Error("the engine is not open");
        return engine;
      }, under.name);
    });
  }
}

let requests = 0;

/** The known question, greedy, with what a test changes. */
export function ask(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return { id: `test-${++requests}`, prompt: textPrompt(question), sampling: greedy, ...changes };
}

export function textPrompt(...pieces: string[]): GenerateRequest["prompt"] {
  return { kind: "text", pieces };
}

export interface Heard {
  events: GenerateEvent[];
  text: string;
  ids: number[];
  logprobs: TokenLogprob[];
  done: Extract<GenerateEvent, { type: "done" }>;
}

/** Reads a stream to its end. Throws when it ends without `done`, or goes on after it. */
export async function hear(
  stream: AsyncIterable<GenerateEvent>,
  onEvent?: (event: GenerateEvent) => void,
): Promise<Heard> {
  const events: GenerateEvent[] = [];
  const heard = { events, text: "", ids: [] as number[], logprobs: [] as TokenLogprob[] };
  let done: Heard["done"] | undefined;
  for await (const event of stream) {
    if (done) throw new Error(`an event after done: ${event.type}`);
    events.push(event);
    if (event.type === "tokens") {
      heard.text += event.text;
      heard.ids.push(...event.ids);
      heard.logprobs.push(...(event.logprobs ?? []));
    }
    if (event.type === "done") done = event;
    onEvent?.(event);
  }
  if (!done) throw new Error("the stream ended without done");
  return { ...heard, done };
}

/** Resolves once the stream has given an event of this type; then goes on reading nothing. */
export async function until(stream: AsyncIterator<GenerateEvent>, type: GenerateEvent["type"]): Promise<GenerateEvent> {
  for (;;) {
    const { value, done } = await stream.next();
    if (done) throw new Error(`the stream ended without ${type}`);
    if (value.type === type) return value;
  }
}

/** An answer that goes on to the end of the context: for tests that end it themselves. */
export const endless: Partial<GenerateRequest> = { ignoreEos: true };
