// One server for one workspace: a second one would take the first one's running answers for orphans and close them. The lock is SQLite's
// own on a file beside the store, so a server that crashed holds nothing. Commands such as `quern backup` do not take it.
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";

/** Throws AppError `conflict` while another server has this workspace, `storage` when the folder cannot be written. */
export function lockWorkspace(dataFolder: string): Disposable {
  let database: DatabaseSync | undefined;
  try {
    makeFolder(dataFolder);
    database = new DatabaseSync(path.join(dataFolder, "workspace.lock"), { timeout: 0 });
    database.exec("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
  } catch (cause) {
    database?.close();
    const isTaken = cause instanceof Error && /locked|busy/i.test(cause.message);
    throw isTaken
      ? new AppError("conflict", `Another Quern has the workspace in ${dataFolder} open.`, {
          param: "--data",
          hint: "Use that one, stop it, or start this one with another --data.",
          cause,
        })
      : new AppError("storage", `The data folder ${dataFolder} cannot be written.`, {
          param: "--data",
          hint: "Check its permissions, or start with another --data.",
          cause,
        });
  }
  const held = database;
  return { [Symbol.dispose]: () => held.close() };
}
