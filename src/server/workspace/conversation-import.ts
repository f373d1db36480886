// POST /workspace/import: conversations from a file, or from the browser where the page kept them at first. All of a conversation comes in
// or nothing of it; one that is here already (its id is) stays as it is and is told as skipped, so importing twice is harmless.
import { AppError } from "../../base/errors.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import type { AttachedDocument, ConversationSettings } from "../api-types.ts";
import { refuse } from "../errors.ts";
import { Fields, given } from "../fields.ts";
import { fileFormat, fileVersion } from "./conversation-export.ts";
import { withoutPassword } from "./file-passwords.ts";
import type { MessageDetails } from "./wire.ts";
import { asActor, type WorkspaceHandler } from "./workspace-door.ts";
import { fieldsOf, lineCountOf, parseDocument, parseId, parseSettings } from "./workspace-fields.ts";

const mostConversations = 10_000;
const mostMessages = 100_000;

interface IncomingMessage {
  id: string;
  parentId?: string;
  role: "user" | "assistant";
  text: string;
  attachments: { name: string; bytes: Buffer; lineCount: number; isPasted: boolean; document?: AttachedDocument }[];
  createdAt: number;
  state: string;
  details: MessageDetails;
}

interface Incoming {
  id: string;
  title: string;
  isPinned: boolean;
  createdAt: number;
  updatedAt: number;
  leafId?: string;
  settings: ConversationSettings & { leftOutIds: readonly string[] };
  messages: IncomingMessage[];
}

export const importConversations: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, ["conversations", "format", "version", "conversation", "messages"]);
  const files = fields.has("conversation")
    ? [fields]
    : (fields.list("conversations", mostConversations) ?? []).map((item, index) =>
        Fields.of(item, `conversations[${index}]`),
      );
  if (files.length === 0) throw refuse("conversations", "There is no conversation to import.");
  const incoming = files.map(parseFile); // all are read before the first is written
  const imported: string[] = [];
  const skipped: string[] = [];
  asActor(context, door, () => {
    for (const conversation of incoming) {
      const isKnown = door.workspace.conversations.find(conversation.id) !== undefined;
      if (!isKnown) write(door.workspace, conversation);
      (isKnown ? skipped : imported).push(conversation.id);
    }
  });
  return context.json({ imported, skipped });
};

function parseFile(file: Fields): Incoming {
  const format = file.string("format");
  const version = file.integer("version", 1, Number.MAX_SAFE_INTEGER) ?? fileVersion;
  if (format !== undefined && format !== fileFormat)
    throw refuse(file.path("format"), `This is no ${fileFormat} file.`);
  if (version > fileVersion) {
    throw new AppError("unsupported", `The file is of version ${version}; this Quern reads ${fileVersion}.`, {
      param: file.path("version"),
      hint: "Update Quern before importing it.",
    });
  }
  const head = file.required("conversation", file.object("conversation"));
  const createdAt = timeOf(head, "createdAt") ?? Date.now();
  const messages = (file.list("messages", mostMessages) ?? []).map((item, index) =>
    parseMessage(Fields.of(item, file.path(`messages[${index}]`))),
  );
  return {
    id: head.required("id", parseId(head)),
    title: head.string("title") ?? "",
    isPinned: head.boolean("isPinned") ?? false,
    createdAt,
    updatedAt: timeOf(head, "updatedAt") ?? createdAt,
    ...given("leafId", head.string("leafId")),
    settings: { ...parseSettings(head.object("settings")), leftOutIds: head.strings("leftOutIds", mostMessages) ?? [] },
    messages: parentsFirst(messages, file.path("messages")),
  };
}

