// Every setting of Quern, once: flag, environment variable, default, parser and one sentence. `--help`, docs/settings.md and the
// start-up checks are made from this table; nothing else reads the environment. Parsed once in cli/main.ts, frozen, and handed
// down as plain values. A setting that is unknown or malformed stops start-up and names itself.
import os from "node:os";
import path from "node:path";
import { AppError } from "./errors.ts";

interface Row<T> {
  flag: `--${string}`;
  env: `QUERN_${string}`;
  initial: T;
  parse: (text: string) => T;
  /** What a value looks like in `--help`; absent for switches. */
  value?: string;
  about: string;
}

const row = <T>(definition: Row<T>): Row<T> => definition;

export const settingRows = {
  host: row({
    flag: "--host",
    env: "QUERN_HOST",
    initial: "127.0.0.1",
    parse: nonEmpty,
    value: "ADDRESS",
    about: "Address to listen on; anything but loopback needs an API key.",
  }),
  port: row({
    flag: "--port",
    env: "QUERN_PORT",
    initial: 7860,
    parse: integer(0, 65535),
    value: "N",
    about: "Port to listen on; 0 takes a free one.",
  }),
  data: row({
    flag: "--data",
    env: "QUERN_DATA",
    initial: path.join(os.homedir(), ".quern"),
    parse: (text) => path.resolve(nonEmpty(text)),
    value: "DIR",
    about: "Folder for models, conversations and files.",
  }),
  model: row({
    flag: "--model",
    env: "QUERN_MODEL",
    initial: "auto",
    parse: nonEmpty,
    value: "NAME|FILE.gguf",
    about:
      "Model of the catalogue, or a GGUF file; auto takes qwen3-4b-instruct-2507 when it is there, else quern-mini.",
  }),
  engine: row({
    flag: "--engine",
    env: "QUERN_ENGINE",
    initial: "auto" as "auto" | "cuda" | "llama" | "scripted",
    parse: oneOf("auto", "cuda", "llama", "scripted"),
    value: "NAME",
    about: "auto, cuda (NVIDIA GPUs), llama (CPU and Metal) or scripted (tests).",
  }),
  context: row({
    flag: "--context",
    env: "QUERN_CONTEXT",
    initial: 0,
    parse: tokens(256, 1_048_576),
    value: "TOKENS",
    about: "Tokens one conversation may hold, such as 32768 or 32K; 0 picks what the model and the memory allow.",
  }),
  parallel: row({
    flag: "--parallel",
    env: "QUERN_PARALLEL",
    initial: 4,
    parse: integer(1, 256),
    value: "N",
    about: "Requests that are generated together.",
  }),
  queue: row({
    flag: "--queue",
    env: "QUERN_QUEUE",
    initial: 64,
    parse: integer(0, 100_000),
    value: "N",
    about: "Requests that may wait; one more is refused with the time to come back.",
  }),
  kvType: row({
    flag: "--kv-type",
    env: "QUERN_KV_TYPE",
    initial: "auto" as "auto" | "f16" | "int8",
    parse: oneOf("auto", "f16", "int8"),
    value: "TYPE",
    about: "Type of the KV cache: int8 holds twice the tokens of f16; auto is int8 for cuda, f16 for llama.",
  }),
  threads: row({
    flag: "--threads",
    env: "QUERN_THREADS",
    initial: 0,
    parse: integer(0, 1024),
    value: "N",
    about: "CPU threads of the llama engine; 0 picks by the machine.",
  }),
  embeddingModel: row({
    flag: "--embedding-model",
    env: "QUERN_EMBEDDING_MODEL",
    initial: "",
    parse: (text) => path.resolve(nonEmpty(text)),
    value: "FILE.gguf",
    about:
      "An embedding model beside the other: serves /v1/embeddings and helps to find the passages that matter; none by default.",
  }),
  hub: row({
    flag: "--hub",
    env: "QUERN_HUB",
    initial: "huggingface",
    parse: nonEmpty,
    value: "NAME|URL",
    about: "Where models are fetched: huggingface, modelscope, or the address of a mirror.",
  }),
  apiKeyFile: row({
    flag: "--api-key-file",
    env: "QUERN_API_KEY_FILE",
    initial: "",
    parse: (text) => path.resolve(nonEmpty(text)),
    value: "FILE",
    about: "File of API key hashes, as `quern key` writes it; needed beyond loopback.",
  }),
  apiKey: row({
    flag: "--api-key",
    env: "QUERN_API_KEY",
    initial: "",
    parse: nonEmpty,
    value: "KEY",
    about: "Key that `quern chat` and `quern run` send to a server that wants one.",
  }),
  allowOrigin: row({
    flag: "--allow-origin",
    env: "QUERN_ALLOW_ORIGIN",
    initial: "",
    parse: nonEmpty,
    value: "ORIGINS",
    about: "Web origins, separated by commas, whose pages may call the API; none by default.",
  }),
  bodyLimit: row({
    flag: "--body-limit",
    env: "QUERN_BODY_LIMIT",
    initial: 32 * 1024 * 1024,
    parse: bytes(1024, 4 * 1024 ** 3),
    value: "BYTES",
    about: "Largest request body, such as 32M.",
  }),
  uploadLimit: row({
    flag: "--upload-limit",
    env: "QUERN_UPLOAD_LIMIT",
    initial: 200 * 1024 * 1024,
    parse: bytes(1024, 4 * 1024 ** 3),
    value: "BYTES",
    about: "Largest file that is uploaded as a form, such as 200M.",
  }),
  perKey: row({
    flag: "--per-key",
    env: "QUERN_PER_KEY",
    initial: 32,
    parse: integer(1, 100_000),
    value: "N",
    about: "Requests that one API key may have open at once.",
  }),
  logLevel: row({
    flag: "--log-level",
    env: "QUERN_LOG_LEVEL",
    initial: "info" as "debug" | "info" | "warn" | "error",
    parse: oneOf("debug", "info", "warn", "error"),
    value: "LEVEL",
    about: "debug, info, warn or error.",
  }),
  logFormat: row({
    flag: "--log-format",
    env: "QUERN_LOG_FORMAT",
    initial: "auto" as "auto" | "json" | "text",
    parse: oneOf("auto", "json", "text"),
    value: "FORMAT",
    about: "json, text, or auto: text on a terminal.",
  }),
};

