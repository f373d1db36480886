// What the model reads of a message: its attachments between clear marks, documents first and the question last, which is the order small
// models answer best.

export interface AttachedText {
  name: string;
  text: string;
  /** Pasted text has a name only for the reader; a file's name is also told to the model. */
  isPasted: boolean;
}

/** A mark is never one that the document itself contains. */
export function documentText({ name, text, isPasted }: AttachedText): string {
  let mark = "document";
  for (let n = 2; text.includes(`</${mark}>`); n++) mark = `document-${n}`;
  const named = isPasted ? "" : ` name="${name.replaceAll(/["<>\n]/g, "_")}"`;
  return `<${mark}${named}>\n${text}\n</${mark}>`;
}

export function messageText(text: string, attachments: readonly AttachedText[]): string {
  return [...attachments.map(documentText), ...(text === "" ? [] : [text])].join("\n\n");
}
