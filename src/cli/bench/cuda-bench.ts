// The native engine's own table: bench/cuda/run.ts in a process of its own, because it measures kernels and steps below the engine contract and
// takes most of the GPU's memory. What it says goes to standard error, its JSON line to standard output.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { AppError } from "../../base/errors.ts";
import { cudaSupport } from "../../engine/open.ts";
import { resolveModel } from "../../models/catalogue.ts";
import type { CommandContext } from "../command.ts";

const root = path.join(import.meta.dirname, "../../..");

/** Its exit code. `save`: the file that keeps the JSON line too. */
export async function benchCuda(
  { settings, terminal, signal }: CommandContext,
  { commit, save }: { commit: string; save: string | undefined },
): Promise<number> {
  const model = resolveModel({ model: settings.model, dataFolder: settings.data });
  const support = await cudaSupport(model.file);
  if (!support.ok) throw new AppError("unsupported", `--engine cuda cannot be measured here: ${support.reason}`);
  const kept = save === undefined ? [] : ["--out", path.resolve(save)];
  const words = [path.join("bench", "cuda", "run.ts"), "--model", model.file, "--commit", commit, ...kept];
  const child = spawn(process.execPath, words, { cwd: root, stdio: ["ignore", "pipe", "inherit"], signal });
  const failed = once(child, "error").then(([error]) => Promise.reject(error));
  const ended = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("{")) terminal.out(`${line}\n`);
    else terminal.note(line);
  }
  const [code] = await Promise.race([ended, failed]);
  return code === 0 ? 0 : 1;
}
