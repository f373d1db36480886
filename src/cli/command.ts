// What a command gets and what it is. Commands write data to `out` and everything else (progress, hints) to `note`, so that pipes
// stay clean; colours and moving lines appear only on a terminal.
import { AppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { refuseUnknown, type SettingSources, type Settings } from "../base/settings.ts";

export interface Terminal {
  readonly isTerminal: boolean;
  /** Standard output: the command's data. */
  out(text: string): void;
  /** A line on standard error. */
  note(line: string): void;
  /** A line on standard error that the next one overwrites; nothing where that is not possible. */
  progress(line: string): void;
  bold(text: string): string;
  dim(text: string): string;
}

export interface CommandContext {
  settings: Settings;
  /** Where each value came from. */
  sources: SettingSources;
  /** The command's own words and options. */
  args: readonly string[];
  terminal: Terminal;
  log: Log;
  /** Aborted by Ctrl-C and SIGTERM, unless the command handles them itself. */
  signal: AbortSignal;
}

export interface Command {
  /** One line for `quern --help`. */
  about: string;
  /** What comes behind the command's name, as in `[-f FILE] "…"`. */
  usage: string;
  /** What the options mean, for the command's own `--help`. */
  details?: readonly string[];
  /** Exit code: 0 done, 1 failed, 2 wrong use. */
  run(context: CommandContext): Promise<number>;
}

export function openTerminal(): Terminal {
  const isTerminal = process.stderr.isTTY === true;
  const styled = isTerminal && process.env.NO_COLOR === undefined;
  const paint = (code: number, text: string): string => (styled ? `\u001b[${code}m${text}\u001b[0m` : text);
  // `quern run … | head -1`: the reader has had enough. What is written after that would be an unhandled fault.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 141 : 1));
  let hasProgress = false;
  const clear = (): string => (hasProgress ? "\r\u001b[2K" : "");
  return {
    isTerminal,
    out: (text) => void process.stdout.write(text),
    note: (line) => {
      process.stderr.write(`${clear()}${line}\n`);
      hasProgress = false;
    },
    progress: (line) => {
      if (!isTerminal) return;
      process.stderr.write(`\r\u001b[2K${line}`);
      hasProgress = true;
    },
    bold: (text) => paint(1, text),
    dim: (text) => paint(2, text),
  };
}

/** "2.33 GiB"; for people. */
export function toSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} ${units[power]}`;
}

/** "1 min 5 s"; for people. */
export function toDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * Splits a command's words into options and the rest. `options` maps each accepted spelling to whether a value follows.
 * Throws AppError `bad_request` naming an unknown option, a missing value, or the first word more than `mostWords`.
 */
export function parseWords(
  args: readonly string[],
  options: Readonly<Record<string, "value" | "switch">>,
  { mostWords = Number.POSITIVE_INFINITY } = {},
): { values: Map<string, string[]>; words: string[] } {
  const values = new Map<string, string[]>();
  const words: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? "";
    if (arg === "--") {
      words.push(...args.slice(index + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      words.push(arg);
      continue;
    }
    const equals = arg.startsWith("--") ? arg.indexOf("=") : -1;
    const name = equals < 0 ? arg : arg.slice(0, equals);
    const kind = options[name];
    if (kind === undefined) {
      refuseUnknown([name], Object.keys(options));
      continue;
    }
    const value = kind === "switch" ? "" : equals < 0 ? args[++index] : arg.slice(equals + 1);
    if (value === undefined) throw new AppError("bad_request", `${name} needs a value.`, { param: name });
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const stray = words[mostWords];
  if (stray !== undefined) {
    throw new AppError("bad_request", `Nothing is known to do with "${stray}".`, {
      hint: mostWords === 0 ? "This command takes no words." : "The command's --help shows what it takes.",
    });
  }
  return { values, words };
}
