// Files named on the command line, read as documents in a process of their own, with progress on the terminal and every warning said.
import { globSync, statSync } from "node:fs";
import path from "node:path";
import { AppError, toAppError } from "../base/errors.ts";
import type { Document } from "../documents/document.ts";
import { ReadWorkers } from "../documents/read-in-worker.ts";
import type { CommandContext } from "./command.ts";

export interface ReadFilesOptions {
  password?: string;
  ocr?: boolean;
  clean?: boolean;
}

/** Reads files in order, each as it is asked for; one that cannot be read comes as its error. Throws when the command is ended. */
export async function* readFiles(
  files: readonly string[],
  { terminal, signal }: Pick<CommandContext, "terminal" | "signal">,
  options: ReadFilesOptions = {},
): AsyncGenerator<Document | AppError> {
  await using workers = new ReadWorkers();
  for (const file of files) {
    const name = path.basename(file);
    const reading = workers.read(
      { path: path.resolve(file) },
      {
        ...options,
        name,
        signal,
        onProgress: ({ page, pages, step }) => terminal.progress(`${name}: ${step} page ${page} of ${pages}`),
      },
    );
    const read = await reading.catch(toAppError);
    signal.throwIfAborted();
    terminal.progress("");
    if (!(read instanceof AppError)) for (const { message } of read.warnings) terminal.note(`${name}: ${message}`);
    yield read;
  }
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
