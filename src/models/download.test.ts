// Every failure that a network offers, from a local server that can be told to commit it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import test, { afterEach, beforeEach } from "node:test";
import { type CatalogueEntry, fileOf, modelsFolder } from "./catalogue.ts";
import { type PullOptions, type PullTuning, pullModel } from "./download.ts";
import { openProgress, type PullProgress } from "./download-progress.ts";
import { findOffer, hubNamed, modelscopeAt } from "./hub.ts";
import { partBytes, partNames } from "./part-file.ts";

const chunkBytes = 32 * 1024;
const content = pseudoRandom(10 * chunkBytes + 1234);
content.write("GGUF");
const sha256 = createHash("sha256").update(content).digest("hex");
const source = { repository: "someone/some-model", file: "some model.gguf", revisions: ["main", "abc123"] };
const entry: CatalogueEntry = {
  id: "test-model",
  about: { en: "", zh: "" },
  fileName: "test.gguf",
  fileBytes: content.length,
  sha256,
  contextTokens: 1,
  isDemonstration: false,
  defaults: { temperature: 0, topP: 1, topK: 0, minP: 0 },
  sources: { huggingface: source, modelscope: source },
};

interface Call {
  path: string;
  range: { start: number; end: number } | undefined;
  /** How many requests came before this one. */
  before: number;
}
/** Handles a request in its own way, or returns false for the ordinary answer. */
type Mischief = (call: Call, response: ServerResponse, request: IncomingMessage) => boolean;

let dataFolder = "";
let server: Server;
let hub = "";
let calls: Call[] = [];
let mischief: Mischief = () => false;

