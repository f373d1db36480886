// RTF: the text with its paragraphs, headings by outline level, and tables. Groups that hold no text of the document (fonts, styles,
// pictures, headers and footers) are skipped; pictures are said to be.
import { AppError } from "../../base/errors.ts";
import type { DraftSegment } from "../layout/runs.ts";
import { type Draft, flowPage, type ReadContext } from "../reader.ts";
import { paragraph } from "./html.ts";
import { tableOfRows } from "./plain.ts";

/** Groups without text of the document's body. */
const skipped = new Set(
  "fonttbl colortbl stylesheet info pict object header headerl headerr headerf footer footerl footerr footerf listtable listoverridetable themedata colorschememapping latentstyles datastore rsidtbl generator xmlnstbl fldinst bkmkstart bkmkend shpinst nonshppict mmathPr filetbl revtbl".split(
    " ",
  ),
);

const signs: Readonly<Record<string, string>> = {
  tab: "\t",
  line: "\n",
  emdash: "—",
  endash: "–",
  bullet: "•",
  lquote: "‘",
  rquote: "’",
  ldblquote: "“",
  rdblquote: "”",
  emspace: "\u2003",
  enspace: "\u2002",
};

/** \fcharset → encoding; the others are Latin by code page. */
const charsets: Readonly<Record<number, string>> = {
  128: "shift_jis",
  129: "euc-kr",
  134: "gb18030",
  136: "big5",
  161: "windows-1253",
  204: "windows-1251",
  238: "windows-1250",
};
const codePages: Readonly<Record<number, string>> = {
  932: "shift_jis",
  936: "gb18030",
  949: "euc-kr",
  950: "big5",
  65001: "utf-8",
};

interface Group {
  isSkipped: boolean;
  isFontTable: boolean;
  font: number;
  /** Characters that stand behind a \u for readers without Unicode. */
  substitutes: number;
}

export async function readRtf(bytes: Uint8Array, { name, limits, signal, warn }: ReadContext): Promise<Draft> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const fonts = new Map<number, string>();
  const groups: Group[] = [];
  let group: Group = { isSkipped: false, isFontTable: false, font: -1, substitutes: 1 };
  let codePage = "windows-1252";
  let text = "";
  let waiting: number[] = [];
  let toSkip = 0;
  let level = 0;
  let isInTable = false;
  let hasPicture = false;
  let cells: string[] = [];
  let rows: string[][] = [];
  const segments: DraftSegment[] = [];

  // Two bytes make one Chinese character: bytes are decoded together when something else follows.
  const settle = (): void => {
    if (waiting.length === 0) return;
    text += new TextDecoder(fonts.get(group.font) ?? codePage).decode(Uint8Array.from(waiting));
    waiting = [];
  };
  const endTable = (): void => {
    if (cells.length > 0) rows.push(cells);
    const table = tableOfRows(rows, 1);
    if (table) segments.push(table);
    [rows, cells] = [[], []];
  };
  const endParagraph = (): void => {
    settle();
    if (isInTable) {
      text += "\n";
      return;
    }
    endTable();
    const line = text.replaceAll(/[ \t\u00a0]+/g, " ").trim();
    text = "";
    if (line !== "") segments.push(level > 0 ? { kind: "heading", page: 1, level, text: line } : paragraph(1, line));
  };

  // A control word with its figure and the blank behind it; a sign; a brace; text.
  const tokens = /\\([a-z]{1,32})(-?\d{1,9})? ?|\\'([\da-f]{2})|\\([^a-z])|([{}])|\r?\n|([^\\{}\r\n]+)/gi;
  for (let match = tokens.exec(source); match; match = tokens.exec(source)) {
    const [, word, figure, hex, sign, brace, plain] = match;
    const value = figure === undefined ? undefined : Number(figure);
    if (brace === "{") {
      settle();
      if (groups.length > 5000)
        throw new AppError("unreadable", `${name} is damaged: its groups are nested without end.`);
      groups.push(group);
      group = { ...group };
    } else if (brace === "}") {
      settle();
      group = groups.pop() ?? group;
    } else if (word === "bin") tokens.lastIndex += Math.max(0, value ?? 0);
    else if (group.isFontTable) {
      if (word === "f") group.font = value ?? 0;
      else if (word === "fcharset") fonts.set(group.font, charsets[value ?? 0] ?? codePage);
    } else if (word !== undefined && skipped.has(word)) {
      if (word === "pict" || word === "object") hasPicture = true;
      group.isFontTable = word === "fonttbl";
      group.isSkipped = !group.isFontTable;
    } else if (sign === "*") group.isSkipped = true;
    else if (group.isSkipped) continue;
    else if (hex !== undefined) {
      if (toSkip > 0) toSkip--;
      else waiting.push(Number.parseInt(hex, 16));
    } else if (plain !== undefined) {
      // Double-byte text may stand unescaped between the escaped bytes of its characters.
      const kept = plain.slice(toSkip);
      toSkip = Math.max(0, toSkip - plain.length);
      for (const letter of kept) waiting.push(letter.charCodeAt(0) & 255);
    } else if (sign !== undefined) {
      settle();
      text += sign === "~" ? "\u00a0" : sign === "_" ? "-" : sign === "-" ? "" : /[\\{}]/.test(sign) ? sign : "";
    } else if (word !== undefined) {
      settle();
      toSkip = 0;
      if (word === "u") {
        text += String.fromCharCode((value ?? 63) & 0xffff);
        toSkip = group.substitutes;
      } else if (word === "uc") group.substitutes = value ?? 1;
      else if (word === "f") group.font = value ?? 0;
      else if (word === "ansicpg") codePage = codePages[value ?? 0] ?? codePage;
      else if (word === "par" || word === "sect" || word === "page") endParagraph();
      else if (word === "pard") [level, isInTable] = [0, false];
      else if (word === "intbl") isInTable = true;
      else if (word === "outlinelevel") level = value !== undefined && value < 9 ? value + 1 : 0;
      else if (word === "cell" || word === "nestcell") {
        cells.push(text.trim());
        text = "";
      } else if (word === "row") {
        rows.push(cells);
        cells = [];
      } else text += signs[word] ?? "";
    }
    if (text.length > limits.characters)
      throw new AppError("too_large", `${name} holds more than ${limits.characters} characters.`);
  }
  signal.throwIfAborted();
  isInTable = false;
  endParagraph();
  endTable();
  if (hasPicture)
    warn({ code: "left_out", message: `${name} contains pictures; text inside them was not read from RTF.` });
  return { kind: "docx", pages: [flowPage(1, segments)] };
}
