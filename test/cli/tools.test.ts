// The commands around the server: models, key, doctor.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import test from "node:test";
import { qwen3Instruct } from "../../src/models/catalogue.ts";
import { home, launcher, quern, start } from "./quern.ts";

test("models lists what there is, for people and as JSON", async () => {
  const [people, json] = await Promise.all([quern(["models"]), quern(["models", "list", "--json"])]);
  assert.match(people.out, /^quern-mini +bundled/m);
  assert.match(people.out, /^qwen3-4b-instruct-2507 +absent +2\.33 GiB/m);
  const listed = JSON.parse(json.out) as { id: string; state: string }[];
  assert.deepEqual(
    listed.map(({ id, state }) => `${id} ${state}`),
    ["qwen3-4b-instruct-2507 absent", "quern-mini bundled"],
  );
});

test("Ctrl-C stops a pull, which goes on from there the next time", async (t) => {
  const starts: number[] = [];
  const server = createServer((request, response) => {
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const [from, to] = [Number(first), last === "" ? qwen3Instruct.fileBytes - 1 : Number(last)];
    if (to - from > 1) starts.push(from);
    response.writeHead(206, {
      "content-range": `bytes ${from}-${to}/${qwen3Instruct.fileBytes}`,
      "content-length": to - from + 1,
      "x-linked-size": qwen3Instruct.fileBytes,
      "x-linked-etag": `"${qwen3Instruct.sha256}"`,
    });
    // The first four pieces come whole; the others never end.
    const isWhole = starts.length <= 4;
    const bytes = Buffer.alloc(isWhole ? to - from + 1 : 1024);
    if (from === 0) bytes.write("GGUF");
    if (isWhole) response.end(bytes);
    else response.write(bytes);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pull = async (wanted: number): Promise<{ code: number | null; err: string }> => {
    const running = start(["models", "pull", "qwen3-4b-instruct-2507", "--hub", hub]);
    while (starts.length < wanted && running.child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 5));
    running.child.kill("SIGINT");
    return running.finished;
  };
  const stopped = await pull(8);
  assert.equal(stopped.code, 130, stopped.err);
  assert.match(stopped.err, /The same command goes on from here/);
  const [listed] = JSON.parse((await quern(["models", "list", "--json"])).out) as { state: string }[];
  assert.equal(listed?.state, "partial");
  assert.match((await quern(["models"])).out, /qwen3-4b-instruct-2507 +partial +2\.33 GiB, \d+ % of it here/);
  const before = starts.splice(0);
  const again = await pull(4);
  assert.equal(again.code, 130, again.err);
  for (const whole of before.slice(0, 4)) assert.ok(!starts.includes(whole), `the piece at ${whole} was fetched again`);
  const removed = await quern(["models", "remove", "qwen3-4b-instruct-2507"]);
  assert.equal(removed.code, 0, removed.err);
});

test("a model that is not known, or a hub that is not there, is an error with a hint", async () => {
  const [unknown, hub, action] = await Promise.all([
    quern(["models", "pull", "gpt-5"]),
    quern(["models", "pull", "qwen3-4b-instruct-2507", "--hub", "nowhere"]),
    quern(["models", "eat", "x"]),
  ]);
  assert.deepEqual([unknown.code, hub.code, action.code], [1, 2, 2]);
  assert.match(unknown.err, /no model called "gpt-5"[\s\S]*qwen3-4b-instruct-2507/);
  assert.match(hub.err, /"nowhere" is no hub/);
});

test("a key is shown once, kept as a hash, listed and removed", async () => {
  const made = await quern(["key", "add", "laptop"]);
  assert.equal(made.code, 0);
  const key = made.out.trim();
  assert.match(key, /^qk-[\w-]{43}$/);
  const kept = readFileSync(path.join(home, "keys"), "utf8");
  assert.ok(!kept.includes(key) && /^laptop \S+ [0-9a-f]{64}\n$/.test(kept), kept);
  const [listed, twice] = await Promise.all([quern(["key", "list", "--json"]), quern(["key", "add", "laptop"])]);
  assert.deepEqual(
    (JSON.parse(listed.out) as { name: string }[]).map(({ name }) => name),
    ["laptop"],
  );
  assert.equal(twice.code, 1);
  assert.equal((await quern(["key", "remove", "laptop"])).code, 0);
  assert.deepEqual(
    [(await quern(["key", "list", "--json"])).out, readFileSync(path.join(home, "keys"), "utf8")],
    ["[]\n", ""],
  );
});

test("doctor tells a Quern on the port from something else", async (t) => {
  const ports: number[] = [];
  for (const body of ['{"status":"ok","engine":"llama","restarts":0}', "<html>"]) {
    const server = createServer((_request, response) => response.end(body));
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  const [ours, other] = await Promise.all(ports.map((port) => quern(["doctor", "--port", `${port}`])));
  assert.match(ours?.out ?? "", /ok +port +Quern answers on/);
  assert.match(other?.out ?? "", /note +port .* is in use\n.*choose another --port/);
});

test("doctor makes no data folder, and tells one that could not be made", async () => {
  const data = path.join(home, "not/yet");
  const [absent, impossible] = await Promise.all([
    quern(["doctor", "--json", "--port", "0", "--data", data]),
    quern(["doctor", "--json", "--port", "0", "--data", path.join(launcher, "below")]),
  ]);
  assert.equal(absent.code, 0, absent.out);
  assert.match(absent.out, /made at the first start/);
  assert.ok(!existsSync(path.dirname(data)));
  assert.equal(impossible.code, 1);
});

test("a data folder that nobody can make is refused with a sentence by every command that would make it", {
  skip: process.platform === "linux" ? false : "there is no /proc on this system",
}, async () => {
  const commands = [
    ["serve", "--port", "0"],
    ["models", "pull", "qwen3-4b-instruct-2507"],
    ["key", "add", "laptop"],
    ["doctor", "--port", "0"],
  ];
  for (const command of commands) {
    const { code, out, err } = await quern([...command, "--data", "/proc/quern/below"]);
    assert.equal(code, 1, command.join(" "));
    assert.match(out + err, /\/proc\/quern.*(cannot|could not) be/, command.join(" "));
    assert.doesNotMatch(err, / at .*\.ts:/, "no stack for what is no fault of ours");
  }
});

test("doctor finds nothing to stop a sound installation, and names what would", async () => {
  const page = path.join(home, "page.gguf");
  writeFileSync(page, "<!doctype html>");
  const [sound, broken] = await Promise.all([
    quern(["doctor", "--json", "--port", "0"]),
    quern([
      "doctor",
      "--json",
      "--port",
      "0",
      "--host",
      "0.0.0.0",
      "--model",
      page,
      "--data",
      path.join(page, "below"),
    ]),
  ]);
  assert.equal(sound.code, 0, sound.out);
  const findings = JSON.parse(sound.out) as { what: string; verdict: string }[];
  for (const what of ["runtime", "gpu", "memory", "model", "engine", "port", "disk"])
    assert.ok(
      findings.some((finding) => finding.what === what && finding.verdict !== "fault"),
      what,
    );
  assert.equal(broken.code, 1);
  const faults = (JSON.parse(broken.out) as { what: string; verdict: string; advice?: string }[]).filter(
    ({ verdict }) => verdict === "fault",
  );
  assert.deepEqual(
    faults.map(({ what }) => what),
    ["model", "port", "disk"],
  );
  for (const { what, advice } of faults) assert.ok(advice, `${what} has no advice`);
});
