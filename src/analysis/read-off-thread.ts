// Reading a large workbook takes seconds of pure computing; it happens on a thread of its own, so that nobody else's request waits.
// Small files are read here: starting a thread would cost more than it saves.
import { Worker } from "node:worker_threads";
import { AppError, type ErrorData } from "../base/errors.ts";
import { type BuildOptions, buildTables } from "./build-tables.ts";
import { readWorkbook, type Workbook } from "./read-workbook.ts";
import type { Table } from "./table.ts";

export interface ReadTables {
  /** Without its grids: the tables hold all that analysis needs. */
  workbook: Workbook;
  tables: Table[];
}

export type ReadAnswer = { tables: Table[]; workbook: Workbook } | { error: ErrorData };

/** Up to this size a file is read on the caller's thread. */
export const ownThreadBytes = 512 * 1024;

export async function readWorkbookOffThread(
  bytes: Uint8Array,
  name: string,
  options: BuildOptions,
  signal?: AbortSignal,
): Promise<ReadTables> {
  signal?.throwIfAborted();
  if (bytes.byteLength <= ownThreadBytes) {
    const workbook = await readWorkbook(bytes, name);
    return { workbook: { ...workbook, grids: [] }, tables: buildTables(workbook, options) };
  }
  const worker = new Worker(new URL("./read-worker.ts", import.meta.url), {
    workerData: { bytes, name, options },
    resourceLimits: { maxOldGenerationSizeMb: 4096 },
  });
  try {
    return await new Promise<ReadTables>((resolve, reject) => {
      const abort = (): void => reject(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      worker.once("message", (answer: ReadAnswer) =>
        "error" in answer ? reject(AppError.fromData(answer.error)) : resolve(answer),
      );
      worker.once("error", (cause: unknown) => reject(outOfMemory(cause) ? tooLarge(name, cause) : cause));
      worker.once("exit", (code) => reject(new AppError("internal", `The reader of ${name} ended with code ${code}.`)));
    });
  } finally {
    await worker.terminate();
  }
}

const outOfMemory = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY";

function tooLarge(name: string, cause: unknown): AppError {
  return new AppError("too_large", `${name} needs more memory than a workbook may take.`, {
    hint: "Export the sheet as CSV, or leave out columns.",
    cause,
  });
}
