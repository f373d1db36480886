// Keeps answers to a grammar: for each token, which ids may come next, worked out in a worker thread while the device computes. The
// library behind it aborts on what it cannot take, and might search for ever; so a message has a time limit, and whoever's message
// broke or hung the thread fails alone: a new thread is started and all other answers are brought to where they were.
import { Worker } from "node:worker_threads";
import { AppError } from "../../base/errors.ts";
import { type Log, silentLog } from "../../base/log.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { Grammar } from "../contract.ts";
import { type CompilableGrammar, toCompilable } from "./grammar-schema.ts";
import type { FromGrammarWorker, GrammarWorkerData, ToGrammarWorker } from "./grammar-worker.ts";
import type { Constraint } from "./sequence.ts";

/** A grammar's state for one answer. Disposing of it gives its memory back; it allows nothing then. */
export interface FollowingConstraint extends Constraint, Disposable {
  /** This token was taken; the next mask follows it. */
  accept(id: number): void;
}

export interface Told {
  /** A mask is there. */
  onMask: () => void;
  /** The grammar cannot be followed any further. */
  onFailure: (error: AppError) => void;
}

export interface Grammars extends AsyncDisposable {
  /** Resolves when the first mask is there. Throws AppError `bad_request` or `unsupported` for a grammar that cannot be taken. */
  open(grammar: Grammar, told: Told): Promise<FollowingConstraint>;
}

export interface GrammarsOptions {
  tokenizer: Tokenizer;
  stopTokenIds: readonly number[];
  /** For each message to the thread: compiling a schema, or working out a mask. */
  timeoutMs?: number;
  /** Start the thread at once, so that the first grammar does not wait for it; else it starts with the first grammar. */
  isWarm?: boolean;
  log?: Log;
}

/** Opens what follows grammars, beside an engine. */
export function openGrammars(options: GrammarsOptions): Grammars {
  return new WorkerGrammars(options);
}

const rememberedRefusals = 256;

/** A message that the thread has not answered yet. The answers come in the order of the messages. */
interface Pending {
  follower: Follower;
  message: ToGrammarWorker;
}

class WorkerGrammars implements Grammars {
  readonly #options: GrammarsOptions;
  readonly #timeoutMs: number;
  readonly #log: Log;
  readonly #followers = new Set<Follower>();
  /** Why a grammar aborted the thread, so that it does so once. */
  readonly #refusals = new Map<string, string>();
  #worker: Worker | undefined;
  #pending: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #nextMatcher = 0;

  constructor(options: GrammarsOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 20_000;
    this.#log = options.log ?? silentLog;
    if (!options.isWarm) return;
    this.#worker = this.#start();
    this.#worker.unref();
  }

