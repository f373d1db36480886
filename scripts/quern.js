#!/usr/bin/env node
// The `quern` command. Plain JavaScript so that an old Node prints a sentence instead of a syntax error: it starts
// src/cli/main.ts in this process when the runtime can, else in the Node that `npm ci` pinned, else says what to do.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const major = Number(process.versions.node.split(".")[0]);

if (major >= 24) {
  // Sources stripped of types and compiled are kept, which halves the time to start; the variable passes it on to the engine's process.
  // Not in the system's folder for temporary files, where another user could put code of his own in our place.
  process.env.NODE_COMPILE_CACHE ??= path.join(root, "node_modules", ".cache", "quern");
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  const { main } = await import("../src/cli/main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else {
  const pinned = path.join(root, "node_modules", ".bin", process.platform === "win32" ? "node.cmd" : "node");
  if (existsSync(pinned)) {
    const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.on("exit", (code) => process.exit(code ?? 1));
  } else {
    console.error(`Quern needs Node 24 or newer; this is Node ${process.versions.node}.`);
    console.error("Run `npm start` in Quern's folder: it fetches the right Node by itself. Or install Node 24.");
    process.exitCode = 1;
  }
}
