// DOCX through mammoth (structure by styles: headings, lists, tables, bold), after the archive has passed the limits.
import { strToU8, zipSync } from "fflate";
import mammoth from "mammoth";
import { AppError } from "../../base/errors.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, flowPage, type ReadContext } from "../reader.ts";
import { chartSegments } from "./chart.ts";
import { diagramSegments } from "./diagram.ts";
import { withFormulas } from "./docx-math.ts";
import { withNumbers } from "./docx-numbering.ts";
import { htmlSegments, pictureScheme } from "./html.ts";
import { scanMarkup } from "./markup.ts";
import { Pictures } from "./pictures.ts";
import { unpackZip, type ZipEntries } from "./zip.ts";

export async function readDocx(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const { name, limits } = context;
  const entries = unpackZip(bytes, { name, limitBytes: limits.unpackedBytes });
  warnOfParts(entries, context, "word/");
  const pictures = new Pictures(context);
  const found: DraftSegment[][] = [];
  let html: string;
  try {
    const converted = await mammoth.convertToHtml(
      { buffer: Buffer.from(prepared(entries)) },
      {
        styleMap: ["comment-reference => sup"],
        convertImage: mammoth.images.imgElement(async (image) => {
          const picture = await image.readAsBuffer().catch(() => undefined);
          const segments = await pictures.segmentsOf(picture, 1);
          return { src: `${pictureScheme}${found.push(segments) - 1}` };
        }),
      },
    );
    // mammoth's arrows back from a note to its place are not the document's text.
    html = converted.value.replaceAll(/\s?<a href="#[^"]{0,200}-ref-[^"]{0,200}">↑<\/a>/g, "");
  } catch (cause) {
    context.signal.throwIfAborted();
    throw new AppError("unreadable", `${name} is damaged: Word's own structure is missing or broken.`, {
      hint: "Open it in Word or WPS and save it again.",
      cause,
    });
  }
  if (html.length > limits.characters)
    throw new AppError(
      "too_large",
      `${name} holds ${html.length} characters of text and structure; the limit is ${limits.characters}.`,
    );
  pictures.warn();
  const body = htmlSegments(html, { page: 1, limit: limits.cells, pictures: found });
  const drawn = [...entries].flatMap(([part, data]) => {
    if (/^word\/diagrams\/data\d*\.xml$/.test(part)) return diagramSegments(utf8(data), 1);
    return /^word\/charts\/chart\d*\.xml$/.test(part) ? chartSegments(utf8(data), 1) : [];
  });
  const segments = [...runningText(entries, "header"), ...body, ...drawn, ...runningText(entries, "footer")];
  const isMixed = found.some((each) => each.length > 0);
  const page = flowPage(1, segments);
  return { kind: "docx", pages: [isMixed ? { ...page, source: "mixed" } : page] };
}

/** The archive with numbers and formulas written out, which mammoth would lose; packed without compression, for one reader. */
function prepared(entries: ZipEntries): Uint8Array {
  const parts = { numbering: utf8(entries.get("word/numbering.xml")), styles: utf8(entries.get("word/styles.xml")) };
  const files: Record<string, Uint8Array> = {};
  for (const [entry, data] of entries) {
    const isText = /^word\/(?:document\d*|footnotes|endnotes)\.xml$/.test(entry);
    const source = isText ? utf8(data) : "";
    files[entry] = source === "" ? data : strToU8(withFormulas(withNumbers(source, parts)));
  }
  return zipSync(files, { level: 0 });
}

/** Empty when it is missing or in another encoding, which Word never writes. */
function utf8(data: Uint8Array | undefined): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch (error) {
    if (error instanceof TypeError) return "";
    throw error;
  }
}

/** Text of the document's running heads or feet, each once; taken out like those of a PDF, and like them it can be put back. */
function runningText(entries: ZipEntries, part: "header" | "footer"): DraftSegment[] {
  const texts = [...entries]
    .filter(([name]) => name.startsWith(`word/${part}`) && name.endsWith(".xml"))
    .map(([, data]) => paragraphsIn(utf8(data)))
    .filter((text) => /\p{L}/u.test(text));
  return [...new Set(texts)].map((text) => ({ kind: "paragraph", page: 1, text, removed: `running_${part}` as const }));
}

/** The text of WordprocessingML without its structure. */
function paragraphsIn(xml: string): string {
  let text = "";
  let isText = false;
  // A text box stands twice, for new programs (Choice) and old ones.
  let choices = 0;
  for (const event of scanMarkup(xml, { isXml: true })) {
    if (event.type === "text") text += isText && choices === 0 ? event.text : "";
    else if (event.name === "mc:Choice") choices += event.type === "open" ? 1 : -1;
    else if (event.name === "w:t") isText = event.type === "open" && !event.isClosed;
    else if (event.name === "w:tab") text += " ";
    else if (event.name === "w:p" && event.type === "close") text += "\n";
  }
  return text.replaceAll(/\n{2,}/g, "\n").trim();
}

/** Says what an Office file carries that the readers do not take. */
export function warnOfParts(entries: ZipEntries, { name, warn }: ReadContext, folder: string): void {
  const names = [...entries.keys()];
  if (names.some((entry) => /vbaProject\.bin$|activeX\//i.test(entry)))
    warn({ code: "active_content_ignored", message: `${name} contains macros or controls; they were not run.` });
  const pictures = names.filter((entry) => /^xl\/media\//i.test(entry)).length;
  if (pictures > 0)
    warn({ code: "left_out", message: `${name} contains ${pictures} picture(s); text inside them was not read.` });
  const embedded = names.filter(
    (entry) => entry.startsWith(`${folder}embeddings/`) && !/Microsoft_Excel/i.test(entry),
  ).length;
  if (embedded > 0)
    warn({ code: "attachment_listed", message: `${name} carries ${embedded} embedded file(s), which were not read.` });
}
