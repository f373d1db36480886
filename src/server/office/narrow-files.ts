// Files that do not fit, made to: the passages most relevant to the question, or a summary of all of it, section by section. Either may take
// long, and tells how far it is.
import { createHash } from "node:crypto";
import { AppError } from "../../base/errors.ts";
import type { FileProgress } from "../../documents/file-progress.ts";
import { estimateTokens, selectRelevant } from "../../documents/relevant.ts";
import { type DocumentSummary, summariseDocument } from "../../documents/summarise.ts";
import type { Embedder, Engine } from "../../engine/contract.ts";
import type { Api } from "../api.ts";
import type { Fields } from "../fields.ts";
import { similarities } from "./compare-passages.ts";
import type { DraftFile, FileDraft } from "./file-draft.ts";

export interface Narrowing {
  api: Api;
  signal: AbortSignal;
  /** Tokens that the prompt may have. */
  room: number;
  /** Tokens of the whole prompt that a body makes. */
  countPrompt: (body: Fields) => Promise<number>;
  onProgress: ((progress: FileProgress) => void) | undefined;
}

export async function chooseRelevant(
  draft: FileDraft,
  { api, room, signal, countPrompt, onProgress }: Narrowing,
): Promise<void> {
  const count = await passageCounter(draft, api, signal);
  const nearness = new Map<DraftFile, ReadonlyMap<string, number>>();
  const { embedder } = api;
  if (embedder) {
    for (const file of draft.files) nearness.set(file, await compared(file, { embedder, signal, onProgress }));
  }
  for (const file of draft.files) file.shown = { passages: [] };
  let budget = room - (await countPrompt(draft.body())) - draft.files.length * statementTokens;
  for (let attempt = 0; attempt < mostAttempts && budget > 0; attempt++) {
    for (const [file, budgetTokens] of shares(draft.files, budget)) {
      const { document, language, question } = file;
      const near = nearness.get(file);
      const selection = selectRelevant(document, {
        question,
        budgetTokens,
        countTokens: count,
        language,
        ...(near ? { nearness: near } : {}),
      });
      file.shown = {
        passages: selection.passages,
        ...(selection.leftOut.segments === 0 ? {} : { statement: selection.statementFor }),
      };
      file.leftOut = {
        how: "relevant",
        statement: selection.statement,
        tokens: file.tokens,
        given_tokens: selection.tokens,
        pages: [...selection.leftOut.pages],
      };
      if (selection.leftOut.segments === 0) delete file.leftOut;
    }
    const over = (await countPrompt(draft.body())) - room;
    if (over <= 0) return;
    budget -= over + 16; // page marks, and what joins passages, are not the passages' own
  }
  throw noRoom(room);
}

async function compared(
  { document, question }: DraftFile,
  { embedder, signal, onProgress }: { embedder: Embedder } & Pick<Narrowing, "signal" | "onProgress">,
): Promise<ReadonlyMap<string, number>> {
  const { passages } = selectRelevant(document, { question: "", budgetTokens: Number.POSITIVE_INFINITY });
  const texts = passages.map(({ text }) => text);
  const tell = (done: number, all: number): void =>
    onProgress?.({ stage: "comparing", name: document.name, done, all });
  return similarities(embedder, { passages: texts, question }, { signal, onProgress: tell });
}

/** About those of the sentence that says what was left out. */
const statementTokens = 80;
const mostAttempts = 6;

