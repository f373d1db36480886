import type { FileProgress } from "../documents/file-progress.ts";

/** An answer that is being written, or waits to be. */
export interface AnswerProgress {
  messageId: string;
  conversationId: string;
  phase: "sent" | "files" | "queued" | "prefill" | "writing";
  /** How far the work on its documents is. */
  files?: FileProgress;
  /** In the queue; 1 is next. */
  position?: number;
  estimatedWaitMs?: number;
  promptTokens?: number;
  processedTokens?: number;
  tokens: number;
  /** From the start to the first token. */
  firstTokenMs?: number;
  tokensPerSecond?: number;
}
