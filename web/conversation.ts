// The data model of a conversation: messages form a tree, and `leafId` names the branch that is shown and sent. Editing a
// question or asking again adds a sibling; nothing is ever overwritten. Pure functions over readonly data: no storage, no
// network, no clock.

import type { AttachedDocument, FileOverflow, QuernBody } from "../src/server/api-types.ts";

export interface Attachment {
  /** Of a document: the stored file's. */
  id: string;
  name: string;
  /** Absent once the server keeps it: read it with `textOf`. */
  text?: string;
  lineCount: number;
  /** Pasted text has a name only for the reader; a file's name is also told to the model. */
  isPasted: boolean;
  /** Present for what the server reads: PDF, Office, pictures, workbooks. */
  document?: AttachedDocument;
  /** Pages that were recognised with little confidence, while the message is being written. */
  pagesToCheck?: readonly number[];
}

export interface MessageError {
  code: string;
  message: string;
  hint?: string;
}

/** What an answer cost, for the line under it. */
export interface AnswerStats {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  firstTokenMs: number;
  tokensPerSecond: number;
  /** Where the GPU tells. */
  energyJoules?: number;
}

export interface Message {
  id: string;
  conversationId: string;
  /** Absent for the first message of a branch. */
  parentId?: string;
  role: "user" | "assistant";
  text: string;
  attachments: readonly Attachment[];
  createdAt: number;
  /** `cut`: the answer met its token limit. */
  state: "complete" | "streaming" | "stopped" | "cut" | "failed";
  error?: MessageError;
  model?: string;
  stats?: AnswerStats;
  /** The model got it without its politeness and filler. */
  isSlimmed?: boolean;
  /** Of a question: how its documents go along when they are too long. */
  fileOverflow?: FileOverflow;
  /** Of an answer: what the model was given of the documents, and what it cites. */
  files?: QuernBody;
}

export type TemperatureChoice = "auto" | "precise" | "balanced" | "creative" | "custom";

/** Sampling and prompt of one conversation. Absent numbers are not sent: the model's own defaults hold. */
export interface ChatSettings {
  temperatureChoice: TemperatureChoice;
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
  seed?: number;
  maxTokens?: number;
  systemPrompt: string;
}

export interface ConversationHead {
  id: string;
  title: string;
  isPinned: boolean;
  createdAt: number;
  updatedAt: number;
  leafId?: string;
  settings: ChatSettings;
  /** Messages that stay in view but are not sent, because the user chose to leave them out. */
  leftOutIds: readonly string[];
  deletedAt?: number;
}

export type Messages = ReadonlyMap<string, Message>;

export const defaultSettings: ChatSettings = { temperatureChoice: "auto", systemPrompt: "" };

export const temperatures: Partial<Record<TemperatureChoice, number>> = { precise: 0.3, balanced: 0.5, creative: 0.7 };

/** The temperature to send, or nothing when the model's default is wanted. */
export function temperatureOf(settings: ChatSettings): number | undefined {
  return settings.temperatureChoice === "custom" ? settings.temperature : temperatures[settings.temperatureChoice];
}

/** An id that also works where crypto.randomUUID does not: a page served over plain http from another machine. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The shown branch, oldest first. */
export function pathTo(messages: Messages, leafId: string | undefined): Message[] {
  const path: Message[] = [];
  for (let id = leafId; id !== undefined; ) {
    const message: Message | undefined = messages.get(id);
    if (message === undefined || path.length > messages.size) break;
    path.push(message);
    id = message.parentId;
  }
  return path.reverse();
}

/** All versions of a message: those with the same parent and role, oldest first. */
export function versionsOf(messages: Messages, message: Message): Message[] {
  return [...messages.values()]
    .filter((other) => other.parentId === message.parentId && other.role === message.role)
    .sort((a, b) => a.createdAt - b.createdAt);
}

/** The newest leaf below a message: where a branch was left when the reader turned away from it. */
export function newestLeafBelow(messages: Messages, id: string): string {
  const newestChild = new Map<string, Message>();
  for (const message of messages.values()) {
    if (message.parentId === undefined) continue;
    const known = newestChild.get(message.parentId);
    if (known === undefined || known.createdAt <= message.createdAt) newestChild.set(message.parentId, message);
  }
  let leaf = id;
  for (let steps = 0; steps <= messages.size; steps++) {
    const child = newestChild.get(leaf);
    if (child === undefined) break;
    leaf = child.id;
  }
  return leaf;
}

/** A title from the first question: its first line, short enough for the list. The question itself stays whole. */
export function titleFrom(text: string, attachments: readonly Attachment[]): string {
  const line =
    text
      .split("\n")
      .map((each) => each.replace(/^\s*(?:[#>*-]+\s+)+/, "").trim())
      .find((each) => each !== "") ??
    attachments[0]?.name ??
    "";
  const characters = [...line];
  return characters.length > 40 ? `${characters.slice(0, 39).join("")}…` : line;
}
