// PPTX: one page a slide, in the order of the presentation; titles as headings, text with its levels, tables, chart figures and notes.
// Shapes are read top to bottom, left to right, as the eye does, not in the order they were drawn.
import { AppError } from "../../base/errors.ts";
import type { ListItem, TableCell } from "../document.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, type DraftPage, flowPage, type ReadContext } from "../reader.ts";
import { chartSegments } from "./chart.ts";
import { diagramSegments } from "./diagram.ts";
import { warnOfParts } from "./docx.ts";
import { attribute, scanMarkup } from "./markup.ts";
import { Pictures } from "./pictures.ts";
import { unpackZip, type ZipEntries } from "./zip.ts";

export async function readPptx(bytes: Uint8Array, context: ReadContext): Promise<Draft> {
  const { name, limits, warn, signal } = context;
  const entries = unpackZip(bytes, { name, limitBytes: limits.unpackedBytes });
  warnOfParts(entries, context, "ppt/");
  const slides = slidesInOrder(entries);
  if (slides.length === 0)
    throw new AppError("unreadable", `${name} holds no slide that can be read.`, {
      hint: "Open it in PowerPoint or WPS and save it again.",
    });
  const last = Math.min(slides.length, limits.pages);
  if (last < slides.length)
    warn({
      code: "pages_left_out",
      message: `${name} has ${slides.length} slides; slides ${last + 1}–${slides.length} were not read.`,
      page: last + 1,
    });
  const pages: DraftPage[] = [];
  const pictures = new Pictures(context);
  for (const [index, slide] of slides.slice(0, last).entries()) {
    signal.throwIfAborted();
    const number = index + 1;
    const xml = textOfEntry(entries, slide);
    if (xml === undefined) {
      warn({
        code: "page_unreadable",
        message: `${name}, slide ${number}: its part is missing from the file.`,
        page: number,
      });
      pages.push({ ...flowPage(number, []), source: "unreadable", confidence: 0 });
      continue;
    }
    const related = relations(entries, slide);
    const segments = slideSegments(xml, number);
    for (const target of related.filter((part) => part.includes("/charts/chart")))
      segments.push(...chartSegments(textOfEntry(entries, target) ?? "", number));
    for (const target of related.filter((part) => /\/diagrams\/data\d*\.xml$/.test(part)))
      segments.push(...diagramSegments(textOfEntry(entries, target) ?? "", number));
    const shown = related.filter((part) => part.startsWith("ppt/media/"));
    const before = segments.length;
    for (const part of new Set(shown)) segments.push(...(await pictures.segmentsOf(entries.get(part), number)));
    const isMixed = segments.length > before;
    const notes = related.find((part) => part.includes("/notesSlides/"));
    if (notes) segments.push(...notesSegments(textOfEntry(entries, notes) ?? "", number));
    const title = segments.find((segment) => segment.kind === "heading");
    const page = flowPage(number, segments, title?.kind === "heading" ? title.text : undefined);
    pages.push(isMixed ? { ...page, source: "mixed" } : page);
    context.progress({ page: number, pages: last, step: "reading" });
  }
  pictures.warn();
  return { kind: "pptx", pages };
}

function textOfEntry(entries: ZipEntries, name: string): string | undefined {
  const data = entries.get(name);
  return data === undefined ? undefined : new TextDecoder().decode(data);
}

function relations(entries: ZipEntries, part: string): string[] {
  return [...relationsById(entries, part).values()];
}

function relationsById(entries: ZipEntries, part: string): Map<string, string> {
  const at = part.lastIndexOf("/");
  const xml = textOfEntry(entries, `${part.slice(0, at)}/_rels/${part.slice(at + 1)}.rels`) ?? "";
  const found = new Map<string, string>();
  for (const event of scanMarkup(xml, { isXml: true })) {
    if (event.type !== "open" || event.name !== "Relationship") continue;
    if (attribute(event.attributes, "TargetMode") === "External") continue;
    found.set(
      attribute(event.attributes, "Id") ?? "",
      resolve(part.slice(0, at), attribute(event.attributes, "Target") ?? ""),
    );
  }
  return found;
}

