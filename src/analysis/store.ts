// DuckDB in memory, one database an analysis. Texts never enter SQL: a text column is stored as label numbers, columns are named by
// their ids (c0, c1), and every value from a user is bound. The database cannot reach files or the network, its settings are locked
// before the first query, and beyond its share of memory it works in a folder of its own, which goes with it.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import {
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBDoubleVector,
  DuckDBInstance,
  DuckDBIntegerVector,
  INTEGER,
} from "@duckdb/node-api";
import { AppError } from "../base/errors.ts";
import type { Column, Table } from "./table.ts";

export type SqlValue = number | null;
export type SqlRow = readonly SqlValue[];

export interface Query {
  sql: string;
  values: readonly number[];
}

const vectorRows = 2048;

export class Store implements Disposable {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #folder: string;
  /** Queries and loads under way: closing under them would leave their callers waiting for ever. */
  #running = 0;
  #isClosed = false;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, folder: string) {
    this.#instance = instance;
    this.#connection = connection;
    this.#folder = folder;
  }

  static async open({ threads = 2, memoryMiB = 1024 }: { threads?: number; memoryMiB?: number } = {}): Promise<Store> {
    const folder = path.join(os.tmpdir(), `quern-analysis-${randomUUID()}`);
    const instance = await DuckDBInstance.create(":memory:", {
      threads: String(threads),
      memory_limit: `${memoryMiB}MiB`,
      temp_directory: folder,
      max_temp_directory_size: "4GiB",
      enable_external_access: "false",
    });
    const connection = await instance.connect();
    await connection.run("set lock_configuration = true");
    return new Store(instance, connection, folder);
  }

  /** Makes the table `table.id` with a record number `r` and one column per table column. Gives the event loop a turn now and then. */
  async load(table: Table, onProgress?: (fraction: number) => void): Promise<void> {
    return this.#working(() =>
      this.#load(table, onProgress).catch((cause: unknown) => {
        throw this.#isClosed ? closed() : failed(cause);
      }),
    );
  }

  async #load(table: Table, onProgress?: (fraction: number) => void): Promise<void> {
    const name = safeId(table.id);
    const columns = table.columns.map((column) => `${safeId(column.id)} ${isNumber(column) ? "DOUBLE" : "INTEGER"}`);
    await this.#connection.run(`create or replace table ${name} (r INTEGER, ${columns.join(", ")})`);
    const appender = await this.#connection.createAppender(name);
    const chunk = DuckDBDataChunk.create(
      [INTEGER, ...table.columns.map((column) => (isNumber(column) ? DOUBLE : INTEGER))],
      vectorRows,
    );
    for (let start = 0; start < table.recordCount; start += vectorRows) {
      const count = Math.min(vectorRows, table.recordCount - start);
      chunk.reset();
      chunk.rowCount = count;
      const records = chunk.getColumnVector(0);
      for (let i = 0; i < count; i++) records.setItem(i, start + i);
      records.flush();
      for (const [index, column] of table.columns.entries()) fillVector(chunk, index + 1, column, start, count);
      appender.appendDataChunk(chunk);
      if (start % (vectorRows * 16) === 0) {
        onProgress?.(start / table.recordCount);
        await new Promise((resolve) => setImmediate(resolve));
        if (this.#isClosed) throw closed();
      }
    }
    appender.closeSync();
  }

  /** Runs one query; an aborted signal interrupts it and throws the signal's reason. */
  async query(query: Query, signal?: AbortSignal): Promise<SqlRow[]> {
    return this.#working(() => this.#query(query, signal));
  }

  async #query({ sql, values }: Query, signal?: AbortSignal): Promise<SqlRow[]> {
    signal?.throwIfAborted();
    // An interrupt before DuckDB has begun to run is lost, so it is repeated until the query ends.
    let again: NodeJS.Timeout | undefined;
    const interrupt = (): void => {
      this.#connection.interrupt();
      again = setInterval(() => this.#connection.interrupt(), 20);
    };
    signal?.addEventListener("abort", interrupt, { once: true });
    try {
      const reader = await this.#connection.runAndReadAll(
        sql,
        [...values],
        values.map((value) => (Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? INTEGER : DOUBLE)),
      );
      return reader.getRows().map((row) => row.map(toNumber));
    } catch (cause) {
      signal?.throwIfAborted();
      if (this.#isClosed) throw closed();
      throw failed(cause);
    } finally {
      clearInterval(again);
      signal?.removeEventListener("abort", interrupt);
    }
  }

  /** Ends what is under way; the database is closed when the last of it has ended. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#running === 0) this.#close();
    else this.#connection.interrupt();
  }

  async #working<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw closed();
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      if (this.#isClosed && this.#running === 0) this.#close();
    }
  }

  #close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function failed(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return /out of memory|could not allocate/i.test(reason)
    ? new AppError("too_large", "The table needs more memory than an analysis may take.", {
        hint: "Leave out columns or filter the rows before uploading.",
        cause,
      })
    : new AppError("internal", `A query failed: ${reason}`, { cause });
}

const closed = (): AppError => new AppError("internal", "The workbook was closed while it was being analysed.");

const isNumber = (column: Column): boolean => column.type === "number";

/** Ids are ours; this keeps it true. */
export function safeId(id: string): string {
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(id)) throw new AppError("internal", `"${id}" is no identifier.`);
  return id;
}

function fillVector(chunk: DuckDBDataChunk, index: number, column: Column, start: number, count: number): void {
  const vector = chunk.getColumnVector(index);
  if (!(vector instanceof DuckDBDoubleVector || vector instanceof DuckDBIntegerVector))
    throw new AppError("internal", "A vector of an unexpected type.");
  const { values } = column;
  for (let i = 0; i < count; i++) {
    const value = values[start + i] ?? Number.NaN;
    vector.setItem(i, Number.isNaN(value) ? null : value);
  }
  vector.flush();
}

function toNumber(value: unknown): SqlValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "object" && "toDouble" in value && typeof value.toDouble === "function")
    return Number(value.toDouble());
  throw new AppError("internal", `A query gave a ${typeof value} where a number was expected.`);
}
