// A long PDF through a whole server: its memory above idle, and how long /health takes to answer meanwhile. The client is a process of its
// own and asks every 20 ms, whether the last answer has come or not, so that a held-up server cannot hide behind a waiting client.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { generator, htmlOf, oneColumnPage, printPdf } from "./fixtures.ts";
import { isQuick, type Row, seconds } from "./rows.ts";

export async function serverRow(): Promise<Row[]> {
  const random = generator(53);
  const count = isQuick ? 100 : 500;
  const bytes = await printPdf(
    htmlOf(Array.from({ length: count }, (_, index) => oneColumnPage(random, index + 1).html)),
  );
  const data = await mkdtemp(path.join(tmpdir(), "quern-bench-"));
  const root = path.join(import.meta.dirname, "../..");
  const server = spawn(
    process.execPath,
    ["scripts/quern.js", "serve", "--engine", "scripted", "--port", "0", "--data", data, "--log-format", "json"],
    { cwd: root, stdio: ["ignore", "pipe", "pipe"] },
  );
  try {
    const url = await addressOf(server);
    // The first small file starts the reading process; what it and the server need at rest is not the document's.
    await upload(url, Buffer.from("warm"), "warm.txt");
    await pause(1000);
    const idle = await treeBytes(server.pid ?? 0);
    let most = idle;
    const look = async (): Promise<void> => {
      most = Math.max(most, await treeBytes(server.pid ?? 0));
    };
    const memory = setInterval(look, 250);
    // The same without a document tells what of it is the machine's.
    const calm = await whileAsking(url, () => pause(3000));
    const start = performance.now();
    const { result: pages, waits } = await whileAsking(url, () => upload(url, bytes, "long.pdf"));
    const took = (performance.now() - start) / 1000;
    clearInterval(memory);
    await look();
    if (pages !== count) throw new Error(`${pages} of ${count} pages were read`);
    const at = (share: number): number => quantile(waits, share);
    const megabytes = (most - idle) / 1e6;
    return [
      {
        what: `memory of the server and its processes above idle, ${count}-page PDF`,
        measured: `${megabytes.toFixed(0)} MB; read in ${seconds(took)}`,
        bar: "≤ 500 MB",
        isMet: megabytes <= 500,
        values: { megabytes, seconds: took, pages: count },
      },
      {
        what: `\`/health\` while the ${count}-page PDF is read (${waits.length} requests)`,
        measured: `p99 ${at(0.99).toFixed(0)} ms, median ${at(0.5).toFixed(1)} ms, worst ${at(1).toFixed(0)} ms; without a document p99 ${quantile(calm.waits, 0.99).toFixed(0)} ms`,
        bar: "p99 < 50 ms",
        isMet: at(0.99) < 50,
        values: { p99Ms: at(0.99), medianMs: at(0.5), worstMs: at(1), requests: waits.length },
      },
    ];
  } finally {
    server.kill();
    await new Promise((resolve) => (server.exitCode === null ? server.once("exit", resolve) : resolve(undefined)));
    await rm(data, { recursive: true, force: true });
  }
}

/** Asks for /health every 20 ms until the work is done; milliseconds of each answer, the quickest first. */
async function whileAsking<T>(url: string, work: () => Promise<T>): Promise<{ result: T; waits: number[] }> {
  const waits: number[] = [];
  const asked: Promise<void>[] = [];
  const health = setInterval(() => asked.push(timeOfHealth(url, waits)), 20);
  try {
    return { result: await work(), waits };
  } finally {
    clearInterval(health);
    await Promise.all(asked);
    waits.sort((a, b) => a - b);
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

async function timeOfHealth(url: string, into: number[]): Promise<void> {
  const start = performance.now();
  const answer = await fetch(`${url}/health`);
  await answer.arrayBuffer();
  into.push(performance.now() - start);
}

/** The number of pages that came back. */
async function upload(url: string, bytes: Uint8Array, name: string): Promise<number> {
  const form = new FormData();
  form.set("file", new Blob([bytes as Uint8Array<ArrayBuffer>]), name);
  const answer = await fetch(`${url}/v1/documents`, { method: "POST", body: form });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  // Counted and not parsed: megabytes of JSON would hold up this process, which measures.
  return (await answer.text()).match(/"number":\d+,"width"/g)?.length ?? 0;
}

async function addressOf(server: ReturnType<typeof spawn>): Promise<string> {
  let output = "";
  return new Promise((resolve, reject) => {
    const take = (part: Buffer): void => {
      output += part.toString();
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
      if (found) resolve(found);
    };
    server.stdout?.on("data", take);
    server.stderr?.on("data", take);
    server.once("exit", () => reject(new Error(`The server ended: ${output}`)));
  });
}

/** Resident memory of a process and all that it started. */
async function treeBytes(root: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-eo", "pid=,ppid=,rss="]);
  const rows = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const family = new Set([root]);
  // Children come after their parents in most lists, but not in all.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const [pid = 0, parent = 0] of rows) if (family.has(parent)) family.add(pid);
  }
  return rows.reduce((sum, [pid = 0, , rss = 0]) => sum + (family.has(pid) ? rss * 1024 : 0), 0);
}
