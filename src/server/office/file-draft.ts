// A request's files with what is to be shown of each, and the request's body with that in place: whole at first, until narrow-files.ts has
// put something shorter there.
//
// The mark around a document must be unguessable for its author and the same in each turn of a conversation, or no turn could reuse the
// prefix of the one before: so it is a keyed hash of the content, with a key that lives as long as the process.
import { createHmac, randomBytes } from "node:crypto";
import { documentPrompt, type PromptDocument } from "../../documents/citations.ts";
import type { GivenFileBody, LeftOutBody } from "../api-types.ts";
import { Fields, given, isObject } from "../fields.ts";
import type { FileInMessage, MessageWithFiles } from "./file-parts.ts";

/** What a request's files came to: told to the client at the end of the answer. */
export interface FileUse {
  files: readonly GivenFileBody[];
  leftOut: readonly LeftOutBody[];
}

export interface FilePrompt extends FileUse {
  /** The request with each message that had files as plain text. */
  body: Fields;
}

export interface DraftFile extends FileInMessage {
  question: string;
  language: "zh" | "en";
  /** Of the whole document; counted when it matters. */
  tokens: number;
  shown: Omit<PromptDocument, "document">;
  leftOut?: Omit<LeftOutBody, "name" | "file_id">;
}

export class FileDraft {
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