function parseMessage(fields: Fields): IncomingMessage {
  const attachments = (fields.list("attachments", 1000) ?? []).map((item, index) => {
    const attachment = Fields.of(item, fields.path(`attachments[${index}]`));
    const name = attachment.string("name") ?? "text";
    const document = parseDocument(attachment.object("document"));
    if (document) {
      const bytes = Buffer.from(attachment.required("data", attachment.string("data")), "base64");
      return { name, bytes, lineCount: 0, isPasted: false, document: withoutPassword(document) };
    }
    const text = attachment.required("text", attachment.string("text"));
    const isPasted = attachment.boolean("isPasted") ?? false;
    return { name, bytes: Buffer.from(text, "utf8"), lineCount: lineCountOf(text), isPasted };
  });
  const error = fields.object("error");
  const model = fields.string("model");
  const message = error?.string("message");
  return {
    id: fields.required("id", parseId(fields)),
    ...given("parentId", parseId(fields, "parentId")),
    role: fields.required("role", fields.choice("role", ["user", "assistant"])),
    text: fields.string("text") ?? "",
    attachments,
    createdAt: timeOf(fields, "createdAt") ?? Date.now(),
    state: fields.choice("state", ["complete", "streaming", "stopped", "cut", "failed"]) ?? "complete",
    details: {
      ...given("model", model),
      ...given("isSlimmed", fields.boolean("isSlimmed")),
      ...(message === undefined ? {} : { error: { code: "engine_lost" as const, message } }),
      ...statsOf(fields.object("stats")),
    },
  };
}

/** Usage and times as the store keeps them, from the page's line under an answer. */
function statsOf(stats: Fields | undefined): MessageDetails {
  if (!stats) return {};
  const count = (name: string): number => stats.number(name, 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const completionTokens = count("completionTokens");
  const speed = count("tokensPerSecond");
  const queueMs = count("queueMs");
  return {
    usage: { promptTokens: count("promptTokens"), cachedTokens: count("cachedTokens"), completionTokens },
    timings: {
      queueMs,
      prefillMs: Math.max(0, count("firstTokenMs") - queueMs),
      decodeMs: speed > 0 ? (Math.max(0, completionTokens - 1) * 1000) / speed : 0,
    },
  };
}

function timeOf(fields: Fields, name: string): number | undefined {
  const at = fields.number(name, 0, 8.64e15);
  return at === undefined ? undefined : Math.round(at);
}

/** In an order in which each parent comes before its children, those of one parent in time. */
function parentsFirst(messages: readonly IncomingMessage[], path: string): IncomingMessage[] {
  const children = new Map<string | undefined, IncomingMessage[]>();
  for (const message of messages.toSorted((a, b) => a.createdAt - b.createdAt)) {
    children.set(message.parentId, [...(children.get(message.parentId) ?? []), message]);
  }
  const ordered: IncomingMessage[] = [];
  const open = [...(children.get(undefined) ?? [])];
  for (let next = open.shift(); next; next = open.shift()) {
    ordered.push(next);
    open.push(...(children.get(next.id) ?? []));
    children.delete(next.id);
  }
  const reached = new Set(ordered.map(({ id }) => id));
  const lost = messages.find(({ id }) => !reached.has(id));
  if (lost) throw refuse(path, `The message ${lost.id} hangs on no other: its parentId names none, or a circle.`);
  if (reached.size < ordered.length) throw refuse(path, "Two messages have the same id.");
  return ordered;
}

const states = { complete: "done", cut: "done", stopped: "stopped", failed: "failed", streaming: "failed" } as const;

function write({ store, conversations, files }: Workspace, incoming: Incoming): void {
  store.transaction(() => {
    const { id, title, isPinned, createdAt, updatedAt, settings } = incoming;
    conversations.create({ id, title, settings: { ...settings } });
    for (const message of incoming.messages) {
      const attachments = message.attachments.map(({ name, bytes, document, ...attached }) => {
        const mediaType = document ? "application/octet-stream" : "text/plain; charset=utf-8";
        const file = files.add(bytes, { name, mediaType });
        return { id: file.id, name: file.name, bytes: file.bytes, ...attached, ...given("document", document) };
      });
      conversations.add({
        id: message.id,
        conversationId: id,
        ...given("parentId", message.parentId),
        role: message.role,
        content: message.text,
        state: states[message.state as keyof typeof states],
        ...(message.state === "cut" ? { reason: "length" } : {}),
        details: { ...message.details, ...(attachments.length > 0 ? { attachments } : {}) },
        fileIds: attachments.map((attachment) => attachment.id),
        createdAt: message.createdAt,
      });
    }
    const leafId = incoming.messages.some((message) => message.id === incoming.leafId) ? incoming.leafId : undefined;
    if (leafId !== undefined || isPinned) conversations.update(id, { ...given("leafId", leafId), isPinned });
    conversations.setTimes(id, { createdAt, updatedAt });
  });
}
