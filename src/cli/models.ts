// `quern models`: what there is, fetching, removing.
import { AppError } from "../base/errors.ts";
import { entryNamed, listModels, removeModel } from "../models/catalogue.ts";
import { pullModel } from "../models/download.ts";
import type { PullProgress } from "../models/download-progress.ts";
import { type Command, type CommandContext, parseWords, toDuration, toSize } from "./command.ts";

export const models: Command = {
  about: "List models, fetch one (resumable, checked by SHA-256) or remove it.",
  usage: "list [--json] | pull NAME | remove NAME",
  async run(context) {
    const { settings, terminal } = context;
    const { values, words } = parseWords(context.args, { "--json": "switch" }, { mostWords: 2 });
    const [action = "list", name] = words;
    if (action === "list") {
      const found = listModels(settings.data);
      if (values.has("--json")) terminal.out(`${JSON.stringify(found)}\n`);
      else
        for (const { id, state, fileBytes, presentBytes, about } of found) {
          const share = state === "partial" ? `, ${Math.floor((presentBytes / fileBytes) * 100)} % of it here` : "";
          terminal.out(`${id.padEnd(26)} ${state.padEnd(11)} ${toSize(fileBytes).padStart(9)}${share}  ${about.en}\n`);
        }
      return 0;
    }
    if (action !== "pull" && action !== "remove") {
      throw new AppError("bad_request", `quern models cannot ${action}.`, { hint: "list, pull or remove." });
    }
    if (name === undefined) {
      throw new AppError("bad_request", `quern models ${action} needs a name.`, {
        hint: `quern models ${action} qwen3-4b-instruct-2507`,
      });
    }
    if (action === "remove") {
      terminal.note(`Removed ${name}; ${toSize(removeModel(name, settings.data))} are free again.`);
      return 0;
    }
    return pull(name, context);
  },
};

async function pull(name: string, { settings, terminal, signal }: CommandContext): Promise<number> {
  const entry = entryNamed(name);
  const { outcome, file } = await pullModel({
    entry,
    hub: settings.hub,
    dataFolder: settings.data,
    signal,
    onProgress: (progress) => terminal.progress(toLine(progress)),
  });
  if (outcome === "cancelled") {
    terminal.note("Stopped. The same command goes on from here.");
    return 130;
  }
  terminal.note(outcome === "present" ? `${entry.id} is there already: ${file}` : `${entry.id} is ready: ${file}`);
  return 0;
}

function toLine({ phase, doneBytes, totalBytes, bytesPerSecond, secondsLeft }: PullProgress): string {
  const share = totalBytes === 0 ? 0 : (doneBytes / totalBytes) * 100;
  const left = secondsLeft === undefined ? "" : `, ${toDuration(secondsLeft)} left`;
  return `${phase}: ${toSize(doneBytes)} of ${toSize(totalBytes)} (${share.toFixed(0)} %), ${toSize(bytesPerSecond)}/s${left}`;
}
