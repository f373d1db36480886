// From files in messages to text in the prompt. Whole when it fits; when it does not, the request says what to do: refuse, give the most
// relevant passages, or give a summary of all of it. Whatever was left out is said to the model and to the client.
import { AppError } from "../../base/errors.ts";
import { findCitations } from "../../documents/citations.ts";
import type { FileProgress } from "../../documents/file-progress.ts";
import type { Api } from "../api.ts";
import type { CitationBody, QuernBody } from "../api-types.ts";
import { type Fields, given, isObject } from "../fields.ts";
import { FileDraft, type FilePrompt, type FileUse } from "./file-draft.ts";
import { isFilePart, readFileParts } from "./file-parts.ts";
import { chooseRelevant, summarise } from "./narrow-files.ts";

export const overflowChoices = ["refuse", "relevant", "summarise"] as const;

export interface FitOptions {
  api: Api;
  signal: AbortSignal;
  /** Tokens of the whole prompt that a body makes. */
  countPrompt: (body: Fields) => Promise<number>;
  /** The answer's limit, if the request names one. */
  maxTokens?: number;
  onProgress?: (progress: FileProgress) => void;
}

/** Whether a request's messages hold files, whose reading may take a while. */
export function hasFiles(body: Fields): boolean {
  const list = body.raw("messages");
  return (
    Array.isArray(list) &&
    list.some((message) => isObject(message) && Array.isArray(message.content) && message.content.some(isFilePart))
  );
}

/** Reads and fits a request's files; undefined when it has none. Throws `context_overflow` when they do not fit and nothing else was asked. */
export async function fitFiles(body: Fields, options: FitOptions): Promise<FilePrompt | undefined> {
  const { api, signal, onProgress } = options;
  const overflow = body.choice("file_overflow", overflowChoices) ?? "refuse";
  const list = body.raw("messages");
  if (!api.office || !Array.isArray(list)) return undefined;
  const messages = await readFileParts(list, { office: api.office, signal, ...given("onProgress", onProgress) });
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
  const narrow = overflow === "relevant" ? chooseRelevant : summarise;
  await narrow(draft, { api, signal, room, countPrompt: options.countPrompt, onProgress });
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

function tooLong(draft: FileDraft, promptTokens: number, limitTokens: number): AppError {
  const names = draft.files.map(({ document }) => document.name).join(", ");
  return new AppError(
    "context_overflow",
    `With ${names} the prompt has ${promptTokens} tokens; this engine holds ${limitTokens}, prompt and answer together.`,
    {
      param: "messages",
      hint: 'Send "file_overflow": "relevant" for the passages that matter most to the question or "summarise" for a summary of all of it (quern run: --fit relevant, --fit summarise), or start Quern with a larger --context.',
      details: { promptTokens, limitTokens, overflowTokens: promptTokens + 1 - limitTokens },
    },
  );
}
