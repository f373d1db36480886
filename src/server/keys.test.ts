import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { AppError } from "../base/errors.ts";
import { assertBindingAllowed, isLoopback, listKeys, makeKey, openKeys, removeKey } from "./keys.ts";

function inFolder(run: (file: string) => void): void {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-keys-"));
  try {
    run(path.join(folder, "deeper", "keys"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a key is known by its name, and its file holds only a hash", () => {
  inFolder((file) => {
    const key = makeKey(file, "laptop");
    const other = makeKey(file, "ci");
    assert.match(key, /^qk-[\w-]{43}$/);
    assert.equal(openKeys(file).nameOf(key), "laptop");
    assert.equal(openKeys(file).nameOf(other), "ci");
    assert.equal(openKeys(file).nameOf(`${key}x`), undefined);
    assert.ok(!readFileSync(file, "utf8").includes(key));
    if (process.platform !== "win32") assert.equal(statSync(file).mode & 0o777, 0o600);
  });
});

test("a removed key stops working while the server runs", () => {
  inFolder((file) => {
    const key = makeKey(file, "a");
    makeKey(file, "b");
    let now = 0;
    const keys = openKeys(file, { now: () => now });
    removeKey(file, "a");
    now = 5000;
    assert.equal(keys.nameOf(key), undefined);
    assert.equal(keys.count, 1);
    assert.deepEqual(
      listKeys(file).map(({ name }) => name),
      ["b"],
    );
  });
});

test("a file damaged while the server runs keeps the keys last read", () => {
  inFolder((file) => {
    const key = makeKey(file, "a");
    let now = 0;
    const keys = openKeys(file, { now: () => now });
    writeFileSync(file, "half a li");
    now = 5000;
    assert.equal(keys.nameOf(key), "a");
    assert.throws(() => openKeys(file), /Line 1 of .* is not "name date hash"/);
  });
});

test("two keys of one name, a name with spaces and a stranger to remove are refused", () => {
  inFolder((file) => {
    makeKey(file, "a");
    assert.throws(() => makeKey(file, "a"), /named a already/);
    assert.throws(() => makeKey(file, "a b"), /is no name/);
    assert.throws(() => removeKey(file, "c"), /no key named c/);
  });
});

test("binding beyond loopback without a key is refused and says how to make one", () => {
  for (const host of ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.0.1"]) assertBindingAllowed(host, undefined);
  for (const host of ["0.0.0.0", "::", "192.168.1.2", "quern.example", "127.0.0.1.example"]) {
    assert.ok(!isLoopback(host), host);
    assert.throws(
      () => assertBindingAllowed(host, undefined),
      (error) => error instanceof AppError && error.code === "forbidden" && /quern key add/.test(error.hint ?? ""),
    );
  }
  inFolder((file) => {
    assert.throws(() => assertBindingAllowed("0.0.0.0", openKeys(file)));
    makeKey(file, "a");
    assertBindingAllowed("0.0.0.0", openKeys(file));
  });
});
