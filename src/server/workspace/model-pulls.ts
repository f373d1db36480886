// Downloads of models that a person began on the page: jobs that outlive the request and the server. One that a dead server left goes on
// when the next one opens; what has come so far is kept by the download itself (models/download.ts).
import { toAppError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type CatalogueEntry, entryNamed } from "../../models/catalogue.ts";
import { type PullOptions, type PullResult, pullModel } from "../../models/download.ts";
import type { PullProgress } from "../../models/download-progress.ts";
import type { Job, Jobs } from "../../workspace/jobs.ts";
import type { PullBody } from "../api-types.ts";

export interface ModelPullsOptions {
  jobs: Jobs;
  dataFolder: string;
  hub: string;
  log: Log;
  /** For tests. */
  pull?: (options: PullOptions) => Promise<PullResult>;
}

interface Pull {
  progress: PullProgress | undefined;
  readonly stop: AbortController;
  finished: Promise<void>;
}

const kind = "model pull";

export class ModelPulls implements AsyncDisposable {
  readonly #options: Required<ModelPullsOptions>;
  readonly #running = new Map<string, Pull>();
  #isClosing = false;

  constructor(options: ModelPullsOptions) {
    this.#options = { pull: pullModel, ...options };
    for (const job of options.jobs.list(kind)) if (job.state === "waiting") this.#run(job.id, entryNamed(modelOf(job)));
  }

  /** Begins to fetch a model, or tells the job that does already. Throws `not_found` for a name that is none. */
  start(modelId: string): PullBody {
    const entry = entryNamed(modelId);
    const { jobs } = this.#options;
    const same = jobs.list(kind).find((job) => this.#running.has(job.id) && modelOf(job) === entry.id);
    if (same) return this.body(same.id);
    const job = jobs.create(kind, { modelId: entry.id });
    this.#run(job.id, entry);
    return this.body(job.id);
  }

  /** Throws `not_found` for a job that is no download. */
  body(jobId: string): PullBody {
    const job = this.#options.jobs.get(jobId);
    const progress = this.#running.get(jobId)?.progress;
    const { error } = (job.result ?? {}) as { error?: PullBody["error"] };
    return {
      jobId,
      modelId: modelOf(job),
      state: job.state,
      ...(progress ? { progress } : {}),
      ...(error ? { error } : {}),
    };
  }

  /** Those under way. */
  list(): PullBody[] {
    return [...this.#running.keys()].map((id) => this.body(id));
  }

  /** Stops a download; what has come is kept, and the next one goes on with it. */
  async cancel(jobId: string): Promise<PullBody> {
    const pull = this.#running.get(jobId);
    pull?.stop.abort();
    await pull?.finished;
    return this.body(jobId);
  }

  #run(jobId: string, entry: CatalogueEntry): void {
    const pull: Pull = { progress: undefined, stop: new AbortController(), finished: Promise.resolve() };
    this.#running.set(jobId, pull);
    this.#options.jobs.update(jobId, { state: "running" });
    pull.finished = this.#fetch(jobId, entry, pull);
  }

  async #fetch(jobId: string, entry: CatalogueEntry, pull: Pull): Promise<void> {
    const { jobs, dataFolder, hub, log } = this.#options;
    try {
      const { outcome } = await this.#options.pull({
        entry,
        hub,
        dataFolder,
        signal: pull.stop.signal,
        onProgress: (progress) => {
          pull.progress = progress;
        },
      });
      if (outcome !== "cancelled") jobs.update(jobId, { state: "done", progress: 1, result: { outcome } });
      // A server that stops has not been told to give up: the next one goes on.
      else jobs.update(jobId, { state: this.#isClosing ? "waiting" : "cancelled" });
    } catch (thrown) {
      const error = toAppError(thrown);
      log.warn("model pull failed", { id: jobId, model: entry.id, code: error.code, error: error.message });
      const { code, message, hint } = error;
      jobs.update(jobId, {
        state: "failed",
        result: { error: { code, message, ...(hint === undefined ? {} : { hint }) } },
      });
    } finally {
      this.#running.delete(jobId);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    const all = [...this.#running.values()];
    for (const { stop } of all) stop.abort();
    await Promise.all(all.map(({ finished }) => finished));
  }
}

function modelOf(job: Job): string {
  return String((job.request as { modelId?: unknown }).modelId ?? "");
}