export async function summarise(
  draft: FileDraft,
  { api, room, signal, countPrompt, onProgress }: Narrowing,
): Promise<void> {
  const count = await passageCounter(draft, api, signal);
  const { contextTokens } = api.engine.status();
  const summaryTokens = Math.min(600, Math.floor(room / (draft.files.length + 2)));
  // A section's prompt holds the section, the task around it and the summary to come.
  const sectionTokens = Math.floor((contextTokens - summaryTokens) * 0.8) - 300;
  if (sectionTokens < 200) throw noRoom(room);
  const summaries = summariesOf(api.engine);
  const base = room - draft.files.length * statementTokens;
  for (const [file, share] of shares(draft.files, base)) {
    if (file.tokens <= share) continue;
    const { document, language, question } = file;
    const hash = createHash("sha256").update(document.text).digest("hex");
    const key = JSON.stringify([hash, question, language, sectionTokens, summaryTokens]);
    const make = () =>
      summariseDocument(document, api.engine, {
        question,
        language,
        sectionTokens,
        summaryTokens,
        parallel: api.engine.status().parallel,
        toPrompt: (message) => ({
          kind: "text",
          pieces: api.template.render({ messages: [{ role: "user", content: message }] }),
        }),
        countTokens: count,
        signal,
        onProgress: (progress) => onProgress?.({ ...progress, name: document.name }),
      });
    const summary = summaries.get(key) ?? (await make());
    summaries.set(key, summary);
    const statementFor = (title: string): string => summaryStatement(title, summary, language);
    const statement = statementFor(document.name);
    file.shown = { summary, statement: statementFor };
    const givenTokens = (await api.engine.tokenize(summary.text)).length;
    file.leftOut = { how: "summarised", statement, tokens: file.tokens, given_tokens: givenTokens, pages: [] };
  }
  if ((await countPrompt(draft.body())) > room) throw noRoom(room);
}

/** By engine: greedy summaries of the same text for the same question are the same, so answering again need not wait for them again. */
const kept = new WeakMap<Engine, Map<string, DocumentSummary>>();
const mostKept = 64;

function summariesOf(engine: Engine): Map<string, DocumentSummary> {
  const summaries = kept.get(engine) ?? new Map<string, DocumentSummary>();
  kept.set(engine, summaries);
  for (const key of [...summaries.keys()].slice(0, -mostKept)) summaries.delete(key);
  return summaries;
}

function summaryStatement(name: string, { sections, cut }: DocumentSummary, language: "zh" | "en"): string {
  if (language === "zh") {
    const short = cut > 0 ? `其中 ${cut} 处摘要达到长度上限，可能不全。` : "";
    return `《${name}》太长，给模型看的是全文的摘要（分 ${sections} 部分逐一总结后合并），不是原文。${short}`;
  }
  const short = cut > 0 ? ` ${cut} of the summaries met their length limit and may be incomplete.` : "";
  return `${name} does not fit: the model was given a summary of all of it, made of ${sections} sections, not the text itself.${short}`;
}

function noRoom(room: number): AppError {
  return new AppError(
    "context_overflow",
    `The messages leave no room for their files: ${room} tokens are there for both.`,
    {
      param: "messages",
      hint: "Send fewer or shorter messages, or start Quern with a larger --context.",
      details: { limitTokens: room },
    },
  );
}

/** The budget in fair parts: a file that needs less than its part leaves the rest to the others. */
function shares(files: readonly DraftFile[], budget: number): [DraftFile, number][] {
  const rising = files.toSorted((a, b) => a.tokens - b.tokens);
  let left = budget;
  return rising.map((file, index) => {
    const share = Math.min(file.tokens + 16, Math.floor(left / (rising.length - index)));
    left -= share;
    return [file, share];
  });
}

/** Counts passages with the engine's tokenizer beforehand, since choosing asks for them one after another; texts made later are estimated. */
async function passageCounter(draft: FileDraft, api: Api, signal: AbortSignal): Promise<(text: string) => number> {
  const counts = new Map<string, number>();
  for (const file of draft.files) {
    const { passages } = selectRelevant(file.document, { question: "", budgetTokens: Number.POSITIVE_INFINITY });
    for (let at = 0; at < passages.length; at += countedTogether) {
      signal.throwIfAborted();
      const texts = passages.slice(at, at + countedTogether).map(({ text }) => text);
      const lists = await Promise.all(texts.map((text) => api.engine.tokenize(text)));
      for (const [index, text] of texts.entries()) counts.set(text, (lists[index]?.length ?? 0) + 1);
    }
    file.tokens = passages.reduce((sum, { text }) => sum + (counts.get(text) ?? 0), 0);
  }
  return (text) => counts.get(text) ?? estimateTokens(text);
}

const countedTogether = 64;
