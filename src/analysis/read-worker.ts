// The other side of read-off-thread.ts: reads and types one workbook, and hands its arrays over without copying them.
import { parentPort, workerData } from "node:worker_threads";
import { toAppError } from "../base/errors.ts";
import { type BuildOptions, buildTables } from "./build-tables.ts";
import type { ReadAnswer } from "./read-off-thread.ts";
import { readWorkbook } from "./read-workbook.ts";

const { bytes, name, options } = workerData as { bytes: Uint8Array; name: string; options: BuildOptions };

try {
  const workbook = await readWorkbook(bytes, name);
  const tables = buildTables(workbook, options);
  const answer: ReadAnswer = { workbook: { ...workbook, grids: [] }, tables };
  const arrays = new Set<ArrayBuffer>();
  for (const table of tables) {
    for (const array of [table.sheetRows, table.sheetColumns, ...table.columns.map((column) => column.values)]) {
      if (array?.buffer instanceof ArrayBuffer) arrays.add(array.buffer);
    }
  }
  parentPort?.postMessage(answer, [...arrays]);
} catch (error) {
  const answer: ReadAnswer = { error: toAppError(error).toData() };
  parentPort?.postMessage(answer);
}
