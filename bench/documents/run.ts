// `node bench/documents/run.ts`: measures the bars of the documents part on pages whose text is known, prints a table and ends with one
// JSON line. `--write` also puts the table into docs/documents.md. `--quick` measures fewer pages, `--only=NAME` one row, `--show` prints what
// was read wrong. Needs Chromium and a Chinese font (to make the pages, not to read them).
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import path from "node:path";
import { whyNot } from "./fixtures.ts";
import { headersRow, pdfRow, segmentsRow, tablesRow } from "./layout-rows.ts";
import { recognitionRow, scannedDocumentRow, scansRow, warmRecognition } from "./recognition-rows.ts";
import { isQuick, type Row } from "./rows.ts";
import { serverRow } from "./server-row.ts";

const missing = await whyNot();
if (missing !== undefined) {
  console.log(`Skipped: ${missing}, which the bench needs to make its pages.`);
  process.exit(0);
}
const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice(7);

const benches: Readonly<Record<string, () => Promise<Row | Row[]>>> = {
  ocr150: () => recognitionRow({ dpi: 150, rough: false, bar: 0.99 }),
  ocr200: () => recognitionRow({ dpi: 200, rough: false, bar: 0.99 }),
  rough150: () => recognitionRow({ dpi: 150, rough: true, bar: 0.96 }),
  rough200: () => recognitionRow({ dpi: 200, rough: true, bar: 0.96 }),
  "scanned-pdf": scannedDocumentRow,
  "tables-screen": () => tablesRow("screenshot"),
  scans: scansRow,
  pdf: pdfRow,
  headers: headersRow,
  "tables-pdf": () => tablesRow("pdf"),
  server: serverRow,
  segments: segmentsRow,
};

const started = performance.now();
const load = loadavg()[0] ?? 0;
const rows: Row[] = [];
let isWarm = false;
for (const [name, measure] of Object.entries(benches)) {
  if (only !== undefined && !name.startsWith(only)) continue;
  if (!isWarm) await warmRecognition();
  isWarm = true;
  const made = [await measure()].flat();
  for (const row of made) console.error(`${row.isMet ? "ok  " : "MISS"} ${row.what}: ${row.measured}`);
  rows.push(...made);
}

const git = (...given: string[]): string => execFileSync("git", given, { encoding: "utf8" }).trim();
const commit = git("rev-parse", "--short", "HEAD");
const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version.slice(1)}`;
const table = [
  "| what | measured | bar | |",
  "|---|---|---|---|",
  ...rows.map(
    ({ what, measured, bar, isMet }) => `| ${what} | ${measured} | ${bar} | ${isMet ? "met" : "**missed**"} |`,
  ),
].join("\n");
const minutes = (performance.now() - started) / 60_000;
const head = `${isQuick ? "Fewer pages (`--quick`). " : ""}${machine}; commit ${commit}, ${new Date().toISOString().slice(0, 10)}; ${minutes.toFixed(1)} minutes; load when it began: ${load.toFixed(1)}.`;
console.log(`${table}\n\n${head}`);
if (process.argv.includes("--write")) {
  const file = path.join(import.meta.dirname, "../../docs/documents.md");
  const text = await readFile(file, "utf8");
  const between = /(<!-- bench:documents -->\n)[\s\S]*?(<!-- end -->)/;
  if (!between.test(text)) throw new Error("docs/documents.md has no place for the table.");
  await writeFile(
    file,
    text.replace(between, (_, from: string, to: string) => `${from}${head}\n\n${table}\n${to}`),
  );
}
console.log(
  JSON.stringify({
    bench: "documents",
    machine,
    commit,
    load,
    quick: isQuick,
    rows: rows.map(({ what, isMet, values }) => ({ what, isMet, ...values })),
  }),
);
