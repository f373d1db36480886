// Jobs: work that outlives a request (reading a long document, a batch). Their state is here so that a restart knows what was cut off.
import { randomUUID } from "node:crypto";
import { AppError } from "../base/errors.ts";
import type { Row, Store } from "./store.ts";

export interface Job {
  id: string;
  kind: string;
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  request: unknown;
  result?: unknown;
  /** 0..1 */
  progress: number;
  createdAt: number;
  updatedAt: number;
}

export class Jobs {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  create(kind: string, request: unknown): Job {
    const id = randomUUID();
    const now = this.#store.now();
    this.#store.run(
      "INSERT INTO jobs (id, kind, state, request, created_at, updated_at) VALUES (?, ?, 'waiting', ?, ?, ?)",
      id,
      kind,
      JSON.stringify(request),
      now,
      now,
    );
    return this.get(id);
  }

  get(id: string): Job {
    const row = this.#store.row("SELECT * FROM jobs WHERE id = ?", id);
    if (!row) throw new AppError("not_found", `There is no job ${id}.`);
    return toJob(row);
  }

  list(kind?: string): Job[] {
    return this.#store
      .rows("SELECT * FROM jobs WHERE ?1 IS NULL OR kind = ?1 ORDER BY created_at DESC", kind ?? null)
      .map(toJob);
  }

  /** A job that has ended stays as it is. */
  update(id: string, change: { state?: Job["state"]; progress?: number; result?: unknown }): Job {
    this.#store.run(
      `UPDATE jobs SET state = coalesce(?, state), progress = coalesce(?, progress), result = coalesce(?, result), updated_at = ?
       WHERE id = ? AND state IN ('waiting', 'running')`,
      change.state ?? null,
      change.progress ?? null,
      change.result === undefined ? null : JSON.stringify(change.result),
      this.#store.now(),
      id,
    );
    return this.get(id);
  }

  /** Puts jobs that a dead server was running back into the queue; call once at start. */
  requeueOrphans(): number {
    return this.#store.run("UPDATE jobs SET state = 'waiting', progress = 0 WHERE state = 'running'");
  }
}

function toJob(row: Row): Job {
  return {
    id: String(row.id),
    kind: String(row.kind),
    state: String(row.state) as Job["state"],
    request: JSON.parse(String(row.request)),
    ...(row.result === null ? {} : { result: JSON.parse(String(row.result)) }),
    progress: Number(row.progress),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
  };
}
