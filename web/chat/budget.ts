// How the context is spent, before anything is sent: tokens by part, and what can be left out when it is too much. Pure; the
// counter is handed in.
import { type Attachment, type ConversationHead, type Message, pathTo } from "../conversation.ts";
import { contentOf, isSent } from "../prompt.ts";
import { type TokenCount, type TokenCounter, tokensPerMessage } from "../token-count.ts";
import type { OpenConversation } from "../workbench.ts";

/** An answer of fewer tokens than this is not worth asking for. */
const leastRoom = 64;

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
}

export interface BudgetParts {
  past: Past;
  text: string;
  attachments: readonly Attachment[];
}

/** What the conversation brings along. It may be megabytes, so it is put together once and not with each key. */
export interface Past {
  head: ConversationHead;
  history: readonly Message[];
  text: string;
}

export function pastOf({ head, messages }: OpenConversation): Past {
  const history = pathTo(messages, head.leafId).filter((message) => isSent(message, head.leftOutIds));
  return { head, history, text: history.map((message) => contentOf(message.text, message.attachments)).join("\n") };
}

/** The texts to be counted; the history goes as one, because one request is enough for it. */
export function textsToCount({ past, text, attachments }: BudgetParts): string[] {
  return [past.head.settings.systemPrompt, past.text, text, ...attachments.map(fileText)];
}

export function budgetOf(parts: BudgetParts, counter: TokenCounter, contextTokens: number): Budget {
  const { text, attachments } = parts;
  const { head, history } = parts.past;
  const counts: TokenCount[] = [];
  const count = (content: string, messages: number): number => {
    if (content === "") return 0;
    const found = counter.count(content);
    counts.push(found);
    return found.tokens + messages * tokensPerMessage;
  };
  const system = count(head.settings.systemPrompt, 1);
  const past = count(parts.past.text, history.length);
  const files = attachments.reduce((sum, attachment) => sum + count(fileText(attachment), 0), 0);
  const message = count(text, 0) + (text === "" && attachments.length === 0 ? 0 : 2 * tokensPerMessage);
  const spent = system + past + files + message;
  const left = contextTokens - spent;
  const overTokens = Math.max(0, leastRoom - left);
  return {
    system,
    history: past,
    files,
    message,
    room: Math.max(0, Math.min(left, head.settings.maxTokens ?? left)),
    contextTokens,
    overTokens,
    isExact: counts.every(({ isExact }) => isExact),
    oldestIds: overTokens > 0 ? oldestWorth(history, { tokens: overTokens, historyTokens: past }) : [],
  };
}

/** Whole turns from the beginning until enough is saved, with some room to spare; in proportion to their length. */
function oldestWorth(
  history: readonly Message[],
  { tokens, historyTokens }: { tokens: number; historyTokens: number },
): string[] {
  const characters = history.reduce((sum, message) => sum + lengthOf(message), 0);
  const wanted = tokens * 1.15;
  let saved = 0;
  const ids: string[] = [];
  for (const [n, message] of history.entries()) {
    const next = history[n + 1];
    saved += (historyTokens * lengthOf(message)) / Math.max(1, characters);
    ids.push(message.id);
    if (saved >= wanted && (next === undefined || next.role === "user")) return ids;
  }
  return ids;
}

const lengthOf = (message: Message): number =>
  message.text.length + message.attachments.reduce((sum, { text }) => sum + text.length, 0);

const fileTexts = new WeakMap<Attachment, string>();

function fileText(attachment: Attachment): string {
  const known = fileTexts.get(attachment);
  if (known !== undefined) return known;
  const text = contentOf("", [attachment]);
  fileTexts.set(attachment, text);
  return text;
}
