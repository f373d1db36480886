// `quern bench`: how fast this machine is, and what our own layers cost. Opens its own engine and servers on free ports, prints a table
// for people on standard error and one JSON line on standard output, which `--save` also keeps.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { silentLog } from "../base/log.ts";
import { type Engine, plainSampling } from "../engine/contract.ts";
import { openScriptedEngine } from "../engine/scripted/scripted-engine.ts";
import { openChatTemplate } from "../models/chat-template.ts";
import { createApp } from "../server/app.ts";
import { listen } from "../server/listen.ts";
import { benchCuda } from "./bench/cuda-bench.ts";
import { benchRequest, engineRows, Prompts, runOnce, togetherGain } from "./bench/engine-rows.ts";
import { HttpClient } from "./bench/http-client.ts";
import { batchRow, overheadRows, serverShare } from "./bench/http-rows.ts";
import { alternately, median, type Row, ratios, toTable } from "./bench/measure.ts";
import { type Command, type CommandContext, parseWords } from "./command.ts";
import { openService } from "./service.ts";
import { version } from "./version.ts";

export const bench: Command = {
  about: "Measure speed and overhead on this machine: a table, and one JSON line.",
  usage: "[--save FILE]",
  async run(context) {
    const { values } = parseWords(context.args, { "--save": "value" }, { mostWords: 0 });
    const save = values.get("--save")?.at(-1);
    if (context.settings.engine === "cuda") return benchCuda(context, { commit: commit(), save });
    const result = await measure(context);
    const line = JSON.stringify(result);
    context.terminal.note(toTable(result.rows));
    context.terminal.out(`${line}\n`);
    if (save !== undefined) writeFileSync(save, `${JSON.stringify(result, null, 2)}\n`);
    return 0;
  },
};

export interface BenchResult {
  engine: string;
  device: string;
  machine: string;
  model: string;
  quern: string;
  commit: string;
  date: string;
  command: string;
  rows: Row[];
}

async function measure(context: CommandContext): Promise<BenchResult> {
  const { terminal } = context;
  const settings = {
    ...context.settings,
    host: "127.0.0.1",
    port: 0,
    parallel: Math.max(8, context.settings.parallel),
  };
  const step = (what: string): void => terminal.progress(`measuring ${what} ...`);
  step("the first request");
  await using service = await openService({ ...context, settings, log: silentLog });
  const { engine, url, model } = service;
  const status = engine.status();
  const prompts = new Prompts(await wordsOf(engine), status.model.vocabularyTokens);
  const promptTokens = Math.min(512, status.contextTokens - 160);
  const first = await runOnce(engine, benchRequest(prompts.fresh(promptTokens), 128));
  step("the engine");
  const rows = await engineRows(engine, prompts, first.firstTokenMs);
  await using client = new HttpClient();
  const served = { url, client };
  step("throughput through HTTP");
  rows.push(await serverShare(served, engine, prompts));
  step("batches");
  rows.push(
    await batchRow(
      served,
      Array.from({ length: 10 }, (_, index) => `写周报:完成模块${index};修复缺陷${index}`),
      togetherGain(rows),
    ),
  );
  step("HTTP's own cost");
  rows.push(...(await scriptedRows(client)));
  // Last: the second llama.cpp leaves threads behind that would slow everything measured after it.
  if (status.engine === "llama") {
    step("node-llama-cpp alone");
    rows.push(await bareRow(engine, prompts, { file: model.file, device: status.device }));
  }
  const cpu = os.cpus()[0]?.model.trim() ?? "unknown CPU";
  return {
    engine: status.engine,
    device: status.device,
    machine: `${os.platform()} ${os.arch()}, ${os.cpus().length} x ${cpu}, ${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    model: status.model.id,
    quern: version(),
    commit: commit(),
    date: new Date().toISOString(),
    command: `npm run bench -- --model ${model.id} --engine ${status.engine}`,
    rows,
  };
}

/** Our engine's decode speed over node-llama-cpp's own loop, taking turns. */
async function bareRow(
  engine: Engine,
  prompts: Prompts,
  { file, device }: { file: string; device: string },
): Promise<Row> {
  const threads = Number(/(\d+) threads?/.exec(device)?.[1] ?? 1);
  const { openBareLlama } = await import("./bench/bare-llama.ts");
  await using bare = await openBareLlama(file, threads);
  const ours = async (): Promise<number> => {
    const run = await runOnce(engine, benchRequest(prompts.fresh(64), 128));
    return ((run.completionTokens - 1) / run.decodeMs) * 1000;
  };
  await alternately(1, [ours, () => bare.decode(prompts.fresh(64), 128)]);
  const [own = [], alone = []] = await alternately(9, [ours, () => bare.decode(prompts.fresh(64), 128)]);
  const share = median(ratios(own, alone));
  return {
    name: "llama_over_bare",
    value: share,
    unit: "x",
    bar: ">= 0.95",
    holds: share >= 0.95,
    note: `decode speed over node-llama-cpp's own loop (${Math.round(median(alone))} tok/s)`,
  };
}

async function scriptedRows(client: HttpClient): Promise<Row[]> {
  await using engine = openScriptedEngine({ answer: () => "word ".repeat(4000), contextTokens: 8192 });
  const app = createApp({
    engine,
    template: openChatTemplate(undefined, { specialTokens: [] }),
    defaults: { sampling: plainSampling },
    log: silentLog,
    version: version(),
    limits: { bodyBytes: 1024 * 1024, perKey: 100 },
  });
  const listening = await listen(app, { host: "127.0.0.1", port: 0 });
  try {
    return await overheadRows({ url: listening.url, client }, engine, new Prompts([65, 66, 67], 128));
  } finally {
    await listening.close();
  }
}

async function wordsOf(engine: Engine): Promise<number[]> {
  return engine.tokenize(
    "本周完成了登录模块的开发与测试，修复了三个缺陷。The team finished the login module and fixed three defects. ",
  );
}

function commit(): string {
  try {
    const hash = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return hash.trim();
  } catch {
    return "unknown";
  }
}
