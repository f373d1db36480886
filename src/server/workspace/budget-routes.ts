// Before sending: what a message would cost in tokens, part by part, and what slimming would save. Each part is
// counted by the engine on its own; where two texts of one message meet, a token more or less may fall, so the sum may be off by that.
import type { Message } from "../../workspace/conversations.ts";
import { documentText } from "../../workspace/message-text.ts";
import { slim } from "../../workspace/slim.ts";
import type { Api } from "../api.ts";
import type { BudgetBody, SlimBody } from "../api-types.ts";
import { attachedTexts, contentOf } from "./branch-request.ts";
import { parseDraft } from "./draft.ts";
import { draftFields } from "./side-routes.ts";
import type { MessageDetails } from "./wire.ts";
import type { WorkspaceDoor, WorkspaceHandler } from "./workspace-door.ts";
import { fieldsOf } from "./workspace-fields.ts";

const shownLargest = 20;
const excerptCharacters = 60;

export const countBudget: WorkspaceHandler = async (context, api, door) => {
  const draft = await parseDraft(await fieldsOf(context, api, draftFields), door);
  const { systemPrompt = "", maxTokens, leftOutIds = [] } = draft.settings;
  const { counter } = door;
  const { around, opening } = await counter.framing(api);
  const hasSystem = systemPrompt.trim() !== "";
  const system = hasSystem ? (await counter.count(api, systemPrompt)) + around.system : 0;
  const draftFilesTokens = await counter.count(api, draft.files);
  const message = (await counter.count(api, draft.content)) - draftFilesTokens + around.user + opening;
  const sent = draft.branch.filter(
    ({ id, role, content }) => !leftOutIds.includes(id) && (role !== "assistant" || content !== ""),
  );
  const counted = await Promise.all(sent.map((each) => countMessage(api, door, each, around[each.role])));
  const total = (name: "tokens" | "files"): number => counted.reduce((sum, each) => sum + each[name], 0);
  const parts = {
    system,
    files: draftFilesTokens + draft.documentTokens + total("files"),
    history: total("tokens") - total("files"),
    message,
  };
  const { contextTokens, model } = api.engine.status();
  const promptTokens = parts.system + parts.files + parts.history + parts.message;
  const roomTokens = contextTokens - promptTokens;
  const body: BudgetBody = {
    contextTokens,
    promptTokens,
    parts,
    roomTokens,
    answerTokens: Math.max(0, Math.min(maxTokens ?? api.defaults.maxTokens ?? roomTokens, roomTokens)),
    fits: roomTokens > 0,
    largest: counted
      .toSorted((a, b) => b.tokens - a.tokens)
      .slice(0, shownLargest)
      .map(({ message: { id, role, content }, tokens }) => ({
        messageId: id,
        tokens,
        role,
        excerpt: [...content.replaceAll(/\s+/g, " ").trim()].slice(0, excerptCharacters).join(""),
      })),
    trainedContextTokens: model.trainedContextTokens,
  };
  return context.json(body);
};

export const slimText: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, ["text"]);
  const text = fields.required("text", fields.string("text"));
  const slimmed = slim(text);
  const tokensBefore = await door.counter.count(api, text);
  const tokensAfter = slimmed.removed.length === 0 ? tokensBefore : await door.counter.count(api, slimmed.text);
  const body: SlimBody = { ...slimmed, tokensBefore, tokensAfter };
  return context.json(body);
};

/** A message that has ended does not change, so its counts are kept under its id. */
async function countMessage(
  api: Api,
  { workspace, counter }: WorkspaceDoor,
  message: Message,
  around: number,
): Promise<{ message: Message; tokens: number; files: number }> {
  const files = attachedTexts(workspace, message).map(documentText).join("\n\n");
  const key = `${message.id} ${message.content.length}`;
  const { attachments = [] } = message.details as MessageDetails;
  const documentTokens = attachments.reduce((sum, { document }) => sum + (document?.tokens ?? 0), 0);
  const fileTokens = (await counter.count(api, files, `${key} files`)) + documentTokens;
  const tokens = (await counter.count(api, contentOf(workspace, message), key)) + documentTokens + around;
  return { message, tokens, files: fileTokens };
}
