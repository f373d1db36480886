// Folders, made one level at a time: where none can be made (below /proc, say) Node's own recursive mkdir tries for ever.
import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { AppError } from "./errors.ts";

/** Makes a folder and what it stands in. Throws AppError `storage`. */
export function makeFolder(folder: string): void {
  if (isFolder(folder)) return;
  const parent = path.dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    mkdirSync(folder);
  } catch (cause) {
    if (isFolder(folder)) return; // another process was faster
    const { code } = cause as NodeJS.ErrnoException;
    throw new AppError("storage", `The folder ${folder} cannot be made (${code}).`, {
      hint: "Check the permissions there, or choose another folder (--data names the one for data).",
      cause,
    });
  }
}

/** The folder itself, or the nearest one above it that is there. */
export function nearestFolder(folder: string): string {
  const parent = path.dirname(folder);
  return parent === folder || statSync(folder, { throwIfNoEntry: false }) ? folder : nearestFolder(parent);
}

function isFolder(at: string): boolean {
  return statSync(at, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
