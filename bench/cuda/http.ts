// Times to the first token as a client of `quern serve` sees them: the server in its own process, the engine in another, this one asking over
// a kept connection. Prompts are token ids, so that both kinds of model file have the lengths that the rows are named for.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { readGguf } from "../../src/models/gguf.ts";
import { modelFactsOf } from "../../src/models/inspect-model.ts";

export interface HttpRows {
  ttft_512_ms: number;
  /** Only when the context holds it. */
  ttft_shared_30k_ms: number | undefined;
  /** Milliseconds from the server's start until the engine serves. */
  readyMs: number;
  /** What /status says of the engine. */
  engine: { engine: string; reason?: string; device: string };
}

const root = path.join(import.meta.dirname, "../..");
const agent = new http.Agent({ keepAlive: true });

export function measureHttp(modelFile: string, { runs = 7 } = {}): Promise<HttpRows> {
  const { trainedContextTokens } = modelFactsOf(readGguf(modelFile));
  const contextTokens = Math.min(32_768, trainedContextTokens);
  return withServer(modelFile, { contextTokens }, async ({ port, engine, readyMs }) => {
    const salted = (count: number, salt: number): number[] =>
      Array.from({ length: count }, (_, index) => 300 + (((index + salt * 100_003) * 7919 + 13) % 13_000));
    let salt = 0;
    await firstTokenMs(port, salted(512, ++salt));
    const fresh: number[] = [];
    for (let run = 0; run < runs; run++) fresh.push(await firstTokenMs(port, salted(512, ++salt)));
    const shared = salted(30_000, 0);
    let again: number[] | undefined;
    if (engine.contextTokens > 30_100) {
      await firstTokenMs(port, [...shared, ...salted(20, ++salt)]);
      again = [];
      for (let run = 0; run < runs; run++) again.push(await firstTokenMs(port, [...shared, ...salted(20, ++salt)]));
    }
    return { ttft_512_ms: median(fresh), ttft_shared_30k_ms: again && median(again), readyMs, engine };
  }).finally(() => agent.destroy());
}

/** Starts `quern serve --engine auto` over a file, waits until it is idle, and ends it when `use` has what it wants. */
export async function withServer<Result>(
  modelFile: string,
  { contextTokens }: { contextTokens: number },
  use: (server: { port: number; engine: Status; readyMs: number }) => Promise<Result>,
): Promise<Result> {
  const data = mkdtempSync(path.join(os.tmpdir(), "quern-bench-"));
  const port = await freePort();
  const started = performance.now();
  const words = ["serve", "--engine", "auto", "--model", modelFile, "--port", String(port), "--data", data];
  const sizes = ["--context", String(contextTokens), "--parallel", "8"];
  const server = spawn(process.execPath, ["scripts/quern.js", ...words, ...sizes], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4000);
  });
  try {
    const { engine, readyAt } = await untilQuiet(port, server, () => said);
    return await use({ port, engine, readyMs: readyAt - started });
  } finally {
    server.kill("SIGKILL");
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
    rmSync(data, { recursive: true, force: true });
  }
}

interface Status {
  engine: string;
  reason?: string;
  device: string;
  state: string;
  contextTokens: number;
  runningRequests: number;
  queuedRequests: number;
  totals: { requests: number };
}

/** Until the engine serves and has been idle for two seconds: at its start the server lets it read templates ahead. Throws with the server's words when it ends before. */
async function untilQuiet(
  port: number,
  server: ChildProcess,
  said: () => string,
): Promise<{ engine: Status; readyAt: number }> {
  let readyAt: number | undefined;
  let [requests, idleTries] = [-1, 0];
  for (let tries = 0; tries < 600; tries++) {
    if (server.exitCode !== null) throw new Error(`quern serve ended with code ${server.exitCode}: ${said()}`);
    const answer = await fetch(`http://127.0.0.1:${port}/status`).catch(() => undefined);
    const { engine } = answer?.ok ? ((await answer.json()) as { engine: Status }) : {};
    const isIdle = engine?.state === "ready" && engine.runningRequests + engine.queuedRequests === 0;
    idleTries = isIdle && engine.totals.requests === requests ? idleTries + 1 : 0;
    if (engine?.state === "ready") readyAt ??= performance.now();
    if (engine && readyAt !== undefined && idleTries === 20) return { engine, readyAt };
    requests = engine?.totals.requests ?? -1;
    if (engine?.state === "failed") throw new Error(`the engine failed: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`quern serve did not serve within a minute: ${said()}`);
}

/** From sending the request to the first event that carries a token. */
function firstTokenMs(port: number, prompt: readonly number[]): Promise<number> {
  const body = JSON.stringify({ prompt, max_tokens: 2, temperature: 0, ignore_eos: true, stream: true });
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const begin = performance.now();
  let first: number | undefined;
  const request = http.request(
    { host: "127.0.0.1", port, path: "/v1/completions", method: "POST", headers, agent },
    (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
        if (text.includes("data: ")) first ??= performance.now();
      });
      response.on("end", () => {
        if (response.statusCode === 200 && first !== undefined) resolve(first - begin);
        else reject(new Error(`/v1/completions answered ${response.statusCode}: ${text.slice(0, 500)}`));
      });
      response.on("error", reject);
    },
  );
  request.on("error", reject);
  request.end(body);
  return promise;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
