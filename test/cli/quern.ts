// The `quern` command as a user runs it: a process of its own, with a home and a data folder of its own and no QUERN_ variables.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";

export const launcher = path.join(import.meta.dirname, "../../scripts/quern.js");
export const home = mkdtempSync(path.join(os.tmpdir(), "quern-cli-"));
after(() => rmSync(home, { recursive: true, force: true }));

export interface Finished {
  code: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  /** Standard input; empty when absent. */
  input?: string;
  env?: Record<string, string>;
  cwd?: string;
}

export function environment(env: Record<string, string> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("QUERN_") && name !== "NODE_TEST_CONTEXT",
  );
  return { ...Object.fromEntries(inherited), HOME: home, USERPROFILE: home, QUERN_DATA: home, ...env };
}

/** Runs a command to its end. */
export async function quern(args: readonly string[], { input = "", ...how }: RunOptions = {}): Promise<Finished> {
  const running = start(args, how);
  running.child.stdin?.end(input);
  return running.finished;
}

export interface Running {
  child: ChildProcess;
  finished: Promise<Finished>;
  /** Resolves with what both outputs have held so far once that matches. Rejects when the command ends before. */
  until(pattern: RegExp): Promise<string>;
}

export function start(
  args: readonly string[],
  { env, cwd, file }: Pick<RunOptions, "env" | "cwd"> & { file?: string } = {},
): Running {
  const [command, all] = file === undefined ? [process.execPath, [launcher, ...args]] : [file, [...args]];
  const child = spawn(command, all, {
    env: environment(env),
    stdio: ["pipe", "pipe", "pipe"],
    ...(cwd ? { cwd } : {}),
  });
  const finished: Finished = { code: null, out: "", err: "" };
  const waiting = new Set<() => void>();
  const take = (part: "out" | "err", stream: NodeJS.ReadableStream | null): void => {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      finished[part] += text;
      for (const look of waiting) look();
    });
  };
  take("out", child.stdout);
  take("err", child.stderr);
  child.stdin?.on("error", () => undefined); // a command may end without reading what it was given
  const ended = once(child, "close").then(([code]) => {
    finished.code = code;
    for (const look of waiting) look();
    return finished;
  });
  return {
    child,
    finished: ended,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const seen = finished.out + finished.err;
          if (pattern.test(seen)) resolve(seen);
          else if (child.exitCode !== null || child.signalCode !== null)
            reject(new Error(`quern ended with ${child.exitCode} before it said ${pattern}: ${seen}`));
          else return void waiting.add(look);
          waiting.delete(look);
        };
        look();
      }),
  };
}
