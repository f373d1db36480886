// EML: the letter's head as a table, its text (the HTML part when there is no plain one), and its attachments by name. Attachments are
// listed, not opened: each can be given as a file of its own.
import PostalMime from "postal-mime";
import { AppError } from "../../base/errors.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, flowPage, type ReadContext } from "../reader.ts";
import { htmlSegments } from "./html.ts";
import { tableOfRows, textSegments } from "./plain.ts";
import { safeName } from "./zip.ts";

export async function readEmail(bytes: Uint8Array, { name, limits, warn }: ReadContext): Promise<Draft> {
  const mail = await PostalMime.parse(bytes, { maxNestingDepth: 40 }).catch((cause: unknown) => {
    throw new AppError("unreadable", `${name} cannot be read as a letter.`, { cause });
  });
  const people = (list: readonly { name?: string; address?: string | undefined }[] | undefined): string =>
    (list ?? [])
      .map((one) => (one.name ? `${one.name}${one.address ? ` <${one.address}>` : ""}` : (one.address ?? "")))
      .join(", ");
  const head = [
    ["From", people(mail.from ? [mail.from] : [])],
    ["To", people(mail.to)],
    ["Cc", people(mail.cc)],
    // As the letter says it, with the writer's own time zone.
    ["Date", mail.headers.find((header) => header.key === "date")?.value ?? mail.date ?? ""],
  ].filter(([, value]) => value !== "");
  const segments: DraftSegment[] = [];
  if (mail.subject) segments.push({ kind: "heading", page: 1, level: 1, text: mail.subject });
  const headTable = tableOfRows(head.length > 0 ? [["", ""], ...head] : [], 1);
  if (headTable) segments.push(headTable);
  if (mail.text?.trim()) segments.push(...textSegments(mail.text.replaceAll(/\r\n?/g, "\n"), 1));
  else if (mail.html) segments.push(...htmlSegments(mail.html, { page: 1, limit: limits.cells }));
  const attachments = mail.attachments.map((part) => {
    const given = part.filename ?? "unnamed";
    const shown = safeName(given);
    if (shown !== given)
      warn({ code: "unsafe_name", message: `${name}: an attachment's name was changed to “${shown}” for display.` });
    const size = typeof part.content === "string" ? part.content.length : part.content.byteLength;
    return { text: `${shown} (${part.mimeType}, ${size} bytes)`, level: 0, marker: "-" };
  });
  if (attachments.length > 0) {
    segments.push(
      { kind: "heading", page: 1, level: 2, text: "Attachments" },
      { kind: "list", page: 1, items: attachments },
    );
    warn({
      code: "attachment_listed",
      message: `${name} carries ${attachments.length} attachment(s), which were listed but not read.`,
    });
  }
  return { kind: "email", pages: [flowPage(1, segments)] };
}
