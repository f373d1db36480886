// Conversations as files, made and read by the server: Markdown of the shown branch for people, JSON of every branch for programs and for
// another Quern.
import type { ConversationHead } from "./conversation.ts";
import type { ServerStore } from "./store-server.ts";
import type { Strings } from "./strings.ts";
import { saveFile } from "./ui/clipboard.ts";
import { showToast } from "./ui/toasts.tsx";

export async function exportMarkdown(store: ServerStore, head: ConversationHead): Promise<void> {
  saveFile(`${head.title || head.id}.md`, "text/markdown;charset=utf-8", await store.exported(head.id, "markdown"));
}

export async function exportJson(store: ServerStore, head: ConversationHead): Promise<void> {
  saveFile(`${head.title || head.id}.json`, "application/json", await store.exported(head.id, "json"));
}

/** Lets the reader pick files that `exportJson` wrote, and tells what became of them. */
export function importFiles(store: ServerStore, work: (done: () => Promise<void>) => void, t: Strings): void {
  const picker = document.createElement("input");
  picker.type = "file";
  picker.multiple = true;
  picker.accept = ".json,application/json";
  picker.hidden = true;
  document.body.append(picker); // one that hangs nowhere may be gone before the reader has chosen
  picker.oncancel = () => picker.remove();
  picker.onchange = () => {
    picker.remove();
    work(async () => {
      const files = await Promise.all([...(picker.files ?? [])].map(async (file) => JSON.parse(await file.text())));
      const { imported, skipped } = await store.import(files);
      showToast({ text: t.importedChats(imported.length, skipped.length) });
    });
  };
  picker.click();
}
