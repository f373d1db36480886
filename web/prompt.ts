// What the model reads for one message that is being written, as the server puts it together: attachments between clear marks,
// documents first and the question last, which is the order small models answer best.
import type { Attachment } from "./conversation.ts";

/** A mark is never one that the document itself contains. */
export function contentOf(text: string, attachments: readonly Attachment[]): string {
  const documents = attachments.map(({ text: content = "", name, isPasted }) => {
    let mark = "document";
    for (let n = 2; content.includes(`</${mark}>`); n++) mark = `document-${n}`;
    const named = isPasted ? "" : ` name="${name.replaceAll(/["<>\n]/g, "_")}"`;
    return `<${mark}${named}>\n${content}\n</${mark}>`;
  });
  return [...documents, ...(text === "" ? [] : [text])].join("\n\n");
}
