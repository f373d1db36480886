// Old Word files (DOC, Word 97 and later; WPS writes the same): the text in its pieces, paragraphs with their styles, tables. What the
// format holds beside that (pictures, numbers that Word counts, text boxes) is named in warnings.
// The format: https://learn.microsoft.com/openspecs/office_file_formats/ms-doc
import { AppError } from "../../base/errors.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, flowPage, type ReadContext } from "../reader.ts";
import { CompoundFile } from "./compound.ts";
import { paragraph } from "./html.ts";
import { tableOfRows } from "./plain.ts";

interface Paragraph {
  text: string;
  isCell: boolean;
  properties: Properties;
}

/** Of the properties of a paragraph those that say what it is. */
interface Properties {
  /** 1..9, or 0. */
  headingLevel: number;
  isInTable: boolean;
  isRowEnd: boolean;
  isCounted: boolean;
}

const plain: Properties = { headingLevel: 0, isInTable: false, isRowEnd: false, isCounted: false };

export async function readDoc(bytes: Uint8Array, { name, limits, signal, warn }: ReadContext): Promise<Draft> {
  const file = new CompoundFile(bytes);
  const main = file.stream("WordDocument");
  if (main.byteLength < 0x200 || main.getUint16(0, true) !== 0xa5ec) throw damaged(name);
  if (main.getUint16(2, true) < 0xc1)
    throw new AppError("unsupported", `${name} was written by Word 95 or older, which Quern does not read.`, {
      hint: "Save it as DOCX.",
    });
  const flags = main.getUint16(0x0a, true);
  if (flags & 0x0100)
    throw new AppError("unsupported", `${name} is encrypted.`, {
      hint: "Open it with its password and save it without one.",
      details: { needsPassword: true },
    });
  const table = file.stream(flags & 0x0200 ? "1Table" : "0Table");
  const letters = lettersOf(main, table, name);
  if (letters.length > limits.characters)
    throw new AppError("too_large", `${name} holds ${letters.length} characters; the limit is ${limits.characters}.`);
  signal.throwIfAborted();
  const counts = [0x4c, 0x50, 0x54, 0x5c, 0x60, 0x64].map((at) => main.getUint32(at, true));
  const [body = 0, notes = 0, heads = 0, comments = 0, endnotes = 0, boxes = 0] = counts;
  const properties = paragraphProperties(main, table);
  const part = (from: number, count: number): Paragraph[] =>
    paragraphsOf(letters.slice(from, from + count), properties);
  const afterHeads = body + notes + heads;
  const parts = [
    part(0, body),
    part(body, notes),
    part(afterHeads, comments),
    part(afterHeads + comments, endnotes),
    part(afterHeads + comments + endnotes, boxes),
  ];
  const leftOut = [
    letters.slice(0, body).some(({ code }) => code === 1) ? "pictures" : "",
    parts.flat().some((each) => each.properties.isCounted) ? "numbers of lists that Word counts itself" : "",
  ].filter((what) => what !== "");
  if (leftOut.length > 0)
    warn({
      code: "left_out",
      message: `${name} holds ${leftOut.join(" and ")}, which are not read from DOC. Save it as DOCX to keep them.`,
    });
  return { kind: "docx", pages: [flowPage(1, parts.flatMap(segmentsOfParagraphs))] };
}

function damaged(name: string): AppError {
  return new AppError("unreadable", `${name} is damaged: Word's own structure is missing or broken.`, {
    hint: "Open it in Word or WPS and save it again.",
  });
}

interface Letter {
  code: number;
  /** Where it stands in the file's main stream: properties are kept by that. */
  at: number;
}

/** The text in order: it is stored in pieces, each in UTF-16 or in Windows' Latin letters. */
function lettersOf(main: DataView, table: DataView, name: string): Letter[] {
  const start = main.getUint32(0x1a2, true);
  const end = start + main.getUint32(0x1a6, true);
  if (end > table.byteLength) throw damaged(name);
  let at = start;
  while (at + 3 < end && table.getUint8(at) === 1) at += 3 + table.getUint16(at + 1, true);
  if (at + 5 > end || table.getUint8(at) !== 2) throw damaged(name);
  const count = Math.floor((table.getUint32(at + 1, true) - 4) / 12);
  const positions = at + 5;
  const pieces = positions + (count + 1) * 4;
  if (count < 0 || pieces + count * 8 > table.byteLength) throw damaged(name);
  const letters: Letter[] = [];
  for (let piece = 0; piece < count; piece++) {
    const length = table.getUint32(positions + piece * 4 + 4, true) - table.getUint32(positions + piece * 4, true);
    const place = table.getUint32(pieces + piece * 8 + 2, true);
    const isNarrow = (place & 0x40000000) !== 0;
    const from = isNarrow ? (place & 0x3fffffff) / 2 : place;
    const size = isNarrow ? 1 : 2;
    if (length < 0 || from + length * size > main.byteLength) throw damaged(name);
    for (let index = 0; index < length; index++) {
      const where = from + index * size;
      letters.push({ code: isNarrow ? latin(main.getUint8(where)) : main.getUint16(where, true), at: where });
    }
  }
  return letters;
}

