// Conversations of the first version, which lay in the browser's IndexedDB: read once, offered for import, and forgotten when the
// server has them. A browser without them is asked nothing and gets no database.
import type { ServerStore } from "./store-server.ts";

const name = "quern";
const declined = "quern.left-conversations";

interface LeftHead {
  id: string;
  deletedAt?: number;
}

interface LeftMessage {
  conversationId: string;
}

/** One file for each conversation, as `POST /workspace/import` reads it; empty when there are none or the reader said no. */
export async function leftConversations(): Promise<readonly object[]> {
  if (!("indexedDB" in globalThis) || isDeclined()) return [];
  const databases = await indexedDB.databases();
  if (!databases.some((each) => each.name === name)) return [];
  const database = await result(indexedDB.open(name));
  try {
    if (!["heads", "messages"].every((store) => database.objectStoreNames.contains(store))) return [];
    const reading = database.transaction(["heads", "messages"]);
    const heads = (await result(reading.objectStore("heads").getAll())) as LeftHead[];
    const messages = (await result(reading.objectStore("messages").getAll())) as LeftMessage[];
    return heads
      .filter(({ deletedAt }) => deletedAt === undefined)
      .map((conversation) => ({
        format: "quern-conversation",
        version: 1,
        conversation,
        messages: messages.filter(({ conversationId }) => conversationId === conversation.id),
      }))
      .filter((file) => file.messages.length > 0);
  } finally {
    database.close();
  }
}

/** One by one, so that no request is too large; those the server has already it skips. Forgets them here when all are there. */
export async function importLeft(store: ServerStore, files: readonly object[]): Promise<void> {
  for (const file of files) await store.import([file]);
  await result(indexedDB.deleteDatabase(name));
}

/** They stay in the browser and are not offered again. */
export function declineLeft(): void {
  try {
    localStorage.setItem(declined, "no");
  } catch {
    // Storage is switched off: they are offered again next time.
  }
}

function isDeclined(): boolean {
  try {
    return localStorage.getItem(declined) !== null;
  } catch {
    return false; // storage is switched off
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("The browser's store failed."));
  });
}
