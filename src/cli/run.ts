// `quern run`: one question, one answer, made for pipes. Standard input and files become part of the prompt, the answer goes to
// standard output, and the exit code tells whether it is whole: 0 yes, 1 failed, 3 cut by the token limit.
import { addAbortSignal, type Readable } from "node:stream";
import { AppError, toAppError } from "../base/errors.ts";
import { templatePrompt } from "../server/instruct-templates.ts";
import { type ChatMessage, follow, streamChat } from "./api-client.ts";
import { type Command, type CommandContext, parseWords } from "./command.ts";
import { connect } from "./connect.ts";
import { promptOf } from "./prompt-files.ts";

export const run: Command = {
  about: "Ask once and print the answer; standard input and files join the prompt.",
  usage: '[-t TEMPLATE | --system TEXT] [-f FILE]... [--temperature X] [--seed N] [--max-tokens N] [--json] "…"',
  async run(context) {
    const { values, words } = parseWords(context.args, {
      "-f": "value",
      "--file": "value",
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
    const prompt = await promptOf({ question, files, piped }, context);
    if (prompt === "") {
      context.terminal.note('quern run needs a question: quern run "…", or text on standard input.');
      return 2;
    }
    const messages: ChatMessage[] = [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      { role: "user", content: prompt },
    ];
    await using server = await connect(context);
    const answer = streamChat(server, messages, {
      signal: context.signal,
      json: values.has("--json"),
      ...(temperature === undefined ? {} : { temperature }),
      ...(seed === undefined ? {} : { seed }),
      ...(maxTokens === undefined ? {} : { maxTokens }),
      onProgress: (processed, total) => {
        if (processed < total) context.terminal.progress(`reading the prompt: ${processed} of ${total} tokens`);
        else context.terminal.progress("");
      },
    });
    return await print(answer, context);
  },
};

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
    const { reason, completionTokens } = await follow(answer, (text) => {
      last = text;
      terminal.out(text);
    });
    if (!last.endsWith("\n")) terminal.out("\n");
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
