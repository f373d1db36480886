// Bytes of a CSV or TSV file -> one grid. The encoding is settled first: byte order mark, then strict UTF-8, then a detector, then
// GB18030, which every Chinese export that is not UTF-8 is made of.
import iconv from "iconv-lite";
import jschardet from "jschardet";
import Papa from "papaparse";
import { AppError } from "../base/errors.ts";
import { type Grid, GridBuilder } from "./grid.ts";
import { decimalMark } from "./parse-number.ts";

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

/** Rows of a text without quotes; the array given to `take` is used again for the next row. */
function splitPlain(text: string, delimiter: string, take: (cells: readonly string[]) => void): void {
  const newline = text.includes("\n") ? "\n" : "\r";
  const cells: string[] = [];
  for (let from = 0; from < text.length; ) {
    let end = text.indexOf(newline, from);
    if (end < 0) end = text.length;
    const stop = end > from && text.charCodeAt(end - 1) === 13 ? end - 1 : end;
    cells.length = 0;
    for (let start = from; start <= stop; ) {
      let cut = text.indexOf(delimiter, start);
      if (cut < 0 || cut > stop) cut = stop;
      cells.push(text.slice(start, cut));
      start = cut + delimiter.length;
    }
    take(cells);
    from = end + 1;
  }
}

/** Digits with at most one point, read without a pattern; undefined for what is no plain number (leading zeros, long ids, text). */
function plainValue(cell: string): number | undefined {
  const length = cell.length;
  const isNegative = cell.charCodeAt(0) === 45;
  const first = isNegative ? 1 : 0;
  if (length === first || length - first > 16) return undefined;
  let point = -1;
  for (let i = first; i < length; i++) {
    const sign = cell.charCodeAt(i);
    if (sign === 46 && point < 0) point = i;
    else if (sign < 48 || sign > 57) return undefined;
  }
  const whole = (point < 0 ? length : point) - first;
  if (whole === 0 || point === length - 1 || (whole > 1 && cell.charCodeAt(first) === 48) || whole > 15)
    return undefined;
  return Number(cell);
}

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
  // Where the comma parts the fraction, "1.234" may be a thousand and more: it stays text until its column is read as a whole.
  const keepsPoints =
    delimiter !== "," &&
    decimalMark(
      text
        .slice(0, 65_536)
        .split(/[\r\n]+/)
        .flatMap((line) => line.split(delimiter)),
    ) === ",";
  let row = 0;
  const take = (cells: readonly string[]): void => {
    for (let column = 0; column < cells.length; column++) {
      const cell = cells[column] ?? "";
      if (cell === "") continue;
      const value = keepsPoints && cell.includes(".") ? undefined : plainValue(cell);
      if (value === undefined) builder.text(row, column, cell);
      else builder.number(row, column, value);
    }
    row++;
    if (row % 50_000 === 0) onRows?.(row, 0);
  };
  // Without quotes a line is a row and a delimiter parts cells; that is ten times less work than a parser's.
  if (text.includes('"')) Papa.parse<string[]>(text, { delimiter, step: ({ data }) => take(data) });
  else splitPlain(text, delimiter, take);
  return { grid: builder.finish(name.replace(/\.[^.]*$/, ""), { hasSheets: false }), encoding, delimiter };
}
