// The prompt of `quern run`: the question alone, or files and piped text between delimiters that their content cannot close, each page
// marked, so that the answer can say where it found what.
import { documentPrompt } from "../documents/citations.ts";
import { readDocument } from "../documents/read.ts";
import type { CommandContext } from "./command.ts";
import { readFiles } from "./read-files.ts";

export interface PromptSource {
  question: string;
  files: readonly string[];
  /** Standard input, when it is not a terminal. */
  piped: string;
}

export async function promptOf({ question, files, piped }: PromptSource, context: CommandContext): Promise<string> {
  // Piped text without files is the plainest use: it stands as it came, above the question.
  if (files.length === 0) return [piped.trimEnd(), question].filter((part) => part !== "").join("\n\n");
  const documents = await readFiles(files, context);
  if (piped.trim() !== "") {
    documents.push(
      await readDocument({ bytes: Buffer.from(piped) }, { name: "standard-input.txt", signal: context.signal }),
    );
  }
  const language = /\p{Script=Han}/u.test(question) ? "zh" : "en";
  return documentPrompt(
    documents.map((document) => ({ document })),
    { question, language },
  ).text;
}
