// The question of `quern run` with its files: they go to the server as they are, which reads them, makes them fit, and puts them between
// delimiters that their content cannot close. So a file means the same here as on the page.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { ContentPart, FilePart } from "../server/api-types.ts";
import { filesOf } from "./read-files.ts";

export interface PromptSource {
  question: string;
  /** Names and globs. */
  files: readonly string[];
  /** Standard input, when it is not a terminal. */
  piped: string;
  /** Of encrypted files. */
  password?: string;
}

/** The user's message: a text, or parts when there are files. Throws `not_found` for a name that matches nothing. */
export function contentOf({ question, files, piped, password }: PromptSource): string | ContentPart[] {
  // Piped text without files is the plainest use: it stands as it came, above the question.
  if (files.length === 0) return [piped.trimEnd(), question].filter((part) => part !== "").join("\n\n");
  const part = (filename: string, bytes: Uint8Array): FilePart => {
    const file = {
      filename,
      file_data: `data:application/octet-stream;base64,${Buffer.from(bytes).toString("base64")}`,
    };
    return { type: "file", file: password === undefined ? file : { ...file, password } };
  };
  return [
    ...files.flatMap(filesOf).map((file) => part(path.basename(file), readFileSync(file))),
    ...(piped.trim() === "" ? [] : [part("standard-input.txt", Buffer.from(piped))]),
    { type: "text", text: question },
  ];
}
