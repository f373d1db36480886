// Conversations live on the server: this is the page's side of /workspace (docs/workbench-api.md). Ids are chosen here, so that a
// request whose answer was lost can be sent again and adds nothing twice. Every call rejects with an ApiError when it failed.
import type {
  AnswerUpdateBody,
  BudgetBody,
  DraftBody,
  FileOverflow,
  ConversationHead as HeadBody,
  SlimBody,
  WorkspaceMessage,
  WorkspaceSearchHit,
} from "../src/server/api-types.ts";
import { call, readStream, readText } from "./api.ts";
import {
  type Attachment,
  type ChatSettings,
  type ConversationHead,
  defaultSettings,
  type Message,
  type TemperatureChoice,
} from "./conversation.ts";

export type SearchHit = WorkspaceSearchHit;

export type HeadChange = Partial<Pick<ConversationHead, "title" | "isPinned" | "settings" | "leafId" | "leftOutIds">>;

/** A message that is not sent yet, wherever it would stand. */
export interface UnsentMessage {
  conversationId?: string;
  /** null: the first of a conversation. */
  parentId?: string | null;
  text: string;
  attachments: readonly Attachment[];
  settings?: ChatSettings;
  isSlimmed?: boolean;
}

export interface Question {
  id: string;
  parentId: string | null;
  text: string;
  attachments: readonly Attachment[];
  isSlimmed: boolean;
  fileOverflow?: FileOverflow;
  answer: { id: string; temperatureChoice?: TemperatureChoice };
}

export type AnswerPlace =
  | { id: string; parentId: string; temperatureChoice?: TemperatureChoice }
  | { continueId: string }
  | { retryId: string };

const pageLimit = 500;
const longestReadMs = 3_600_000;
const conversations = "/workspace/conversations";

