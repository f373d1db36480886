// A conversation as a file, made by the server: Markdown of the shown branch for people, JSON of every branch for programs.
import type { ConversationHead } from "./conversation.ts";
import type { ServerStore } from "./store-server.ts";
import { saveFile } from "./ui/clipboard.ts";

export async function exportMarkdown(store: ServerStore, head: ConversationHead): Promise<void> {
  saveFile(`${head.title || head.id}.md`, "text/markdown;charset=utf-8", await store.exported(head.id, "markdown"));
}

export async function exportJson(store: ServerStore, head: ConversationHead): Promise<void> {
  saveFile(`${head.title || head.id}.json`, "application/json", await store.exported(head.id, "json"));
}
