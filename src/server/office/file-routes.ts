// /v1/files in OpenAI's shape. Content lies once by its hash; the same file twice is two names for it.
import { AppError } from "../../base/errors.ts";
import type { StoredFile } from "../../workspace/files.ts";
import type { ApiContext } from "../api.ts";
import { refuse } from "../errors.ts";
import type { OfficeHandler } from "./office-door.ts";
import { needFile, parseUpload } from "./upload.ts";

export const uploadFile: OfficeHandler = async (context, api, office) => {
  const { name, mediaType, bytes } = needFile(await parseUpload(context, api, office));
  return context.json(fileBody(office.files.add(bytes, { name, mediaType })));
};

export const listFiles: OfficeHandler = (context, _api, office) =>
  context.json({ object: "list", data: office.files.list().map(fileBody), has_more: false });

export const getFile: OfficeHandler = (context, _api, office) =>
  context.json(fileBody(office.files.get(idOf(context))));

export const deleteFile: OfficeHandler = (context, _api, office) => {
  const id = idOf(context);
  office.files.delete(id);
  return context.json({ id, object: "file", deleted: true });
};

export const fileContent: OfficeHandler = (context, _api, office) => {
  const { id, name } = office.files.get(idOf(context));
  // Never shown in place: an uploaded page must not run as ours.
  return download(context, { bytes: office.files.read(id), fileName: name, mediaType: "application/octet-stream" });
};

/**
 * A page of a stored document as PNG: `?pixels=` is the length of its longer side, 1,200 unless told; `?turned=` and `?levelled=` are the
 * degrees that the reader gives for it, so that its boxes fit the picture.
 */
export const filePage: OfficeHandler = async (context, _api, office) => {
  const file = office.files.get(idOf(context));
  const page = numberOf(context.req.param("page"), "page", 1, 100_000);
  const pixels = numberOf(context.req.query("pixels") ?? "1200", "pixels", 64, 4000);
  const turnedBy = numberOf(context.req.query("turned") ?? "0", "turned", 0, 270);
  const levelledBy = Number(context.req.query("levelled") ?? "0");
  if (!(Math.abs(levelledBy) <= 45)) throw refuse("levelled", "levelled must be a number of degrees from -45 to 45.");
  const password = context.req.header("quern-password");
  const how = password === undefined ? {} : { password: decoded(password, "quern-password") };
  const png = await office.pageImage(file, { page, pixels, turnedBy, levelledBy, ...how });
  context.header("cache-control", "private, max-age=31536000, immutable");
  return context.body(png as Uint8Array<ArrayBuffer>, 200, { "content-type": "image/png" });
};

/** An answer that the browser saves. The name may hold any characters (RFC 6266, RFC 8187). */
export function download(
  context: ApiContext,
  { bytes, fileName, mediaType }: { bytes: Uint8Array; fileName: string; mediaType: string },
): Response {
  const plain = fileName.replace(/[^\w.-]+/g, "_");
  return context.body(bytes as Uint8Array<ArrayBuffer>, 200, {
    "content-type": mediaType,
    "content-disposition": `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(fileName)}`,
    "x-content-type-options": "nosniff",
  });
}

/** Percent-decoded text of a header. Throws `bad_request` for a "%" that stands alone. */
function decoded(text: string, param: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new AppError("bad_request", `${param} is not percent-encoded UTF-8.`, { param, cause });
  }
}

function fileBody({ id, bytes, createdAt, name, mediaType, sha256 }: StoredFile): object {
  return {
    id,
    object: "file",
    bytes,
    created_at: Math.floor(createdAt / 1000),
    filename: name,
    purpose: "user_data",
    status: "processed",
    media_type: mediaType,
    sha256,
  };
}

function idOf(context: ApiContext): string {
  return context.req.param("id") ?? "";
}

function numberOf(text: string | undefined, name: string, least: number, most: number): number {
  const value = /^\d{1,6}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw refuse(name, `${name} must be a whole number from ${least} to ${most}.`);
}
