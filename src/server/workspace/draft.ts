// A message that is not sent yet: where it would stand and what the model would read. The page sends it to have it prefilled, counted or
// slimmed; it is never stored, its attachments neither.
import type { Message } from "../../workspace/conversations.ts";
import { type AttachedText, documentText, messageText } from "../../workspace/message-text.ts";
import { slim } from "../../workspace/slim.ts";
import type { FilePart } from "../api-types.ts";
import { toText } from "../body.ts";
import { refuse } from "../errors.ts";
import { Fields } from "../fields.ts";
import { filePart, type SettingsWithLeftOut } from "./branch-request.ts";
import type { WorkspaceDoor } from "./workspace-door.ts";
import { parseDocument, parseId, parseSettings } from "./workspace-fields.ts";

export interface DraftPlace {
  conversationId: string | undefined;
  branch: Message[];
  settings: SettingsWithLeftOut;
  /** What the model would read. */
  content: string;
  /** Of it, the attachments' part. */
  files: string;
  /** Their text is not in `content`. */
  documents: FilePart[];
  /** Tokens of its documents, as they were counted when they were read. */
  documentTokens: number;
}

const mostAttachments = 100;

export async function parseDraft(fields: Fields, { workspace }: WorkspaceDoor): Promise<DraftPlace> {
  const conversationId = parseId(fields, "conversationId");
  const conversation = conversationId === undefined ? undefined : workspace.conversations.find(conversationId);
  const isFirst = fields.values.parentId === null;
  const parentId = isFirst ? undefined : (parseId(fields, "parentId") ?? conversation?.leafId);
  const branch = parentId === undefined ? [] : workspace.conversations.branch(parentId);
  if (branch.some((message) => message.conversationId !== conversationId)) {
    throw refuse("parentId", `Message ${parentId} belongs to another conversation.`);
  }
  const known = (conversation?.settings ?? {}) as SettingsWithLeftOut;
  const given = parseSettings(fields.object("settings"));
  const all = (fields.list("attachments", mostAttachments) ?? []).map((item, index) =>
    Fields.of(item, `attachments[${index}]`),
  );
  const parsed = all.map((attachment) => ({ attachment, document: parseDocument(attachment.object("document")) }));
  const documents = parsed.flatMap(({ attachment, document }) =>
    document ? [filePart(attachment.required("id", attachment.string("id")), document)] : [],
  );
  const documentTokens = parsed.reduce((sum, { document }) => sum + (document?.tokens ?? 0), 0);
  const texts = all.filter((attachment) => !attachment.has("document"));
  const attachments = texts.map((attachment): AttachedText => {
    const text = attachment.string("text");
    const id = attachment.string("id");
    if (text === undefined && id === undefined)
      throw refuse(attachment.path("text"), "An attachment needs text or id.");
    return {
      text: text ?? toText(workspace.files.read(id ?? "")),
      name: attachment.string("name") ?? (id === undefined ? "text" : workspace.files.get(id).name),
      isPasted: attachment.boolean("isPasted") ?? false,
    };
  });
  const written = fields.string("text") ?? "";
  const text = fields.boolean("isSlimmed") ? slim(written).text : written;
  return {
    conversationId,
    branch,
    settings: given ? { ...given, leftOutIds: known.leftOutIds ?? [] } : known,
    content: messageText(text, attachments),
    files: attachments.map(documentText).join("\n\n"),
    documents,
    documentTokens,
  };
}
