// The engine's process: opens an engine as told by the first message and serves it over IPC. A native library that aborts takes
// down this process and nothing else. It has no clock of its own but the status beat, keeps nothing a client could not send again,
// and ends when its parent does.
import { AppError, type ErrorData, toAppError } from "../base/errors.ts";
import type { Log, LogFields, LogLevel } from "../base/log.ts";
import type { Embedder, Embeddings, Engine, GenerateRequest } from "./contract.ts";
import type { FromHost, HostAnswer, HostEvent, ToHost } from "./host-messages.ts";
import { type EngineSettings, openEmbedder, openEngine } from "./open.ts";

const statusBeatMs = 250;

let engine: Engine | undefined;
let embedder: (Embedder & AsyncDisposable) | undefined;
const calls = new Map<number, { abort: AbortController; hasLeft: boolean }>();
let outbox: HostEvent[] = [];
let isFlushPlanned = false;
let isStatusDue = false;

process.on("message", (message) => void receive(message as ToHost));
// Without its parent nobody can ask or listen. The engine's memory goes with the process.
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group; the parent decides when running answers are finished.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);

async function receive(message: ToHost): Promise<void> {
  switch (message.type) {
    case "open":
      return open(message.settings);
    case "generate":
      return generate(message.key, message.request);
    case "abort":
      return calls.get(message.key)?.abort.abort();
    case "leave":
      return leave(message.key);
    case "tokenize":
      return answer(message.key, (opened) => opened.tokenize(message.text, { special: message.special }));
    case "detokenize":
      return answer(message.key, (opened) => opened.detokenize(message.ids, { special: message.special }));
    case "embed":
      return answer(message.key, () => embed(message.texts));
    case "stop":
      await embedder?.[Symbol.asyncDispose]();
      await engine?.[Symbol.asyncDispose]();
      // What the running requests were told goes out first.
      setImmediate(() => (process.connected ? process.disconnect() : process.exit(0)));
      return;
  }
}

async function open(settings: EngineSettings): Promise<void> {
  try {
    engine = await openEngine({ ...settings, log, onProgress: (loaded) => send({ type: "progress", loaded }) });
    if (settings.embeddingFile !== undefined) {
      embedder = await openEmbedder({ file: settings.embeddingFile, threads: settings.threads, log });
    }
    send({ type: "ready", status: engine.status() });
    let quietBeats = 0;
    setInterval(() => {
      const status = engine?.status();
      if (!status) return;
      if (status.state === "failed") die(new AppError("device", "The engine's device failed."));
      const isWorking = status.runningRequests > 0 || status.queuedRequests > 0;
      // Also a sign of life, so never longer apart than a second.
      if (isWorking || ++quietBeats * statusBeatMs >= 1000) {
        send({ type: "status", status });
        quietBeats = 0;
      }
    }, statusBeatMs);
  } catch (error) {
    send({ type: "not_opened", error: dataOf(error) });
    process.disconnect();
    process.exit(1);
  }
}

async function generate(key: number, request: GenerateRequest): Promise<void> {
  const call = { abort: new AbortController(), hasLeft: false };
  calls.set(key, call);
  try {
    if (!engine) throw new AppError("internal", "A request came before the engine was open.");
    isStatusDue = true;
    for await (const event of engine.generate(request, { signal: call.abort.signal })) {
      if (call.hasLeft) break;
      post({ key, event });
    }
  } catch (error) {
    if (engine?.status().state === "failed") return die(toAppError(error));
    if (!call.hasLeft) post({ key, error: dataOf(error) });
  } finally {
    calls.delete(key);
    isStatusDue = true;
    planFlush();
  }
}

/** An engine whose device failed can do nothing more. The client sends again what it can to the process that comes after. */
function die(error: AppError): never {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

/** Ends the loop above: by the abort at once, whatever event it waits for. */
function leave(key: number): void {
  const call = calls.get(key);
  if (!call) return;
  call.hasLeft = true;
  call.abort.abort();
}

async function answer(key: number, ask: (opened: Engine) => Promise<HostAnswer>): Promise<void> {
  try {
    if (!engine) throw new AppError("internal", "A call came before the engine was open.");
    send({ type: "answer", key, value: await ask(engine) });
  } catch (error) {
    post({ key, error: dataOf(error) });
  }
}

async function embed(texts: readonly string[]): Promise<Embeddings> {
  if (!embedder)
    throw new AppError("unsupported", "No embedding model was loaded.", {
      hint: "Start Quern with --embedding-model FILE.gguf.",
    });
  return embedder.embed(texts);
}

function post(event: HostEvent): void {
  outbox.push(event);
  planFlush();
}

/** Sends once per turn of the event loop: an engine's step hands its tokens to all readers within one turn. */
function planFlush(): void {
  if (isFlushPlanned) return;
  isFlushPlanned = true;
  setImmediate(() => {
    isFlushPlanned = false;
    const batch = outbox;
    outbox = [];
    const status = isStatusDue ? engine?.status() : undefined;
    isStatusDue = false;
    if (batch.length > 0 || status) send({ type: "events", batch, ...(status ? { status } : {}) });
  });
}

function send(message: FromHost): void {
  if (process.connected) process.send?.(message);
}

function dataOf(error: unknown): ErrorData {
  const known = toAppError(error);
  if (known.code === "internal") log.error("engine fault", { message: known.message, stack: stackOf(error) });
  return known.toData();
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

const log: Log = { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") };

function logAt(level: LogLevel): (event: string, fields?: LogFields) => void {
  return (event, fields = {}) => send({ type: "log", level, event, fields });
}
