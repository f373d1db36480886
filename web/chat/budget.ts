// How the context is spent, before anything is sent: tokens by part as the server counts them, estimated in between, and what can
// be left out when it is too much. Pure; the counts are handed in.
import type { BudgetBody } from "../../src/server/api-types.ts";
import { type Attachment, type ConversationHead, type Message, pathTo } from "../conversation.ts";
import { contentOf } from "../prompt.ts";
import { estimateTokens, type TokenCounter, tokensPerMessage } from "../token-count.ts";
import type { OpenConversation } from "../workbench.ts";

/** An answer of fewer tokens than this is not worth asking for. */
const leastRoom = 64;
const shownLargest = 3;

export interface Budget {
  system: number;
  history: number;
  files: number;
  message: number;
  /** What the context leaves for the answer, or the conversation's own limit if that is less. */
  room: number;
  contextTokens: number;
  overTokens: number;
  isExact: boolean;
  /** History that would have to go so that the rest fits, oldest first. */
  oldestIds: readonly string[];
  /** The messages of the branch that take most. */
  largest: BudgetBody["largest"];
}

export interface BudgetParts {
  open: OpenConversation;
  text: string;
  attachments: readonly Attachment[];
}

/** What the server counted: the branch, and the message without its attachments. */
export interface Counted {
  body: BudgetBody;
  head: ConversationHead;
  text: string;
}

export function budgetOf(
  { open: { head, messages }, text, attachments }: BudgetParts,
  { counter, counted, contextTokens }: { counter: TokenCounter; counted: Counted | undefined; contextTokens: number },
): Budget {
  const isSameBranch = counted?.head === head;
  const isExactText = isSameBranch && counted?.text === text;
  const branch = pathTo(messages, head.leafId).filter(({ id }) => !head.leftOutIds.includes(id));
  const ofFiles = attachments.map((attachment) =>
    attachment.document ? { tokens: attachment.document.tokens, isExact: true } : counter.count(fileText(attachment)),
  );
  const parts = counted && isSameBranch ? counted.body.parts : estimated(head, branch);
  const isEmpty = text === "" && attachments.length === 0;
  const isNothing = isEmpty && branch.length === 0 && head.settings.systemPrompt === "";
  const message = isEmpty
    ? 0
    : isExactText
      ? (counted?.body.parts.message ?? 0)
      : estimateTokens(text) + 2 * tokensPerMessage;
  const files = parts.files + ofFiles.reduce((sum, { tokens }) => sum + tokens, 0);
  const left = contextTokens - (parts.system + parts.history + files + message);
  const overTokens = Math.max(0, leastRoom - left);
  const largest = counted && isSameBranch ? counted.body.largest : [];
  return {
    system: parts.system,
    history: parts.history,
    files,
    message,
    room: Math.max(0, Math.min(left, head.settings.maxTokens ?? left)),
    contextTokens,
    overTokens,
    isExact: (isExactText || isNothing) && ofFiles.every(({ isExact }) => isExact),
    oldestIds: overTokens > 0 ? oldestWorth(branch, overTokens, largest) : [],
    largest: largest.slice(0, shownLargest),
  };
}

function estimated(
  head: ConversationHead,
  branch: readonly Message[],
): { system: number; history: number; files: number } {
  const system = head.settings.systemPrompt;
  return {
    system: system === "" ? 0 : estimateTokens(system) + tokensPerMessage,
    history: branch.reduce((sum, { text }) => sum + estimateTokens(text) + tokensPerMessage, 0),
    files: 0,
  };
}

/** Whole turns from the beginning until enough is saved, with some room to spare. */
function oldestWorth(branch: readonly Message[], tokens: number, largest: BudgetBody["largest"]): string[] {
  const counted = new Map(largest.map((each) => [each.messageId, each.tokens]));
  let saved = 0;
  const ids: string[] = [];
  for (const [n, message] of branch.entries()) {
    const next = branch[n + 1];
    saved += counted.get(message.id) ?? estimateTokens(message.text) + tokensPerMessage;
    ids.push(message.id);
    if (saved >= tokens && (next === undefined || next.role === "user")) return ids;
  }
  return ids;
}

const fileTexts = new WeakMap<Attachment, string>();

/** An attachment as the model reads it; counted on its own, so that a large one is counted once and not with each key. */
export function fileText(attachment: Attachment): string {
  const known = fileTexts.get(attachment);
  if (known !== undefined) return known;
  const text = contentOf("", [attachment]);
  fileTexts.set(attachment, text);
  return text;
}
