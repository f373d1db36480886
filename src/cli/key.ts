// `quern key`: makes, lists and removes the API keys that a server beyond loopback asks for.
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { listKeys, makeKey, removeKey } from "../server/keys.ts";
import { type Command, parseWords } from "./command.ts";

export const key: Command = {
  about: "Make, list or remove API keys; a key is shown once and kept as a hash.",
  usage: "add NAME | list [--json] | remove NAME",
  async run({ settings, args, terminal }) {
    const { values, words } = parseWords(args, { "--json": "switch" }, { mostWords: 2 });
    const [action = "list", name] = words;
    const file = settings.apiKeyFile === "" ? path.join(settings.data, "keys") : settings.apiKeyFile;
    if (action === "list") {
      const keys = listKeys(file);
      if (values.has("--json"))
        terminal.out(`${JSON.stringify(keys.map(({ name, created }) => ({ name, created })))}\n`);
      else if (keys.length === 0) terminal.note("There are no keys. `quern key add NAME` makes one.");
      else for (const entry of keys) terminal.out(`${entry.name.padEnd(24)} ${entry.created}\n`);
      return 0;
    }
    if (name === undefined)
      throw new AppError("bad_request", `quern key ${action} needs a name.`, { hint: "quern key add laptop" });
    if (action === "add") {
      terminal.out(`${makeKey(file, name)}\n`);
      terminal.note("This is the only time that the key is shown. Clients send it as `Authorization: Bearer <key>`.");
      terminal.note(`Start the server with:  quern serve --host 0.0.0.0 --api-key-file ${file}`);
      return 0;
    }
    if (action === "remove") {
      removeKey(file, name);
      terminal.note(`Removed ${name}; it stops working within a second.`);
      return 0;
    }
    throw new AppError("bad_request", `quern key cannot ${action}.`, { hint: "add, list or remove." });
  },
};
