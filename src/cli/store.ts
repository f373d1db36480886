// `quern backup`, `quern restore` and `quern audit`: the workspace's store from the command line, also while a server has it open.
import { existsSync } from "node:fs";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import type { AuditEntry } from "../workspace/audit.ts";
import { listAudit, verifyAudit } from "../workspace/audit.ts";
import { backupWorkspace, databaseName, restoreWorkspace } from "../workspace/backup.ts";
import { Store } from "../workspace/store.ts";
import { type Command, parseWords } from "./command.ts";

export const backup: Command = {
  about: "Copy conversations, files and settings to a folder; a running server may go on.",
  usage: "DIR",
  async run({ settings, args, terminal }) {
    const target = folderOf(args, "backup");
    assertWorkspace(settings.data);
    await backupWorkspace(settings.data, target);
    terminal.note(`The workspace in ${settings.data} is copied to ${target}.`);
    return 0;
  },
};

export const restore: Command = {
  about: "Bring back what `quern backup` copied; what is there now is replaced.",
  usage: "DIR",
  async run({ settings, args, terminal }) {
    const source = folderOf(args, "restore");
    await restoreWorkspace(source, settings.data);
    terminal.note(`The workspace in ${settings.data} is that of ${source} again.`);
    return 0;
  },
};

const shownEntries = 50;

export const audit: Command = {
  about: "Show who changed what, or check that nobody tampered with the log.",
  usage: "list [--limit N] [--json] | verify",
  async run({ settings, args, terminal }) {
    const { values, words } = parseWords(args, { "--json": "switch", "--limit": "value" });
    const [action = "list", stray] = words;
    if ((action !== "list" && action !== "verify") || stray !== undefined) {
      throw new AppError("bad_request", `quern audit cannot ${words.join(" ")}.`, { hint: "list or verify." });
    }
    assertWorkspace(settings.data);
    using store = new Store({ file: path.join(settings.data, databaseName) });
    if (action === "verify") return verify(store, terminal);
    const limit = Number(values.get("--limit")?.at(-1) ?? shownEntries);
    if (!Number.isInteger(limit) || limit < 1) {
      throw new AppError("bad_request", "--limit needs a whole number above 0.", { param: "--limit" });
    }
    const entries = listAudit(store, { limit });
    if (values.has("--json")) terminal.out(`${JSON.stringify(entries)}\n`);
    else for (const entry of entries.toReversed()) terminal.out(`${toLine(entry)}\n`);
    return 0;
  },
};

function verify(store: Store, terminal: Parameters<Command["run"]>[0]["terminal"]): number {
  const verdict = verifyAudit(store);
  if (verdict.ok) {
    terminal.out(`${verdict.rows} entries, all in order. Head: ${verdict.headHash || "none yet"}\n`);
    return 0;
  }
  terminal.note(`The audit log was changed at entry ${verdict.sequence}: ${verdict.fault}.`);
  return 1;
}

/** Names of what changed, never the texts: conversations are private, also on a screen. */
function toLine({ sequence, at, actor, action, entity, entityId, before, after }: AuditEntry): string {
  const changed = action === "update" ? ` ${changedNames(before, after).join(", ")}` : "";
  return `${String(sequence).padStart(6)}  ${new Date(at).toISOString()}  ${actor.padEnd(12)} ${action} ${entity} ${entityId}${changed}`;
}

function changedNames(before: unknown, after: unknown): string[] {
  const old = (before ?? {}) as Record<string, unknown>;
  return Object.entries((after ?? {}) as Record<string, unknown>)
    .filter(([name, value]) => JSON.stringify(old[name]) !== JSON.stringify(value))
    .map(([name]) => name);
}

function folderOf(args: readonly string[], command: string): string {
  const { words } = parseWords(args, {});
  const [folder, stray] = words;
  if (folder === undefined || stray !== undefined) {
    throw new AppError("bad_request", `quern ${command} needs one folder.`, {
      hint: `quern ${command} ./quern-backup`,
    });
  }
  return path.resolve(folder);
}

function assertWorkspace(dataFolder: string): void {
  if (existsSync(path.join(dataFolder, databaseName))) return;
  throw new AppError("not_found", `There is no workspace in ${dataFolder} yet.`, {
    hint: "Name the folder with --data, or start Quern once.",
  });
}
