// Conversations and their messages. Messages form a tree: regenerating or editing adds a sibling, nothing is overwritten, and a
// conversation points at the end of the branch that is shown. An answer that streams is kept as pieces until it ends, so that a reload or
// a second tab picks it up where it is; one whose server died is closed as `failed` at the next start, with what had arrived.
import { randomUUID } from "node:crypto";
import { AppError } from "../base/errors.ts";
import type { Row, Store } from "./store.ts";

export interface Conversation {
  id: string;
  title: string;
  isPinned: boolean;
  settings: Record<string, unknown>;
  leafId?: string;
  createdAt: number;
  updatedAt: number;
  deletedAt?: number;
}

export type MessageState = "streaming" | "done" | "stopped" | "failed";

export interface Message {
  id: string;
  conversationId: string;
  parentId?: string;
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  state: MessageState;
  reason?: string;
  failure?: string;
  details: Record<string, unknown>;
  createdAt: number;
}

export interface NewMessage {
  /** Chosen by the client, so that a repeated request adds nothing twice; a new one when absent. */
  id?: string;
  conversationId: string;
  parentId?: string;
  role: Message["role"];
  content?: string;
  state?: MessageState;
  details?: Record<string, unknown>;
  /** Files that belong to it. */
  fileIds?: readonly string[];
  reason?: string;
  /** Now, unless it comes from elsewhere. */
  createdAt?: number;
}

/** A place in the list of conversations. */
export type ListPlace = Pick<Conversation, "id" | "isPinned" | "updatedAt">;

export interface AnswerEnd {
  state: Exclude<MessageState, "streaming">;
  reason?: string;
  failure?: string;
  details?: Record<string, unknown>;
}

