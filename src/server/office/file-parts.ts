// Files inside the messages of a chat: `file` parts (a stored file or a data URL) and pictures as data URLs are read like any document.
// What they become in the prompt, and what happens when they do not fit, is file-prompt.ts's matter.
import type { Document } from "../../documents/document.ts";
import type { FileProgress } from "../../documents/file-progress.ts";
import { toPlainName } from "../../workspace/files.ts";
import { aboutParam, refuse, unsupported } from "../errors.ts";
import { Fields, given, isObject } from "../fields.ts";
import { withEdits } from "./document-edits.ts";
import type { OfficeDoor } from "./office-door.ts";

export interface FileInMessage {
  document: Document;
  fileId?: string;
  /** Where the part stands in the request, for refusals. */
  path: string;
}

export interface MessageWithFiles {
  /** Its place in `messages`. */
  index: number;
  files: readonly FileInMessage[];
  /** The text beside them. */
  question: string;
}

export interface ReadContext {
  office: OfficeDoor;
  signal: AbortSignal;
  onProgress?: (progress: FileProgress) => void;
}

const mostFiles = 100;

/** The user's messages that carry files, read. Throws what the readers throw, naming the file. */
export async function readFileParts(messages: readonly unknown[], context: ReadContext): Promise<MessageWithFiles[]> {
  const found: MessageWithFiles[] = [];
  for (const [index, message] of messages.entries()) {
    if (!isObject(message) || !Array.isArray(message.content)) continue;
    const parts = message.content.map((part: unknown, at): [Fields, string] | undefined =>
      isObject(part) ? [new Fields(part, `messages[${index}].content[${at}]`), String(part.type)] : undefined,
    );
    const fileParts = parts.filter((part) => part !== undefined).filter(([, type]) => partTypes.has(type));
    if (fileParts.length === 0) continue;
    if (message.role !== "user") throw refuse(`messages[${index}].content`, "Files belong into messages of the user.");
    if (fileParts.length > mostFiles)
      throw refuse(
        `messages[${index}].content`,
        `${fileParts.length} files in one message; ${mostFiles} are the most.`,
      );
    const files: FileInMessage[] = [];
    for (const [part, type] of fileParts) {
      const path = part.path(type.endsWith("image") || type === "image_url" ? "image_url" : "file");
      files.push(await readPart(part, type, context).catch(aboutParam(path)));
    }
    found.push({ index, files, question: textBeside(message.content, index) });
  }
  return found;
}

const partTypes = new Set(["file", "input_file", "image_url", "input_image"]);

export function isFilePart(part: unknown): boolean {
  return isObject(part) && partTypes.has(String(part.type));
}

async function readPart(
  part: Fields,
  type: string,
  { office, signal, onProgress }: ReadContext,
): Promise<FileInMessage> {
  const isImage = type === "image_url" || type === "input_image";
  const source = isImage
    ? imageSource(part)
    : fileSource(type === "file" ? part.required("file", part.object("file")) : part, office);
  const { fields, ...file } = source;
  if (file.bytes.length === 0) throw refuse(fields.path("file_data"), `${file.name} is empty.`);
  const password = fields.string("password");
  const { document } = await office.read(file, {
    ...given("password", password),
    signal,
    onProgress: ({ page, pages }) => onProgress?.({ stage: "reading", name: file.name, done: page, all: pages }),
  });
  return {
    document: withEdits(document, fields),
    path: fields.path(isImage ? "url" : "file_data"),
    ...given("fileId", file.id),
  };
}

interface Source {
  fields: Fields;
  name: string;
  bytes: Uint8Array;
  id?: string;
}

function fileSource(fields: Fields, office: OfficeDoor): Source {
  const [id, text] = [fields.string("file_id"), fields.string("file_data")];
  if ((id === undefined) === (text === undefined)) {
    throw refuse(fields.path("file_id"), "A file part has either file_id or file_data.");
  }
  if (id !== undefined) {
    const { name } = office.files.get(id);
    return { fields, name, bytes: office.files.read(id), id };
  }
  const name = toPlainName(fields.required("filename", fields.string("filename")));
  return { fields, name, bytes: bytesOf(text ?? "", fields.path("file_data")) };
}

function imageSource(part: Fields): Source {
  const image = part.raw("image_url");
  const fields =
    typeof image === "string" ? new Fields({ url: image }, part.path("image_url")) : part.object("image_url");
  const url = part.required("image_url", fields).required("url", fields?.string("url"));
  const path = `${part.path("image_url")}.url`;
  if (!url.startsWith("data:")) {
    throw unsupported(
      path,
      "Quern fetches nothing from the web; a picture has to come as a data URL.",
      'Send "data:image/png;base64,…".',
    );
  }
  const type = /^data:image\/([a-z]+)/i.exec(url)?.[1] ?? "png";
  return { fields: fields ?? part, name: `image.${type}`, bytes: bytesOf(url, path) };
}

/** The bytes of a data URL, or of plain base64 as some clients send it. */
function bytesOf(text: string, path: string): Uint8Array {
  const comma = text.startsWith("data:") ? text.indexOf(",") : -1;
  const isPlain = text.startsWith("data:") && !/;base64$/i.test(text.slice(0, comma));
  const encoded = text.slice(comma + 1);
  if (isPlain) {
    try {
      return new TextEncoder().encode(decodeURIComponent(encoded));
    } catch {
      throw refuse(path, `${path} is no data URL that can be decoded; send base64.`);
    }
  }
  if (encoded.length % 4 === 1 || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(encoded))
    throw refuse(path, `${path} is not base64.`);
  return Buffer.from(encoded, "base64");
}

function textBeside(content: readonly unknown[], index: number): string {
  return content
    .map((part, at) => {
      if (typeof part === "string") return part;
      const fields = Fields.of(part, `messages[${index}].content[${at}]`);
      const type = fields.required("type", fields.string("type"));
      if (partTypes.has(type)) return "";
      if (type === "text" || type === "input_text") return fields.required("text", fields.string("text"));
      throw unsupported(fields.path("type"), `A part of type "${type.slice(0, 40)}" cannot stand beside files.`);
    })
    .join("");
}
