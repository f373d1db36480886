// The store of a browser that has none (private windows with storage switched off): everything works until the tab closes.
import type { ConversationHead, Message } from "./conversation.ts";
import { excerptAround, type SearchHit, type Store } from "./store.ts";

export function openMemoryStore(): Store {
  const heads = new Map<string, ConversationHead>();
  const messages = new Map<string, Message>();
  const of = (id: string): Message[] => [...messages.values()].filter((message) => message.conversationId === id);
  const list = (): ConversationHead[] =>
    [...heads.values()].filter((head) => head.deletedAt === undefined).sort((a, b) => b.updatedAt - a.updatedAt);
  return {
    list: async () => list(),
    messages: async (id) => of(id),
    async save(head, changed = []) {
      heads.set(head.id, head);
      for (const message of changed) messages.set(message.id, message);
    },
    async remove(id) {
      const head = heads.get(id);
      if (head !== undefined) heads.set(id, { ...head, deletedAt: Date.now() });
    },
    async restore(id) {
      const head = heads.get(id);
      if (head === undefined) return;
      const { deletedAt: _, ...kept } = head;
      heads.set(id, kept);
    },
    async purge(before) {
      for (const head of [...heads.values()]) {
        if (head.deletedAt === undefined || head.deletedAt >= before) continue;
        heads.delete(head.id);
        for (const message of of(head.id)) messages.delete(message.id);
      }
    },
    async search(words, { limit }) {
      const wanted = words.toLowerCase();
      const hits: SearchHit[] = [];
      for (const head of list()) {
        const found = of(head.id).find((message) => message.text.toLowerCase().includes(wanted));
        if (found !== undefined) {
          const excerpt = excerptAround(found.text, found.text.toLowerCase().indexOf(wanted), wanted.length);
          hits.push({ conversationId: head.id, messageId: found.id, excerpt });
        } else if (head.title.toLowerCase().includes(wanted)) {
          hits.push({ conversationId: head.id, excerpt: "" });
        }
      }
      return hits.slice(0, limit);
    },
    subscribe: () => () => undefined,
  };
}
