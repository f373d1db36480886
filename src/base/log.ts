// One line per event: JSON for machines, aligned text on a terminal. Prompts and document text are never logged; callers pass
// ids, counts and durations. The sink is standard error, so that standard output stays free for data.

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

const rank: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export interface LogOptions {
  level: LogLevel;
  format: "json" | "text";
  write?: (line: string) => void;
  now?: () => Date;
}

export function openLog({ level, format, write = writeToStderr, now = () => new Date() }: LogOptions): Log {
  const emit = (at: LogLevel, event: string, fields: LogFields = {}): void => {
    if (rank[at] < rank[level]) return;
    const present = Object.entries(fields).filter(([, value]) => value !== undefined);
    if (format === "json") {
      write(JSON.stringify({ time: now().toISOString(), level: at, event, ...Object.fromEntries(present) }, rounded));
      return;
    }
    const tail = present.map(([key, value]) => `${key}=${quoted(value)}`).join(" ");
    write(`${now().toISOString().slice(11, 19)} ${at.padEnd(5)} ${event}${tail ? `  ${tail}` : ""}`);
  };
  return {
    debug: (event, fields) => emit("debug", event, fields),
    info: (event, fields) => emit("info", event, fields),
    warn: (event, fields) => emit("warn", event, fields),
    error: (event, fields) => emit("error", event, fields),
  };
}

/** A log that drops everything, for tests and for library use. */
export const silentLog: Log = openLog({ level: "error", format: "json", write: () => undefined });

/** Durations come with twelve digits behind the point; nobody reads them. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(3)) : value;
}

function quoted(value: string | number | boolean | undefined): string {
  const text = typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}

function writeToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}
