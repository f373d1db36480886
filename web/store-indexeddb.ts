// The store in the browser: two object stores, heads and messages, and a channel that tells other tabs. Each call is one
// transaction. Search reads the messages one by one, newest conversation first; good for thousands of messages, and the
// server's full-text index takes its place.
import type { ConversationHead, Message } from "./conversation.ts";
import { excerptAround, type SearchHit, type Store } from "./store.ts";

const version = 1;

export async function openBrowserStore(name = "quern"): Promise<Store> {
  const database = await openDatabase(name);
  const channel = new BroadcastChannel(`${name}.changes`);

  const write = async (work: (heads: IDBObjectStore, messages: IDBObjectStore) => void): Promise<void> => {
    const transaction = database.transaction(["heads", "messages"], "readwrite", { durability: "strict" });
    const done = finished(transaction);
    work(transaction.objectStore("heads"), transaction.objectStore("messages"));
    await done;
    channel.postMessage("changed");
  };
  const setDeleted = (id: string, deletedAt: number | undefined): Promise<void> =>
    write((heads) => {
      const reading = heads.get(id);
      reading.onsuccess = () => {
        const { deletedAt: _, ...head } = reading.result as ConversationHead;
        heads.put(deletedAt === undefined ? head : { ...head, deletedAt });
      };
    });
  const allHeads = async (): Promise<ConversationHead[]> => {
    const heads = database.transaction("heads").objectStore("heads");
    return (await result(heads.getAll())) as ConversationHead[];
  };
  const messagesOf = async (conversationId: string): Promise<Message[]> => {
    const index = database.transaction("messages").objectStore("messages").index("conversation");
    return (await result(index.getAll(conversationId))) as Message[];
  };
  const list = async (): Promise<ConversationHead[]> =>
    (await allHeads()).filter((head) => head.deletedAt === undefined).sort((a, b) => b.updatedAt - a.updatedAt);

  return {
    list,
    messages: messagesOf,
    save: (head, changed = []) =>
      write((heads, messages) => {
        heads.put(head);
        for (const message of changed) messages.put(message);
      }),
    remove: (id) => setDeleted(id, Date.now()),
    restore: (id) => setDeleted(id, undefined),
    async purge(before) {
      const gone = (await allHeads()).filter((head) => head.deletedAt !== undefined && head.deletedAt < before);
      if (gone.length === 0) return;
      await write((heads, messages) => {
        for (const head of gone) {
          heads.delete(head.id);
          const keys = messages.index("conversation").getAllKeys(head.id);
          keys.onsuccess = () => {
            for (const key of keys.result) messages.delete(key);
          };
        }
      });
    },
    async search(words, { limit, signal }) {
      const wanted = words.toLowerCase();
      const hits: SearchHit[] = [];
      for (const head of await list()) {
        if (signal.aborted || hits.length >= limit) break;
        const hit = hitIn(head, wanted, await messagesOf(head.id));
        if (hit !== undefined) hits.push(hit);
      }
      return hits;
    },
    subscribe(listener) {
      channel.addEventListener("message", listener);
      return () => channel.removeEventListener("message", listener);
    },
  };
}

function hitIn(head: ConversationHead, wanted: string, messages: readonly Message[]): SearchHit | undefined {
  for (const message of messages) {
    for (const text of [message.text, ...message.attachments.map((attachment) => attachment.text)]) {
      const at = text.toLowerCase().indexOf(wanted);
      if (at < 0) continue;
      return {
        conversationId: head.id,
        messageId: message.id,
        excerpt: excerptAround(text, at, wanted.length),
      };
    }
  }
  return head.title.toLowerCase().includes(wanted) ? { conversationId: head.id, excerpt: "" } : undefined;
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const opening = indexedDB.open(name, version);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore("heads", { keyPath: "id" });
    const messages = opening.result.createObjectStore("messages", { keyPath: "id" });
    messages.createIndex("conversation", "conversationId");
  };
  return result(opening);
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("The browser's store failed."));
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("The browser's store refused the write."));
  });
}
