// Where conversations live. The page knows this interface only: today the browser's IndexedDB stands behind it, later the
// server's own store. Writes resolve when they are safe; a failed write rejects, and the page says so instead of losing text.
import type { ConversationHead, Message } from "./conversation.ts";

export interface SearchHit {
  conversationId: string;
  /** The message that holds the words; absent when the title does. */
  messageId?: string;
  /** Some text around the first hit. */
  excerpt: string;
}

export interface Store {
  /** All conversations that are not deleted, without their messages, newest first. */
  list(): Promise<ConversationHead[]>;
  /** All messages of one conversation, every branch, in no particular order. */
  messages(conversationId: string): Promise<Message[]>;
  /** Creates or replaces; head and messages are written together or not at all. */
  save(head: ConversationHead, messages?: readonly Message[]): Promise<void>;
  /** Hides the conversation. It can be brought back with `restore` until `purge` runs. */
  remove(id: string): Promise<void>;
  restore(id: string): Promise<void>;
  /** Forgets what was removed before this time (milliseconds since 1970). */
  purge(before: number): Promise<void>;
  /** Conversations whose title or messages contain the words, newest first; at most `limit` hits, one a conversation. */
  search(words: string, options: { limit: number; signal: AbortSignal }): Promise<SearchHit[]>;
  /** Calls back when another tab changed something. */
  subscribe(listener: () => void): () => void;
}

/** The stretch of text around a hit, on one line. */
export function excerptAround(text: string, at: number, length: number): string {
  const from = Math.max(0, at - 24);
  const to = Math.min(text.length, at + length + 60);
  const middle = text.slice(from, to).replaceAll(/\s+/g, " ").trim();
  return `${from > 0 ? "…" : ""}${middle}${to < text.length ? "…" : ""}`;
}
