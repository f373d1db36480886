// From a branch of the conversation to the messages of the API. Attachments become part of the user's message between clear
// marks, documents first and the question last, which is the order small models answer best.
import type { Attachment, ChatSettings, Message } from "./conversation.ts";

export interface ApiMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** The text that the model reads for one message. A mark is never one that the document itself contains. */
export function contentOf(text: string, attachments: readonly Attachment[]): string {
  const documents = attachments.map((attachment) => {
    let mark = "document";
    for (let n = 2; attachment.text.includes(`</${mark}>`); n++) mark = `document-${n}`;
    const name = attachment.isPasted ? "" : ` name="${attachment.name.replaceAll(/["<>\n]/g, "_")}"`;
    return `<${mark}${name}>\n${attachment.text}\n</${mark}>`;
  });
  return [...documents, ...(text === "" ? [] : [text])].join("\n\n");
}

/** Messages that carry nothing (an answer that failed before its first token) or were left out by the user are not sent. */
export function isSent(message: Message, leftOutIds: readonly string[]): boolean {
  return !leftOutIds.includes(message.id) && (message.role === "user" || message.text !== "");
}

export function apiMessages(
  path: readonly Message[],
  { systemPrompt, leftOutIds }: { systemPrompt: ChatSettings["systemPrompt"]; leftOutIds: readonly string[] },
): ApiMessage[] {
  const turns = path
    .filter((message) => isSent(message, leftOutIds))
    .map((message): ApiMessage => ({ role: message.role, content: contentOf(message.text, message.attachments) }));
  return systemPrompt.trim() === "" ? turns : [{ role: "system", content: systemPrompt }, ...turns];
}
