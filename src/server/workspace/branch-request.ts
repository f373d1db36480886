// From a branch of a conversation to a request for the engine. It is written as a body of /v1/chat/completions and read by the same
// parser, so that a message of the page and one of a client mean the same to the model, limits and refusals included.
import { AppError } from "../../base/errors.ts";
import type { GenerateRequest } from "../../engine/contract.ts";
import type { Message } from "../../workspace/conversations.ts";
import { type AttachedText, messageText } from "../../workspace/message-text.ts";
import { slim } from "../../workspace/slim.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import type { Api } from "../api.ts";
import type { ConversationSettings } from "../api-types.ts";
import { toText } from "../body.ts";
import { parseChatRequest } from "../chat.ts";
import { Fields } from "../fields.ts";
import type { MessageDetails } from "./wire.ts";

export interface Turn {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
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
  const { job } = await parseChatRequest(Fields.of(present), api);
  const [prompt] = job.prompts;
  if (!prompt) throw new AppError("internal", "A conversation made no prompt.");
  return { ...job.request, prompt };
}

export function withSystem({ systemPrompt = "" }: ConversationSettings, turns: readonly Turn[]): Turn[] {
  return systemPrompt.trim() === "" ? [...turns] : [{ role: "system", content: systemPrompt }, ...turns];
}

/** The messages of a branch as the model is given them: without those left out, and without answers that hold nothing. */
export function turnsOf(workspace: Workspace, branch: readonly Message[], settings: SettingsWithLeftOut): Turn[] {
  const leftOut = new Set(settings.leftOutIds ?? []);
  return branch
    .filter(({ id, role, content }) => !leftOut.has(id) && (role !== "assistant" || content !== ""))
    .map((message) => ({ role: message.role, content: contentOf(workspace, message) }));
}

export function contentOf(workspace: Workspace, message: Message): string {
  const { isSlimmed = false } = message.details as MessageDetails;
  return messageText(isSlimmed ? slim(message.content).text : message.content, attachedTexts(workspace, message));
}

export function attachedTexts(workspace: Workspace, message: Message): AttachedText[] {
  const { attachments = [] } = message.details as MessageDetails;
  return attachments.map(({ id, name, isPasted }) => ({ name, isPasted, text: toText(workspace.files.read(id)) }));
}

function temperatureOf({ temperatureChoice = "auto", temperature }: ConversationSettings): number | undefined {
  if (temperatureChoice === "custom") return temperature;
  return temperatureChoice === "auto" ? undefined : temperatures[temperatureChoice];
}
