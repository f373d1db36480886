import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { makeFolder, nearestFolder } from "./make-folder.ts";

const place = mkdtempSync(path.join(os.tmpdir(), "quern-folder-"));
after(() => rmSync(place, { recursive: true, force: true }));

test("a folder is made with all that it stands in, and may be there already", () => {
  const deep = path.join(place, "a/b/c");
  makeFolder(deep);
  makeFolder(deep);
  assert.ok(statSync(deep).isDirectory());
});

test("a file in the way is an error, at the end of the path and on the way", () => {
  const file = path.join(place, "file");
  writeFileSync(file, "");
  assert.throws(() => makeFolder(file), { code: "storage", message: /EEXIST/ });
  assert.throws(() => makeFolder(path.join(file, "below")), { code: "storage", message: /EEXIST/ });
});

test("where the system lets nobody make folders, that is an error and not a wait without end", {
  skip: process.platform === "linux" ? false : "there is no /proc on this system",
}, () => {
  assert.throws(() => makeFolder("/proc/quern/below"), { code: "storage", message: /ENOENT/ });
});

test("the nearest folder is the one that is there", () => {
  assert.equal(nearestFolder(place), place);
  assert.equal(nearestFolder(path.join(place, "not/there")), place);
});
