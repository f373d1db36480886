// A few threads that recognise lines side by side. Lines are independent, so two threads with one core each are a third faster than one
// run of the model spread over two cores, and the gain grows with the cores. The threads stay as long as the process.
import { Worker } from "node:worker_threads";
import { AppError } from "../../base/errors.ts";
import type { LineAnswer, LineQuestion } from "./line-worker.ts";

export class LineWorkers {
  readonly #workers: Worker[];
  readonly #pending = new Map<number, { resolve: (answer: LineAnswer) => void; reject: (error: unknown) => void }>();
  readonly #load: number[];
  #nextId = 1;

  constructor(threads: number) {
    this.#load = new Array<number>(threads).fill(0);
    this.#workers = Array.from({ length: threads }, () => {
      const worker = new Worker(new URL("./line-worker.ts", import.meta.url));
      worker.on("message", (answer: LineAnswer) => {
        const waiting = this.#pending.get(answer.id);
        this.#pending.delete(answer.id);
        if (answer.failure === undefined) waiting?.resolve(answer);
        else waiting?.reject(new AppError("unsupported", `Text recognition failed: ${answer.failure}`));
      });
      worker.on("error", (cause) => this.#failAll(cause));
      return worker;
    });
    for (const worker of this.#workers) worker.unref();
  }

  get threads(): number {
    return this.#workers.length;
  }

  async recognise(input: Float32Array, width: number): Promise<LineAnswer> {
    const index = this.#load.indexOf(Math.min(...this.#load));
    const worker = this.#workers[index];
    if (!worker) throw new AppError("internal", "There is no recognition thread.");
    this.#load[index] = (this.#load[index] ?? 0) + width;
    // The threads must not keep an idle process alive, nor may the process end while one works.
    worker.ref();
    try {
      const question: LineQuestion = { id: this.#nextId++, input, width };
      return await new Promise<LineAnswer>((resolve, reject) => {
        this.#pending.set(question.id, { resolve, reject });
        worker.postMessage(question);
      });
    } finally {
      this.#load[index] = (this.#load[index] ?? 0) - width;
      if (this.#load[index] === 0) worker.unref();
    }
  }

  #failAll(cause: unknown): void {
    const error = new AppError("unsupported", "Text recognition failed on this machine.", { cause });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

let workers: LineWorkers | undefined;

export function lineWorkers(threads: number): LineWorkers {
  workers ??= new LineWorkers(threads);
  return workers;
}
