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
  /** Attachments carry their text. */
  messages: WorkspaceMessage[];
}

export function conversationFile(workspace: Workspace, conversation: Conversation): ConversationFile {
  const messages = workspace.conversations.messages(conversation.id).map((message) => {
    const body = toMessageBody(message);
    const attachments = body.attachments.map((attachment) => ({
      ...attachment,
      text: toText(workspace.files.read(attachment.id)),
    }));
    return { ...body, attachments };
  });
  return { format: fileFormat, version: fileVersion, conversation: toHead(conversation), messages };
}

export function conversationMarkdown(workspace: Workspace, conversation: Conversation): string {
  const { leafId, title, id } = conversation;
  const branch = leafId === undefined ? [] : workspace.conversations.branch(leafId);
  const parts = branch.map((message) => `## ${speakerOf(message)}\n\n${contentOf(workspace, message)}\n`);
  return [`# ${title || id}\n`, ...parts].join("\n");
}

function speakerOf({ role, details }: Message): string {
  if (role === "user") return "User";
  return typeof details.model === "string" ? details.model : role === "assistant" ? "Assistant" : role;
}
