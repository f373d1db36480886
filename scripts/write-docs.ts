// Writes the parts of the documentation that are made from code and measurements: docs/settings.md from the settings table, and the
// measured tables of both READMEs from bench/results/. Run it after changing either; tests hold the files to it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { settingsMarkdown } from "../src/base/settings.ts";

const root = path.dirname(import.meta.dirname);

interface Row {
  name: string;
  value: number;
  unit: string;
  spread?: number;
  bar?: string;
  holds?: boolean;
  note?: string;
  peer?: number;
  /** Where a row was measured at another commit than the rest. */
  commit?: string;
}

interface Result {
  machine?: string;
  device?: string;
  gpu?: string;
  driver?: string | number;
  model: string;
  commit: string;
  command: string;
  rows: readonly Row[];
}

function resultOf(name: string): Result | undefined {
  const file = path.join(root, "bench/results", name);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Result) : undefined;
}

function figure(value: number): string {
  const magnitude = Math.abs(value);
  return magnitude >= 100
    ? Math.round(value).toLocaleString("en")
    : magnitude >= 10
      ? value.toFixed(1)
      : value.toFixed(2);
}

/** The CPU bench: what this machine does and what our layers cost. */
export function cpuTable(language: "zh" | "en"): string {
  const result = resultOf("cpu-llama.json");
  if (!result) return "";
  const say = (zh: string, en: string): string => (language === "zh" ? zh : en);
  const rows = result.rows.map(({ name, value, unit, spread, bar, holds, note }) => {
    const verdict =
      bar === undefined ? "" : `${bar.replace("<=", "≤").replace(">=", "≥")} ${holds ? "✓" : say("未达到", "missed")}`;
    const around = spread === undefined ? "" : ` ± ${Math.round(spread * 100)} %`;
    return `| \`${name}\` | ${figure(value)} ${unit}${around} | ${verdict} | ${note ?? ""} |`;
  });
  return [
    say(
      `没有 GPU 时，演示模型 quern-mini，引擎 llama（${result.device}）。机器：${result.machine}。命令 \`${result.command}\`，提交 ${result.commit}，数值为中位数。`,
      `Without a GPU: quern-mini on the llama engine (${result.device}). Machine: ${result.machine}. Command \`${result.command}\`, commit ${result.commit}; medians.`,
    ),
    "",
    say("| 项目 | 数值 | 标准 | 说明 |", "| row | value | bar | what it is |"),
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    batchLimit(result, language),
  ].join("\n");
}

/** Why a batch gains no more here: what the CPU itself gains from running sequences together. */
function batchLimit({ rows }: Result, language: "zh" | "en"): string {
  const speed = (name: string): number => rows.find((row) => row.name === name)?.value ?? Number.NaN;
  const gain = (speed("together_4_tps") / speed("together_1_tps")).toFixed(2);
  return language === "zh"
    ? `\`batch10_gain\` 的上限是处理器本身：四个序列一起只比一个快 ${gain} 倍（\`together_4_tps\` 比 \`together_1_tps\`），单线程算力已用满。`
    : `What bounds \`batch10_gain\` here is the CPU: four sequences together run only ${gain} times as fast as one (\`together_4_tps\` over \`together_1_tps\`), one thread's arithmetic being used up.`;
}

/** What the native engine set out to reach on this GPU: at least, or for times at most. */
const gpuTargets: Readonly<Record<string, readonly [">=" | "<=", number]>> = {
  ready_s: ["<=", 8],
  decode_b1: [">=", 900],
  decode_32k: [">=", 500],
  decode_128k: [">=", 220],
  decode_b8: [">=", 4000],
  decode_b32: [">=", 9000],
  ttft_512_ms: ["<=", 35],
  prefill_8k: [">=", 25_000],
  prefill_128k_s: ["<=", 20],
  ttft_shared_30k_ms: ["<=", 15],
  host_share_pct: ["<=", 5],
};

/** The native engine's bench, beside llama.cpp on the same GPU and kind of file. */
export function gpuTable(language: "zh" | "en"): string {
  const result = resultOf("h200-cuda.json");
  if (!result) return "";
  const say = (zh: string, en: string): string => (language === "zh" ? zh : en);
  const rows = result.rows.map(({ name, value, unit, peer, commit }) => {
    const target = gpuTargets[name];
    const holds = target && (target[0] === ">=" ? value >= target[1] : value <= target[1]);
    const verdict = target
      ? `${target[0] === ">=" ? "≥" : "≤"} ${target[1].toLocaleString("en")} ${holds ? "✓" : say("未达到", "missed")}`
      : "";
    return `| \`${name}\` | ${figure(value)} ${unit} | ${peer === undefined ? "" : `${figure(peer)} ${unit}`} | ${verdict} | ${commit ?? result.commit} |`;
  });
  return [
    say(
      `原生 CUDA 引擎，${result.gpu}（驱动支持 CUDA ${(Number(result.driver) / 1000).toFixed(1)}），与 Qwen3-4B 形状完全相同的随机 Q4_K_M 文件；llama.cpp 在同一块卡、同类文件上测得。命令 \`${result.command}\`；各行在哪个提交上测得，见最后一列。`,
      `Native CUDA engine on one ${result.gpu} (a driver of CUDA ${(Number(result.driver) / 1000).toFixed(1)}), a random Q4_K_M file of exactly the Qwen3-4B shape; llama.cpp measured on the same GPU and kind of file. Command \`${result.command}\`; the last column says at which commit a row was measured.`,
    ),
    "",
    say("| 项目 | Quern | llama.cpp | 目标 | 提交 |", "| row | Quern | llama.cpp | target | commit |"),
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** `text` with what stands between the marks of `name` replaced. */
export function withSection(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`there are no marks for ${name}`);
  return `${text.slice(0, from + open.length)}\n${content}${content === "" ? "" : "\n"}${text.slice(to)}`;
}

export function readmeWithTables(language: "zh" | "en"): { file: string; text: string } {
  const file = path.join(root, language === "zh" ? "README.zh-CN.md" : "README.md");
  const withCpu = withSection(readFileSync(file, "utf8"), "bench:cpu", cpuTable(language));
  return { file, text: withSection(withCpu, "bench:gpu", gpuTable(language)) };
}

if (import.meta.main) {
  writeFileSync(path.join(root, "docs/settings.md"), settingsMarkdown());
  for (const language of ["zh", "en"] as const) {
    const { file, text } = readmeWithTables(language);
    writeFileSync(file, text);
  }
}
