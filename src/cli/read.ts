// `quern read`: what Quern sees in a file, as Markdown or JSON on standard output.
import { AppError } from "../base/errors.ts";
import { toJson, toMarkdown } from "../documents/document.ts";
import { type Command, parseWords } from "./command.ts";
import { filesOf, readFiles } from "./read-files.ts";

export const read: Command = {
  about: "Read PDF, Office, mail, text and images (with OCR) and print Markdown or JSON.",
  usage: "FILE|GLOB... [--json] [--pages] [--password TEXT] [--no-ocr] [--raw]",
  details: [
    "--json            pages, segments, boxes and confidence instead of Markdown; one line a file",
    "--pages           marks where each page begins",
    "--no-ocr          leaves scanned pages unread",
    "--raw             keeps headers, footers and page numbers",
    "--password TEXT   for encrypted files",
    "The exit code is 1 when a file could not be read.",
  ],
  async run(context) {
    const { terminal } = context;
    const { values, words } = parseWords(context.args, {
      "--json": "switch",
      "--pages": "switch",
      "--password": "value",
      "--no-ocr": "switch",
      "--raw": "switch",
    });
    if (words.length === 0)
      throw new AppError("bad_request", "quern read needs a file.", { hint: "quern read contract.pdf" });
    const password = values.get("--password")?.at(-1);
    const files = words.flatMap(filesOf);
    let failed = 0;
    const options = {
      ...(password === undefined ? {} : { password }),
      ocr: !values.has("--no-ocr"),
      clean: !values.has("--raw"),
    };
    for await (const document of readFiles(files, context, options)) {
      if (document instanceof AppError) {
        // One of many that cannot be read does not cost the others.
        if (files.length === 1) throw document;
        failed++;
        terminal.note([document.message, document.hint].filter(Boolean).join(" "));
        continue;
      }
      if (values.has("--json")) terminal.out(`${toJson(document)}\n`);
      else {
        const title = files.length > 1 ? `<!-- ${document.name} -->\n\n` : "";
        terminal.out(`${title}${toMarkdown(document, { pageMarks: values.has("--pages") }).trimEnd()}\n`);
      }
    }
    return failed === 0 ? 0 : 1;
  },
};
