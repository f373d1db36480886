// What stands beside the conversation: a document at a page, or the analysis of a workbook. One thing at a time, for the whole page.
import type { AttachedDocument, DocumentEdit } from "../../src/server/api-types.ts";
import { Signal } from "../signal.ts";

export interface OpenFile {
  fileId: string;
  name: string;
  document: AttachedDocument;
}

export type OfficeView =
  | {
      kind: "document";
      file: OpenFile;
      page: number;
      /** The words before a citation: the segment most like them is shown. */
      passage?: string;
      /** Takes corrections; absent once the question was sent. */
      onEdits?: (edits: readonly DocumentEdit[], tokens: number) => void;
    }
  | { kind: "analysis"; file: OpenFile };

export const officeView = new Signal<OfficeView | undefined>(undefined);

/** Below this, recognised text is marked for a look; as the readers have it. */
export const lowConfidence = 0.85;

const tableKinds = new Set(["xlsx", "xls", "csv"]);

/** Whether a file holds tables to compute with. */
export function isWorkbook({ name, document }: { name: string; document?: AttachedDocument | undefined }): boolean {
  return document !== undefined && (tableKinds.has(document.kind) || /\.(?:xlsx|xlsm|xls|ods|et|csv|tsv)$/i.test(name));
}
