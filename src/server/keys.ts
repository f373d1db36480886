// API keys: random, shown once, kept as SHA-256. A key holds 256 random bits, so a fast hash is as good as a slow one: there is
// nothing to guess. The file has one key per line, `name created hash`, and may be edited by hand; it is read again when it
// changes, so that a removed key stops working without a restart.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";

export interface KeyEntry {
  name: string;
  /** ISO date. */
  created: string;
  /** SHA-256 of the key, hex. */
  hash: string;
}

export interface Keys {
  /** The name of the key that was presented, or undefined. Takes the same time whichever key, if any, it is. */
  nameOf(presented: string): string | undefined;
  /** How many keys there are. */
  readonly count: number;
}

const rereadEveryMs = 1000;
const namePattern = /^[\w.-]{1,64}$/;

const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex");

/** Makes a key, writes its hash to the file and returns the key: the only time it is seen. */
export function makeKey(file: string, name: string, now: Date = new Date()): string {
  if (!namePattern.test(name)) {
    throw new AppError("bad_request", `"${name}" is no name for a key.`, {
      param: "name",
      hint: "Use up to 64 letters, digits, dots, dashes and underscores.",
    });
  }
  const entries = listKeys(file);
  if (entries.some((entry) => entry.name === name)) {
    throw new AppError("conflict", `There is a key named ${name} already.`, {
      hint: "Remove it first, or pick another.",
    });
  }
  const key = `qk-${randomBytes(32).toString("base64url")}`;
  writeKeys(file, [...entries, { name, created: now.toISOString(), hash: hashOf(key) }]);
  return key;
}

/** The keys of a file; a file that is not there has none. Throws `unreadable` naming the line at fault. */
export function listKeys(file: string): KeyEntry[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    throw new AppError("storage", `The key file ${file} cannot be read.`, { cause });
  }
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const [name = "", created = "", hash = "", ...more] = line.trim().split(/\s+/);
    if (!namePattern.test(name) || !/^[0-9a-f]{64}$/.test(hash) || more.length > 0) {
      throw new AppError("unreadable", `Line ${index + 1} of ${file} is not "name date hash".`, {
        hint: "Remove the line, or make the file anew with `quern key`.",
      });
    }
    return [{ name, created, hash }];
  });
}

export function removeKey(file: string, name: string): void {
  const entries = listKeys(file);
  const left = entries.filter((entry) => entry.name !== name);
  if (left.length === entries.length) throw new AppError("not_found", `There is no key named ${name}.`);
  writeKeys(file, left);
}

/** Opens a key file for checking. Throws when it is damaged; a file damaged later keeps the keys last read. */
export function openKeys(file: string, { now = Date.now }: { now?: () => number } = {}): Keys {
  let entries = read();
  let stamp = stampOf(file);
  let checkedAt = now();
  const fresh = (): typeof entries => {
    if (now() - checkedAt < rereadEveryMs) return entries;
    checkedAt = now();
    const current = stampOf(file);
    if (current === stamp) return entries;
    stamp = current;
    try {
      entries = read();
    } catch (error) {
      if (!(error instanceof AppError)) throw error; // an edit in progress: the keys last read stay in force
    }
    return entries;
  };
  function read(): { name: string; hash: Buffer }[] {
    return listKeys(file).map(({ name, hash }) => ({ name, hash: Buffer.from(hash, "hex") }));
  }
  return {
    nameOf(presented) {
      const given = createHash("sha256").update(presented).digest();
      let found: string | undefined;
      for (const { name, hash } of fresh()) if (timingSafeEqual(hash, given)) found = name;
      return found;
    },
    get count() {
      return fresh().length;
    },
  };
}

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Refuses to listen where others can reach Quern while anybody could use it. */
export function assertBindingAllowed(host: string, keys: Keys | undefined): void {
  if (isLoopback(host) || (keys && keys.count > 0)) return;
  throw new AppError("forbidden", `Quern does not listen on ${host} without an API key: anybody there could use it.`, {
    param: "--host",
    hint: "Make a key with `quern key add NAME`, then start with --api-key-file and the file it names. Or keep --host 127.0.0.1.",
  });
}

function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs} ${stat.size} ${stat.ino}` : "";
}

function writeKeys(file: string, entries: readonly KeyEntry[]): void {
  const lines = entries.map(({ name, created, hash }) => `${name} ${created} ${hash}\n`);
  try {
    makeFolder(path.dirname(file));
    const draft = `${file}.${process.pid}.new`;
    writeFileSync(draft, lines.join(""), { mode: 0o600 });
    renameSync(draft, file);
  } catch (cause) {
    throw new AppError("storage", `The key file ${file} cannot be written.`, { cause });
  }
}
