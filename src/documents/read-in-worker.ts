// Reads a document in a process of its own, so that the server stays responsive and whole: the child runs at a lower priority, may use
// only so much memory (its V8 heap is capped, and all of it, wasm and native libraries included, is watched), has a time limit, and
// can be killed at any moment. A crash of a native library ends the child, not the server.
//
// A process and not a thread: recognition and image decoding are native, their memory is outside any thread's heap limit, and they
// cannot be interrupted. Children are kept for the next document for a while, because recognition takes a second to load.
import { type ChildProcess, fork } from "node:child_process";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { AppError } from "../base/errors.ts";
import type { Document, Page } from "./document.ts";
import type { ReadOptions, ReadProgress, ReadSource } from "./read.ts";
import type { RasterRequest, WorkerReply, WorkerRequest } from "./worker.ts";

export interface ReadWorkersOptions {
  /** Documents read at the same time; the others wait. Default 1. */
  parallel?: number;
  /** Of one child, all its memory. Default 1536 MiB. */
  memoryBytes?: number;
  /** For one document. Default ten minutes. */
  timeoutMs?: number;
  /** How long an idle child is kept. Default one minute. */
  idleMs?: number;
}

export type WorkerReadOptions = Omit<ReadOptions, "onProgress"> & { onProgress?: (progress: ReadProgress) => void };

interface Child {
  process: ChildProcess;
  idle: NodeJS.Timeout | undefined;
}

export class ReadWorkers implements AsyncDisposable {
  readonly #parallel: number;
  readonly #memoryBytes: number;
  readonly #timeoutMs: number;
  readonly #idleMs: number;
  readonly #idle: Child[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #isClosed = false;
  #nextId = 1;

  constructor({
    parallel = 1,
    memoryBytes = 1536 * 2 ** 20,
    timeoutMs = 600_000,
    idleMs = 60_000,
  }: ReadWorkersOptions = {}) {
    this.#parallel = parallel;
    this.#memoryBytes = memoryBytes;
    this.#timeoutMs = timeoutMs;
    this.#idleMs = idleMs;
  }

  /** As `readDocument`, in a child process; also throws `timeout`, `too_large` (memory cap) and `busy` (closing). */
  async read(source: ReadSource, options: WorkerReadOptions = {}): Promise<Document> {
    const { signal, onProgress, ...plain } = options;
    const reply = await this.#ask(
      { type: "read", source, options: plain },
      { signal, onProgress, name: options.name ?? "The document" },
    );
    if (reply.type !== "document") throw new AppError("internal", "The reading process answered out of turn.");
    return reply.document;
  }

  /** A page as PNG, for showing beside its text. */
  async renderPage(
    source: ReadSource,
    request: RasterRequest,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    const reply = await this.#ask(
      { type: "render", source, request },
      { signal, onProgress: undefined, name: request.name },
    );
    if (reply.type !== "image") throw new AppError("internal", "The reading process answered out of turn.");
    return reply.png;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const child of this.#idle.splice(0)) this.#end(child);
    for (const go of this.#waiting.splice(0)) go();
  }

  async #ask(
    request: WorkerRequest,
    {
      signal,
      onProgress,
      name,
    }: { signal: AbortSignal | undefined; onProgress: ((progress: ReadProgress) => void) | undefined; name: string },
  ): Promise<WorkerReply> {
    await this.#turn(signal);
    try {
      signal?.throwIfAborted();
      if (this.#isClosed) throw new AppError("busy", "Quern is stopping.");
      const child = this.#idle.pop() ?? this.#start();
      clearTimeout(child.idle);
      const reply = await this.#exchange(child, { request, signal, onProgress, name });
      if (this.#isClosed) this.#end(child);
      else {
        child.idle = setTimeout(() => this.#retire(child), this.#idleMs).unref();
        child.process.unref();
        this.#idle.push(child);
      }
      if (reply.type === "failed") throw AppError.fromData(reply.error);
      return reply;
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  /** Waits for a free place; a waiting caller who aborts leaves the queue. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    while (this.#running >= this.#parallel && !this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      signal?.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      if (!signal?.aborted) continue;
      const index = this.#waiting.indexOf(resolve);
      if (index >= 0) this.#waiting.splice(index, 1);
      // The place may have been given to this caller just now: pass it on.
      else this.#waiting.shift()?.();
      signal.throwIfAborted();
    }
    this.#running++;
  }

  #start(): Child {
    const heapMib = Math.max(64, Math.floor(this.#memoryBytes / 2 ** 20 / 2));
    const process = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), [], {
      execArgv: [`--max-old-space-size=${heapMib}`, "--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      env: { ...globalThis.process.env, QUERN_READER_MEMORY_BYTES: String(this.#memoryBytes) },
    });
    if (process.pid !== undefined) lowerPriority(process.pid);
    return { process, idle: undefined };
  }

  #exchange(
    child: Child,
    {
      request,
      signal,
      onProgress,
      name,
    }: {
      request: WorkerRequest;
      signal: AbortSignal | undefined;
      onProgress: ((progress: ReadProgress) => void) | undefined;
      name: string;
    },
  ): Promise<WorkerReply> {
    const id = this.#nextId++;
    let lastPage = 0;
    const pages: Page[] = [];
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        finish();
        this.#end(child);
        reject(error);
      };
      const onAbort = (): void => fail(signal?.reason);
      const timer = setTimeout(
        () =>
          fail(
            new AppError(
              "timeout",
              `${name} took longer than ${Math.round(this.#timeoutMs / 1000)} s to read${lastPage ? ` (it was at page ${lastPage})` : ""}.`,
              { hint: "Split the document, or raise the time limit." },
            ),
          ),
        this.#timeoutMs,
      );
      const onExit = (code: number | null): void => {
        const ranOut = code === 134 || code === memoryExit || code === null;
        fail(
          ranOut
            ? new AppError(
                "too_large",
                `${name} needs more than ${Math.round(this.#memoryBytes / 2 ** 20)} MiB to read${lastPage ? ` (it was at page ${lastPage})` : ""}.`,
                { hint: "Split the document, or raise the memory limit." },
              )
            : new AppError(
                "unreadable",
                `Reading ${name} ended abruptly (code ${code})${lastPage ? ` at page ${lastPage}` : ""}.`,
                { hint: "The file is probably damaged; save it again from its own program." },
              ),
        );
      };
      const onMessage = (message: { id: number } & WorkerReply): void => {
        if (message.id !== id) return;
        if (message.type === "progress") {
          lastPage = message.progress.page;
          onProgress?.(message.progress);
          return;
        }
        if (message.type === "pages") {
          pages.push(...message.pages);
          return;
        }
        finish();
        resolve(message.type === "document" ? { ...message, document: { ...message.document, pages } } : message);
      };
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        child.process.off("exit", onExit);
        child.process.off("error", fail);
        child.process.off("message", onMessage as (message: unknown) => void);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      child.process.on("exit", onExit);
      child.process.on("error", fail);
      child.process.on("message", onMessage as (message: unknown) => void);
      child.process.ref();
      child.process.send({ id, ...request }, (error) => {
        if (error) fail(new AppError("internal", "The reading process cannot be reached.", { cause: error }));
      });
    });
  }

  #retire(child: Child): void {
    const index = this.#idle.indexOf(child);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#end(child);
  }

  #end(child: Child): void {
    clearTimeout(child.idle);
    child.process.removeAllListeners();
    child.process.on("error", () => undefined);
    child.process.kill("SIGKILL");
  }
}

/** The child ends itself with this code when it has used its memory up. */
export const memoryExit = 77;

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Not allowed on this system: then it runs like everything else.
  }
}