function resolve(folder: string, target: string): string {
  if (target.startsWith("/")) return target.slice(1);
  const parts = folder.split("/");
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

function slidesInOrder(entries: ZipEntries): string[] {
  const byId = relationsById(entries, "ppt/presentation.xml");
  const listed: string[] = [];
  for (const event of scanMarkup(textOfEntry(entries, "ppt/presentation.xml") ?? "", { isXml: true }))
    if (event.type === "open" && event.name === "p:sldId")
      listed.push(byId.get(attribute(event.attributes, "r:id") ?? "") ?? "");
  const named = listed.filter((part) => part.startsWith("ppt/slides/"));
  if (named.length > 0) return named;
  const number = (part: string): number => Number(/(\d+)\.xml$/.exec(part)?.[1] ?? 0);
  return [...entries.keys()]
    .filter((part) => /^ppt\/slides\/slide\d+\.xml$/.test(part))
    .sort((a, b) => number(a) - number(b));
}

interface Shape {
  left: number;
  top: number;
  isTitle: boolean;
  paragraphs: { text: string; level: number; isListed: boolean }[];
  table: { cells: TableCell[]; row: number; column: number } | undefined;
}

function shapesOf(xml: string): Shape[] {
  const shapes: Shape[] = [];
  let shape: Shape | undefined;
  let text: string[] = [];
  let isText = false;
  let level = 0;
  let isListed = false;
  let groupTop = 0;
  let cell: TableCell | undefined;
  let isMergedAway = false;
  for (const event of scanMarkup(xml, { isXml: true })) {
    if (event.type === "text") {
      if (isText) text.push(event.text);
      continue;
    }
    const isOpen = event.type === "open";
    switch (event.name) {
      case "p:sp":
      case "p:graphicFrame":
        if (isOpen) shape = { left: 0, top: groupTop, isTitle: false, paragraphs: [], table: undefined };
        else if (shape) {
          shapes.push(shape);
          shape = undefined;
        }
        break;
      case "p:ph":
        if (isOpen && shape && /title/i.test(attribute(event.attributes, "type") ?? ""))
          shape.isTitle = !/subtitle/i.test(event.attributes);
        break;
      case "a:off":
        if (isOpen) {
          const top = Number(attribute(event.attributes, "y") ?? 0);
          if (shape) {
            shape.left = Number(attribute(event.attributes, "x") ?? 0);
            shape.top = top;
          } else groupTop = top;
        }
        break;
      case "a:tbl":
        if (isOpen && shape) shape.table = { cells: [], row: -1, column: 0 };
        break;
      case "a:tr":
        if (isOpen && shape?.table) {
          shape.table.row++;
          shape.table.column = 0;
        }
        break;
      case "a:tc":
        if (!shape?.table) break;
        if (isOpen) {
          const span = (name: string): number =>
            Math.min(1000, Math.max(1, Number(attribute(event.attributes, name) ?? 1) || 1));
          const [rowSpan, columnSpan] = [span("rowSpan"), span("gridSpan")];
          isMergedAway = attribute(event.attributes, "hMerge") === "1" || attribute(event.attributes, "vMerge") === "1";
          cell = {
            row: shape.table.row,
            column: shape.table.column++,
            text: "",
            ...(rowSpan > 1 ? { rowSpan } : {}),
            ...(columnSpan > 1 ? { columnSpan } : {}),
          };
        } else if (cell) {
          if (!isMergedAway) shape.table.cells.push(cell);
          cell = undefined;
        }
        break;
      case "a:p":
        if (isOpen) {
          text = [];
          level = 0;
          isListed = false;
        } else {
          const line = text.join("").trim();
          text = [];
          if (line === "") break;
          if (cell) cell.text += (cell.text === "" ? "" : "\n") + line;
          else shape?.paragraphs.push({ text: line, level, isListed });
        }
        break;
      case "a:pPr":
        if (isOpen) level = Math.min(8, Number(attribute(event.attributes, "lvl") ?? 0) || 0);
        break;
      case "a:buChar":
      case "a:buAutoNum":
        if (isOpen) isListed = true;
        break;
      case "a:br":
        if (isOpen) text.push("\n");
        break;
      case "a:t":
        isText = isOpen && !event.isClosed;
        break;
    }
  }
  return shapes;
}

/** English Metric Units: shapes whose tops differ by less stand in one row. */
const rowHeight = 300_000;

function slideSegments(xml: string, page: number): DraftSegment[] {
  const shapes = shapesOf(xml);
  const order = (a: Shape, b: Shape): number =>
    Number(b.isTitle) - Number(a.isTitle) ||
    Math.round(a.top / rowHeight) - Math.round(b.top / rowHeight) ||
    a.left - b.left;
  return shapes.toSorted(order).flatMap((shape) => shapeSegments(shape, page));
}

function shapeSegments({ isTitle, paragraphs, table }: Shape, page: number): DraftSegment[] {
  if (table) {
    const columns = table.cells.reduce((most, cell) => Math.max(most, cell.column + 1), 0);
    if (columns === 0) return [];
    return [{ kind: "table", page, rows: table.row + 1, columns, cells: table.cells }];
  }
  if (isTitle)
    return paragraphs.length > 0
      ? [{ kind: "heading", page, level: 1, text: paragraphs.map((each) => each.text.replaceAll("\n", " ")).join(" ") }]
      : [];
  const segments: DraftSegment[] = [];
  let items: ListItem[] = [];
  const flush = (): void => {
    if (items.length > 0) segments.push({ kind: "list", page, items });
    items = [];
  };
  for (const { text, level, isListed } of paragraphs) {
    if (isListed || level > 0) items.push({ text: text.replaceAll("\n", " "), level, marker: "-" });
    else {
      flush();
      segments.push({ kind: "paragraph", page, text });
    }
  }
  flush();
  return segments;
}

function notesSegments(xml: string, page: number): DraftSegment[] {
  // A notes page also carries a thumbnail and the slide's number; the notes are what is longer than a number.
  return shapesOf(xml)
    .flatMap((shape) => shape.paragraphs)
    .filter((paragraph) => !/^\d{1,4}$/.test(paragraph.text))
    .map((paragraph) => ({ kind: "quote", page, text: paragraph.text }));
}
