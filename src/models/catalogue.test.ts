import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { afterEach, beforeEach } from "node:test";
import {
  catalogue,
  entryNamed,
  fileOf,
  listModels,
  modelsFolder,
  quernMini,
  qwen3Instruct,
  removeModel,
  resolveModel,
} from "./catalogue.ts";
import { partNames } from "./part-file.ts";

let dataFolder = "";
beforeEach(() => {
  dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-data-"));
});
afterEach(() => rmSync(dataFolder, { recursive: true }));

/** A file of the right length without its content: enough for what only looks at sizes. */
function sparse(file: string, bytes: number): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, "");
  truncateSync(file, bytes);
  return file;
}

/** A download of the real model with its first thousand bytes done. */
function begun(): void {
  const { part, record } = partNames(fileOf(qwen3Instruct, dataFolder));
  const { sha256, fileBytes } = qwen3Instruct;
  sparse(part, fileBytes);
  const chunks = ["0".repeat(64), ...Array<null>(2).fill(null)];
  writeFileSync(record, JSON.stringify({ version: 1, sha256, fileBytes, chunkBytes: 1000, chunks }));
}

test("the bundled model is the file that the catalogue pins", () => {
  const bytes = readFileSync(fileOf(quernMini, dataFolder));
  assert.equal(bytes.length, quernMini.fileBytes);
  assert.equal(createHash("sha256").update(bytes).digest("hex"), quernMini.sha256);
});

test("auto takes the demonstration model and says so, until the real one is there whole", () => {
  const before = resolveModel({ model: "auto", dataFolder });
  assert.equal(before.id, "quern-mini");
  assert.equal(before.isDemonstration, true);
  assert.deepEqual([before.defaults.temperature, before.defaults.maxTokens], [0, 1024]);
  assert.match(before.note ?? "", /qwen3-4b-instruct-2507 is not downloaded\.$/);

  begun();
  const partial = resolveModel({ model: "auto", dataFolder });
  assert.match(partial.note ?? "", /only partly downloaded: 1000 of 2497281120 bytes are there/);

  const file = sparse(fileOf(qwen3Instruct, dataFolder), 1000);
  const damaged = resolveModel({ model: "auto", dataFolder });
  assert.equal(damaged.id, "quern-mini");
  assert.match(damaged.note ?? "", /is damaged/);

  truncateSync(file, qwen3Instruct.fileBytes);
  const after = resolveModel({ model: "auto", dataFolder });
  assert.deepEqual(
    [after.id, after.file, after.isDemonstration, after.note],
    [qwen3Instruct.id, file, false, undefined],
  );
  assert.deepEqual(after.defaults, { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 });
});

test("a model that is not downloaded is refused with the command that fetches it", () => {
  const refused = { code: "not_found", message: /is not downloaded/, hint: /quern models pull qwen3-4b-instruct-2507/ };
  assert.throws(() => resolveModel({ model: "qwen3-4b-instruct-2507", dataFolder }), refused);
  begun();
  assert.throws(() => resolveModel({ model: "Qwen3-4B-Instruct-2507", dataFolder }), {
    message: /only partly downloaded: 1000 of/,
  });
});

test("an unknown name is refused with the names that exist", () => {
  assert.throws(() => resolveModel({ model: "gpt-5", dataFolder }), {
    code: "not_found",
    message: /"gpt-5"/,
    hint: /qwen3-4b-instruct-2507, quern-mini/,
  });
  assert.throws(() => entryNamed("../etc"), { code: "not_found" });
});

test("a path to a GGUF file is taken as it is, a bare name is looked for in the data folder", () => {
  const file = sparse(path.join(modelsFolder(dataFolder), "Mine.GGUF"), 10);
  for (const model of [file, "Mine.GGUF"]) {
    const { id, file: found, isDemonstration } = resolveModel({ model, dataFolder });
    assert.deepEqual([id, found, isDemonstration], ["Mine", file, false]);
  }
  assert.throws(() => resolveModel({ model: "elsewhere/Mine.GGUF", dataFolder }), { code: "not_found" });
});

test("the bundled file named by its path is still the demonstration model", () => {
  const { id, isDemonstration } = resolveModel({ model: fileOf(quernMini, dataFolder), dataFolder });
  assert.deepEqual([id, isDemonstration], ["quern-mini", true]);
});

test("the list shows every model's state, and files of one's own", () => {
  const states = () => listModels(dataFolder).map(({ id, state }) => [id, state]);
  assert.deepEqual(states(), [
    ["qwen3-4b-instruct-2507", "absent"],
    ["quern-mini", "bundled"],
  ]);
  begun();
  sparse(path.join(modelsFolder(dataFolder), "mine.gguf"), 5);
  assert.deepEqual(states(), [
    ["qwen3-4b-instruct-2507", "partial"],
    ["quern-mini", "bundled"],
    ["mine.gguf", "own file"],
  ]);
  sparse(fileOf(qwen3Instruct, dataFolder), 5);
  assert.deepEqual(states()[0], ["qwen3-4b-instruct-2507", "damaged"]);
  truncateSync(fileOf(qwen3Instruct, dataFolder), qwen3Instruct.fileBytes);
  assert.deepEqual(states()[0], ["qwen3-4b-instruct-2507", "downloaded"]);
});

test("removing deletes the file and its traces, never the bundled model or one in use", () => {
  const file = fileOf(qwen3Instruct, dataFolder);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, Buffer.alloc(8192, 1));
  writeFileSync(partNames(file).record, "{}");
  writeFileSync(partNames(file).lock, String(process.pid));
  assert.throws(() => removeModel(qwen3Instruct.id, dataFolder), { code: "conflict" });
  rmSync(partNames(file).lock);
  assert.ok(removeModel(qwen3Instruct.id, dataFolder) >= 8192);
  assert.equal(existsSync(file) || existsSync(partNames(file).record), false);
  assert.equal(removeModel(qwen3Instruct.id, dataFolder), 0);
  assert.throws(() => removeModel("quern-mini", dataFolder), { code: "bad_request" });
});

test("every entry of the catalogue can be told apart", () => {
  assert.equal(new Set(catalogue.map(({ id }) => id)).size, catalogue.length);
  for (const { sha256 } of catalogue) assert.match(sha256, /^[0-9a-f]{64}$/);
});
