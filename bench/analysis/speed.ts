// Speed of analysis. Each row is the median of `runs`; reading includes the thread, typing, loading into DuckDB and the quality check.
//   node bench/analysis/speed.ts [flagship|wide|csv]…       ends in one JSON line
import { execFileSync } from "node:child_process";
import os from "node:os";
import { writeXlsx } from "hucre/xlsx";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { makeSalesWorkbook } from "./make-sales.ts";
import { Random } from "./random.ts";

interface Timing {
  openMs: number;
  planMs: number;
  firstFactMs: number;
  chartMs: number;
  doneMs: number;
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function time(name: string, bytes: Uint8Array, question: string): Promise<Timing> {
  const start = performance.now();
  using workbook = await OpenWorkbook.open({ name, bytes });
  const openMs = performance.now() - start;
  const pressed = performance.now();
  const timing: Timing = { openMs, planMs: 0, firstFactMs: 0, chartMs: 0, doneMs: 0 };
  for await (const event of workbook.analyse({ question })) {
    const at = performance.now() - pressed;
    if (event.type === "plan") timing.planMs = at;
    if (event.type === "facts") timing.firstFactMs = at;
    if (event.type === "chart") timing.chartMs = at;
    if (event.type === "done") timing.doneMs = at;
  }
  return timing;
}

/** 100,000 rows of 30 columns: 1 date, 5 texts, 24 numbers. */
export async function wideWorkbook(rowCount = 100_000): Promise<Uint8Array> {
  const random = new Random(3);
  const header = [
    "日期",
    "区域",
    "品类",
    "产品",
    "渠道",
    "城市",
    ...Array.from({ length: 24 }, (_, index) => (index === 0 ? "销售额" : `指标${index}`)),
  ];
  const rows: (string | number)[][] = [header];
  for (let row = 0; row < rowCount; row++) {
    const month = 1 + Math.floor((row * 12) / rowCount);
    rows.push([
      `2025-${String(month).padStart(2, "0")}-${String(1 + (row % 28)).padStart(2, "0")}`,
      `区${row % 7}`,
      `类${row % 11}`,
      `品${row % 97}`,
      `道${row % 5}`,
      `城${row % 31}`,
      ...Array.from({ length: 24 }, () => Math.round(random.next() * 1e6) / 100),
    ]);
  }
  return writeXlsx({ sheets: [{ name: "数据", rows }] });
}

export function longCsv(rowCount = 1_000_000): Uint8Array {
  const random = new Random(4);
  const lines = ["日期,区域,品类,产品,销量,销售额,成本,订单号"];
  for (let row = 0; row < rowCount; row++) {
    const month = 1 + Math.floor((row * 12) / rowCount);
    lines.push(
      `2025-${String(month).padStart(2, "0")}-${String(1 + (row % 28)).padStart(2, "0")},区${row % 7},类${row % 11},品${row % 997},${random.integer(1, 90)},${(random.next() * 9000).toFixed(2)},${(random.next() * 5000).toFixed(2)},SO${100_000_000 + row}`,
    );
  }
  return new TextEncoder().encode(`${lines.join("\n")}\n`);
}

const cases: Record<
  string,
  { runs: number; make: () => Promise<Uint8Array> | Uint8Array; name: string; question: string }
> = {
  flagship: { runs: 5, make: () => makeSalesWorkbook(), name: "sales.xlsx", question: "华东手机环比归因" },
  wide: { runs: 3, make: () => wideWorkbook(), name: "wide.xlsx", question: "各区域销售额环比归因" },
  csv: { runs: 3, make: () => longCsv(), name: "long.csv", question: "各区域销售额环比归因" },
};

const wanted = process.argv.slice(2).length > 0 ? process.argv.slice(2) : Object.keys(cases);
const report: Record<string, unknown> = {
  bench: "analysis-speed",
  machine: `${os.cpus().length} x ${os.cpus()[0]?.model}`,
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
};
for (const which of wanted) {
  const one = cases[which];
  if (one === undefined) throw new RangeError(`no case ${which}: ${Object.keys(cases).join(", ")}`);
  const bytes = await one.make();
  const timings: Timing[] = [];
  for (let run = 0; run < one.runs; run++) timings.push(await time(one.name, bytes, one.question));
  const rounded = Object.fromEntries(
    (["openMs", "planMs", "firstFactMs", "chartMs", "doneMs"] as const).map((key) => [
      key,
      Math.round(median(timings.map((timing) => timing[key]))),
    ]),
  );
  const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(
    `${which.padEnd(9)} ${(bytes.byteLength / 1e6).toFixed(1)} MB  open ${timings.map(({ openMs }) => Math.round(openMs)).join("/")} ms  first fact ${rounded.firstFactMs} ms  complete ${rounded.doneMs} ms  peak ${peakMiB} MiB\n`,
  );
  report[which] = { megabytes: Math.round(bytes.byteLength / 1e5) / 10, ...rounded, peakMiB };
}
process.stdout.write(`${JSON.stringify(report)}\n`);