export type SettingName = keyof typeof settingRows;
export type Settings = { readonly [Name in SettingName]: (typeof settingRows)[Name]["initial"] };
export type SettingSources = { readonly [Name in SettingName]: "default" | "environment" | "command line" };

export interface ParsedSettings {
  settings: Settings;
  sources: SettingSources;
  /** What was neither a setting nor its value, in order: the command's own words and options. */
  rest: string[];
}

const entries = Object.entries(settingRows) as [SettingName, Row<unknown>][];

/**
 * Reads settings from flags (`--port 80` or `--port=80`), then the environment, then defaults. Options that are not settings stay in
 * `rest` for the command to judge; everything behind `--` does too. Throws AppError `bad_request` naming flag or variable.
 */
export function parseSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedSettings {
  const settings: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const [name, definition] of entries) {
    const text = env[definition.env];
    settings[name] = text === undefined ? definition.initial : parsed(definition, text, definition.env);
    sources[name] = text === undefined ? "default" : "environment";
  }
  const known = new Set<string>(entries.map(([, definition]) => definition.env));
  for (const name of Object.keys(env)) {
    if (name.startsWith("QUERN_") && !known.has(name) && !name.startsWith("QUERN_TEST_")) {
      throw unknownSetting(name, [...known]);
    }
  }
  const rest: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? "";
    if (arg === "--") {
      rest.push(...args.slice(index));
      break;
    }
    const [flag, inline] = splitOnce(arg, "=");
    const found = entries.find(([, definition]) => definition.flag === flag);
    if (!found) {
      rest.push(arg);
      continue;
    }
    const [name, definition] = found;
    const text = inline ?? args[++index];
    if (text === undefined) {
      throw new AppError("bad_request", `${flag} needs a value (${definition.value}).`, {
        param: flag,
        hint: definition.about,
      });
    }
    settings[name] = parsed(definition, text, flag);
    sources[name] = "command line";
  }
  return { settings: Object.freeze(settings) as Settings, sources: sources as SettingSources, rest };
}

