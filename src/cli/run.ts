// `quern run`: one question, one answer, made for pipes. Standard input and files become part of the prompt, the answer goes to
// standard output, and the exit code tells whether it is whole: 0 yes, 1 failed, 3 cut by the token limit.
import { addAbortSignal, type Readable } from "node:stream";
import { AppError, toAppError } from "../base/errors.ts";
import { ranges } from "../documents/relevant.ts";
import type { QuernBody } from "../server/api-types.ts";
import { templateNames, templatePrompt } from "../server/instruct-templates.ts";
import { type ChatMessage, follow, streamChat } from "./api-client.ts";
import { type Command, type CommandContext, parseWords } from "./command.ts";
import { connect } from "./connect.ts";
import { contentOf } from "./prompt-files.ts";

export const run: Command = {
  about: "Ask once and print the answer; standard input and files join the prompt.",
  usage:
    '[-t TEMPLATE | --system TEXT] [-f FILE|GLOB]... [--fit relevant|summarise] [--password TEXT] [--temperature X] [--seed N] [--max-tokens N] [--json] "…"',
  details: [
    `-t, --template NAME      a system prompt of Quern's: ${templateNames.join(", ")}`,
    "--system TEXT            a system prompt of your own",
    "-f, --file FILE|GLOB     what the question is about: documents, tables, pictures, text; as often as needed",
    "--fit HOW                when files do not fit: refuse (the default), relevant passages, or summarise",
    "--password TEXT          for encrypted files",
    "--temperature X, --seed N, --max-tokens N",
    "--json                   hold the answer to JSON",
    "The exit code is 3 when the answer was cut by its token limit.",
  ],
  async run(context) {
    const { values, words } = parseWords(context.args, {
      "-f": "value",
      "--file": "value",
      "--fit": "value",
      "--password": "value",
      "-t": "value",
      "--template": "value",
      "--system": "value",
      "--temperature": "value",
      "--seed": "value",
      "--max-tokens": "value",
      "--json": "switch",
    });
    const number = (name: string): number | undefined => {
      const text = values.get(name)?.at(-1);
      const value = text === undefined ? undefined : Number(text.trim() || Number.NaN);
      if (Number.isNaN(value))
        throw new AppError("bad_request", `${name}: "${text}" is not a number.`, { param: name });
      return value;
    };
    const [temperature, seed, maxTokens] = [number("--temperature"), number("--seed"), number("--max-tokens")];
    const system = systemPrompt(values);
    const question = words.join(" ");
    const files = [...(values.get("-f") ?? []), ...(values.get("--file") ?? [])];
    const piped = process.stdin.isTTY ? "" : await readAll(process.stdin, context.signal);
    const password = values.get("--password")?.at(-1);
    const fit = fitOf(values.get("--fit")?.at(-1));
    const content = contentOf({ question, files, piped, ...(password === undefined ? {} : { password }) });
    if (content === "" || (files.length > 0 && question === "")) {
      context.terminal.note('quern run needs a question: quern run "…", or text on standard input.');
      return 2;
    }
    const messages: ChatMessage[] = [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      { role: "user", content },
    ];
    await using server = await connect(context, { hasFiles: files.length > 0 });
    const answer = streamChat(server, messages, {
      signal: context.signal,
      json: values.has("--json"),
      ...(temperature === undefined ? {} : { temperature }),
      ...(seed === undefined ? {} : { seed }),
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(fit === undefined ? {} : { fileOverflow: fit }),
      onFileProgress: ({ stage, name, done, all }) =>
        context.terminal.progress(`${name}: ${fileStages[stage]} ${done} of ${all}`),
      onProgress: (processed, total) => {
        if (processed < total) context.terminal.progress(`reading the prompt: ${processed} of ${total} tokens`);
        else context.terminal.progress("");
      },
    });
    return await print(answer, context);
  },
};

const fileStages = {
  reading: "reading page",
  comparing: "comparing passages,",
  sections: "summarising sections,",
  merging: "merging summaries,",
} as const;

const fits = ["refuse", "relevant", "summarise"] as const;

function fitOf(text: string | undefined): (typeof fits)[number] | undefined {
  if (text === undefined) return undefined;
  const found = fits.find((fit) => fit === text);
  if (found) return found;
  throw new AppError("bad_request", `--fit: "${text}" is none of ${fits.join(", ")}.`, { param: "--fit" });
}

/** What the reader of the answer has to know of the files: what was left out, what could not be read, what is cited without being there. */
function notesOf(files: QuernBody | undefined): string[] {
  if (!files) return [];
  const doubtful = files.citations.filter(({ is_given }) => !is_given).flatMap(({ pages }) => pages);
  return [
    ...files.left_out.map(({ statement }) => statement),
    ...files.files.flatMap(({ name, warnings }) => warnings.map(({ message }) => `${name}: ${message}`)),
    ...(doubtful.length > 0
      ? [`The answer cites page(s) that the model was not given: ${ranges(doubtful)}. Check them.`]
      : []),
  ];
}

function systemPrompt(values: ReadonlyMap<string, readonly string[]>): string | undefined {
  const [system, template] = [values.get("--system"), values.get("-t") ?? values.get("--template")];
  if (template === undefined) return system?.at(-1);
  if (system !== undefined)
    throw new AppError("bad_request", "A template is a system prompt: give -t or --system, not both.", { param: "-t" });
  return templatePrompt(template.at(-1) ?? "", "-t");
}

async function print(answer: ReturnType<typeof streamChat>, { terminal, signal }: CommandContext): Promise<number> {
  let last = "";
  try {
    const { reason, completionTokens, files } = await follow(answer, (text) => {
      last = text;
      terminal.out(text);
    });
    if (!last.endsWith("\n")) terminal.out("\n");
    for (const note of notesOf(files)) terminal.note(note);
    if (reason !== "length") return 0;
    terminal.note(`The answer was cut at ${completionTokens} tokens; --max-tokens allows more.`);
    return 3;
  } catch (thrown) {
    if (last !== "" && !last.endsWith("\n")) terminal.out("\n");
    if (signal.aborted) return 130;
    throw toAppError(thrown);
  }
}

async function readAll(stream: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of addAbortSignal(signal, stream)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