  async open(grammar: Grammar, told: Told): Promise<FollowingConstraint> {
    const compilable = toCompilable(grammar);
    const known = this.#refusals.get(keyOf(compilable));
    if (known !== undefined) throw refused(compilable, known);
    const follower = new Follower(this.#nextMatcher++, compilable, told, (message) => this.#send(follower, message));
    this.#followers.add(follower);
    follower.start();
    await follower.opened;
    return follower;
  }

  #send(follower: Follower, message: ToGrammarWorker): void {
    if (message.kind === "close") this.#followers.delete(follower);
    // A thread that is gone has nothing to close.
    if (message.kind === "close" && !this.#worker) return;
    this.#worker ??= this.#start();
    this.#pending.push({ follower, message });
    this.#worker.postMessage(message);
    if (this.#pending.length === 1) this.#watch();
  }

  #start(): Worker {
    const { tokenizer, stopTokenIds } = this.#options;
    const tokens = tokenizer.tokens.map((token, id) => (tokenizer.tokenBytes(id).length > 0 ? token : ""));
    const workerData: GrammarWorkerData = { tokens, stopTokenIds };
    const worker = new Worker(new URL("./grammar-worker.ts", import.meta.url), { workerData });
    worker.on("message", (reply: FromGrammarWorker) => {
      if (worker === this.#worker) this.#receive(reply);
    });
    worker.on("error", (error) => {
      if (worker === this.#worker) this.#restart(`The grammar thread failed: ${error.message}`);
    });
    return worker;
  }

  #receive(reply: FromGrammarWorker): void {
    if (reply.kind === "aborted") {
      this.#restart(reply.message);
      return;
    }
    const answered = this.#pending.shift();
    this.#watch();
    answered?.follower.receive(reply);
  }

  /** Watches the oldest message: the thread works on it now. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#pending.length === 0) {
      this.#worker?.unref(); // an engine that is done need not wait for it
      return;
    }
    this.#worker?.ref();
    this.#timer = setTimeout(() => this.#restart(`It took more than ${this.#timeoutMs / 1000} s.`), this.#timeoutMs);
    this.#timer.unref();
  }

  /** The oldest message broke the thread: its sender fails, all others go on in a new one. */
  #restart(reason: string): void {
    const [culprit] = this.#pending;
    void this.#worker?.terminate();
    this.#worker = undefined;
    this.#pending = [];
    clearTimeout(this.#timer);
    this.#log.warn("grammar thread started anew", { reason, others: this.#followers.size });
    if (culprit) {
      this.#followers.delete(culprit.follower);
      this.#remember(culprit, reason);
      culprit.follower.fail(refused(culprit.follower.grammar, reason));
    }
    for (const follower of this.#followers) follower.start();
  }

  #remember({ follower, message }: Pending, reason: string): void {
    if (message.kind !== "open") return;
    this.#refusals.set(keyOf(follower.grammar), reason);
    const [oldest] = this.#refusals.keys();
    if (this.#refusals.size > rememberedRefusals && oldest !== undefined) this.#refusals.delete(oldest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    for (const follower of this.#followers) follower.fail(new AppError("busy", "The engine is stopping."));
    this.#followers.clear();
    this.#pending = [];
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

class Follower implements FollowingConstraint {
  readonly grammar: CompilableGrammar;
  readonly opened: Promise<void>;
  readonly #matcher: number;
  readonly #told: Told;
  readonly #send: (message: ToGrammarWorker) => void;
  readonly #accepted: number[] = [];
  #open: { resolve: () => void; reject: (error: AppError) => void };
  #mask: Int32Array | undefined;
  /** Messages not answered yet: only the answer to the last one tells the mask of now. */
  #unanswered = 0;
  #isOver = false;

  constructor(matcher: number, grammar: CompilableGrammar, told: Told, send: (message: ToGrammarWorker) => void) {
    this.grammar = grammar;
    this.#matcher = matcher;
    this.#told = told;
    this.#send = send;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    this.#open = { resolve, reject };
    // A failure after opening goes to `told`; nobody awaits this promise then.
    promise.catch(() => undefined);
  }

  /** In a new thread: from the beginning through all that was accepted. */
  start(): void {
    this.#mask = undefined;
    this.#unanswered = 1;
    this.#send({ kind: "open", matcher: this.#matcher, grammar: this.grammar, accepted: [...this.#accepted] });
  }

  mask(): Int32Array | undefined {
    return this.#mask;
  }

  accept(id: number): void {
    if (this.#isOver) return;
    this.#mask = undefined;
    this.#accepted.push(id);
    this.#unanswered++;
    this.#send({ kind: "accept", matcher: this.#matcher, token: id });
  }

  receive(reply: FromGrammarWorker): void {
    if (this.#isOver) return;
    this.#unanswered--;
    if (reply.kind === "mask") {
      if (this.#unanswered > 0) return;
      this.#mask = reply.mask;
      this.#open.resolve();
      this.#told.onMask();
    } else if (reply.kind === "complete") {
      this.fail(
        new AppError("bad_request", "The grammar leads nowhere: it allows no token next.", { param: "grammar" }),
      );
    } else if (reply.kind === "rejected") {
      this.fail(new AppError("internal", "A token was sampled that the grammar does not allow."));
    }
  }

  fail(error: AppError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#mask = undefined;
    this.#open.reject(error);
    this.#told.onFailure(error);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#mask = undefined;
    this.#send({ kind: "close", matcher: this.#matcher });
  }
}

function keyOf({ kind, text }: CompilableGrammar): string {
  return `${kind} ${text}`;
}

/** A text that does not parse is the sender's mistake; a schema that does not compile may be a good one that the library lacks. */
function refused({ kind }: CompilableGrammar, reason: string): AppError {
  return new AppError(kind === "ebnf" ? "bad_request" : "unsupported", `The grammar cannot be used: ${reason}`, {
    param: "grammar",
    hint: "Simplify it, or leave it out and check the answer afterwards.",
  });
}
