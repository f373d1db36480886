// Old PowerPoint files (PPT, 97 and later; WPS writes the same): one page a slide, titles as headings, the text of its shapes in the order
// they were drawn (a table's cells too, one by one), and notes. Pictures are not read; a warning says so.
// The format: https://learn.microsoft.com/openspecs/office_file_formats/ms-ppt
import { AppError } from "../../base/errors.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, flowPage, type ReadContext } from "../reader.ts";
import { CompoundFile } from "./compound.ts";

/** Types of records. */
const record = {
  userEdit: 0x0ff5,
  persistDirectory: 0x1772,
  slideList: 0x0ff0,
  slidePersist: 0x03f3,
  slide: 0x03ee,
  slideAtom: 0x03ef,
  textHeader: 0x0f9f,
  textWide: 0x0fa0,
  textNarrow: 0x0fa8,
  outlineText: 0x0f9e,
} as const;
const titleTypes = new Set([0, 6]);
const encryptedToken = 0xf3d1c4df;

interface Text {
  type: number;
  text: string;
}

interface ListedSlide {
  persist: number;
  id: number;
  /** Text of placeholders stands here, once for the outline and the slide. */
  outline: Text[];
}

interface Atom {
  type: number;
  instance: number;
  from: number;
  to: number;
}

export async function readPpt(
  bytes: Uint8Array,
  { name, limits, signal, warn, progress }: ReadContext,
): Promise<Draft> {
  const file = new CompoundFile(bytes);
  const user = file.stream("Current User");
  const data = file.stream("PowerPoint Document");
  if (user.byteLength < 20 || data.byteLength === 0) throw damaged(name);
  if (user.getUint32(12, true) === encryptedToken)
    throw new AppError("unsupported", `${name} is encrypted.`, {
      hint: "Open it with its password and save it without one.",
      details: { needsPassword: true },
    });
  const { places, document } = directoryOf(data, user.getUint32(16, true));
  const [root] = atomsIn(data, { from: places.get(document) ?? data.byteLength, to: data.byteLength });
  if (!root) throw damaged(name);
  const slides = listed(data, root, 0);
  const notes = listed(data, root, 2);
  if (slides.length === 0) throw new AppError("unreadable", `${name} holds no slide that can be read.`);
  const last = Math.min(slides.length, limits.pages);
  if (last < slides.length)
    warn({
      code: "pages_left_out",
      message: `${name} has ${slides.length} slides; slides ${last + 1}–${slides.length} were not read.`,
      page: last + 1,
    });
  const pages = slides.slice(0, last).map((slide, index) => {
    signal.throwIfAborted();
    const number = index + 1;
    progress({ page: number, pages: last, step: "reading" });
    const { texts, notesId } = slideTexts(data, slide, places);
    const spoken = notes.find((each) => each.id === notesId && notesId !== 0);
    const said = spoken ? slideTexts(data, spoken, places).texts.filter(({ type }) => type === 2) : [];
    const segments = [
      ...texts.flatMap((text) => segmentsOf(text, number)),
      ...said.flatMap(({ text }): DraftSegment[] =>
        text.trim() === "" ? [] : [{ kind: "quote", page: number, text: text.trim() }],
      ),
    ];
    const title = segments.find((segment) => segment.kind === "heading");
    return flowPage(number, segments, title?.kind === "heading" ? title.text : undefined);
  });
  if (file.stream("Pictures").byteLength > 0)
    warn({ code: "left_out", message: `${name} contains pictures; text inside them was not read from PPT.` });
  return { kind: "pptx", pages };
}

function damaged(name: string): AppError {
  return new AppError("unreadable", `${name} is damaged: PowerPoint's own structure is missing or broken.`, {
    hint: "Open it in PowerPoint or WPS and save it again.",
  });
}

