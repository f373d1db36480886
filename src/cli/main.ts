// The `quern` command: reads the settings once, picks the command, prints its failure as a sentence with a hint, and returns the exit
// code. Commands are loaded only when used, so that `quern --help` is instant and `quern run` never loads a PDF reader.
import { AppError, toAppError } from "../base/errors.ts";
import { openLog } from "../base/log.ts";
import { type ParsedSettings, parseSettings, refuseUnknown, settingRows, settingsHelp } from "../base/settings.ts";
import { type Command, openTerminal } from "./command.ts";
import { stopSignal } from "./stop-signal.ts";
import { version } from "./version.ts";

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.ts")).serve,
  chat: async () => (await import("./chat.ts")).chat,
  run: async () => (await import("./run.ts")).run,
  read: async () => (await import("./read.ts")).read,
  analyze: async () => (await import("./analyze.ts")).analyze,
  models: async () => (await import("./models.ts")).models,
  key: async () => (await import("./key.ts")).key,
  backup: async () => (await import("./store.ts")).backup,
  restore: async () => (await import("./store.ts")).restore,
  audit: async () => (await import("./store.ts")).audit,
  doctor: async () => (await import("./doctor.ts")).doctor,
  bench: async () => (await import("./bench.ts")).bench,
};

export async function main(args: readonly string[]): Promise<number> {
  const terminal = openTerminal();
  let signal: AbortSignal | undefined;
  try {
    const parsed = parseSettings(args, process.env);
    const [first = "serve"] = parsed.rest;
    if (parsed.rest.includes("--version")) {
      terminal.out(`${version()}\n`);
      return 0;
    }
    if (first === "--help" || first === "-h" || first === "help") {
      terminal.out(await help());
      return 0;
    }
    const named = first.startsWith("-") ? "serve" : first;
    const load = commands[named];
    if (!load) {
      const known = Object.keys(commands).join(", ");
      throw new AppError("bad_request", `There is no command ${first}.`, { hint: `The commands are ${known}.` });
    }
    const rest = first.startsWith("-") ? parsed.rest : parsed.rest.slice(1);
    const command = await load();
    const options = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
    if (options.includes("--help") || options.includes("-h")) {
      const details = (command.details ?? []).map((line) => `  ${line}\n`).join("");
      const about = `${command.about}\n${details === "" ? "" : `\n${details}`}`;
      terminal.out(`quern ${named} ${command.usage}\n\n${about}\nSettings:\n${settingsHelp()}\n`);
      return 0;
    }
    if (options.includes("--print-settings")) {
      if (named === "serve") refuseUnknown(options.filter((word) => word !== "--print-settings"));
      terminal.out(settingsInForce(parsed));
      return 0;
    }
    const { logFormat, logLevel } = parsed.settings;
    const format = logFormat === "auto" ? (terminal.isTerminal ? "text" : "json") : logFormat;
    signal = stopSignal();
    return await command.run({
      settings: parsed.settings,
      sources: parsed.sources,
      args: rest,
      terminal,
      log: openLog({ level: logLevel, format }),
      signal,
    });
  } catch (thrown) {
    if (signal?.aborted) {
      terminal.note("Stopped.");
      return 130;
    }
    const error = toAppError(thrown);
    terminal.note(`quern: ${error.message}`);
    if (error.hint) terminal.note(`       ${error.hint}`);
    if (error.code === "internal" && error.cause instanceof Error) terminal.note(error.cause.stack ?? "");
    return error.code === "bad_request" ? 2 : 1;
  }
}

async function help(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => {
      const { usage, about } = await load();
      return `  quern ${name} ${usage}\n      ${about}`;
    }),
  );
  return [
    "Quern: Qwen3-4B-Instruct-2507 on one GPU of your own.",
    "",
    "Commands (quern alone is quern serve):",
    ...lines,
    "",
    "Settings, for every command (QUERN_PORT and its like set them too):",
    settingsHelp(),
    "",
    "  --print-settings  shows each setting's value and where it came from",
    "  --version, --help",
    "",
    "Exit codes: 0 done, 1 failed, 2 wrong use, 3 the answer was cut by its token limit, 130 stopped.",
    "",
  ].join("\n");
}

function settingsInForce({ settings, sources }: ParsedSettings): string {
  const names = Object.keys(settingRows) as (keyof typeof settingRows)[];
  return names
    .map((name) => {
      const shown = name === "apiKey" && settings.apiKey !== "" ? "(set)" : String(settings[name]);
      return `${settingRows[name].flag.padEnd(16)} ${shown.padEnd(28)} ${sources[name]}\n`;
    })
    .join("");
}
