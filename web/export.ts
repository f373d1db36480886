// A conversation as a file: Markdown of the shown branch for people, JSON of every branch for programs.
import { type ConversationHead, pathTo } from "./conversation.ts";
import { contentOf } from "./prompt.ts";
import type { Store } from "./store.ts";
import type { Strings } from "./strings.ts";
import { saveFile } from "./ui/clipboard.ts";

export async function exportMarkdown(store: Store, head: ConversationHead, t: Strings): Promise<void> {
  const messages = new Map((await store.messages(head.id)).map((message) => [message.id, message]));
  const title = head.title || t.untitled;
  const parts = pathTo(messages, head.leafId).map((message) => {
    const who = message.role === "user" ? t.you : (message.model ?? t.quern);
    return `## ${who}\n\n${contentOf(message.text, message.attachments)}\n`;
  });
  saveFile(`${title}.md`, "text/markdown;charset=utf-8", [`# ${title}\n`, ...parts].join("\n"));
}

export async function exportJson(store: Store, head: ConversationHead): Promise<void> {
  const messages = await store.messages(head.id);
  const file = { format: "quern-conversation", version: 1, conversation: head, messages };
  saveFile(`${head.title || head.id}.json`, "application/json", `${JSON.stringify(file, null, 2)}\n`);
}
