// From what the workspace keeps to what the page reads. The store has one JSON column for settings and one for a message's details; here
// they get their names.
import { AppError, type ErrorData } from "../../base/errors.ts";
import type { Timings, Usage } from "../../engine/contract.ts";
import type { Conversation, Message } from "../../workspace/conversations.ts";
import type { AnswerUpdate } from "../../workspace/running-answers.ts";
import type {
  AnswerStats,
  AnswerUpdateBody,
  AttachmentHead,
  ConversationHead,
  ConversationSettings,
  FileOverflow,
  WorkspaceMessage,
} from "../api-types.ts";
import { toHttpFailure } from "../errors.ts";
import type { FileUse } from "../office/file-draft.ts";
import { quernBody } from "../office/file-prompt.ts";

export interface MessageDetails {
  attachments?: AttachmentHead[];
  model?: string;
  isSlimmed?: boolean;
  fileOverflow?: FileOverflow;
  /** Of an answer: what became of the files in its question. */
  fileUse?: FileUse;
  usage?: Usage;
  timings?: Timings;
  energyJoules?: number;
  error?: ErrorData;
}

export function toHead(conversation: Conversation): ConversationHead {
  const { leftOutIds = [], ...settings } = conversation.settings as ConversationSettings & { leftOutIds?: string[] };
  return { ...conversation, settings, leftOutIds };
}

export function toMessageBody(message: Message): WorkspaceMessage {
  const { id, conversationId, parentId, role, content, createdAt } = message;
  const details = message.details as MessageDetails;
  const error = message.state === "failed" ? failureOf(message, details) : undefined;
  const stats = details.usage && details.timings ? statsOf(details.usage, details.timings, details) : undefined;
  return {
    id,
    conversationId,
    ...(parentId === undefined ? {} : { parentId }),
    role,
    text: content,
    attachments: details.attachments ?? [],
    createdAt,
    state: stateOf(message),
    ...(error === undefined ? {} : { error }),
    ...(details.model === undefined ? {} : { model: details.model }),
    ...(stats === undefined ? {} : { stats }),
    ...(details.isSlimmed ? { isSlimmed: true } : {}),
    ...(details.fileOverflow === undefined ? {} : { fileOverflow: details.fileOverflow }),
    ...(details.fileUse ? { files: quernBody(details.fileUse, content) } : {}),
  };
}

export function toUpdateBody(update: AnswerUpdate): AnswerUpdateBody {
  return update.type === "end" ? { type: "end", message: toMessageBody(update.message) } : update;
}

function stateOf({ state, reason }: Message): WorkspaceMessage["state"] {
  if (state !== "done") return state;
  return reason === "length" ? "cut" : "complete";
}

function failureOf(message: Message, { error }: MessageDetails): WorkspaceMessage["error"] {
  const failure = error
    ? AppError.fromData(error)
    : new AppError("engine_lost", message.failure ?? "The answer broke off.", { hint: "Ask again." });
  return toHttpFailure(failure).error;
}

function statsOf(usage: Usage, timings: Timings, { energyJoules }: MessageDetails): AnswerStats {
  const { completionTokens } = usage;
  const { queueMs, prefillMs, decodeMs } = timings;
  return {
    ...usage,
    queueMs,
    firstTokenMs: queueMs + prefillMs,
    // The first token belongs to the prefill.
    tokensPerSecond: decodeMs > 0 ? (Math.max(0, completionTokens - 1) * 1000) / decodeMs : 0,
    ...(energyJoules === undefined ? {} : { energyJoules }),
  };
}