beforeEach(async () => {
  dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-pull-"));
  calls = [];
  mischief = () => false;
  server = createServer((request, response) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const range = match ? { start: Number(match[1]), end: Number(match[2]) + 1 } : undefined;
    const call = { path: request.url ?? "", range, before: calls.length };
    calls.push(call);
    if (!mischief(call, response, request)) serve(call, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(dataFolder, { recursive: true });
});

function serve({ range }: Pick<Call, "range">, response: ServerResponse, bytes: Buffer = content): void {
  const { start, end } = range ?? { start: 0, end: bytes.length };
  response.writeHead(range ? 206 : 200, {
    "content-type": "application/octet-stream",
    "content-length": end - start,
    ...(range ? { "content-range": `bytes ${start}-${end - 1}/${bytes.length}` } : {}),
  });
  response.end(bytes.subarray(start, end));
}

const quick: Partial<PullTuning> = { chunkBytes, connections: 3, stallMs: 2000, retryDelayMs: 1, retries: 4 };

function pull(options: Partial<PullOptions> = {}) {
  return pullModel({ entry, hub, dataFolder, ...options, tuning: { ...quick, ...options.tuning } });
}

function assertWhole(): void {
  const file = fileOf(entry, dataFolder);
  assert.ok(readFileSync(file).equals(content), "the file is not what the hub has");
  assert.equal(existsSync(partNames(file).part), false);
  assert.equal(existsSync(partNames(file).lock), false);
}

function assertNothingServed(): void {
  assert.equal(existsSync(fileOf(entry, dataFolder)), false);
  assert.equal(existsSync(partNames(fileOf(entry, dataFolder)).lock), false);
}

/** Requests for data, without the one byte that asks what there is. */
const dataCalls = (): Call[] => calls.filter(({ range }) => !range || range.end - range.start > 1);

test("a model is fetched in ranges over several connections, and its progress ends at the whole", async () => {
  const told: PullProgress[] = [];
  const result = await pull({ onProgress: (progress) => told.push(progress) });
  assert.deepEqual(result, { outcome: "downloaded", file: path.join(modelsFolder(dataFolder), "test.gguf") });
  assertWhole();
  assert.equal(calls[0]?.path, "/someone/some-model/resolve/main/some%20model.gguf");
  assert.equal(dataCalls().length, 11);
  assert.deepEqual([...new Set(told.map(({ phase }) => phase))], ["connecting", "downloading", "checking"]);
  assert.equal(told.at(-1)?.doneBytes, content.length);
});

test("a model that is there is checked and not fetched again", async () => {
  await pull();
  const before = calls.length;
  assert.equal((await pull()).outcome, "present");
  assert.equal(calls.length, before);
});

test("chunks that were damaged on the disk are the only ones fetched again", async () => {
  await pull();
  const file = fileOf(entry, dataFolder);
  const damaged = readFileSync(file);
  damaged[4 * chunkBytes + 5] = (damaged[4 * chunkBytes + 5] ?? 0) ^ 1;
  writeFileSync(file, damaged);
  calls = [];
  assert.equal((await pull()).outcome, "downloaded");
  assertWhole();
  assert.deepEqual(
    dataCalls().map(({ range }) => range?.start),
    [4 * chunkBytes],
  );
});

/** Drops a connection when these bytes are written down: what has come and was not read yet goes with the connection. */
function dropOnceKept(response: ServerResponse, start: number, end: number): void {
  const { part } = partNames(fileOf(entry, dataFolder));
  const look = (): void => {
    if (response.destroyed) return;
    const isKept = existsSync(part) && readFileSync(part).subarray(start, end).equals(content.subarray(start, end));
    if (isKept) response.destroy();
    else setTimeout(look, 2);
  };
  look();
}

test("connections that drop are taken up where they broke", async () => {
  mischief = ({ range, before }, response) => {
    // Every second request, but of a chunk only as often as patience lasts: which requests are the second ones is chance.
    if (!range || range.end - range.start < chunkBytes / 4 || before % 2 === 0) return false;
    const half = Math.ceil((range.end - range.start) / 2);
    response.writeHead(206, { "content-length": range.end - range.start });
    response.write(content.subarray(range.start, range.start + half));
    dropOnceKept(response, range.start, range.start + half);
    return true;
  };
  await pull();
  assertWhole();
  assert.ok(
    dataCalls().some(({ range }) => (range?.start ?? 0) % chunkBytes !== 0),
    "nothing was taken up in mid-chunk",
  );
});

test("a connection that stalls is given up and tried again", async () => {
  let stalls = 0;
  mischief = ({ range }, response) => {
    if (range?.start !== 2 * chunkBytes || stalls++ > 0) return false;
    response.writeHead(206, { "content-length": chunkBytes });
    response.write(content.subarray(range.start, range.start + 10));
    return true;
  };
  await pull({ tuning: { stallMs: 150 } });
  assertWhole();
  assert.ok(stalls >= 1);
});

test("a server that stalls for ever ends in a download error with another hub to try", async () => {
  mischief = ({ range }, response) => {
    if (range?.start === 0 && range.end === 1) return false;
    response.writeHead(206);
    response.flushHeaders();
    return true;
  };
  await assert.rejects(pull({ tuning: { stallMs: 60, retries: 1 } }), {
    code: "download",
    message: /test-model could not be fetched: 127\.0\.0\.1:\d+ sent nothing for 0\.06 s\./,
    hint: /--hub/,
  });
  assertNothingServed();
});

test("busy answers are waited out", async () => {
  const refusals = new Map<number, number>();
  mischief = ({ range }, response) => {
    const start = range?.start ?? 0;
    const count = refusals.get(start) ?? 0;
    refusals.set(start, count + 1);
    if (count >= 2) return false;
    response.writeHead(count === 0 ? 503 : 429, { "retry-after": "0" }).end();
    return true;
  };
  await pull();
  assertWhole();
});

test("a length that is not the model's is refused before anything is fetched", async () => {
  mischief = (_, response) => {
    response.writeHead(206, { "content-range": "bytes 0-0/999", "content-length": 1 }).end("G");
    return true;
  };
  await assert.rejects(pull(), { code: "download", message: /has 999 bytes; it should have 328914/ });
  assert.equal(dataCalls().length, 0);
});

test("a server that ends too early without a word is asked for the rest", async () => {
  mischief = ({ range }, response) => {
    if (range?.start !== chunkBytes) return false;
    response.writeHead(206, { "content-range": `bytes ${range.start}-${range.end - 1}/${content.length}` });
    response.end(content.subarray(range.start, range.end - 100));
    return true;
  };
  await pull();
  assertWhole();
  assert.ok(dataCalls().some(({ range }) => range?.start === 2 * chunkBytes - 100));
});

test("a range that is answered with more than was asked for is refused", async () => {
  mischief = ({ range }, response) => {
    if (!range || range.end - range.start < 100) return false;
    response.writeHead(206).end(content.subarray(range.start, range.end + 10));
    return true;
  };
  await assert.rejects(pull({ tuning: { retries: 2 } }), {
    code: "download",
    message: /more bytes than it was asked for/,
  });
  assertNothingServed();
});

test("a chunk that was corrupted on the way is found, and it alone is written again", async () => {
  let corrupted = 0;
  mischief = ({ range }, response) => {
    if (range?.start !== 7 * chunkBytes || corrupted++ > 0) return false;
    const wrong = Buffer.from(content);
    wrong[range.start + 100] = (wrong[range.start + 100] ?? 0) ^ 0x40;
    serve({ range }, response, wrong);
    return true;
  };
  const phases = new Set<string>();
  await pull({ onProgress: ({ phase }) => phases.add(phase) });
  assertWhole();
  assert.ok(phases.has("mending"));
});

test("a hub that always delivers other bytes is named, and nothing of them stays", async () => {
  const wrong = Buffer.from(content);
  wrong[3 * chunkBytes] = (wrong[3 * chunkBytes] ?? 0) ^ 1;
  mischief = (call, response) => {
    serve(call, response, wrong);
    return true;
  };
  await assert.rejects(pull(), { code: "download", message: /delivered another file than it should/ });
  assertNothingServed();
  assert.equal(existsSync(partNames(fileOf(entry, dataFolder)).part), false);
});

test("redirects are followed, and a size or hash stated on the way is believed", async () => {
  mischief = ({ path: where }, response) => {
    if (where.startsWith("/store/")) return false;
    const isRenamed = where.startsWith("/someone/");
    response.writeHead(isRenamed ? 307 : 302, {
      location: isRenamed ? "/new-name/file" : `${hub}/store/blob?signature=1`,
      ...(isRenamed ? {} : { "x-linked-size": content.length, "x-linked-etag": `"${sha256}"`, etag: '"another"' }),
    });
    response.end();
    return true;
  };
  await pull();
  assertWhole();
});

test("a hub that offers another upload is asked for the pinned revision", async () => {
  mischief = ({ path: where }, response) => {
    if (!where.includes("/main/")) return false;
    response.writeHead(200, { "x-linked-etag": `"${"0".repeat(64)}"`, "content-length": content.length }).end(content);
    return true;
  };
  await pull();
  assertWhole();
  assert.ok(dataCalls().every(({ path: where, before }) => before === 0 || where.includes("/abc123/")));
});

test("a hub with nothing but another upload is refused by its hash", async () => {
  mischief = ({ path: where }, response) => {
    if (where === "/store") return false;
    response.writeHead(302, { location: "/store", "x-linked-etag": `"${"0".repeat(64)}"` }).end();
    return true;
  };
  await assert.rejects(pull(), { code: "download", message: /another test\.gguf than the one Quern was tested with/ });
});

test("redirects without end are refused", async () => {
  mischief = (_, response) => {
    response.writeHead(302, { location: "/again" }).end();
    return true;
  };
  await assert.rejects(pull(), { code: "download", message: /redirects without end/ });
});

test("a server that knows no ranges is read in one stream, over drops", async () => {
  let drops = 0;
  mischief = (_, response) => {
    response.writeHead(200, { "content-length": content.length });
    // Each time two chunks further.
    const reach = (2 + 2 * drops++) * chunkBytes + 100;
    if (reach >= content.length) response.end(content);
    else {
      response.write(content.subarray(0, reach));
      dropOnceKept(response, 0, reach);
    }
    return true;
  };
  await pull({ tuning: { retries: 1 } });
  assertWhole();
  assert.ok(drops > 2);
});

test("wrong bytes from a server without ranges are fetched once more", async () => {
  const wrong = Buffer.from(content);
  wrong[5 * chunkBytes] = (wrong[5 * chunkBytes] ?? 0) ^ 1;
  mischief = ({ before }, response) => {
    serve({ range: undefined }, response, before < 2 ? wrong : content);
    return true;
  };
  await pull();
  assertWhole();
});

test("404 and 403 are told at once, without repetition", async () => {
  for (const status of [404, 403]) {
    calls = [];
    mischief = (_, response) => {
      response.writeHead(status).end("no");
      return true;
    };
    await assert.rejects(pull(), {
      code: "download",
      message: new RegExp(`answered HTTP ${status}`),
      details: { status },
    });
    assert.equal(calls.length, source.revisions.length);
  }
});

test("a web page in place of the file is named as one", async () => {
  mischief = (_, response) => {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>Log in to the hotel</html>");
    return true;
  };
  await assert.rejects(pull(), { code: "download", message: /a web page instead of the file/ });
  assertNothingServed();
});

test("a file of the right length that is no GGUF is found out by its first bytes", async () => {
  mischief = (call, response) => {
    serve(call, response, Buffer.alloc(content.length, "x"));
    return true;
  };
  await assert.rejects(pull(), { code: "download", message: /no GGUF file/ });
});

test("a hub that cannot be reached is named, with the reason", async () => {
  const unused = createServer();
  await new Promise<void>((resolve) => unused.listen(0, "127.0.0.1", resolve));
  const { port } = unused.address() as AddressInfo;
  await new Promise((resolve) => unused.close(resolve));
  await assert.rejects(pull({ hub: `http://127.0.0.1:${port}` }), {
    code: "download",
    message: /the connection was refused/,
    hint: /--hub/,
  });
});

test("a hub that is never reached leaves nothing behind", async () => {
  mischief = (_, response) => !!response.writeHead(404).end();
  await assert.rejects(pull(), { code: "download" });
  assert.deepEqual(readdirSync(modelsFolder(dataFolder)), []);
});

test("a download that lacks only its name needs no network", async () => {
  await pull();
  const file = fileOf(entry, dataFolder);
  renameSync(file, partNames(file).part);
  calls = [];
  assert.equal((await pull()).outcome, "downloaded");
  assertWhole();
  assert.equal(calls.length, 0);
});

test("a cancelled download goes on later with what it had", async () => {
  const stop = new AbortController();
  mischief = ({ range }) => {
    if ((range?.start ?? 0) >= 6 * chunkBytes) stop.abort();
    return (range?.start ?? 0) >= 6 * chunkBytes;
  };
  assert.equal((await pull({ signal: stop.signal, tuning: { connections: 1 } })).outcome, "cancelled");
  assertNothingServed();
  assert.equal(partBytes(fileOf(entry, dataFolder)), 6 * chunkBytes);

  mischief = () => false;
  calls = [];
  assert.equal((await pull()).outcome, "downloaded");
  assertWhole();
  assert.equal(Math.min(...dataCalls().map(({ range }) => range?.start ?? 0)), 6 * chunkBytes);
});

test("an aborted signal from the start fetches nothing", async () => {
  assert.equal((await pull({ signal: AbortSignal.abort() })).outcome, "cancelled");
  assert.equal(calls.length, 0);
});

test("a record that is damaged or of another file is not trusted", async () => {
  const file = fileOf(entry, dataFolder);
  for (const record of [
    "{",
    '{"version":1}',
    JSON.stringify({ version: 1, sha256: "other", fileBytes: content.length, chunkBytes, chunks: Array(11).fill("x") }),
  ]) {
    mkdirSync(path.dirname(file), { recursive: true });
    rmSync(file, { force: true });
    writeFileSync(partNames(file).part, "old");
    writeFileSync(partNames(file).record, record);
    calls = [];
    await pull();
    assertWhole();
    assert.equal(dataCalls().length, 11);
  }
});

test("a disk without room is refused before anything is fetched, with the numbers", async () => {
  await assert.rejects(pull({ tuning: { freeBytes: async () => 1024 } }), {
    code: "storage",
    message: /test-model needs 65 MiB more; 1 MiB are free/,
    details: { neededBytes: content.length + 64 * 1024 ** 2, freeBytes: 1024 },
  });
  assert.equal(dataCalls().length, 0);
});

test("a folder that cannot be made is a storage error", async () => {
  writeFileSync(path.join(dataFolder, "models"), "a file where the folder should be");
  await assert.rejects(pull(), { code: "storage", hint: /--data/ });
});

test("two downloads of one model at once are refused, and a dead one's sign is not in the way", async () => {
  const file = fileOf(entry, dataFolder);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(partNames(file).lock, "999999999");
  const first = pull();
  await assert.rejects(pull(), { code: "conflict", message: new RegExp(`by process ${process.pid}`) });
  await first;
  assertWhole();
});

test("a download whose process is killed goes on with the chunks it had", async () => {
  const script = `
    import { pullModel } from ${JSON.stringify(path.join(import.meta.dirname, "download.ts"))};
    await pullModel(JSON.parse(process.argv[1]));`;
  const options = { entry, hub, dataFolder, tuning: { ...quick, connections: 1 } };
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, JSON.stringify(options)]);
  mischief = ({ range }) => {
    if ((range?.start ?? 0) < 4 * chunkBytes) return false;
    child.kill("SIGKILL");
    return true;
  };
  await once(child, "exit");
  assert.equal(existsSync(fileOf(entry, dataFolder)), false);
  assert.equal(partBytes(fileOf(entry, dataFolder)), 4 * chunkBytes);
  mischief = () => false;
  calls = [];
  await pull();
  assertWhole();
  assert.equal(dataCalls().length, 7);
});

