// A file of any kind -> its tables, open for analysis: sheets by the workbook reader, all else (PDF, Word, slides, web pages, scans and
// screenshots) by the document reader, whose tables are then typed like those of a sheet.
import { AppError } from "../base/errors.ts";
import type { Document } from "../documents/document.ts";
import { type FileKind, kindByContent } from "../documents/kind.ts";
import { OpenWorkbook, type WorkbookInput } from "./analyse.ts";
import { tablesOfDocument } from "./document-tables.ts";

const documentKinds: ReadonlySet<FileKind> = new Set([
  "pdf",
  "docx",
  "doc",
  "rtf",
  "pptx",
  "ppt",
  "image",
  "email",
  "html",
  "markdown",
]);

export interface OpenTablesOptions extends Pick<WorkbookInput, "overrides" | "signal" | "onProgress"> {
  readDocument: () => Promise<Document>;
}

export async function openTables(
  { name, bytes }: { name: string; bytes: Uint8Array },
  { readDocument, ...options }: OpenTablesOptions,
): Promise<OpenWorkbook> {
  // What the workbook reader refuses it refuses in better words than "of no known kind".
  if (bytes.byteLength === 0 || !documentKinds.has(kindByContent(bytes, name)))
    return OpenWorkbook.open({ name, bytes, ...options });
  options.onProgress?.("read", 0);
  const tables = tablesOfDocument(await readDocument());
  if (tables.length === 0)
    throw new AppError("unreadable", `No table was found in ${name}.`, {
      hint: "Quern computes with tables; ask about the text of a document in a conversation.",
    });
  return OpenWorkbook.open({ name, tables, ...options });
}
