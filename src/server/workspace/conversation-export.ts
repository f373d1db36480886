// A conversation as a file: Markdown of the shown branch for people, JSON of every branch for programs and for other Querns. The JSON is
// what the page wrote when conversations lived in the browser, so that its files come in the same way (conversation-import.ts).
import type { Conversation, Message } from "../../workspace/conversations.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import type { ConversationHead, WorkspaceMessage } from "../api-types.ts";
import { toText } from "../body.ts";
import { contentOf } from "./branch-request.ts";
import { toHead, toMessageBody } from "./wire.ts";

export const fileFormat = "quern-conversation";
export const fileVersion = 1;

export interface ConversationFile {
  format: typeof fileFormat;
  version: number;
  conversation: ConversationHead;
  /** Attachments carry their text, documents their bytes as base64. */
  messages: WorkspaceMessage[];
}

export function conversationFile(workspace: Workspace, conversation: Conversation): ConversationFile {
  const messages = workspace.conversations.messages(conversation.id).map((message) => {
    const body = toMessageBody(message);
    const attachments = body.attachments.map((attachment) => {
      const bytes = workspace.files.read(attachment.id);
      return attachment.document
        ? { ...attachment, data: Buffer.from(bytes).toString("base64") }
        : { ...attachment, text: toText(bytes) };
    });
    return { ...body, attachments };
  });
  return { format: fileFormat, version: fileVersion, conversation: toHead(conversation), messages };
}

export function conversationMarkdown(workspace: Workspace, conversation: Conversation): string {
  const { leafId, title, id } = conversation;
  const branch = leafId === undefined ? [] : workspace.conversations.branch(leafId);
  const parts = branch.map((message) => {
    const documents = (toMessageBody(message).attachments ?? []).filter(({ document }) => document);
    const names = documents.map(({ name }) => `[${name}]\n\n`).join("");
    return `## ${speakerOf(message)}\n\n${names}${contentOf(workspace, message)}\n`;
  });
  return [`# ${title || id}\n`, ...parts].join("\n");
}

function speakerOf({ role, details }: Message): string {
  if (role === "user") return "User";
  return typeof details.model === "string" ? details.model : role === "assistant" ? "Assistant" : role;
}