export class Conversations {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  create(options: { id?: string; title: string; settings?: Record<string, unknown> }): Conversation {
    const { id = randomUUID() } = options;
    const now = this.#store.now();
    this.#store.run(
      "INSERT INTO conversations (id, title, settings, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
      id,
      options.title,
      JSON.stringify(options.settings ?? {}),
      now,
      now,
    );
    return this.get(id);
  }

  /** Throws `not_found`. */
  get(id: string): Conversation {
    const conversation = this.find(id);
    if (!conversation) throw new AppError("not_found", `There is no conversation ${id}.`);
    return conversation;
  }

  find(id: string): Conversation | undefined {
    const row = this.#store.row("SELECT * FROM conversations WHERE id = ?", id);
    return row && toConversation(row);
  }

  /** As `list`, a page at a time: what comes behind `after`. */
  page(options: { limit: number; after?: ListPlace }): Conversation[] {
    const { limit, after } = options;
    return this.#store
      .rows(
        `SELECT * FROM conversations WHERE deleted_at IS NULL AND (?1 IS NULL OR (pinned, updated_at, id) < (?1, ?2, ?3))
         ORDER BY pinned DESC, updated_at DESC, id DESC LIMIT ?4`,
        after ? Number(after.isPinned) : null,
        after?.updatedAt ?? null,
        after?.id ?? null,
        limit,
      )
      .map(toConversation);
  }

  /** Conversations whose title holds `words`, upper and lower case alike, newest first. */
  withTitle(words: string, limit: number): Conversation[] {
    return this.#store
      .rows(
        `SELECT * FROM conversations WHERE deleted_at IS NULL AND instr(lower(title), lower(?)) > 0
         ORDER BY updated_at DESC LIMIT ?`,
        words,
        limit,
      )
      .map(toConversation);
  }

  /** Pinned ones first, then the most recently used; deleted ones are left out. */
  list(options: { limit?: number; before?: number } = {}): Conversation[] {
    const { limit = 200, before = Number.MAX_SAFE_INTEGER } = options;
    return this.#store
      .rows(
        "SELECT * FROM conversations WHERE deleted_at IS NULL AND updated_at < ? ORDER BY pinned DESC, updated_at DESC LIMIT ?",
        before,
        limit,
      )
      .map(toConversation);
  }

  update(
    id: string,
    change: { title?: string; isPinned?: boolean; settings?: Record<string, unknown>; leafId?: string },
  ): Conversation {
    this.#store.transaction(() => {
      this.get(id);
      if (change.leafId !== undefined && this.message(change.leafId).conversationId !== id) {
        throw new AppError("bad_request", `Message ${change.leafId} belongs to another conversation.`, {
          param: "leafId",
        });
      }
      this.#store.run(
        `UPDATE conversations SET title = coalesce(?, title), pinned = coalesce(?, pinned), settings = coalesce(?, settings),
         leaf_id = coalesce(?, leaf_id), updated_at = ? WHERE id = ?`,
        change.title ?? null,
        change.isPinned === undefined ? null : Number(change.isPinned),
        change.settings === undefined ? null : JSON.stringify(change.settings),
        change.leafId ?? null,
        this.#store.now(),
        id,
      );
    });
    return this.get(id);
  }

  /** Hides a conversation; `restore` brings it back, `purge` removes those deleted before a time for good. */
  delete(id: string): void {
    this.get(id);
    this.#store.run(
      "UPDATE conversations SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
      this.#store.now(),
      id,
    );
  }

  restore(id: string): Conversation {
    this.#store.run("UPDATE conversations SET deleted_at = NULL WHERE id = ?", id);
    return this.get(id);
  }

  /** For conversations that come from elsewhere. */
  setTimes(id: string, { createdAt, updatedAt }: Pick<Conversation, "createdAt" | "updatedAt">): void {
    this.#store.run("UPDATE conversations SET created_at = ?, updated_at = ? WHERE id = ?", createdAt, updatedAt, id);
  }

  /** Returns how many conversations went. */
  purge(deletedBefore: number): number {
    return this.#store.run("DELETE FROM conversations WHERE deleted_at < ?", deletedBefore);
  }

  /** All messages, every branch, oldest first; a streaming one holds what has arrived. */
  messages(conversationId: string): Message[] {
    return this.#store
      .rows(`${selectMessage} WHERE conversation_id = ? ORDER BY created_at, row_id`, conversationId)
      .map(toMessage);
  }

  message(id: string): Message {
    const message = this.findMessage(id);
    if (!message) throw new AppError("not_found", `There is no message ${id}.`);
    return message;
  }

  findMessage(id: string): Message | undefined {
    const row = this.#store.row(`${selectMessage} WHERE id = ?`, id);
    return row && toMessage(row);
  }

  /** From the first message to `leafId`: what the model is given. */
  branch(leafId: string): Message[] {
    this.message(leafId);
    return this.#store
      .rows(
        `WITH RECURSIVE chain (id, depth) AS (
           SELECT ?, 0 UNION ALL
           SELECT messages.parent_id, depth + 1 FROM chain JOIN messages ON messages.id = chain.id WHERE messages.parent_id IS NOT NULL)
         ${selectMessage} JOIN chain USING (id) ORDER BY depth DESC`,
        leafId,
      )
      .map(toMessage);
  }

  /** Adds a message and makes it the end of the shown branch. */
  add(message: NewMessage): Message {
    const { id = randomUUID(), fileIds = [] } = message;
    this.#store.transaction(() => {
      this.get(message.conversationId);
      if (message.parentId !== undefined && this.message(message.parentId).conversationId !== message.conversationId) {
        throw new AppError("bad_request", `Message ${message.parentId} belongs to another conversation.`, {
          param: "parentId",
        });
      }
      const now = this.#store.now();
      this.#store.run(
        "INSERT INTO messages (id, conversation_id, parent_id, role, content, state, reason, details, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        message.conversationId,
        message.parentId ?? null,
        message.role,
        message.content ?? "",
        message.state ?? "done",
        message.reason ?? null,
        JSON.stringify(message.details ?? {}),
        message.createdAt ?? now,
      );
      for (const fileId of fileIds) {
        this.#store.run("INSERT OR IGNORE INTO message_files (message_id, file_id) VALUES (?, ?)", id, fileId);
      }
      this.#store.run(
        "UPDATE conversations SET leaf_id = ?, updated_at = ? WHERE id = ?",
        id,
        now,
        message.conversationId,
      );
    });
    return this.message(id);
  }

  /** Keeps a piece of a streaming answer. `position` is its offset in UTF-16 units: a piece that came twice is kept once. */
  appendPiece(messageId: string, position: number, text: string): void {
    this.#store.run(
      "INSERT OR IGNORE INTO answer_pieces (message_id, position, text) VALUES (?, ?, ?)",
      messageId,
      position,
      text,
    );
  }

  /** Opens an ended answer again, to be gone on with from where it ends. Throws `conflict` while it is being written. */
  reopen(messageId: string): Message {
    this.#store.transaction(() => {
      const message = this.message(messageId);
      if (message.role !== "assistant" || message.state === "streaming") {
        throw new AppError("conflict", `Message ${messageId} is no answer that has ended.`);
      }
      this.#store.run("UPDATE messages SET state = 'streaming', reason = NULL, failure = NULL WHERE id = ?", messageId);
      this.#store.run(
        "UPDATE conversations SET leaf_id = ?, updated_at = ? WHERE id = ?",
        messageId,
        this.#store.now(),
        message.conversationId,
      );
    });
    return this.message(messageId);
  }

  /** Joins the pieces into the message. Ending one that has ended changes nothing. */
  endAnswer(messageId: string, { state, reason, failure, details }: AnswerEnd): Message {
    this.#store.transaction(() => {
      const message = this.message(messageId);
      if (message.state !== "streaming") return;
      this.#store.run(
        "UPDATE messages SET content = ?, state = ?, reason = ?, failure = ?, details = ? WHERE id = ?",
        message.content,
        state,
        reason ?? null,
        failure ?? null,
        JSON.stringify({ ...message.details, ...details }),
        messageId,
      );
      this.#store.run("DELETE FROM answer_pieces WHERE message_id = ?", messageId);
    });
    return this.message(messageId);
  }

  /** Closes answers that a dead server left streaming; call once at start. Returns how many. */
  endOrphans(failure: string): number {
    const orphans = this.#store.rows("SELECT id FROM messages WHERE state = 'streaming'");
    for (const { id } of orphans) this.endAnswer(String(id), { state: "failed", failure });
    return orphans.length;
  }
}

const selectMessage = `SELECT id, conversation_id, parent_id, role, state, reason, failure, details, created_at,
  content || coalesce((SELECT group_concat(text, '' ORDER BY position) FROM answer_pieces WHERE message_id = messages.id), '') AS content
  FROM messages`;

function toConversation(row: Row): Conversation {
  return {
    id: String(row.id),
    title: String(row.title),
    isPinned: row.pinned === 1,
    settings: JSON.parse(String(row.settings)) as Record<string, unknown>,
    ...(row.leaf_id === null ? {} : { leafId: String(row.leaf_id) }),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    ...(row.deleted_at === null ? {} : { deletedAt: Number(row.deleted_at) }),
  };
}

function toMessage(row: Row): Message {
  return {
    id: String(row.id),
    conversationId: String(row.conversation_id),
    ...(row.parent_id === null ? {} : { parentId: String(row.parent_id) }),
    role: String(row.role) as Message["role"],
    content: String(row.content),
    state: String(row.state) as MessageState,
    ...(row.reason === null ? {} : { reason: String(row.reason) }),
    ...(row.failure === null ? {} : { failure: String(row.failure) }),
    details: JSON.parse(String(row.details)) as Record<string, unknown>,
    createdAt: Number(row.created_at),
  };
}