const windowsLatin = new TextDecoder("windows-1252");

function latin(byte: number): number {
  return byte < 0x80 ? byte : windowsLatin.decode(Uint8Array.of(byte)).charCodeAt(0);
}

function paragraphsOf(letters: readonly Letter[], properties: (at: number) => Properties): Paragraph[] {
  const found: Paragraph[] = [];
  let text = "";
  // A field is its instruction, a separator, and the result that is shown.
  const fields: boolean[] = [];
  for (const { code, at } of letters) {
    if (code === 0x13) fields.push(true);
    else if (code === 0x14) fields[fields.length - 1] = false;
    else if (code === 0x15) fields.pop();
    else if (fields.includes(true)) continue;
    else if (code === 0x0d || code === 0x07 || code === 0x0c) {
      found.push({ text, isCell: code === 0x07, properties: properties(at) });
      text = "";
    } else if (code === 0x0b) text += "\n";
    else if (code === 0x1e) text += "-";
    else if (code >= 0x20 || code === 9) text += String.fromCharCode(code);
  }
  if (text !== "") found.push({ text, isCell: false, properties: plain });
  return found;
}

function segmentsOfParagraphs(paragraphs: readonly Paragraph[]): DraftSegment[] {
  const segments: DraftSegment[] = [];
  let rows: string[][] = [];
  let cells: string[] = [];
  let cell: string[] = [];
  const flush = (): void => {
    if (cell.length > 0) cells.push(cell.join("\n"));
    if (cells.length > 0) rows.push(cells);
    const table = tableOfRows(rows, 1);
    if (table) segments.push(table);
    [rows, cells, cell] = [[], [], []];
  };
  for (const { text, isCell, properties } of paragraphs) {
    if (!properties.isInTable && !isCell) {
      flush();
      const line = text.replaceAll(/[ \t\u00a0]+/g, " ").trim();
      if (line === "") continue;
      const level = properties.headingLevel;
      segments.push(level > 0 ? { kind: "heading", page: 1, level, text: line } : paragraph(1, line));
    } else if (properties.isRowEnd) {
      rows.push(cells);
      cells = [];
    } else {
      cell.push(text.trim());
      if (!isCell) continue;
      cells.push(cell.join("\n").trim());
      cell = [];
    }
  }
  flush();
  return segments;
}

/** Looks up the properties of the paragraph whose mark stands at a place in the main stream. */
function paragraphProperties(main: DataView, table: DataView): (at: number) => Properties {
  const runs: { from: number; to: number; properties: Properties }[] = [];
  const start = main.getUint32(0x102, true);
  const count = Math.floor((main.getUint32(0x106, true) - 4) / 8);
  for (let index = 0; index < count; index++) {
    const entry = start + (count + 1) * 4 + index * 4;
    if (entry + 4 > table.byteLength) break;
    const page = (table.getUint32(entry, true) & 0x3fffff) * 512;
    if (page + 512 > main.byteLength) continue;
    const length = main.getUint8(page + 511);
    for (let run = 0; run < length && (length + 1) * 4 + length * 13 < 512; run++) {
      const offset = main.getUint8(page + (length + 1) * 4 + run * 13) * 2;
      runs.push({
        from: main.getUint32(page + run * 4, true),
        to: main.getUint32(page + run * 4 + 4, true),
        properties: offset === 0 ? plain : propertiesAt(main, page + offset, page + 511),
      });
    }
  }
  runs.sort((a, b) => a.from - b.from);
  return (at) => {
    let [low, high] = [0, runs.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((runs[middle]?.from ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    const run = runs[low];
    return run && run.from <= at && at < run.to ? run.properties : plain;
  };
}

/** Bytes of an operand by the three highest bits of its code; 6 says its own length. */
const operandBytes = [1, 1, 2, 4, 2, 2, 0, 3];

function propertiesAt(main: DataView, place: number, limit: number): Properties {
  const words = main.getUint8(place);
  const start = words === 0 ? place + 2 : place + 1;
  const end = Math.min(limit, start + (words === 0 ? main.getUint8(place + 1) * 2 : words * 2 - 1));
  if (start + 2 > end) return plain;
  const style = main.getUint16(start, true);
  const found = { ...plain, headingLevel: style >= 1 && style <= 9 ? style : 0 };
  for (let at = start + 2; at + 3 <= end; ) {
    const code = main.getUint16(at, true);
    const value = main.getUint8(at + 2);
    if (code === 0x2416) found.isInTable = value !== 0;
    else if (code === 0x2417) found.isRowEnd = value !== 0;
    else if (code === 0x2640 && value < 9) found.headingLevel = value + 1;
    else if (code === 0x460b) found.isCounted = value !== 0;
    const size =
      code === 0xd608 ? main.getUint16(at + 2, true) + 1 : code >> 13 === 6 ? value + 1 : operandBytes[code >> 13];
    at += 2 + (size ?? 1);
  }
  return found;
}
