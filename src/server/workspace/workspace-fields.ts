// Parses what the page sends about conversations. Unknown settings are refused by name: one that is ignored would seem to work.
import { AppError } from "../../base/errors.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import type { Api, ApiContext } from "../api.ts";
import { bodyOf } from "../api.ts";
import type { AttachedDocument, AttachmentHead, ConversationSettings } from "../api-types.ts";
import { parseJsonFields } from "../body.ts";
import { refuse } from "../errors.ts";
import { Fields, given } from "../fields.ts";
import { rememberPassword, withoutPassword } from "./file-passwords.ts";

const idPattern = /^[\w-]{8,64}$/;
const temperatureChoices = ["auto", "precise", "balanced", "creative", "custom"] as const;
const mostAttachments = 100;

/** The body's fields; a request without a body has none. */
export async function fieldsOf(context: ApiContext, api: Api, known: readonly string[]): Promise<Fields> {
  const body = await bodyOf(context, api);
  const fields = body.byteLength === 0 ? new Fields({}) : parseJsonFields(body);
  const stranger = Object.keys(fields.values).find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw refuse(
      stranger.slice(0, 64),
      `There is no field "${stranger.slice(0, 64)}" here.`,
      `Known are ${known.join(", ")}.`,
    );
  }
  return fields;
}

export function parseId(fields: Fields, name = "id"): string | undefined {
  const id = fields.string(name);
  if (id === undefined || idPattern.test(id)) return id;
  throw refuse(fields.path(name), "An id is 8 to 64 letters, digits, - and _.");
}

export function idParam(context: ApiContext, name = "id"): string {
  return context.req.param(name) ?? "";
}

const settingNames = ["temperatureChoice", "temperature", "topP", "topK", "minP", "seed", "maxTokens", "systemPrompt"];

export function parseSettings(fields: Fields | undefined): ConversationSettings | undefined {
  if (!fields) return undefined;
  const stranger = fields.names().find((name) => !settingNames.includes(name));
  if (stranger !== undefined) throw refuse(fields.path(stranger), `There is no setting "${stranger.slice(0, 64)}".`);
  return {
    ...given("temperatureChoice", fields.choice("temperatureChoice", temperatureChoices)),
    ...given("temperature", fields.number("temperature", 0, 2)),
    ...given("topP", fields.number("topP", 0, 1)),
    ...given("topK", fields.integer("topK", 0, Number.MAX_SAFE_INTEGER)),
    ...given("minP", fields.number("minP", 0, 1)),
    ...given("seed", fields.integer("seed", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)),
    ...given("maxTokens", fields.integer("maxTokens", 1, Number.MAX_SAFE_INTEGER)),
    ...given("systemPrompt", fields.string("systemPrompt")),
  };
}

export function parseTemperatureChoice(fields: Fields): ConversationSettings["temperatureChoice"] {
  return fields.choice("temperatureChoice", temperatureChoices.slice(0, 4));
}

/** Stored files as they are named (texts, and documents with `document`), and new texts, which become files. Call in the transaction of the message. */
export function parseAttachments(fields: Fields): ((workspace: Workspace) => AttachmentHead)[] {
  return (fields.list("attachments", mostAttachments) ?? []).map((item, index) => {
    const attachment = Fields.of(item, `attachments[${index}]`);
    const isPasted = attachment.boolean("isPasted") ?? false;
    const text = attachment.string("text");
    const name = attachment.string("name");
    const document = parseDocument(attachment.object("document"));
    if (document) {
      const fileId = attachment.required("id", attachment.string("id"));
      return (workspace) => {
        const file = workspace.files.get(fileId);
        rememberPassword(workspace, fileId, document);
        const head = { id: fileId, name: name ?? file.name, bytes: file.bytes, lineCount: 0, isPasted: false };
        return { ...head, document: withoutPassword(document) };
      };
    }
    if (text === undefined) {
      const fileId = attachment.required("id", attachment.string("id"));
      return (workspace) => storedAttachment(workspace, fileId, { isPasted, param: attachment.path("id"), name });
    }
    return (workspace) => {
      const content = Buffer.from(text, "utf8");
      const file = workspace.files.add(content, { name: name ?? "text", mediaType: "text/plain; charset=utf-8" });
      return { id: file.id, name: file.name, bytes: file.bytes, lineCount: lineCountOf(text), isPasted };
    };
  });
}

/** What the page says of a document that goes with a message. */
export function parseDocument(fields: Fields | undefined): AttachedDocument | undefined {
  if (!fields) return undefined;
  const edits = fields.list("edits", 10_000)?.map((edit, index) => {
    const one = Fields.of(edit, `${fields.path("edits")}[${index}]`);
    return {
      page: one.required("page", one.integer("page", 1, 1_000_000)),
      segment: one.required("segment", one.integer("segment", 0, 10_000_000)),
      ...given("text", one.string("text")),
      ...given("row", one.integer("row", 0, 10_000_000)),
      ...given("column", one.integer("column", 0, 100_000)),
      ...given("restore", one.boolean("restore")),
    };
  });
  return {
    kind: fields.string("kind") ?? "",
    pages: fields.integer("pages", 0, 1_000_000) ?? 0,
    tokens: fields.integer("tokens", 0, Number.MAX_SAFE_INTEGER) ?? 0,
    ...given("password", fields.string("password")),
    ...given("edits", edits),
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function storedAttachment(
  workspace: Workspace,
  fileId: string,
  { isPasted, param, name }: { isPasted: boolean; param: string; name: string | undefined },
): AttachmentHead {
  const file = workspace.files.get(fileId);
  let text: string;
  try {
    text = utf8.decode(workspace.files.read(fileId));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("unsupported", `${file.name} is no text; the model cannot read it as it is.`, {
      param,
      hint: "Convert the document to text first.",
      cause,
    });
  }
  return { id: fileId, name: name ?? file.name, bytes: file.bytes, lineCount: lineCountOf(text), isPasted };
}

export function lineCountOf(text: string): number {
  return text.split("\n").length;
}

/** A whole number of the query, within bounds. */
export function queryInteger(
  context: ApiContext,
  name: string,
  bounds: { least: number; most: number },
): number | undefined {
  const given = context.req.query(name);
  if (given === undefined) return undefined;
  const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= bounds.least && value <= bounds.most) return value;
  throw refuse(name, `${name} must be a whole number from ${bounds.least} to ${bounds.most}.`);
}
