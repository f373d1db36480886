// What comes with a file: multipart form data (one part named `file`, text parts as fields), or JSON that names a stored file.
import { AppError } from "../../base/errors.ts";
import { toPlainName } from "../../workspace/files.ts";
import { type Api, type ApiContext, bodyOf, isForm } from "../api.ts";
import { parseJsonFields } from "../body.ts";
import { refuse } from "../errors.ts";
import { Fields } from "../fields.ts";
import type { OfficeDoor } from "./office-door.ts";

export interface Upload {
  fields: Fields;
  /** Absent when the request names none. */
  file?: { name: string; mediaType: string; bytes: Uint8Array; id?: string };
}

/** Reads either kind of body. A text part that holds a JSON object or array arrives as that value. Throws `bad_request`, `too_large`, `not_found`. */
export async function parseUpload(context: ApiContext, api: Api, office: OfficeDoor): Promise<Upload> {
  const type = context.req.header("content-type") ?? "";
  const body = await bodyOf(context, api);
  if (!isForm(context)) {
    const fields = parseJsonFields(body);
    const id = fields.string("file_id");
    if (id === undefined) return { fields };
    const { name, mediaType } = office.files.get(id);
    return { fields, file: { name, mediaType, bytes: office.files.read(id), id } };
  }
  const form = await formOf(body, type);
  const values: Record<string, unknown> = {};
  let file: Upload["file"];
  for (const [name, value] of form) {
    if (typeof value === "string") values[name] = plainOrJson(value);
    else if (name !== "file") throw refuse(name, `A file came as "${name.slice(0, 64)}"; name the part "file".`);
    else if (file) throw refuse("file", "One file at a time, please.");
    else {
      const mediaType = value.type === "" ? "application/octet-stream" : value.type;
      file = { name: toPlainName(value.name), mediaType, bytes: new Uint8Array(await value.arrayBuffer()) };
    }
  }
  return { fields: new Fields(values), ...(file ? { file } : {}) };
}

export function needFile(upload: Upload): NonNullable<Upload["file"]> {
  if (upload.file) return upload.file;
  throw refuse(
    "file",
    "There is no file in the request.",
    'Send multipart/form-data with a part named "file", or JSON with "file_id".',
  );
}

/** The parts of a multipart body. */
export async function formOf(body: Uint8Array, type: string): Promise<FormData> {
  try {
    return await new Response(body as Uint8Array<ArrayBuffer>, { headers: { "content-type": type } }).formData();
  } catch (cause) {
    throw new AppError("bad_request", "The form data cannot be read: it is broken or cut.", { param: "body", cause });
  }
}

function plainOrJson(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // a text that only begins like JSON, such as "[draft] contract"
  }
}
