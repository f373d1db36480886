// One press: a finished analysis, or any answer in Markdown, as a file.
import type { Analysis } from "../analysis/analyse.ts";
import type { Table } from "../analysis/table.ts";
import type { Language } from "../analysis/words.ts";
import { AppError } from "../base/errors.ts";
import { csvText } from "./csv.ts";
import { docxBytes } from "./docx.ts";
import { markdownText } from "./markdown.ts";
import { outlineText } from "./outline.ts";
import { pptxBytes } from "./pptx.ts";
import { type Report, reportOf, reportOfMarkdown, type TableWidth } from "./report.ts";
import { shortPost } from "./short-post.ts";
import { wechatHtml } from "./wechat.ts";
import { xlsxBytes } from "./xlsx.ts";
import { xlsxOfTables } from "./xlsx-of-tables.ts";

export const deliverableFormats = ["pptx", "outline", "docx", "xlsx", "markdown", "wechat", "post", "csv"] as const;
export type DeliverableFormat = (typeof deliverableFormats)[number];

export interface Deliverable {
  fileName: string;
  mediaType: string;
  bytes: Uint8Array;
}

export type DeliverableSource =
  | { analysis: Analysis /** Makes the formulas of a workbook live. */; table?: Table }
  | { markdown: string; title?: string; language?: Language };

const kinds: Record<DeliverableFormat, readonly [extension: string, mediaType: string]> = {
  pptx: ["pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"],
  docx: ["docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
  xlsx: ["xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
  outline: ["md", "text/markdown; charset=utf-8"],
  markdown: ["md", "text/markdown; charset=utf-8"],
  wechat: ["html", "text/html; charset=utf-8"],
  post: ["txt", "text/plain; charset=utf-8"],
  csv: ["csv", "text/csv; charset=utf-8"],
};

const widths: Partial<Record<DeliverableFormat, TableWidth>> = { csv: "sheet", wechat: "phone" };

/** Makes one file. `limit` is the most characters of a short post. Throws AppError `bad_request` when the source cannot become it. */
export async function deliver(
  source: DeliverableSource,
  format: DeliverableFormat,
  { limit }: { limit?: number } = {},
): Promise<Deliverable> {
  if (!deliverableFormats.includes(format))
    throw new AppError("bad_request", `There is no deliverable "${format}".`, {
      param: "format",
      hint: deliverableFormats.join(", "),
    });
  const report =
    "analysis" in source
      ? reportOf(source.analysis, { width: widths[format] ?? "page" })
      : reportOfMarkdown(source.markdown, source);
  if (report.sections.length === 0)
    throw new AppError("bad_request", "There is nothing to make a file of.", {
      hint: "Give a finished analysis or an answer with text.",
    });
  const [extension, mediaType] = kinds[format];
  return {
    fileName: `${fileStem(report.title)}${format === "outline" ? "-outline" : ""}.${extension}`,
    mediaType,
    bytes: await bytesOf(source, report, format, limit),
  };
}

async function bytesOf(
  source: DeliverableSource,
  report: Report,
  format: DeliverableFormat,
  limit: number | undefined,
): Promise<Uint8Array> {
  const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);
  switch (format) {
    case "pptx":
      return pptxBytes(report);
    case "docx":
      return docxBytes(report);
    case "xlsx":
      if ("analysis" in source) return xlsxBytes(source.analysis, source.table);
      return (
        (await xlsxOfTables(report)) ??
        refuse("There is no table in it to make a workbook of.", "Choose docx, pptx or markdown.")
      );
    case "csv":
      if (!report.sections.some(({ table }) => table !== undefined) && report.charts.length === 0)
        refuse("There is no table in it to write as CSV.", "Choose docx, pptx or markdown.");
      return encoded(csvText(report));
    case "outline":
      return encoded(outlineText(report));
    case "markdown":
      return encoded(markdownText(report));
    case "wechat":
      return encoded(wechatHtml(report));
    case "post":
      return encoded(shortPost(report, limit === undefined ? {} : { limit }));
  }
}

function refuse(message: string, hint: string): never {
  throw new AppError("bad_request", message, { param: "format", hint });
}

/** A name every file system takes. */
function fileStem(title: string): string {
  const stem = title
    .replace(/[\\/:*?"<>|\p{Cc}→]+/gu, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 60)
    .replace(/[. ]+$/, "");
  return stem === "" ? "analysis" : stem;
}
