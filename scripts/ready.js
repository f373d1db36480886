// Runs before `npm start` and `npm test`, on whatever Node the machine has, so plain JavaScript with no dependencies.
// Installs what package-lock.json names when node_modules does not hold it, and with --page builds the web page when its
// sources are newer than the build. Install scripts stay off: two of our dependencies would download a GPU toolkit or
// compile llama.cpp for twenty minutes (docs/decisions/0007-dependencies.md).
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => path.join(root, ...parts);
const digestOf = (files) => {
  const hash = createHash("sha256");
  for (const file of files) hash.update(path.relative(root, file)).update("\0").update(readFileSync(file));
  return hash.digest("hex");
};
const stampOf = (file) => (existsSync(file) ? readFileSync(file, "utf8") : "");

function run(title, command, args) {
  console.error(`quern: ${title}`);
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (result.status === 0) return;
  console.error(`quern: \`${command} ${args.join(" ")}\` failed. Run it by hand to see why, then try again.`);
  process.exit(result.status ?? 1);
}

const installStamp = at("node_modules", ".quern-ready");
const wanted = digestOf([at("package.json"), at("package-lock.json")]);
if (stampOf(installStamp) !== wanted) {
  run("installing the dependencies (once, about a minute) ...", "npm", [
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ]);
  writeFileSync(installStamp, wanted);
}

if (process.argv.includes("--page") && existsSync(at("web", "index.html"))) {
  const skipped = new Set(["dist", "node_modules"]);
  const filesBelow = (folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !skipped.has(entry.name))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) =>
        entry.isDirectory() ? filesBelow(path.join(folder, entry.name)) : [path.join(folder, entry.name)],
      );
  const pageStamp = at("web", "dist", ".quern-ready");
  const sources = [at("package-lock.json"), at("src", "server", "api-types.ts"), ...filesBelow(at("web"))];
  const built = digestOf(sources.filter((file) => existsSync(file)));
  if (stampOf(pageStamp) !== built) {
    const node = at("node_modules", ".bin", process.platform === "win32" ? "node.cmd" : "node");
    run("building the page ...", existsSync(node) ? node : process.execPath, [
      at("node_modules", "vite", "bin", "vite.js"),
      "build",
      "web",
      "--logLevel",
      "warn",
    ]);
    writeFileSync(pageStamp, built);
  }
}
