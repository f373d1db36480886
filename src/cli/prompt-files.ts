// Files of `quern run -f`, as prompt text: each between plain delimiters with its name, so that the model can tell them apart.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "../base/errors.ts";

/** Reads text files. Throws `not_found` for a missing one and `unsupported` for what is not UTF-8 text. */
export async function readPromptFiles(files: readonly string[], signal: AbortSignal): Promise<string> {
  const parts = await Promise.all(files.map((file) => readOne(file, signal)));
  return parts.join("\n\n");
}

async function readOne(file: string, signal: AbortSignal): Promise<string> {
  const bytes = await readFile(file, { signal }).catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code === "ENOENT" ? "does not exist" : `cannot be read (${cause.code})`;
    throw new AppError("not_found", `${file} ${what}.`, { param: "-f", cause });
  });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AppError("unsupported", `${file} is not UTF-8 text.`, { param: "-f", hint: "Give a text file.", cause });
  }
  return `<file name="${path.basename(file)}">\n${text.trimEnd()}\n</file>`;
}
