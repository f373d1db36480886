// Files named on the command line, read as documents in a process of their own, with progress on the terminal and every warning said.
import { globSync, statSync } from "node:fs";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import type { Document } from "../documents/document.ts";
import { ReadWorkers } from "../documents/read-in-worker.ts";
import type { CommandContext } from "./command.ts";

export interface ReadFilesOptions {
  password?: string;
  ocr?: boolean;
  clean?: boolean;
}

/** Reads files and globs, in order. Throws `not_found` for a name that matches nothing, and what the readers throw. */
export async function readFiles(
  names: readonly string[],
  { terminal, signal }: Pick<CommandContext, "terminal" | "signal">,
  options: ReadFilesOptions = {},
): Promise<Document[]> {
  const files = names.flatMap(filesOf);
  if (files.length === 0) return [];
  await using workers = new ReadWorkers();
  const documents: Document[] = [];
  for (const file of files) {
    const document = await workers.read(
      { path: path.resolve(file) },
      {
        ...options,
        name: path.basename(file),
        signal,
        onProgress: ({ page, pages, step }) =>
          terminal.progress(`${path.basename(file)}: ${step} page ${page} of ${pages}`),
      },
    );
    terminal.progress("");
    for (const { message } of document.warnings) terminal.note(`${path.basename(file)}: ${message}`);
    documents.push(document);
  }
  return documents;
}

/** The files that a name or a glob stands for, in order. Throws `not_found` when there is none. */
export function filesOf(name: string): string[] {
  if (statSync(name, { throwIfNoEntry: false })?.isFile()) return [name];
  const found = /[*?[{]/.test(name)
    ? globSync(name)
        .filter((file) => statSync(file).isFile())
        .sort()
    : [];
  if (found.length > 0) return found;
  throw new AppError("not_found", `${name} does not exist or is no file.`, { param: name });
}
