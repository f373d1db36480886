// The lean door with files: a form with one or more parts named `file`, a text part named `prompt`, and `password` for encrypted files. They become a user's message with
// file parts, so that a file means the same here as in a chat. What was left out is told in a header, for the body is the answer alone.
import type { Prompt } from "../../engine/contract.ts";
import type { Api } from "../api.ts";
import { parseMessages } from "../chat-messages.ts";
import { refuse, unsupported } from "../errors.ts";
import { Fields, given } from "../fields.ts";
import type { InstructOptions } from "../instruct.ts";
import { fitFiles } from "./file-prompt.ts";
import { formOf } from "./upload.ts";

export interface FilledInstruction {
  prompt: Prompt;
  /** For the answer: `quern-left-out`, the sentences on what was left out, percent-encoded. */
  headers: Record<string, string>;
}

export async function instructWithFiles(
  {
    body,
    header,
    options,
    signal,
  }: { body: Uint8Array; header: string; options: InstructOptions; signal: AbortSignal },
  api: Api,
): Promise<FilledInstruction> {
  if (!api.office) throw unsupported("file", "This server reads no files.", "Send their text.");
  const { system, fileOverflow, request } = options;
  const content = await partsOf(await formOf(body, header));
  const messages = [...(system === undefined ? [] : [{ role: "system", content: system }]), { role: "user", content }];
  const render = (filled: Fields): string[] => api.template.render({ messages: parseMessages(filled) });
  const fields = new Fields({ messages, ...given("file_overflow", fileOverflow) });
  const use = await fitFiles(fields, {
    api,
    signal,
    ...given("maxTokens", request.maxTokens),
    countPrompt: async (filled) => {
      const lists = await Promise.all(render(filled).map((piece) => api.engine.tokenize(piece, { special: true })));
      return lists.reduce((sum, ids) => sum + ids.length, 0);
    },
  });
  const statements = use?.leftOut.map(({ statement }) => statement) ?? [];
  return {
    prompt: { kind: "text", pieces: render(use?.body ?? fields) },
    headers: statements.length > 0 ? { "quern-left-out": encodeURIComponent(statements.join("\n")) } : {},
  };
}

async function partsOf(form: FormData): Promise<object[]> {
  const files: { filename: string; file_data: string }[] = [];
  const texts: { prompt?: string; password?: string } = {};
  for (const [name, value] of form) {
    if (typeof value !== "string") {
      if (name !== "file") throw refuse(name, `A file came as "${name.slice(0, 64)}"; name the part "file".`);
      const bytes = Buffer.from(await value.arrayBuffer());
      const data = `data:application/octet-stream;base64,${bytes.toString("base64")}`;
      files.push({ filename: value.name, file_data: data });
    } else if (name !== "prompt" && name !== "password") {
      throw refuse(
        name,
        `There is no part "${name.slice(0, 64)}".`,
        'The parts are "prompt", "file" and "password"; options stand in the query.',
      );
    } else if (texts[name] !== undefined) throw refuse(name, `${name} is there twice.`);
    else texts[name] = value;
  }
  const { prompt, password } = texts;
  if (files.length === 0) throw refuse("file", "There is no file in the form.", 'Name its part "file".');
  if (prompt === undefined || prompt.trim() === "")
    throw refuse("prompt", "The instruction is missing.", 'Send it as a text part named "prompt".');
  const parts = files.map((file) => ({ type: "file", file: { ...file, ...given("password", password) } }));
  return [...parts, { type: "text", text: prompt }];
}
