// Conversations: list, make, read, change, delete and bring back, find, take out and in.
import { AppError } from "../../base/errors.ts";
import type { ListPlace } from "../../workspace/conversations.ts";
import { searchMessages } from "../../workspace/search.ts";
import type { ConversationHead, WorkspaceSearchHit } from "../api-types.ts";
import { refuse } from "../errors.ts";
import { type Fields, given } from "../fields.ts";
import { conversationFile, conversationMarkdown } from "./conversation-export.ts";
import { toHead, toMessageBody } from "./wire.ts";
import { asActor, type WorkspaceDoor, type WorkspaceHandler } from "./workspace-door.ts";
import { fieldsOf, idParam, parseId, parseSettings, queryInteger } from "./workspace-fields.ts";

const mostListed = 500;

export const listConversations: WorkspaceHandler = (context, _api, door) => {
  const limit = queryInteger(context, "limit", { least: 1, most: mostListed }) ?? 200;
  const after = context.req.query("after");
  // One more than asked for tells whether there is another page.
  const found = door.workspace.conversations.page({
    limit: limit + 1,
    ...(after === undefined ? {} : { after: parsePlace(after) }),
  });
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return context.json({
    conversations: shown.map(toHead),
    ...(found.length > limit && last ? { next: placeText(last) } : {}),
    revision: revisionOf(door),
  });
};

export const createConversation: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, ["id", "title", "settings", "leftOutIds", "isPinned"]);
  const id = parseId(fields);
  const known = id === undefined ? undefined : door.workspace.conversations.find(id);
  // A request that came twice, because the first answer was lost.
  if (known) return context.json({ conversation: toHead(known) });
  const change = changeOf(fields, {});
  const conversation = asActor(context, door, () =>
    door.workspace.store.transaction(() => {
      const created = door.workspace.conversations.create({
        ...given("id", id),
        title: change.title ?? "",
        settings: change.settings ?? {},
      });
      return change.isPinned ? door.workspace.conversations.update(created.id, { isPinned: true }) : created;
    }),
  );
  return context.json({ conversation: toHead(conversation) }, 201);
};

export const readConversation: WorkspaceHandler = (context, _api, { workspace }) => {
  const conversation = workspace.conversations.get(idParam(context));
  const messages = workspace.conversations.messages(conversation.id);
  return context.json({ conversation: toHead(conversation), messages: messages.map(toMessageBody) });
};

export const changeConversation: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, ["title", "isPinned", "settings", "leafId", "leftOutIds"]);
  const { conversations } = door.workspace;
  const known = conversations.get(idParam(context));
  const changed = asActor(context, door, () => conversations.update(known.id, changeOf(fields, known.settings)));
  return context.json({ conversation: toHead(changed) });
};

export const deleteConversation: WorkspaceHandler = async (context, _api, door) => {
  const { conversations } = door.workspace;
  const { id } = conversations.get(idParam(context));
  const running = door.answers.list().filter(({ conversationId }) => conversationId === id);
  await Promise.all(running.map(({ messageId }) => door.answers.stop(messageId)));
  asActor(context, door, () => conversations.delete(id));
  return context.json({ conversation: toHead(conversations.get(id)) });
};

export const restoreConversation: WorkspaceHandler = (context, _api, door) => {
  const { id } = door.workspace.conversations.get(idParam(context));
  const conversation = asActor(context, door, () => door.workspace.conversations.restore(id));
  return context.json({ conversation: toHead(conversation) });
};

export const searchConversations: WorkspaceHandler = (context, _api, { workspace }) => {
  const words = (context.req.query("q") ?? "").trim();
  const limit = queryInteger(context, "limit", { least: 1, most: mostListed }) ?? 50;
  if (words === "") throw refuse("q", "q, the words to look for, is missing.");
  const inTitles = workspace.conversations.withTitle(words, limit).map(
    (found): WorkspaceSearchHit => ({
      conversationId: found.id,
      title: found.title,
      excerpt: found.title,
      createdAt: found.updatedAt,
    }),
  );
  const inMessages = searchMessages(workspace.store, words, { limit }).map(
    ({ conversationId, conversationTitle: title, messageId, excerpt, createdAt }): WorkspaceSearchHit => ({
      conversationId,
      title,
      messageId,
      excerpt,
      createdAt,
    }),
  );
  return context.json({ hits: [...inTitles, ...inMessages].slice(0, limit) });
};

export const exportConversation: WorkspaceHandler = (context, _api, { workspace }) => {
  const conversation = workspace.conversations.get(idParam(context));
  const format = context.req.query("format") ?? "markdown";
  const name = encodeURIComponent(conversation.title.trim() || conversation.id);
  const attachment = (ending: string): Record<string, string> => ({
    "content-disposition": `attachment; filename*=UTF-8''${name}.${ending}`,
  });
  if (format === "json") return context.json(conversationFile(workspace, conversation), 200, attachment("json"));
  if (format !== "markdown") throw refuse("format", `format is markdown or json, not "${format.slice(0, 40)}".`);
  return context.body(conversationMarkdown(workspace, conversation), 200, {
    "content-type": "text/markdown; charset=utf-8",
    ...attachment("md"),
  });
};

/** A number that grows with each change of the workspace; text that streams does not count, its end does. */
export function revisionOf({ workspace }: WorkspaceDoor): number {
  return Number(workspace.store.row("SELECT max(sequence) AS newest FROM audit")?.newest ?? 0);
}

function changeOf(
  fields: Fields,
  known: Readonly<Record<string, unknown>>,
): { title?: string; isPinned?: boolean; leafId?: string; settings?: Record<string, unknown> } {
  const settings = parseSettings(fields.object("settings"));
  const leftOutIds = fields.strings("leftOutIds", 100_000);
  const kept = (known.leftOutIds ?? []) as ConversationHead["leftOutIds"];
  // Settings are replaced as a whole, so that one can be taken back; what is left out is a list of its own.
  const { leftOutIds: _, ...knownSettings } = known;
  const isChanged = settings !== undefined || leftOutIds !== undefined;
  return {
    ...given("title", fields.string("title")),
    ...given("isPinned", fields.boolean("isPinned")),
    ...given("leafId", parseId(fields, "leafId")),
    ...(isChanged ? { settings: { ...(settings ?? knownSettings), leftOutIds: leftOutIds ?? kept } } : {}),
  };
}

function placeText({ isPinned, updatedAt, id }: ListPlace): string {
  return `${Number(isPinned)}.${updatedAt}.${id}`;
}

function parsePlace(text: string): ListPlace {
  const [, pinned, updatedAt, id] = /^([01])\.(\d{1,15})\.([\w-]{1,64})$/.exec(text) ?? [];
  if (id === undefined) throw new AppError("bad_request", "after is no place in the list.", { param: "after" });
  return { isPinned: pinned === "1", updatedAt: Number(updatedAt), id };
}
