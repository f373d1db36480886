import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { AppError } from "./errors.ts";
import { parseSettings, refuseUnknown, settingsHelp, settingsMarkdown } from "./settings.ts";

const refusal = (run: () => unknown): AppError => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof AppError);
    return error;
  }
  assert.fail("nothing was refused");
};

test("a flag wins over the environment and the environment over the default", () => {
  const { settings, sources } = parseSettings(["--port", "9000"], { QUERN_PORT: "8000", QUERN_PARALLEL: "2" });
  assert.equal(settings.port, 9000);
  assert.equal(settings.parallel, 2);
  assert.equal(settings.host, "127.0.0.1");
  assert.deepEqual([sources.port, sources.parallel, sources.host], ["command line", "environment", "default"]);
});

test("token counts and byte counts take K, M and G", () => {
  const { settings } = parseSettings(["--context=32K", "--body-limit", "1.5M"], {});
  assert.equal(settings.context, 32768);
  assert.equal(settings.bodyLimit, 1_572_864);
});

test("a malformed value names the flag or the variable", () => {
  assert.match(refusal(() => parseSettings(["--port", "80x"], {})).message, /^--port: "80x"/);
  assert.match(refusal(() => parseSettings([], { QUERN_ENGINE: "gpu" })).message, /^QUERN_ENGINE: "gpu" is none of/);
  assert.match(refusal(() => parseSettings(["--port"], {})).message, /needs a value/);
});

test("an unknown flag or variable is refused with the nearest name", () => {
  assert.match(refusal(() => refuseUnknown(parseSettings(["--prot", "1"], {}).rest)).hint ?? "", /--port/);
  assert.match(refusal(() => parseSettings([], { QUERN_PROT: "1" })).hint ?? "", /QUERN_PORT/);
});

test("words and everything behind -- are left for the command", () => {
  const { rest } = parseSettings(["run", "--port", "1", "--", "--port", "2"], {});
  assert.deepEqual(rest, ["run", "--", "--port", "2"]);
});

test("docs/settings.md is what the table says", () => {
  const file = path.join(import.meta.dirname, "../../docs/settings.md");
  assert.equal(readFileSync(file, "utf8"), settingsMarkdown(), "run: node scripts/write-docs.ts");
  assert.match(settingsHelp(), /--api-key-file FILE/);
});
