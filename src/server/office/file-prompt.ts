// From files in messages to text in the prompt. Whole when it fits; when it does not, the request says what to do: refuse, give the most
// relevant passages, or give a summary of all of it. Whatever was left out is said to the model and to the client.
//
// The mark around a document must be unguessable for its author and the same in each turn of a conversation, or no turn could reuse the
// prefix of the one before: so it is a keyed hash of the content, with a key that lives as long as the process.
import { createHmac, randomBytes } from "node:crypto";
import { AppError } from "../../base/errors.ts";
import { documentPrompt, findCitations, type PromptDocument } from "../../documents/citations.ts";
import { estimateTokens, selectRelevant } from "../../documents/relevant.ts";
import { summariseDocument } from "../../documents/summarise.ts";
import type { Api } from "../api.ts";
import type { CitationBody, GivenFileBody, LeftOutBody, QuernBody } from "../api-types.ts";
import { Fields, given, isObject } from "../fields.ts";
import { type FileInMessage, type MessageWithFiles, readFileParts } from "./file-parts.ts";

export const overflowChoices = ["refuse", "relevant", "summarise"] as const;

/** What a request's files came to: told to the client at the end of the answer. */
export interface FileUse {
  files: readonly GivenFileBody[];
  leftOut: readonly LeftOutBody[];
}

export interface FilePrompt extends FileUse {
  /** The request with each message that had files as plain text. */
  body: Fields;
}

export interface FitOptions {
  api: Api;
  signal: AbortSignal;
  /** Tokens of the whole prompt that a body makes. */
  countPrompt: (body: Fields) => Promise<number>;
  /** The answer's limit, if the request names one. */
  maxTokens?: number;
}

/** Reads and fits a request's files; undefined when it has none. Throws `context_overflow` when they do not fit and nothing else was asked. */
export async function fitFiles(body: Fields, options: FitOptions): Promise<FilePrompt | undefined> {
  const { api, signal } = options;
  const overflow = body.choice("file_overflow", overflowChoices) ?? "refuse";
  const list = body.raw("messages");
  if (!api.office || !Array.isArray(list)) return undefined;
  const messages = await readFileParts(list, { office: api.office, signal });
  if (messages.length === 0) return undefined;
  const draft = new FileDraft(body, messages);
  const whole = await options.countPrompt(draft.body());
  const { contextTokens } = api.engine.status();
  if (overflow === "refuse") {
    if (whole + 1 > contextTokens) throw tooLong(draft, whole, contextTokens);
    return draft.finished();
  }
  // Room for an answer: a document that fills the context to the brim would leave one word for it.
  const room = contextTokens - Math.min(options.maxTokens ?? 1024, Math.floor(contextTokens / 4));
  if (whole <= room) return draft.finished();
  if (overflow === "relevant") await chooseRelevant(draft, { ...options, room });
  else await summarise(draft, { ...options, room });
  return draft.finished();
}

/** What the client is told of a request's files; citations of pages that the model never saw are marked. */
export function quernBody(fileUse: FileUse, answer: string): QuernBody {
  return { files: [...fileUse.files], left_out: [...fileUse.leftOut], citations: citationsOf(answer, fileUse) };
}

function citationsOf(answer: string, { files }: FileUse): CitationBody[] {
  return findCitations(answer, files).map(({ isGiven, name, ...place }) => ({
    ...place,
    pages: [...place.pages],
    is_given: isGiven,
    ...given("name", name),
  }));
}

interface DraftFile extends FileInMessage {
  question: string;
  language: "zh" | "en";
  /** Of the whole document; counted when it matters. */
  tokens: number;
  shown: Omit<PromptDocument, "document">;
  leftOut?: Omit<LeftOutBody, "name" | "file_id">;
}

/** The request's files with what is to be shown of each. */
class FileDraft {
  readonly files: readonly DraftFile[];
  readonly #body: Fields;
  readonly #messages: readonly (MessageWithFiles & { drafts: readonly DraftFile[]; nonce: string })[];
  #given: GivenFileBody[] = [];

