// `npm run kernels`: compiles engine.cu and prefill.cu to PTX, one file per model shape and architecture, and lowers each file's `.version` to the least
// that ptxas still accepts, because a driver refuses PTX newer than itself whatever the instructions are. Beside each lies what ptxas makes of it, so
// that a driver which takes machine code of this toolkit need not compile at the first start. A stamp holds the hash of the sources; a test
// re-hashes them always and recompiles where nvcc is there.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { compiledName } from "../src/engine/cuda/kernels.ts";

const folder = import.meta.dirname;

/** Constants that specialise the kernels; src/engine/cuda/kernels.ts looks a file's shape up here by name. */
export const kernelShapes = {
  "quern-mini": { HIDDEN: 512, FEED_FORWARD: 1536, HEADS: 4, KV_HEADS: 1, VOCABULARY: 14_336 },
  "qwen3-4b": { HIDDEN: 2560, FEED_FORWARD: 9728, HEADS: 32, KV_HEADS: 8, VOCABULARY: 151_936 },
} as const;
/** What is built for each shape. sm_90a runs on Hopper alone; the others also on whatever comes later. */
export const targets = [
  { part: "engine", architecture: "sm_80" },
  { part: "engine", architecture: "sm_90" },
  { part: "prefill", architecture: "sm_80" },
  { part: "prefill", architecture: "sm_90a" },
] as const;
export type Target = (typeof targets)[number];
export const ptxName = (shape: string, { part, architecture }: Target): string =>
  `${shape}.${part === "engine" ? "" : `${part}.`}${architecture}.ptx`;

/** PTX versions from old to new; 7.0 came with CUDA 11.0 (driver 450), 8.0 with CUDA 12.0 (driver 525). */
const ptxVersions = ["7.0", "7.4", "7.8", "8.0", "8.4", "8.8", "9.0"];

export function sourceHash(): string {
  const hash = createHash("sha256");
  for (const file of globSync("*.{cu,cuh}", { cwd: folder }).sort()) {
    hash.update(`${file}\n${readFileSync(path.join(folder, file), "utf8")}\n`);
  }
  return hash.update(JSON.stringify({ kernelShapes, targets })).digest("hex");
}

export const stampFile = path.join(folder, "ptx", "stamp.json");

export interface Stamp {
  sources: string;
  compiler: string;
  /** SHA-256 of each PTX file, and of each file's machine code before it is compressed. */
  files: Record<string, string>;
}

const sha256 = (text: string | Uint8Array): string => createHash("sha256").update(text).digest("hex");

/** Of a compressed file's contents: another zlib may compress them otherwise. */
export const compiledHash = (file: string): string => sha256(gunzipSync(readFileSync(file)));

export function hasCompiler(): boolean {
  try {
    execFileSync("nvcc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Compiles everything into a folder. */
export function buildKernels(into: string): Stamp {
  mkdirSync(into, { recursive: true });
  const scratch = mkdtempSync(path.join(os.tmpdir(), "quern-kernels-"));
  const files: Record<string, string> = {};
  try {
    for (const [shape, constants] of Object.entries(kernelShapes)) {
      for (const target of targets) {
        const { part, architecture } = target;
        const name = ptxName(shape, target);
        const defines = Object.entries(constants).map(([key, value]) => `-DSHAPE_${key}=${value}`);
        if (architecture === "sm_90a") defines.push("-DWGMMA=1");
        const raw = path.join(scratch, name);
        const asked = process.env.QUERN_NVCC_FLAGS?.split(" ") ?? []; // such as -DTRACE_CLOCKS, for the bench
        const flags = ["-std=c++17", "-O3", `-arch=${architecture}`, "-ptx", "-diag-suppress=1556", ...asked];
        execFileSync("nvcc", [...flags, ...defines, path.join(folder, `${part}.cu`), "-o", raw]);
        const text = withLeastVersion(readFileSync(raw, "utf8"), { architecture, scratch });
        writeFileSync(path.join(into, name), text);
        files[name] = sha256(text);
        const compiled = path.join(scratch, "compiled.cubin");
        execFileSync("ptxas", ["-O3", `-arch=${architecture}`, path.join(into, name), "-o", compiled]);
        writeFileSync(path.join(into, compiledName(name)), gzipSync(readFileSync(compiled), { level: 9 }));
        files[compiledName(name)] = compiledHash(path.join(into, compiledName(name)));
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const compiler = execFileSync("nvcc", ["--version"], { encoding: "utf8" });
  return { sources: sourceHash(), compiler: /release [\d.]+, V[\d.]+/.exec(compiler)?.[0] ?? "unknown", files };
}

/**
 * Comments name the compiler's build, which would make the stamp differ for no reason; the rest is a third of the text. Which bytes of a load are used
 * is a remark too, but one that asks for PTX 8.3 and with it for a driver of CUDA 12.3.
 */
export function withoutComments(ptx: string): string {
  return ptx.replace(/^\s*(\/\/|\.pragma "used_bytes_mask ).*\n/gm, "").replace(/\n{2,}/g, "\n");
}

function withLeastVersion(ptx: string, { architecture, scratch }: { architecture: string; scratch: string }): string {
  const plain = withoutComments(ptx);
  for (const version of ptxVersions.slice(architecture === "sm_80" ? 0 : 3)) {
    const text = plain.replace(/^\.version .*$/m, `.version ${version}`);
    const file = path.join(scratch, "try.ptx");
    writeFileSync(file, text);
    try {
      execFileSync("ptxas", ["-O0", `-arch=${architecture}`, file, "-o", path.join(scratch, "try.cubin")], {
        stdio: "ignore",
      });
      return text;
    } catch {
      // Too old for an instruction in the file: try the next.
    }
  }
  throw new Error("ptxas accepts none of the PTX versions.");
}

export function readStamp(): Stamp | undefined {
  return existsSync(stampFile) ? (JSON.parse(readFileSync(stampFile, "utf8")) as Stamp) : undefined;
}

if (process.argv[1] === import.meta.filename) {
  const stamp = buildKernels(path.join(folder, "ptx"));
  writeFileSync(stampFile, `${JSON.stringify(stamp, undefined, 2)}\n`);
  console.log(`Built ${Object.keys(stamp.files).length / 2} PTX files and their machine code with ${stamp.compiler}.`);
}
