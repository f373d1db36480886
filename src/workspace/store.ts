// Opens the workspace's database: SQLite through node:sqlite, write-ahead log with full sync (an acknowledged write survives power loss),
// foreign keys on, versioned migrations each in a transaction. Everything is synchronous: writes take well under a millisecond, and a
// method that returned has happened.
import { createHash } from "node:crypto";
import path from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { AppError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { migrations } from "./schema.ts";
import { toSearchTerms } from "./search-terms.ts";

export type Row = Record<string, string | number | null>;

export interface StoreOptions {
  /** A file, or ":memory:". */
  file: string;
  now?: () => number;
}

export class Store implements Disposable {
  readonly database: DatabaseSync;
  readonly file: string;
  readonly now: () => number;
  #actor = "quern";
  readonly #statements = new Map<string, StatementSync>();

  /** Throws AppError `conflict` for a store of a newer version, `unreadable` for a file that is none, `storage` when it cannot be opened. */
  constructor({ file, now = Date.now }: StoreOptions) {
    this.file = file;
    this.now = now;
    try {
      if (file !== ":memory:") makeFolder(path.dirname(file));
      this.database = new DatabaseSync(file, { timeout: 5000, enableForeignKeyConstraints: true });
    } catch (cause) {
      throw new AppError("storage", `The workspace ${file} cannot be opened.`, {
        hint: "Check --data and its permissions.",
        cause,
      });
    }
    try {
      this.#prepare();
    } catch (error) {
      this.database.close();
      throw error;
    }
  }

  #prepare(): void {
    this.database.function("now_ms", () => this.now());
    this.database.function("current_actor", () => this.#actor);
    this.database.function("search_terms", { deterministic: true }, (text) => toSearchTerms(String(text)));
    this.database.function("audit_hash", { deterministic: true, varargs: true }, (...values) => auditHash(values));
    let version: number;
    try {
      version = Number(this.row("PRAGMA user_version")?.user_version);
    } catch (cause) {
      throw new AppError("unreadable", `${this.file} is not a Quern workspace.`, {
        hint: "Restore a backup with `quern restore`.",
        cause,
      });
    }
    if (version > migrations.length) {
      throw new AppError(
        "conflict",
        `The workspace ${this.file} has version ${version}; this Quern knows ${migrations.length}.`,
        {
          hint: "It was used with a newer Quern. Update this one; the file was not touched.",
        },
      );
    }
    this.database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA recursive_triggers = ON;");
    for (let step = version; step < migrations.length; step++) {
      this.transaction(() => {
        this.database.exec(migrations[step] ?? "");
        this.database.exec(`PRAGMA user_version = ${step + 1}`);
      });
    }
  }

  /** Runs `work` with `actor` as the one whom the audit log names. */
  as<T>(actor: string, work: () => T): T {
    const before = this.#actor;
    this.#actor = actor;
    try {
      return work();
    } finally {
      this.#actor = before;
    }
  }

  /** All of `work` or nothing of it; may be nested, the outermost commits. */
  transaction<T>(work: () => T): T {
    if (this.database.isTransaction) return work();
    this.database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.database.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.database.isTransaction) this.database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  row(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  rows(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  [Symbol.dispose](): void {
    if (this.database.isOpen) this.database.close();
  }
}

/** SHA-256 over the values as one JSON array: no two different rows share a text. */
export function auditHash(values: readonly unknown[]): string {
  return createHash("sha256")
    .update(JSON.stringify(values.map((value) => value ?? null)))
    .digest("hex");
}
