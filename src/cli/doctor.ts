// `quern doctor`: looks at what Quern needs (runtime, driver, GPU, memory, model, port, disk) and says for each fault what to do.
// Exit code 1 when something stops Quern from working.
import { mkdtemp, rmdir, statfs } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { toAppError } from "../base/errors.ts";
import { nearestFolder } from "../base/make-folder.ts";
import type { Settings } from "../base/settings.ts";
import { openGpuMeter } from "../engine/gpu-meter.ts";
import { cudaSupport } from "../engine/open.ts";
import { resolveModel } from "../models/catalogue.ts";
import { inspectModel } from "../models/inspect-model.ts";
import { assertBindingAllowed, openKeys } from "../server/keys.ts";
import { type Command, parseWords, toSize } from "./command.ts";

export interface Finding {
  what: string;
  /** `note` works but could be better; `fault` stops Quern. */
  verdict: "ok" | "note" | "fault";
  found: string;
  advice?: string;
}

export const doctor: Command = {
  about: "Check driver, GPU, memory, model, port and disk, and say what to do about each fault.",
  usage: "[--json]",
  async run({ settings, args, terminal }) {
    const { values } = parseWords(args, { "--json": "switch" }, { mostWords: 0 });
    const findings = await examine(settings);
    if (values.has("--json")) terminal.out(`${JSON.stringify(findings)}\n`);
    else {
      const mark = { ok: "ok   ", note: "note ", fault: "FAULT" };
      for (const { what, verdict, found, advice } of findings) {
        terminal.out(`${mark[verdict]} ${what.padEnd(8)} ${found}\n${advice ? `               -> ${advice}\n` : ""}`);
      }
    }
    return findings.some(({ verdict }) => verdict === "fault") ? 1 : 0;
  },
};

export async function examine(settings: Settings): Promise<Finding[]> {
  return [runtime(), ...gpu(), memory(), ...(await model(settings)), await port(settings), await disk(settings)];
}

function runtime(): Finding {
  return { what: "runtime", verdict: "ok", found: `Node ${process.versions.node} on ${os.platform()} ${os.arch()}` };
}

function gpu(): Finding[] {
  using meter = openGpuMeter();
  if (!meter) {
    return [
      {
        what: "gpu",
        verdict: "note",
        found: "no NVIDIA driver on this machine; answers come from the CPU (or Metal)",
        advice: "With an NVIDIA GPU (compute capability 8.0 or newer), install its driver. No CUDA toolkit is needed.",
      },
    ];
  }
  return Array.from({ length: meter.deviceCount }, (_, index): Finding => {
    const reading = meter.read(index);
    if (!reading)
      return { what: "gpu", verdict: "note", found: `GPU ${index} does not answer`, advice: "See `nvidia-smi`." };
    const free = reading.memoryTotalBytes - reading.memoryUsedBytes;
    return {
      what: "gpu",
      verdict: free < 5 * 2 ** 30 ? "note" : "ok",
      found: `${reading.name}, driver ${meter.driverVersion}, ${toSize(free)} of ${toSize(reading.memoryTotalBytes)} free`,
      ...(free < 5 * 2 ** 30
        ? { advice: "Qwen3-4B needs about 2.5 GB for weights and 75 KB for each token: close what holds the memory." }
        : {}),
    };
  });
}

function memory(): Finding {
  const [free, total] = [os.freemem(), os.totalmem()];
  const tight = total < 6 * 2 ** 30;
  return {
    what: "memory",
    verdict: tight ? "note" : "ok",
    found: `${toSize(free)} of ${toSize(total)} free, ${os.cpus().length} CPU threads`,
    ...(tight ? { advice: "Qwen3-4B wants 6 GiB without a GPU; a small --context helps." } : {}),
  };
}

async function model(settings: Settings): Promise<Finding[]> {
  try {
    const { file, isDemonstration } = resolveModel({ model: settings.model, dataFolder: settings.data });
    const { architecture, quantisation, parameters } = inspectModel(file);
    const found = `${file}: ${architecture}, ${quantisation}, ${(parameters / 1e9).toFixed(2)} billion parameters`;
    const advice =
      "This is the demonstration model. `npx quern models pull qwen3-4b-instruct-2507` gets the real one (2.5 GB).";
    const verdict = await cudaSupport(file);
    return [
      { what: "model", verdict: isDemonstration ? "note" : "ok", found, ...(isDemonstration ? { advice } : {}) },
      verdict.ok
        ? { what: "engine", verdict: "ok", found: `cuda on ${verdict.device}` }
        : { what: "engine", verdict: verdict.gpuPresent ? "note" : "ok", found: `llama: ${verdict.reason}` },
    ];
  } catch (thrown) {
    const { message, hint } = toAppError(thrown);
    return [{ what: "model", verdict: "fault", found: message, ...(hint ? { advice: hint } : {}) }];
  }
}

async function port({ host, port, apiKeyFile }: Settings): Promise<Finding> {
  try {
    assertBindingAllowed(host, apiKeyFile === "" ? undefined : openKeys(apiKeyFile));
  } catch (thrown) {
    const { message, hint } = toAppError(thrown);
    return { what: "port", verdict: "fault", found: message, ...(hint ? { advice: hint } : {}) };
  }
  const taken = await new Promise<string | undefined>((resolve) => {
    const probe = net.createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen(port, host, () => probe.close(() => resolve(undefined)));
  });
  if (taken === undefined) return { what: "port", verdict: "ok", found: `${host}:${port} is free` };
  if (taken === "EADDRINUSE") {
    if (await isQuern(host, port)) return { what: "port", verdict: "ok", found: `Quern answers on ${host}:${port}` };
    return {
      what: "port",
      verdict: "note",
      found: `${host}:${port} is in use`,
      advice: "Something else than Quern listens there: choose another --port.",
    };
  }
  return {
    what: "port",
    verdict: "fault",
    found: `${host}:${port} cannot be used (${taken})`,
    advice: "Choose another --host or --port.",
  };
}

async function isQuern(host: string, port: number): Promise<boolean> {
  const at = host.includes(":") ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${at}:${port}/health`, { signal: AbortSignal.timeout(2000) });
    const body: unknown = await answer.json();
    return typeof body === "object" && body !== null && "engine" in body && "restarts" in body;
  } catch {
    return false; // no HTTP, no JSON or no answer: not ours, or not well
  }
}

async function disk({ data }: Settings): Promise<Finding> {
  try {
    // Looking leaves nothing behind: where the folder is not there yet, the one that it would be made in is tried.
    const place = nearestFolder(data);
    await rmdir(await mkdtemp(path.join(place, ".quern-")));
    const { bavail, bsize } = await statfs(place);
    const free = bavail * bsize;
    const tight = free < 4 * 2 ** 30;
    return {
      what: "disk",
      verdict: tight ? "note" : "ok",
      found: `${toSize(free)} free in ${data}${place === data ? "" : " (made at the first start)"}`,
      ...(tight ? { advice: "The model takes 2.5 GB; free some space or move --data." } : {}),
    };
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    return {
      what: "disk",
      verdict: "fault",
      found: `${data} cannot be used (${code})`,
      advice: "Choose another --data folder.",
    };
  }
}
