// What the rows of the documents bench have in common.
import { type Document, plainTextOf, segmentsOf } from "../../src/documents/document.ts";

export interface Row {
  what: string;
  measured: string;
  bar: string;
  isMet: boolean;
  values: Record<string, number>;
}

export const isQuick = process.argv.includes("--quick");
/** Prints what was read where it differs from what should have been. */
export const shows = process.argv.includes("--show");

export const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
export const seconds = (value: number): string => `${value.toFixed(1)} s`;

export const bodyOf = (document: Document): string =>
  segmentsOf(document)
    .filter((segment) => !segment.removed)
    .map(plainTextOf)
    .join("\n");

/** Wall seconds and CPU seconds (all threads) of some work. */
export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number; cpuSeconds: number }> {
  const [start, startCpu] = [performance.now(), process.cpuUsage()];
  const result = await work();
  const cpu = process.cpuUsage(startCpu);
  return { result, seconds: (performance.now() - start) / 1000, cpuSeconds: (cpu.user + cpu.system) / 1e6 };
}
