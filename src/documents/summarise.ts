// Summary of a document of any length: sections are summarised on their own (as a batch the engine runs side by side), the summaries
// merged, level by level, until one remains. Page marks travel along, so the summary can cite. Nothing is skipped: a section that
// fails fails the summary.
import { setTimeout } from "node:timers/promises";
import { AppError, toAppError } from "../base/errors.ts";
import { type Engine, type GenerateRequest, plainSampling } from "../engine/contract.ts";
import { asData, documentPrompt, newNonce, withoutDelimiters } from "./citations.ts";
import type { Document } from "./document.ts";
import type { FileProgress } from "./file-progress.ts";
import { estimateTokens, type Passage, selectRelevant } from "./relevant.ts";

export interface SummariseOptions {
  /** What the summary is for; empty means a plain summary. */
  question: string;
  language: "zh" | "en";
  /** Tokens of document text per call. */
  sectionTokens: number;
  /** Tokens a section's summary may have. */
  summaryTokens?: number;
  /** Calls in flight at one time. Default 4. */
  parallel?: number;
  /** Chat messages as a prompt: the chat template is not this file's business. */
  toPrompt: (message: string) => GenerateRequest["prompt"];
  countTokens?: (text: string) => number;
  signal?: AbortSignal;
  onProgress?: (progress: Omit<FileProgress, "name">) => void;
}

export interface DocumentSummary {
  text: string;
  /** Pages whose text the model was given: all of the document's pages with text. */
  pages: readonly number[];
  sections: number;
  levels: number;
  /** Summaries, merged ones included, that met their length limit before their end. */
  cut: number;
}

export async function summariseDocument(
  document: Document,
  engine: Pick<Engine, "generate">,
  options: SummariseOptions,
): Promise<DocumentSummary> {
  const { sectionTokens, countTokens = estimateTokens } = options;
  if (sectionTokens < 200)
    throw new AppError(
      "bad_request",
      `Sections of ${sectionTokens} tokens are too small to summarise; 200 is the least.`,
    );
  const { passages } = selectRelevant(document, { question: "", budgetTokens: Number.POSITIVE_INFINITY, countTokens });
  if (passages.length === 0) throw new AppError("bad_request", `${document.name} holds no text to summarise.`);
  const sections = groupPassages(passages, sectionTokens);
  let cut = 0;
  const noted = ({ text, isCut }: SectionSummary): string => {
    if (isCut) cut++;
    return text;
  };
  let done = 0;
  options.onProgress?.({ done, all: sections.length, stage: "sections" });
  let texts = await inParallel(sections, options, async (section) => {
    const { text } = documentPrompt([{ document, passages: section }], {
      question: sectionTask(options),
      language: options.language,
    });
    const summary = noted(await answerOf(engine, text, options));
    options.onProgress?.({ done: ++done, all: sections.length, stage: "sections" });
    return summary;
  });
  let levels = 1;
  while (texts.length > 1) {
    const groups = groupTexts(texts, { limit: sectionTokens, countTokens });
    // Summaries as long as what they summarise would never come together.
    if (groups.length >= texts.length)
      throw new AppError("unsupported", "The section summaries do not get shorter; they cannot be merged.", {
        hint: "Use larger sections or shorter summaries.",
      });
    done = 0;
    options.onProgress?.({ done, all: groups.length, stage: "merging" });
    texts = await inParallel(groups, options, async (group) => {
      const merged = noted(await answerOf(engine, mergePrompt(group, options), options));
      options.onProgress?.({ done: ++done, all: groups.length, stage: "merging" });
      return merged;
    });
    levels++;
  }
  return {
    text: texts[0] ?? "",
    pages: [...new Set(passages.map((passage) => passage.page))],
    sections: sections.length,
    levels,
    cut,
  };
}

