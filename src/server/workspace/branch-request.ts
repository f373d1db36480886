// From a branch of a conversation to a request for the engine. It is written as a body of /v1/chat/completions and read by the same
// parser, so that a message of the page and one of a client mean the same to the model, limits and refusals included.
import { AppError } from "../../base/errors.ts";
import type { GenerateRequest } from "../../engine/contract.ts";
import type { Message } from "../../workspace/conversations.ts";
import { type AttachedText, messageText } from "../../workspace/message-text.ts";
import { slim } from "../../workspace/slim.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import type { Api } from "../api.ts";
import type { AttachedDocument, ContentPart, ConversationSettings, FilePart } from "../api-types.ts";
import { toText } from "../body.ts";
import { type ParseOptions, parseChatRequest } from "../chat.ts";
import { Fields, given } from "../fields.ts";
import type { FileUse } from "../office/file-draft.ts";
import { withPassword } from "./file-passwords.ts";
import type { MessageDetails } from "./wire.ts";

export interface Turn {
  role: "system" | "user" | "assistant" | "tool";
  content: string | ContentPart[];
}

export type SettingsWithLeftOut = ConversationSettings & { leftOutIds?: readonly string[] };

export interface BranchRequestOptions {
  settings: SettingsWithLeftOut;
  turns: readonly Turn[];
  /** Taken when the settings leave the temperature to Quern: a template's. */
  temperatureChoice?: ConversationSettings["temperatureChoice"] | undefined;
  /** Fields of the chat API that this request sets itself. */
  more?: Readonly<Record<string, unknown>>;
}

const temperatures = { precise: 0.3, balanced: 0.5, creative: 0.7 } as const;

/** Throws what /v1/chat/completions would answer. */
export async function toGenerateRequest(api: Api, options: BranchRequestOptions): Promise<Omit<GenerateRequest, "id">> {
  return (await toBranchRequest(api, options)).request;
}

export interface BranchRequest {
  request: Omit<GenerateRequest, "id">;
  /** Present when its messages hold documents. */
  fileUse?: FileUse;
}

/** The same with what became of the documents. `signal` ends the work on them. */
export async function toBranchRequest(
  api: Api,
  options: BranchRequestOptions,
  work: Pick<ParseOptions, "signal" | "onProgress"> = {},
): Promise<BranchRequest> {
  const { settings, turns, more } = options;
  const { topP, topK, minP, seed, maxTokens } = settings;
  const temperature =
    temperatureOf(settings) ?? temperatureOf({ temperatureChoice: options.temperatureChoice ?? "auto" });
  const body = {
    messages: withSystem(settings, turns),
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    seed,
    max_tokens: maxTokens,
    ...more,
  };
  const present = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
  const { job, fileUse } = await parseChatRequest(Fields.of(present), api, work);
  const [prompt] = job.prompts;
  if (!prompt) throw new AppError("internal", "A conversation made no prompt.");
  return {
    request: { ...job.request, prompt },
    ...(fileUse ? { fileUse: { files: fileUse.files, leftOut: fileUse.leftOut } } : {}),
  };
}

export function withSystem({ systemPrompt = "" }: ConversationSettings, turns: readonly Turn[]): Turn[] {
  return systemPrompt.trim() === "" ? [...turns] : [{ role: "system", content: systemPrompt }, ...turns];
}

/** The messages of a branch as the model is given them: without those left out, and without answers that hold nothing. */
export function turnsOf(workspace: Workspace, branch: readonly Message[], settings: SettingsWithLeftOut): Turn[] {
  const leftOut = new Set(settings.leftOutIds ?? []);
  return branch
    .filter(({ id, role, content }) => !leftOut.has(id) && (role !== "assistant" || content !== ""))
    .map((message) => ({ role: message.role, content: partsOf(workspace, message) }));
}

/** How the latest question with documents wants them to fit; it holds for those before it too. */
export function fileOverflowOf(branch: readonly Message[]): MessageDetails["fileOverflow"] {
  return branch.findLast(({ details }) => (details as MessageDetails).fileOverflow !== undefined)?.details
    .fileOverflow as MessageDetails["fileOverflow"];
}

/** Documents go as file parts, so that they are read as those of any client. */
function partsOf(workspace: Workspace, message: Message): string | ContentPart[] {
  const { attachments = [] } = message.details as MessageDetails;
  const text = contentOf(workspace, message);
  const files = attachments.flatMap(({ id, document }) =>
    document ? [filePart(id, withPassword(workspace, id, document))] : [],
  );
  return files.length === 0 ? text : [...files, { type: "text", text }];
}

export function filePart(fileId: string, { password, edits }: AttachedDocument): FilePart {
  return { type: "file", file: { file_id: fileId, ...given("password", password), ...given("edits", edits) } };
}

/** The message's text and its attached texts; documents are not in it. */
export function contentOf(workspace: Workspace, message: Message): string {
  const { isSlimmed = false } = message.details as MessageDetails;
  return messageText(isSlimmed ? slim(message.content).text : message.content, attachedTexts(workspace, message));
}

export function attachedTexts(workspace: Workspace, message: Message): AttachedText[] {
  const { attachments = [] } = message.details as MessageDetails;
  return attachments
    .filter(({ document }) => !document)
    .map(({ id, name, isPasted }) => ({ name, isPasted, text: toText(workspace.files.read(id)) }));
}

function temperatureOf({ temperatureChoice = "auto", temperature }: ConversationSettings): number | undefined {
  if (temperatureChoice === "custom") return temperature;
  return temperatureChoice === "auto" ? undefined : temperatures[temperatureChoice];
}