export class ServerStore {
  /** All conversations that are not deleted, without their messages: pinned ones first, then by use. */
  async list(): Promise<ConversationHead[]> {
    const heads: ConversationHead[] = [];
    for (let after = ""; ; ) {
      const page = await call<{ conversations: HeadBody[]; next?: string }>(
        "GET",
        `${conversations}?limit=${pageLimit}${after}`,
      );
      heads.push(...page.conversations.map(toHead));
      if (page.next === undefined) return heads;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
  }

  async read(id: string): Promise<{ head: ConversationHead; messages: Message[] }> {
    const body = await call<{ conversation: HeadBody; messages: WorkspaceMessage[] }>("GET", `${conversations}/${id}`);
    return { head: toHead(body.conversation), messages: body.messages.map(toMessage) };
  }

  /** Makes the conversation unless it is there. */
  async create({ id, title, settings, leftOutIds, isPinned }: ConversationHead): Promise<void> {
    await call("POST", conversations, { body: { id, title, settings, leftOutIds, isPinned } });
  }

  async change(id: string, change: HeadChange): Promise<void> {
    await call("PATCH", `${conversations}/${id}`, { body: change });
  }

  /** Hides the conversation and stops its answers; `restore` brings it back. */
  async remove(id: string): Promise<void> {
    await call("DELETE", `${conversations}/${id}`);
  }

  async restore(id: string): Promise<void> {
    await call("POST", `${conversations}/${id}/restore`);
  }

  async search(words: string, { limit, signal }: { limit: number; signal: AbortSignal }): Promise<SearchHit[]> {
    const query = new URLSearchParams({ q: words, limit: String(limit) });
    return (await call<{ hits: SearchHit[] }>("GET", `/workspace/search?${query}`, { signal })).hits;
  }

  /** Adds the question and begins its answer. */
  async ask(conversationId: string, { attachments, ...question }: Question): Promise<Message> {
    const body = { ...question, attachments: attachments.map(toAttached) };
    // Documents are read, and perhaps summarised, before the answer begins.
    const signal = AbortSignal.timeout(attachments.some(({ document }) => document) ? longestReadMs : 60_000);
    const { answer } = await call<{ answer: WorkspaceMessage }>("POST", `${conversations}/${conversationId}/messages`, {
      body,
      signal,
    });
    return toMessage(answer);
  }

  async answer(conversationId: string, place: AnswerPlace): Promise<Message> {
    const path = `${conversations}/${conversationId}/answer`;
    return toMessage((await call<{ answer: WorkspaceMessage }>("POST", path, { body: place })).answer);
  }

  /** What is new of an answer from `from` on, and its end. Leaving the loop ends nothing. */
  follow(messageId: string, from: number, signal: AbortSignal): AsyncGenerator<AnswerUpdateBody> {
    return readStream<AnswerUpdateBody>(`/workspace/messages/${messageId}/events?from=${from}`, signal);
  }

  async stop(messageId: string): Promise<Message> {
    return toMessage(
      (await call<{ message: WorkspaceMessage }>("POST", `/workspace/messages/${messageId}/stop`)).message,
    );
  }

  /** Asks the model for a title; a person's own stays. */
  async nameIt(conversationId: string, language: string): Promise<{ title: string; isNamed: boolean }> {
    const body = await call<{ conversation: HeadBody; isNamed: boolean }>(
      "POST",
      `${conversations}/${conversationId}/title`,
      { body: { language } },
    );
    return { title: body.conversation.title, isNamed: body.isNamed };
  }

  async followUps(conversationId: string, language: string): Promise<string[]> {
    const path = `${conversations}/${conversationId}/follow-ups`;
    return (await call<{ suggestions: string[] }>("POST", path, { body: { language } })).suggestions;
  }

  /** Takes what would be sent into the engine's memory. Stores nothing. */
  prefill(unsent: UnsentMessage, signal: AbortSignal): Promise<DraftBody> {
    return call("POST", "/workspace/draft", { body: toDraft(unsent), signal });
  }

  budget(unsent: UnsentMessage, signal: AbortSignal): Promise<BudgetBody> {
    return call("POST", "/workspace/budget", { body: toDraft(unsent), signal });
  }

  slim(text: string, signal: AbortSignal): Promise<SlimBody> {
    return call("POST", "/workspace/slim", { body: { text }, signal });
  }

  /** A conversation as a file: Markdown of the shown branch, JSON of all. */
  exported(id: string, format: "markdown" | "json"): Promise<string> {
    return readText(`${conversations}/${id}/export?format=${format}`);
  }

  import(files: readonly unknown[]): Promise<{ imported: string[]; skipped: string[] }> {
    return call("POST", "/workspace/import", { body: { conversations: files } });
  }

  async settings(): Promise<Record<string, unknown>> {
    return (await call<{ settings: Record<string, unknown> }>("GET", "/workspace/settings")).settings;
  }

  async changeSettings(change: Readonly<Record<string, unknown>>): Promise<void> {
    await call("PATCH", "/workspace/settings", { body: change });
  }
}

/** The text of an attachment, wherever it is. */
export async function textOf(attachment: Attachment): Promise<string> {
  return attachment.text ?? readText(`/workspace/files/${attachment.id}/content`);
}

function toHead(body: HeadBody): ConversationHead {
  return { ...body, settings: { ...defaultSettings, ...body.settings } };
}

function toMessage({ role, error, ...body }: WorkspaceMessage): Message {
  const plain = error && {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
  return {
    ...body,
    role: role === "assistant" ? "assistant" : "user",
    ...(plain === undefined ? {} : { error: plain }),
  };
}

function toAttached({ id, name, text, isPasted, document }: Attachment): object {
  if (document !== undefined) return { id, name, document };
  return text === undefined ? { id, name, isPasted } : { name, text, isPasted };
}

function toDraft({ attachments, ...unsent }: UnsentMessage): object {
  return { ...unsent, attachments: attachments.map(toAttached) };
}

/** For the messages that a stream brings. */
export const messageOf = toMessage;
