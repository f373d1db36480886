// Holds the layout of ARCHITECTURE.md: a part imports only what stands above it, engines never see each other (only open.ts names
// them), and the page takes nothing from src but server/api-types.ts.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";

const parts = ["base", "models", "engine", "documents", "workspace", "analysis", "deliverables", "server", "cli"];
const engines = ["cuda", "llama", "remote", "scripted"];
const root = path.dirname(import.meta.dirname);

function importsOf(file: string): string[] {
  const text = readFileSync(path.join(root, file), "utf8");
  const relative = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"|new URL\(\s*"(\.[^"]+\.ts)"/g)];
  return relative.map((match) => path.join(path.dirname(file), match[1] ?? match[2] ?? "").replaceAll("\\", "/"));
}

function faultIn(file: string, target: string): string | undefined {
  const [, part = "", engine = ""] = file.split("/");
  const [top, targetPart = "", targetEngine = ""] = target.split("/");
  if (top !== "src")
    return file.endsWith(".test.ts") || target === "package.json" ? undefined : "imports from outside src";
  if (parts.indexOf(targetPart) > parts.indexOf(part)) return `${part} stands above ${targetPart}`;
  if (part === "engine" && targetPart === "engine" && engines.includes(targetEngine) && targetEngine !== engine) {
    const isTest = file.endsWith(".test.ts");
    return engine === "open.ts" || isTest ? undefined : "only engine/open.ts names an engine";
  }
  return undefined;
}

test("a part imports only what stands above it", () => {
  const files = globSync("src/**/*.ts", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
  assert.ok(files.length > 3, "no sources found");
  const faults = files.flatMap((file) =>
    importsOf(file).flatMap((target) => {
      const fault = parts.includes(file.split("/")[1] ?? "") ? faultIn(file, target) : "is in no known part";
      return fault ? [`${file} -> ${target}: ${fault}`] : [];
    }),
  );
  assert.deepEqual(faults, []);
});

test("the page imports only the API's types from src", () => {
  const files = globSync("web/**/*.{ts,tsx}", {
    cwd: root,
    exclude: (name) => name === "node_modules" || name === "dist",
  });
  const faults = files.flatMap((file) =>
    importsOf(file.replaceAll("\\", "/"))
      .filter(
        (target) => !target.startsWith("web/") && target !== "src/server/api-types.ts" && !file.endsWith(".test.ts"),
      )
      .map((target) => `${file} -> ${target}`),
  );
  assert.deepEqual(faults, []);
});