test("ModelScope's listing states the hash before anything is fetched", async () => {
  let listedHash = sha256;
  mischief = ({ path: where }, response) => {
    if (!where.startsWith("/api/v1/models/someone/some-model/repo/files?Revision=")) return false;
    const Files = [{ Path: "README.md" }, { Path: source.file, Size: content.length, Sha256: listedHash }];
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ Code: 200, Data: { Files } }));
    return true;
  };
  const asked = { hub: modelscopeAt("modelscope", hub), patience: { stallMs: 2000, retryDelayMs: 1, retries: 1 } };
  const signal = new AbortController().signal;
  const offer = await findOffer(entry, { ...asked, signal });
  assert.deepEqual(offer, {
    url: `${hub}/models/someone/some-model/resolve/main/some%20model.gguf`,
    takesRanges: true,
  });
  listedHash = "1".repeat(64);
  await assert.rejects(findOffer(entry, { ...asked, signal }), { message: /another test\.gguf than the one/ });
  listedHash = "";
  await findOffer(entry, { ...asked, signal });
  mischief = ({ path: where }, response) => where.startsWith("/api/") && !!response.writeHead(404).end("gone");
  assert.equal((await findOffer(entry, { ...asked, signal })).takesRanges, true);
});

test("ModelScope's addresses are its own", () => {
  const modelscope = hubNamed("modelscope");
  assert.equal(
    modelscope.addressOf(source, "master"),
    "https://modelscope.cn/models/someone/some-model/resolve/master/some%20model.gguf",
  );
  assert.equal(
    modelscope.listingOf?.(source, "master"),
    "https://modelscope.cn/api/v1/models/someone/some-model/repo/files?Revision=master&Recursive=true",
  );
});

