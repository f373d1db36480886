// Bytes of a CSV or TSV file -> one grid. The encoding is settled first: byte order mark, then strict UTF-8, then a detector, then
// GB18030, which every Chinese export that is not UTF-8 is made of.
import iconv from "iconv-lite";
import jschardet from "jschardet";
import Papa from "papaparse";
import { AppError } from "../base/errors.ts";
import { type Grid, GridBuilder } from "./grid.ts";

export interface DecodedText {
  text: string;
  encoding: string;
}

export function decodeText(bytes: Uint8Array): DecodedText {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return { text: new TextDecoder("utf-8").decode(bytes), encoding: "utf-8" };
  }
  if (bytes[0] === 0xff && bytes[1] === 0xfe)
    return { text: new TextDecoder("utf-16le").decode(bytes), encoding: "utf-16le" };
  if (bytes[0] === 0xfe && bytes[1] === 0xff)
    return { text: new TextDecoder("utf-16be").decode(bytes), encoding: "utf-16be" };
  const utf8 = strictUtf8(bytes);
  if (utf8 !== undefined && !utf8.includes("\0")) return { text: utf8, encoding: "utf-8" };
  // Buffer.from(view) would copy; the detector needs a sample only.
  const sample = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 65_536));
  const guess = jschardet.detect(sample, { minimumThreshold: 0.2 }).encoding;
  const known =
    typeof guess === "string" &&
    iconv.encodingExists(guess) &&
    !/^(ascii|utf-?8|windows-125\d|iso-8859|gb)/i.test(guess);
  if (known)
    return {
      text: iconv.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), guess),
      encoding: guess.toLowerCase(),
    };
  const western = typeof guess === "string" && /^(windows-125\d|iso-8859)/i.test(guess);
  const chinese = new TextDecoder("gb18030").decode(bytes);
  if (western && chinese.includes("\ufffd")) {
    return {
      text: iconv.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), guess),
      encoding: guess.toLowerCase(),
    };
  }
  return { text: chinese, encoding: "gb18030" };
}

function strictUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

const delimiters = [",", "\t", ";", "|", "，"] as const;

/** The delimiter that gives the most lines of one same width above one cell. */
export function guessDelimiter(text: string): string {
  const head = text.slice(0, 65_536);
  let best = ",";
  let bestScore = 0;
  for (const delimiter of delimiters) {
    const { data } = Papa.parse<string[]>(head, { delimiter, preview: 60, skipEmptyLines: true });
    const widths = data.slice(0, -1 || undefined).map((row) => row.length);
    const commonest = Math.max(
      0,
      ...[
        ...Map.groupBy(
          widths.filter((width) => width > 1),
          (width) => width,
        ).values(),
      ].map((group) => group.length),
    );
    const width = Math.max(1, ...widths);
    const score = commonest * Math.min(width, 6);
    if (score > bestScore) [best, bestScore] = [delimiter, score];
  }
  return best;
}

const plainNumber = /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,12})?$/;

export interface CsvResult {
  grid: Grid;
  encoding: string;
  delimiter: string;
}

/** Reads a whole CSV file. `onRows` hears how many rows are in, now and then. */
export function readCsv(bytes: Uint8Array, name: string, onRows?: (rows: number, fraction: number) => void): CsvResult {
  const { text, encoding } = decodeText(bytes);
  if (text.slice(0, 4096).includes("\0")) {
    throw new AppError("unreadable", `${name} is not a text file.`, {
      hint: "Quern reads XLSX, XLS, CSV and TSV tables.",
    });
  }
  const delimiter = guessDelimiter(text);
  const builder = new GridBuilder();
  let row = 0;
  const take = (cells: readonly string[]): void => {
    for (let column = 0; column < cells.length; column++) {
      const cell = cells[column] ?? "";
      if (cell === "") continue;
      const first = cell.charCodeAt(0);
      const mayBeNumber = (first >= 48 && first <= 57) || first === 45;
      if (mayBeNumber && plainNumber.test(cell)) builder.number(row, column, Number(cell));
      else builder.text(row, column, cell);
    }
    row++;
    if (row % 50_000 === 0) onRows?.(row, 0);
  };
  // Papa's fast mode splits at line ends and delimiters; it is right exactly when no cell is quoted.
  const fastMode = !text.includes('"');
  Papa.parse<string[]>(text, {
    delimiter,
    fastMode,
    step: ({ data }) => take(data),
  });
  return { grid: builder.finish(name.replace(/\.[^.]*$/, ""), { hasSheets: false }), encoding, delimiter };
}
