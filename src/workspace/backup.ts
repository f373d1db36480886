// Backup and restore of a live workspace. The database is copied by SQLite's online backup, which gives one consistent moment while others
// write; files are content-addressed and never change, so copying what is there after the database has everything it names.
import { cpSync, existsSync } from "node:fs";
import path from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { AppError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { migrations } from "./schema.ts";
import { Store } from "./store.ts";

export const databaseName = "workspace.sqlite";
export const filesFolderName = "files";

/** Copies the workspace in `dataFolder` to the new folder `target`. Throws `conflict` when that holds a workspace already. */
export async function backupWorkspace(dataFolder: string, target: string): Promise<void> {
  if (existsSync(path.join(target, databaseName))) {
    throw new AppError("conflict", `${target} holds a workspace already.`, {
      hint: "Give a new folder for the backup.",
    });
  }
  makeFolder(target);
  using store = new Store({ file: path.join(dataFolder, databaseName) });
  await backup(store.database, path.join(target, databaseName));
  copyFiles(dataFolder, target);
}

/**
 * Replaces the workspace in `dataFolder` by the backup in `source`, also while a server has it open: SQLite takes its locks for the copy.
 * The backup is checked first; a damaged one, or one of a newer Quern, changes nothing.
 */
export async function restoreWorkspace(source: string, dataFolder: string): Promise<void> {
  const file = path.join(source, databaseName);
  if (!existsSync(file)) throw new AppError("not_found", `${source} holds no backup of a workspace.`);
  using copy = openChecked(file);
  copyFiles(source, dataFolder);
  makeFolder(dataFolder);
  await backup(copy, path.join(dataFolder, databaseName));
}

function openChecked(file: string): DatabaseSync & Disposable {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    const verdict = database.prepare("PRAGMA integrity_check").get() as { integrity_check?: string };
    if (verdict.integrity_check !== "ok") throw new Error(String(verdict.integrity_check));
    const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    if (version > migrations.length) {
      throw new AppError("conflict", `The backup is of version ${version}; this Quern knows ${migrations.length}.`, {
        hint: "Update Quern before restoring it.",
      });
    }
    return database as DatabaseSync & Disposable;
  } catch (cause) {
    database?.close();
    if (cause instanceof AppError) throw cause;
    throw new AppError("unreadable", `The backup ${file} is damaged.`, { hint: "Nothing was restored.", cause });
  }
}

function copyFiles(from: string, to: string): void {
  const folder = path.join(from, filesFolderName);
  if (existsSync(folder)) cpSync(folder, path.join(to, filesFolderName), { recursive: true, force: false });
}