/** Where each part stands. A file that was saved quickly carries its changes at the end; each points back at the one before. */
function directoryOf(data: DataView, latest: number): { places: ReadonlyMap<number, number>; document: number } {
  const places = new Map<number, number>();
  const seen = new Set<number>();
  let document = 0;
  for (let at = latest; at > 0 && !seen.has(at); ) {
    seen.add(at);
    const [edit] = atomsIn(data, { from: at, to: data.byteLength });
    if (edit?.type !== record.userEdit || edit.to - edit.from < 20) break;
    if (document === 0) document = data.getUint32(edit.from + 16, true);
    const [directory] = atomsIn(data, { from: data.getUint32(edit.from + 12, true), to: data.byteLength });
    if (directory?.type === record.persistDirectory)
      for (let entry = directory.from; entry + 4 <= directory.to; ) {
        const head = data.getUint32(entry, true);
        entry += 4;
        for (let index = 0; index < head >>> 20 && entry + 4 <= directory.to; index++, entry += 4) {
          const id = (head & 0xfffff) + index;
          if (!places.has(id)) places.set(id, data.getUint32(entry, true));
        }
      }
    at = data.getUint32(edit.from + 8, true);
  }
  return { places, document };
}

/** The records one after the other, without what is inside them. */
function* atomsIn(data: DataView, { from, to }: { from: number; to: number }): Generator<Atom> {
  for (let at = from; at >= 0 && at + 8 <= to; ) {
    const end = at + 8 + data.getUint32(at + 4, true);
    if (end > to) return;
    yield { type: data.getUint16(at + 2, true), instance: data.getUint16(at, true), from: at + 8, to: end };
    at = end;
  }
}

/** All records inside, containers opened. */
function* within(data: DataView, outer: { from: number; to: number }, depth = 0): Generator<Atom> {
  for (const atom of atomsIn(data, outer)) {
    yield atom;
    // The lowest four bits say that it holds records.
    if ((atom.instance & 15) === 15 && depth < 30) yield* within(data, atom, depth + 1);
    // A shape's text box is not marked as a container in files of some programs.
    else if (atom.type === 0xf00d && depth < 30) yield* within(data, atom, depth + 1);
  }
}

/** The document's list of slides (0) or notes (2). */
function listed(data: DataView, root: Atom, kind: number): ListedSlide[] {
  const found: ListedSlide[] = [];
  for (const list of atomsIn(data, root)) {
    if (list.type !== record.slideList || list.instance >> 4 !== kind) continue;
    let type = 4;
    for (const atom of atomsIn(data, list)) {
      if (atom.type === record.slidePersist && atom.to - atom.from >= 16)
        found.push({ persist: data.getUint32(atom.from, true), id: data.getUint32(atom.from + 12, true), outline: [] });
      else if (atom.type === record.textHeader) type = data.getUint32(atom.from, true);
      else if (isText(atom)) found.at(-1)?.outline.push({ type, text: textOf(data, atom) });
    }
  }
  return found;
}

function slideTexts(
  data: DataView,
  slide: ListedSlide,
  places: ReadonlyMap<number, number>,
): { texts: Text[]; notesId: number } {
  const [root] = atomsIn(data, { from: places.get(slide.persist) ?? data.byteLength, to: data.byteLength });
  const texts: Text[] = [];
  let notesId = 0;
  let type = 4;
  for (const atom of root ? within(data, root) : []) {
    if (atom.type === record.slideAtom && atom.to - atom.from >= 20) notesId = data.getUint32(atom.from + 16, true);
    else if (atom.type === record.textHeader) type = data.getUint32(atom.from, true);
    else if (isText(atom)) texts.push({ type, text: textOf(data, atom) });
    else if (atom.type === record.outlineText) {
      const text = slide.outline[data.getUint32(atom.from, true)];
      if (text) texts.push(text);
    }
  }
  return { texts: texts.length > 0 ? texts : slide.outline, notesId };
}

function isText({ type }: Atom): boolean {
  return type === record.textWide || type === record.textNarrow;
}

function textOf(data: DataView, { type, from, to }: Atom): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset + from, to - from);
  // The narrow form holds the lower halves of UTF-16.
  return type === record.textWide ? new TextDecoder("utf-16le").decode(bytes) : Buffer.from(bytes).toString("latin1");
}

function segmentsOf({ type, text }: Text, page: number): DraftSegment[] {
  const lines = text
    .split(/\r\n?|\n/)
    .map((line) => line.replaceAll("\v", "\n").trim())
    .filter((line) => line !== "" && line !== "*");
  if (lines.length === 0) return [];
  if (titleTypes.has(type)) return [{ kind: "heading", page, level: 1, text: lines.join(" ").replaceAll("\n", " ") }];
  return lines.map((line) => ({ kind: "paragraph", page, text: line }));
}
