import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { readmeWithTables, withSection } from "../scripts/write-docs.ts";

const root = path.dirname(import.meta.dirname);

test("the READMEs' measured tables are what bench/results holds", () => {
  for (const language of ["zh", "en"] as const) {
    const { file, text } = readmeWithTables(language);
    assert.equal(readFileSync(file, "utf8"), text, "run: node scripts/write-docs.ts");
  }
});

test("a section is replaced between its marks, and missing marks are an error", () => {
  assert.equal(withSection("a<!-- x -->old<!-- /x -->b", "x", "new"), "a<!-- x -->\nnew\n<!-- /x -->b");
  assert.throws(() => withSection("nothing", "x", "new"), /no marks/);
});

test("links between the documents lead to files that exist", () => {
  const files = [...globSync("*.md", { cwd: root }), ...globSync("docs/**/*.md", { cwd: root })];
  assert.ok(files.length > 10);
  const broken = files.flatMap((file) => {
    const text = readFileSync(path.join(root, file), "utf8").replace(/```[\s\S]*?```/g, "");
    return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].flatMap(([, target = ""]) =>
      existsSync(path.resolve(root, path.dirname(file), target)) ? [] : [`${file} -> ${target}`],
    );
  });
  assert.deepEqual(broken, []);
});