function groupPassages(passages: readonly Passage[], limit: number): Passage[][] {
  const groups: Passage[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const passage of passages) {
    if (tokens + passage.tokens > limit) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(passage);
    tokens += passage.tokens;
  }
  return groups;
}

function groupTexts(
  texts: readonly string[],
  { limit, countTokens }: { limit: number; countTokens: (text: string) => number },
): string[][] {
  const groups: string[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const text of texts) {
    const count = countTokens(text);
    if (tokens + count > limit && (groups.at(-1)?.length ?? 2) >= 2) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(text);
    tokens += count;
  }
  return groups;
}

function sectionTask({ question, language }: SummariseOptions): string {
  if (language === "zh")
    return question
      ? `请从这一部分中整理出与下面的问题有关的要点，保留数字、名称和 [第 N 页]：\n${question}`
      : "请总结这一部分的要点，保留数字、名称和 [第 N 页]。";
  return question
    ? `List what this part says about the question below; keep figures, names and [p. N]:\n${question}`
    : "Summarise this part; keep figures, names and [p. N].";
}

/** The summaries are a model's words about a document: they are no more to be obeyed than the document. */
function mergePrompt(group: readonly string[], { question, language }: SummariseOptions): string {
  const nonce = newNonce();
  const isChinese = language === "zh";
  const parts = group.map((text, index) => ({
    title: isChinese ? `第 ${index + 1} 部分的摘要` : `summary of part ${index + 1}`,
    text: withoutDelimiters(text, nonce),
  }));
  const task = isChinese
    ? `它们是同一份文件各部分的摘要。请合并成一份完整、不重复的${question ? `回答，问题是：${question}` : "总结"}。保留数字、名称和 [第 N 页]。`
    : `They are summaries of the parts of one document. Merge them into one complete ${question ? `answer to: ${question}` : "summary"} without repetition. Keep figures, names and [p. N].`;
  return `${asData(parts, { language, nonce })}\n\n${task}`;
}

let nextRequest = 1;

interface SectionSummary {
  text: string;
  isCut: boolean;
}

const mostAttempts = 3;
const longestWaitMs = 10_000;

/** A full queue empties in its own time and a lost engine comes back: hours of sections are not given up for either. */
async function answerOf(
  engine: Pick<Engine, "generate">,
  message: string,
  options: SummariseOptions,
): Promise<SectionSummary> {
  const { signal } = options;
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await answerOnce(engine, message, options);
    } catch (thrown) {
      signal?.throwIfAborted();
      const { code, details } = toAppError(thrown);
      const isFull = code === "busy" && details?.limit === undefined;
      if (!isFull && !(code === "engine_lost" && attempt < mostAttempts)) throw thrown;
      const waitMs = Math.min(longestWaitMs, Math.max(50, Number(details?.retryAfterSeconds ?? 1) * 1000));
      await setTimeout(waitMs, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}

async function answerOnce(
  engine: Pick<Engine, "generate">,
  message: string,
  { toPrompt, summaryTokens = 600, signal }: SummariseOptions,
): Promise<SectionSummary> {
  const request: GenerateRequest = {
    id: `summary-${process.pid}-${nextRequest++}`,
    prompt: toPrompt(message),
    sampling: { ...plainSampling, temperature: 0 },
    maxTokens: summaryTokens,
    priority: "batch",
  };
  let text = "";
  let isCut = false;
  for await (const event of engine.generate(request, signal ? { signal } : {})) {
    if (event.type === "tokens") text += event.text;
    if (event.type !== "done") continue;
    if (event.reason === "aborted") signal?.throwIfAborted();
    isCut = event.reason === "length";
  }
  return { text: text.trim(), isCut };
}

/** Keeps order; the first failure ends all. */
async function inParallel<Item, Result>(
  items: readonly Item[],
  { parallel = 4 }: SummariseOptions,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !hasFailed) {
      const index = next++;
      const item = items[index];
      if (item === undefined) continue;
      try {
        results[index] = await work(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, lane));
  return results;
}