test("hubs are names or addresses, with or without a path", () => {
  assert.equal(
    hubNamed("huggingface").addressOf(source, "main"),
    "https://huggingface.co/someone/some-model/resolve/main/some%20model.gguf",
  );
  assert.equal(
    hubNamed("https://mirror.example/hf/").addressOf(source, "main"),
    "https://mirror.example/hf/someone/some-model/resolve/main/some%20model.gguf",
  );
  for (const name of ["", "github", "ftp://x", "file:///etc"])
    assert.throws(() => hubNamed(name), { code: "bad_request", param: "hub" });
});

test("speed and time left follow the last seconds, not the whole past", () => {
  let atMs = 0;
  const told: PullProgress[] = [];
  const progress = openProgress(
    1_000_000,
    (each) => told.push(each),
    () => atMs,
  );
  progress.enter("downloading", 0);
  for (let second = 1; second <= 10; second++) {
    atMs = second * 1000;
    progress.add(second <= 4 ? 100_000 : 10_000);
  }
  const last = told.at(-1);
  assert.equal(last?.doneBytes, 460_000);
  assert.equal(last?.bytesPerSecond, 10_000);
  assert.equal(last?.secondsLeft, 54);
});

/** Bytes that do not repeat, the same in every run. */
function pseudoRandom(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
