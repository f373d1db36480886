// `quern chat`: several turns in the terminal. Ctrl-C stops the answer, not the program; a second one at the prompt leaves.
import { writeFile } from "node:fs/promises";
import readline from "node:readline/promises";
import { toAppError } from "../base/errors.ts";
import { type ChatMessage, follow, streamChat } from "./api-client.ts";
import { type Command, parseWords } from "./command.ts";
import { connect } from "./connect.ts";

const helpText = `/system TEXT   set the system prompt (empty clears it)
/clear         forget the conversation
/save FILE     write the conversation as Markdown
/help          this list
/exit          leave (or Ctrl-D)
Ctrl-C stops an answer.`;

export const chat: Command = {
  about: "Talk with the model in the terminal: /help, /system, /save; Ctrl-C stops the answer.",
  usage: "[--system TEXT]",
  details: helpText.split("\n"),
  async run(context) {
    const { terminal } = context;
    const { values } = parseWords(context.args, { "--system": "value" }, { mostWords: 0 });
    await using server = await connect(context);
    let system = values.get("--system")?.at(-1) ?? "";
    let messages: ChatMessage[] = [];
    terminal.note(`${terminal.bold(server.modelId)} at ${server.url}. /help lists the commands.`);
    if (server.isDemonstration)
      terminal.note(
        "This is the demonstration model; `npx quern models pull qwen3-4b-instruct-2507` gets the real one.",
      );
    const lines = readline.createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
    let answering: AbortController | undefined;
    lines.on("SIGINT", () => {
      if (answering) answering.abort();
      else lines.close();
    });
    // Without a terminal Ctrl-C is a signal like any other, and ends the program.
    context.signal.addEventListener("abort", () => {
      answering?.abort();
      lines.close();
    });
    // Piped input ends while the last answer is still being written.
    let isClosed = false;
    lines.once("close", () => {
      isClosed = true;
    });
    lines.prompt();
    for await (const typed of lines) {
      const line = typed.trim();
      const [word = "", ...others] = line.split(/\s+/);
      const argument = others.join(" ");
      if (word === "/exit" || word === "/quit") break;
      if (word === "/help") terminal.note(helpText);
      else if (word === "/clear") messages = [];
      else if (word === "/system") system = argument;
      else if (word === "/save") terminal.note(await save(argument, prompted(system, messages)));
      else if (word.startsWith("/")) terminal.note(`There is no ${word}. /help lists the commands.`);
      else if (line !== "") {
        answering = new AbortController();
        messages.push({ role: "user", content: line });
        let answer = "";
        try {
          const stream = streamChat(server, prompted(system, messages), { signal: answering.signal });
          const end = await follow(stream, (text) => {
            answer += text;
            terminal.out(text);
          });
          if (end.reason === "length") terminal.note(`\n(cut at ${end.completionTokens} tokens)`);
        } catch (thrown) {
          if (answering.signal.aborted) terminal.note("\n(stopped)");
          else {
            const error = toAppError(thrown);
            terminal.note(`\n${error.message}${error.hint ? ` ${error.hint}` : ""}`);
          }
        }
        answering = undefined;
        // What was said stays said, also when it was stopped: the next turn may refer to it.
        if (answer === "") messages.pop();
        else messages.push({ role: "assistant", content: answer });
        terminal.out("\n");
      }
      if (!isClosed) lines.prompt();
    }
    lines.close();
    return context.signal.aborted ? 130 : 0;
  },
};

function prompted(system: string, messages: readonly ChatMessage[]): ChatMessage[] {
  return system === "" ? [...messages] : [{ role: "system", content: system }, ...messages];
}

async function save(file: string, messages: readonly ChatMessage[]): Promise<string> {
  if (file === "") return "/save needs a file name.";
  const text = messages.map(({ role, content }) => `**${role}**\n\n${content}\n`).join("\n");
  try {
    await writeFile(file, text, { flag: "wx" });
    return `Saved ${messages.length} messages to ${file}.`;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    return code === "EEXIST"
      ? `${file} exists; choose another name.`
      : `Could not write ${file}: ${toAppError(thrown).message}`;
  }
}
