import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { home, launcher, quern, start } from "./quern.ts";

test("an unknown setting, flag or variable, stops the command with exit code 2 and names itself", async () => {
  const [flag, variable, value, shown] = await Promise.all([
    quern(["serve", "--prot", "1"]),
    quern(["serve"], { env: { QUERN_PROT: "1" } }),
    quern(["serve", "--port", "80x"]),
    quern(["--print-settings", "--prot", "1"]),
  ]);
  for (const { code, out } of [flag, variable, value, shown]) assert.deepEqual([code, out], [2, ""]);
  assert.match(flag.err, /no setting --prot\.\n.*--port/);
  assert.match(variable.err, /no setting QUERN_PROT\.\n.*QUERN_PORT/);
  assert.match(value.err, /--port: "80x" is not a whole number/);
  assert.match(shown.err, /no setting --prot/);
});

test("--print-settings tells each value and where it came from, but not the key", async () => {
  const { code, out } = await quern(["--print-settings", "--port", "8000", "--api-key", "hidden-secret"], {
    env: { QUERN_PARALLEL: "2" },
  });
  assert.equal(code, 0);
  assert.match(out, /^--port +8000 +command line$/m);
  assert.match(out, /^--parallel +2 +environment$/m);
  assert.match(out, /^--host +127\.0\.0\.1 +default$/m);
  assert.doesNotMatch(out, /hidden-secret/);
});

test("--help lists every command, and each command has a help of its own", async () => {
  const { code, out } = await quern(["--help"]);
  assert.equal(code, 0);
  const names = [...out.matchAll(/^ {2}quern (\w+)/gm)].map(([, name]) => name ?? "");
  for (const name of ["serve", "chat", "run", "models", "key", "doctor", "bench"])
    assert.ok(names.includes(name), name);
  const help = await quern(["run", "--help"]);
  assert.equal(help.code, 0);
  assert.ok(help.out.startsWith("quern run "), help.out);
  assert.match(help.out, /--port N/);
  assert.match(help.out, /-t, --template NAME .*写周报[\s\S]*exit code is 3/);
  assert.match(out, /Exit codes: 0 done/);
  const unknown = await quern(["sevre"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /no command sevre/);
});

test("a word that a command has no use for is refused, not passed over", async () => {
  const commands = ["serve", "chat", "doctor", "bench", "models remove quern-mini", "key list laptop"];
  const ended = await Promise.all(commands.map((command) => quern([...command.split(" "), "stray"])));
  for (const [index, { code, err }] of ended.entries()) {
    assert.equal(code, 2, `${commands[index]}: ${err}`);
    assert.match(err, /Nothing is known to do with "stray"/);
  }
});

test("a Node that is too old gets a sentence, not a syntax error", async () => {
  const folder = path.join(home, "copy/scripts");
  mkdirSync(folder, { recursive: true });
  cpSync(launcher, path.join(folder, "quern.mjs"));
  // The launcher asks for the version once; nothing else of an old Node can be played here.
  const old =
    "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})";
  const { code, err } = await start(["--import", old, path.join(folder, "quern.mjs")], { file: process.execPath })
    .finished;
  assert.equal(code, 1);
  assert.match(err, /needs Node 24 or newer; this is Node 20\.20\.2/);
  assert.match(err, /npm start/);
});