  constructor(body: Fields, messages: readonly MessageWithFiles[]) {
    this.#body = body;
    const last = lastQuestion(body);
    this.#messages = messages.map((message) => {
      const language = languageOf(message);
      const question = message.question === last ? last : `${message.question}\n${last}`;
      const drafts = message.files.map((file): DraftFile => ({ ...file, question, language, tokens: 0, shown: {} }));
      return { ...message, drafts, nonce: nonceOf(message) };
    });
    this.files = this.#messages.flatMap(({ drafts }) => drafts);
  }

  body(): Fields {
    const list = [...(this.#body.raw("messages") as unknown[])];
    this.#given = [];
    for (const { index, question, drafts, nonce } of this.#messages) {
      const language = drafts[0]?.language ?? "en";
      const prompt = documentPrompt(
        drafts.map(({ document, shown }) => ({ document, ...shown })),
        { question, language, nonce },
      );
      for (const [at, { name, pages }] of prompt.given.entries()) {
        const file = drafts[at];
        const warnings = file?.document.warnings.map(({ code, message, page }) => ({
          code,
          message,
          ...given("page", page),
        }));
        this.#given.push({ name, pages: [...pages], warnings: warnings ?? [], ...given("file_id", file?.fileId) });
      }
      list[index] = { ...(list[index] as object), content: prompt.text };
    }
    return new Fields({ ...this.#body.values, messages: list });
  }

  finished(): FilePrompt {
    const body = this.body();
    const leftOut = this.files.flatMap(({ leftOut: left, document, fileId }) =>
      left ? [{ name: document.name, ...given("file_id", fileId), ...left }] : [],
    );
    return { body, files: this.#given, leftOut };
  }
}

function tooLong(draft: FileDraft, promptTokens: number, limitTokens: number): AppError {
  const names = draft.files.map(({ document }) => document.name).join(", ");
  return new AppError(
    "context_overflow",
    `With ${names} the prompt has ${promptTokens} tokens; this engine holds ${limitTokens}, prompt and answer together.`,
    {
      param: "messages",
      hint: 'Send "file_overflow": "relevant" for the passages that matter most to the question or "summarise" for a summary of all of it, or start Quern with a larger --context.',
      details: { promptTokens, limitTokens, overflowTokens: promptTokens + 1 - limitTokens },
    },
  );
}

type Narrowing = FitOptions & { room: number };

async function chooseRelevant(draft: FileDraft, { api, room, signal, countPrompt }: Narrowing): Promise<void> {
  const count = await passageCounter(draft, api, signal);
  for (const file of draft.files) file.shown = { passages: [] };
  let budget = room - (await countPrompt(draft.body())) - draft.files.length * statementTokens;
  for (let attempt = 0; attempt < mostAttempts && budget > 0; attempt++) {
    for (const [file, budgetTokens] of shares(draft.files, budget)) {
      const { document, language, question } = file;
      const selection = selectRelevant(document, { question, budgetTokens, countTokens: count, language });
      file.shown = {
        passages: selection.passages,
        ...(selection.statement === "" ? {} : { statement: selection.statement }),
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

/** About those of the sentence that says what was left out. */
const statementTokens = 80;
const mostAttempts = 6;

async function summarise(draft: FileDraft, { api, room, signal, countPrompt }: Narrowing): Promise<void> {
  const count = await passageCounter(draft, api, signal);
  const { contextTokens } = api.engine.status();
  const summaryTokens = Math.min(600, Math.floor(room / (draft.files.length + 2)));
  // A section's prompt holds the section, the task around it and the summary to come.
  const sectionTokens = Math.floor((contextTokens - summaryTokens) * 0.8) - 300;
  if (sectionTokens < 200) throw noRoom(room);
  const base = room - draft.files.length * statementTokens;
  for (const [file, share] of shares(draft.files, base)) {
    if (file.tokens <= share) continue;
    const { document, language, question } = file;
    const summary = await summariseDocument(document, api.engine, {
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
    });
    const statement = summaryStatement(document.name, summary.sections, language);
    file.shown = { summary, statement };
    const givenTokens = (await api.engine.tokenize(summary.text)).length;
    file.leftOut = { how: "summarised", statement, tokens: file.tokens, given_tokens: givenTokens, pages: [] };
  }
  if ((await countPrompt(draft.body())) > room) throw noRoom(room);
}

function summaryStatement(name: string, sections: number, language: "zh" | "en"): string {
  return language === "zh"
    ? `《${name}》太长，给模型看的是全文的摘要（分 ${sections} 部分逐一总结后合并），不是原文。`
    : `${name} does not fit: the model was given a summary of all of it, made of ${sections} sections, not the text itself.`;
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

function lastQuestion(body: Fields): string {
  const messages = body.raw("messages") as readonly unknown[];
  const last = messages.findLast((message) => isObject(message) && message.role === "user");
  if (!isObject(last)) return "";
  if (typeof last.content === "string") return last.content;
  if (!Array.isArray(last.content)) return "";
  return last.content
    .map((part: unknown) =>
      isObject(part) && typeof part.text === "string" ? part.text : typeof part === "string" ? part : "",
    )
    .join("");
}

function languageOf({ question, files }: MessageWithFiles): "zh" | "en" {
  const text = question.trim() === "" ? (files[0]?.document.text.slice(0, 2000) ?? "") : question;
  return /[\u3400-\u9fff]/.test(text) ? "zh" : "en";
}

const nonceKey = randomBytes(32);

function nonceOf({ files, index }: MessageWithFiles): string {
  const hash = createHmac("sha256", nonceKey).update(String(index));
  for (const { document } of files) hash.update(document.text);
  return hash.digest("hex").slice(0, 12);
}