/** Refuses what no command took: call it with the options left in `rest`. */
export function refuseUnknown(rest: readonly string[], alsoKnown: readonly string[] = []): void {
  const stray = rest.find((word) => word.startsWith("-") && word !== "--" && word !== "-");
  if (stray)
    throw unknownSetting(splitOnce(stray, "=")[0], [...entries.map(([, definition]) => definition.flag), ...alsoKnown]);
}

/** The lines of `--help` that list the settings. */
export function settingsHelp(): string {
  const width = Math.max(...entries.map(([, { flag, value }]) => flag.length + 1 + (value?.length ?? 0)));
  return entries
    .map(([, { flag, value = "", initial, about }]) => {
      const shown = initial === "" || initial === 0 ? "" : ` [${initial}]`;
      return `  ${`${flag} ${value}`.padEnd(width)}  ${about}${shown}`;
    })
    .join("\n");
}

/** docs/settings.md, whole: a test holds the file to this. */
export function settingsMarkdown(): string {
  const lines = entries.map(([name, { flag, value = "", env, initial, about }]) => {
    const shown = name === "data" ? "~/.quern" : String(initial);
    return `| \`${flag} ${value.replaceAll("|", "\\|")}\` | \`${env}\` | ${shown === "" ? "" : `\`${shown}\``} | ${about.replaceAll("|", "\\|")} |`;
  });
  return [
    "# Settings",
    "",
    "Made from `src/base/settings.ts`. A flag wins over the environment, the environment over the default; `--print-settings` shows what is in force.",
    "",
    "| flag | environment | default | what it does |",
    "| --- | --- | --- | --- |",
    ...lines,
    "",
  ].join("\n");
}

function parsed(definition: Row<unknown>, text: string, origin: string): unknown {
  try {
    return definition.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("bad_request", `${origin}: ${reason}`, { param: origin, hint: definition.about, cause });
  }
}

function unknownSetting(name: string, known: readonly string[]): AppError {
  const near = known.map((other) => [distance(name, other), other] as const).sort((a, b) => a[0] - b[0])[0];
  const guess = near && near[0] <= 4 ? `Did you mean ${near[1]}?` : "`quern --help` lists the settings.";
  return new AppError("bad_request", `There is no setting ${name}.`, { param: name, hint: guess });
}

/** Levenshtein distance, for "did you mean". */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(swap, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function nonEmpty(text: string): string {
  if (text.trim() === "") throw new Error("a value is missing.");
  return text;
}

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most))
      throw new Error(`"${text}" is not a whole number from ${least} to ${most}.`);
    return value;
  };
}

function scaled(least: number, most: number, unit: number, what: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)([KMG]?)$/i.exec(text);
    const power = { "": 0, K: 1, M: 2, G: 3 }[(match?.[2] ?? "").toUpperCase()] ?? 0;
    const value = match ? Math.round(Number(match[1]) * unit ** power) : Number.NaN;
    if (!(value === 0 || (value >= least && value <= most))) {
      throw new Error(`"${text}" is not a number of ${what} from ${least} to ${most}.`);
    }
    return value;
  };
}

function tokens(least: number, most: number): (text: string) => number {
  return scaled(least, most, 1024, "tokens");
}

function bytes(least: number, most: number): (text: string) => number {
  return scaled(least, most, 1024, "bytes");
}

function oneOf<const Names extends readonly string[]>(...names: Names): (text: string) => Names[number] {
  return (text) => {
    const found = names.find((name) => name === text);
    if (found === undefined) throw new Error(`"${text}" is none of ${names.join(", ")}.`);
    return found;
  };
}
