// Full-text search over messages, best first (BM25). Two-character Chinese words are found inside sentences; see search-terms.ts.
import { toSearchQuery } from "./search-terms.ts";
import type { Store } from "./store.ts";

export interface SearchHit {
  conversationId: string;
  conversationTitle: string;
  messageId: string;
  role: string;
  /** A stretch of the message around the first match. */
  excerpt: string;
  createdAt: number;
}

export function searchMessages(store: Store, query: string, options: { limit?: number } = {}): SearchHit[] {
  const match = toSearchQuery(query);
  if (match === undefined) return [];
  const rows = store.rows(
    `SELECT messages.id, messages.conversation_id, messages.role, messages.content, messages.created_at, conversations.title
     FROM message_terms
     JOIN messages ON messages.row_id = message_terms.rowid
     JOIN conversations ON conversations.id = messages.conversation_id
     WHERE message_terms MATCH ? AND conversations.deleted_at IS NULL
     ORDER BY bm25(message_terms), messages.created_at DESC LIMIT ?`,
    match,
    options.limit ?? 50,
  );
  return rows.map((row) => ({
    conversationId: String(row.conversation_id),
    conversationTitle: String(row.title),
    messageId: String(row.id),
    role: String(row.role),
    excerpt: excerptOf(String(row.content), query),
    createdAt: Number(row.created_at),
  }));
}

function excerptOf(content: string, query: string): string {
  const words = query.match(/[\p{L}\p{N}]+/gu) ?? [];
  const lower = content.toLowerCase();
  const found = words.map((word) => lower.indexOf(word.toLowerCase())).filter((index) => index >= 0);
  const start = Math.max(0, Math.min(...found, content.length) - 40);
  const from = found.length === 0 ? 0 : start;
  const stretch = content.slice(from, from + 160).replace(/\s+/g, " ");
  return `${from > 0 ? "…" : ""}${stretch}${from + 160 < content.length ? "…" : ""}`;
}
