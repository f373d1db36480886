// The thread in which grammars are compiled and followed, by xgrammar in WebAssembly. It answers each message in order. What the
// library cannot take aborts its instance: the thread then reports the abort and is not used again; grammar.ts starts another.
import { readFileSync } from "node:fs";
import { createRequire, Module } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { CompilableGrammar } from "./grammar-schema.ts";

export interface GrammarWorkerData {
  /** The vocabulary; "" for what is not text, which is then never allowed. */
  tokens: readonly string[];
  stopTokenIds: readonly number[];
}

export type ToGrammarWorker =
  /** Compile (or take from the cache) and go through `accepted`. */
  | { kind: "open"; matcher: number; grammar: CompilableGrammar; accepted: readonly number[] }
  | { kind: "accept"; matcher: number; token: number }
  | { kind: "close"; matcher: number };

export type FromGrammarWorker =
  | { kind: "mask"; mask: Int32Array }
  /** No token may follow: the form is complete and was ended, or the grammar leads nowhere. */
  | { kind: "complete" }
  | { kind: "rejected" }
  | { kind: "closed" }
  | { kind: "aborted"; message: string };

/** The part of the library used here. Its package calls itself a module but is CommonJS, so its own types cannot be imported. */
interface Library {
  TokenizerInfo: {
    createTokenizerInfo(
      vocabulary: string[],
      ...rest: [type: "byte_level", prependSpace: boolean, vocabularyTokens: number, stopTokenIds: number[]]
    ): Promise<Disposed>;
  };
  GrammarCompiler: { createGrammarCompiler(info: Disposed): Promise<Compiler> };
  GrammarMatcher: { createGrammarMatcher(grammar: Disposed): Promise<Matcher> };
}
interface Disposed {
  dispose(): void;
}
interface Compiler {
  compileGrammar(ebnf: string): Promise<Disposed>;
  compileJSONSchema(
    schema: string,
    ...rest: [anyWhitespace: true, indent: undefined, separators: undefined, strict: true, mostWhitespace: number]
  ): Promise<Disposed>;
}
interface Matcher extends Disposed {
  acceptToken(id: number): boolean;
  isTerminated(): boolean;
  getNextTokenBitmask(): Promise<Int32Array>;
}

const cachedGrammars = 32;
/** White space in a row between JSON's parts: a small model may otherwise never leave it. */
const mostWhitespace = 16;

if (!parentPort) throw new Error("grammar-worker.ts runs in a worker thread only.");
const port = parentPort;
const complaints: string[] = [];
// The library says why it aborts on the console alone.
console.log =
  console.warn =
  console.error =
    (...parts: unknown[]) => {
      complaints.push(parts.join(" "));
    };

const { tokens, stopTokenIds } = workerData as GrammarWorkerData;
const library = loadLibrary();
const compiler = makeCompiler();
const compiled = new Map<string, Promise<Disposed>>();
const matchers = new Map<number, Matcher>();

let work: Promise<void> = Promise.resolve();
port.on("message", (message: ToGrammarWorker) => {
  work = work.then(async () => {
    const reply = await answer(message).catch((error: unknown) => aborted(error));
    const transfer = reply.kind === "mask" ? [reply.mask.buffer as ArrayBuffer] : [];
    port.postMessage(reply, transfer);
  });
});

async function answer(message: ToGrammarWorker): Promise<FromGrammarWorker> {
  complaints.length = 0;
  if (message.kind === "close") {
    matchers.get(message.matcher)?.dispose();
    matchers.delete(message.matcher);
    return { kind: "closed" };
  }
  if (message.kind === "open") {
    const matcher = await library.GrammarMatcher.createGrammarMatcher(await grammarOf(message.grammar));
    matchers.set(message.matcher, matcher);
    for (const token of message.accepted) if (!matcher.acceptToken(token)) return { kind: "rejected" };
    return next(matcher);
  }
  const matcher = matchers.get(message.matcher);
  if (!matcher?.acceptToken(message.token)) return { kind: "rejected" };
  return next(matcher);
}

async function next(matcher: Matcher): Promise<FromGrammarWorker> {
  if (matcher.isTerminated()) return { kind: "complete" };
  const mask = (await matcher.getNextTokenBitmask()).slice();
  return mask.some((word) => word !== 0) ? { kind: "mask", mask } : { kind: "complete" };
}

function aborted(error: unknown): FromGrammarWorker {
  const fatal = complaints.findLast((line) => line.includes("[FATAL]"));
  // "[FATAL] path/file.cc:12: reason"
  const reason = fatal?.replace(/^.*?\.cc:\d+:\s*/s, "") ?? (error instanceof Error ? error.message : String(error));
  return { kind: "aborted", message: reason };
}

async function grammarOf({ kind, text }: CompilableGrammar): Promise<Disposed> {
  const key = `${kind} ${text}`;
  const known = compiled.get(key);
  if (known) {
    compiled.delete(key);
    compiled.set(key, known); // the most recently used stays longest
    return known;
  }
  const made = compile(await compiler, kind, text);
  compiled.set(key, made);
  const [oldest] = compiled.keys();
  if (compiled.size > cachedGrammars && oldest !== undefined) {
    const dropped = compiled.get(oldest);
    compiled.delete(oldest);
    (await dropped)?.dispose();
  }
  return made;
}

function compile(by: Compiler, kind: CompilableGrammar["kind"], text: string): Promise<Disposed> {
  if (kind === "ebnf") return by.compileGrammar(text);
  return by.compileJSONSchema(text, true, undefined, undefined, true, mostWhitespace);
}

async function makeCompiler(): Promise<Compiler> {
  const info = await library.TokenizerInfo.createTokenizerInfo([...tokens], "byte_level", false, tokens.length, [
    ...stopTokenIds,
  ]);
  return library.GrammarCompiler.createGrammarCompiler(info);
}

function loadLibrary(): Library {
  const file = createRequire(import.meta.url).resolve("@mlc-ai/web-xgrammar");
  const module = new Module(file) as Module & { _compile(source: string, file: string): void };
  module.filename = file;
  module._compile(readFileSync(file, "utf8"), file);
  return module.exports as Library;
}
