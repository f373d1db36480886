// Asks the client thread to send requests and waits for their ends.
import { Worker } from "node:worker_threads";

export interface Exchange {
  id: number;
  url: string;
  body: string;
  type: string;
}

export interface Exchanged {
  id: number;
  /** 0: the connection failed. */
  status: number;
  bytes: number;
  /** The answer's text when it is no stream, or what went wrong. */
  text: string;
}

export class HttpClient implements AsyncDisposable {
  readonly #worker = new Worker(new URL("./http-client-worker.ts", import.meta.url));
  readonly #waiting = new Map<number, PromiseWithResolvers<Exchanged>>();
  #nextId = 1;

  constructor() {
    this.#worker.on("message", (exchanged: Exchanged) => {
      this.#waiting.get(exchanged.id)?.resolve(exchanged);
      this.#waiting.delete(exchanged.id);
    });
    this.#worker.on("error", (error) => {
      for (const waiting of this.#waiting.values()) waiting.reject(error);
      this.#waiting.clear();
    });
  }

  /** POSTs and reads the answer to its end. Rejects on any status but 200. */
  async exchange(url: string, body: string, type: string): Promise<Exchanged> {
    const id = this.#nextId++;
    const waiting = Promise.withResolvers<Exchanged>();
    this.#waiting.set(id, waiting);
    this.#worker.postMessage({ id, url, body, type } satisfies Exchange);
    const exchanged = await waiting.promise;
    if (exchanged.status === 200) return exchanged;
    throw new Error(`${url} answered ${exchanged.status}: ${exchanged.text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
