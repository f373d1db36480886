// Keeps an engine process alive: starts it, passes messages, and when it dies starts another, at once the first time and ever
// later while it keeps dying. Knows processes and nothing of requests. The first start is not retried: a file that cannot be
// opened will not open the second time either, and the caller is still there to be told.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { AppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { EngineStatus } from "./contract.ts";
import type { FromHost, ToHost } from "./host-messages.ts";
import type { EngineSettings } from "./open.ts";

export interface SupervisorOptions {
  settings: EngineSettings;
  log: Log;
  /** It has served with these settings before: its first start is retried too, as a restart is. */
  hasServed?: boolean;
  /** The process' entry; tests replace it. */
  hostFile?: string | undefined;
  /** Wait before the second restart in a row; doubles each time, to `backoffLimitMs`. The first restart does not wait. */
  backoffMs?: number | undefined;
  /** A serving process that says nothing for this long hangs and is killed; 30 s when absent. */
  silenceMs?: number | undefined;
  onReady: (status: EngineStatus) => void;
  onMessage: (message: FromHost) => void;
  onProgress: (loaded: number) => void;
  /** The process is gone; `error` says how. Another is being started unless the state is "failed" or "stopped". */
  onLost: (error: AppError) => void;
}

const backoffLimitMs = 30_000;
/** Restarts in a row after which the state is called "failed". Attempts go on. */
const failedAfter = 5;
/** A process that served this long was no part of a crash loop. */
const steadyMs = 60_000;
const stopWaitMs = 10_000;
const lastWordsMs = 1000;
const keptOutput = 2000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #ready = Promise.withResolvers<void>();
  #child: ChildProcess | undefined;
  #output = "";
  #readySince: number | undefined;
  #crashesInARow = 0;
  #timer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #silentBeats = 0;
  #notOpened: AppError | undefined;
  state: EngineStatus["state"];
  loadProgress = 0;
  restarts = 0;
  lastFailure: string | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.state = options.hasServed ? "restarting" : "loading";
    this.#ready.promise.catch(() => undefined); // who does not wait for it must not crash by it
    this.#start();
  }

  /** Resolves when the first process serves; rejects when it could not open. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get processId(): number | undefined {
    return this.#child?.pid;
  }

  /** Sends when a process serves; false when there is none. */
  send(message: ToHost): boolean {
    if (this.state !== "ready" || !this.#child?.connected) return false;
    // A process that dies right now makes this fail later; its exit is handled as always.
    this.#child.send(message, () => undefined);
    return true;
  }

  async stop(): Promise<void> {
    if (this.state === "stopped") return;
    this.state = "stopped";
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    this.#ready.reject(new AppError("busy", "The engine was stopped while it opened."));
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.connected) child.send({ type: "stop" } satisfies ToHost, () => undefined);
    else child.kill("SIGKILL");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopWaitMs);
    await ended;
    clearTimeout(timer);
  }

  #start(): void {
    const { settings, hostFile = fileURLToPath(new URL("./host.ts", import.meta.url)) } = this.#options;
    this.#output = "";
    this.#notOpened = undefined;
    this.loadProgress = 0;
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; // a test runner's child must not think it is a test file
    const child = fork(hostFile, [], {
      execPath: process.execPath, // the Node we run on, not the first in the path
      execArgv: [],
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env,
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-keptOutput);
        this.#options.log.debug("engine output", { text: text.trimEnd() });
      });
    }
    child.on("message", (message) => this.#receive(message as FromHost));
    child.once("error", (error) => this.#ended(child, `could not be started: ${error.message}`));
    child.once("exit", (code, signal) => {
      const how = signal ? `ended by ${signal}` : `ended with code ${code}`;
      // Its last messages and output may still be on their way; a process that it started could hold its output open for ever.
      const timer = setTimeout(() => this.#ended(child, how), lastWordsMs);
      const isDrained = [new Promise((resolve) => child.once("close", resolve))];
      if (child.connected) isDrained.push(new Promise((resolve) => child.once("disconnect", resolve)));
      void Promise.all(isDrained).then(() => {
        clearTimeout(timer);
        this.#ended(child, how);
      });
    });
    child.send({ type: "open", settings } satisfies ToHost, () => undefined);
  }

  #receive(message: FromHost): void {
    this.#silentBeats = 0;
    if (this.state === "stopped") return; // a "ready" that crossed our "stop" must not bring it back
    switch (message.type) {
      case "progress":
        this.loadProgress = message.loaded;
        this.#options.onProgress(message.loaded);
        return;
      case "ready":
        this.state = "ready";
        this.loadProgress = 1;
        this.#readySince = performance.now();
        this.#watchOver();
        this.#options.onReady(message.status);
        this.#ready.resolve();
        return;
      case "not_opened":
        this.#notOpened = AppError.fromData(message.error);
        return;
      case "log":
        this.#options.log[message.level](message.event, message.fields);
        return;
      default:
        this.#options.onMessage(message);
    }
  }

  /**
   * The process tells its status every second, whatever it does; native code that never returns (a grammar with more branches
   * than atoms) silences it. Beats of our own are counted, not time: a machine that was asleep has not hung.
   */
  #watchOver(): void {
    const { silenceMs = 30_000 } = this.#options;
    const beats = 30;
    const child = this.#child;
    clearInterval(this.#watch);
    this.#silentBeats = 0;
    this.#watch = setInterval(() => {
      if (child !== this.#child || ++this.#silentBeats < beats) return;
      clearInterval(this.#watch);
      this.#output += `\nIt said nothing for ${silenceMs / 1000} s and was ended.\n`;
      child?.kill("SIGKILL");
    }, silenceMs / beats);
  }

  #ended(child: ChildProcess, how: string): void {
    if (child !== this.#child) return;
    clearInterval(this.#watch);
    this.#child = undefined;
    if (this.state === "stopped") {
      this.#options.onLost(new AppError("busy", "The engine has stopped."));
      return;
    }
    const wasFirst = this.state === "loading";
    const lastLine = this.#output.trimEnd().split("\n").at(-1);
    const error =
      this.#notOpened ??
      new AppError("internal", `The engine process ${how}${wasFirst ? " while it opened" : ""}.`, {
        hint: "Run `quern doctor`; start with --log-level debug to see what the engine says.",
      });
    this.lastFailure = this.#notOpened || !lastLine ? error.message : `${error.message} Its last words: ${lastLine}`;
    if (wasFirst) {
      this.state = "failed";
      this.#ready.reject(error);
      this.#options.onLost(error);
      return;
    }
    this.#planRestart();
    this.#options.onLost(error);
  }

  #planRestart(): void {
    const servedMs = this.#readySince === undefined ? 0 : performance.now() - this.#readySince;
    this.#readySince = undefined;
    this.#crashesInARow = servedMs >= steadyMs ? 1 : this.#crashesInARow + 1;
    const { backoffMs = 500, log } = this.#options;
    const waitMs = this.#crashesInARow === 1 ? 0 : Math.min(backoffLimitMs, backoffMs * 2 ** (this.#crashesInARow - 2));
    this.state = this.#crashesInARow > failedAfter ? "failed" : "restarting";
    this.restarts++;
    log.error("engine lost", { failure: this.lastFailure, restarts: this.restarts, waitMs });
    this.#timer = setTimeout(() => this.#start(), waitMs);
  }
}
