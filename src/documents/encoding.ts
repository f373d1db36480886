// Bytes to text. The order: byte order mark, strict UTF-8, the guess of jschardet, GB18030. Text in an encoding that was guessed
// comes with a note, because a guess can be wrong.
import { detect } from "jschardet";

export interface DecodedText {
  text: string;
  encoding: string;
  isGuess: boolean;
}

const strict = new TextDecoder("utf-8", { fatal: true });
/** Enough for a guess; the detector is slow on megabytes. */
const sampleBytes = 64 * 1024;

export function decodeText(bytes: Uint8Array): DecodedText {
  const mark = markedEncoding(bytes);
  if (mark) return { text: new TextDecoder(mark).decode(bytes), encoding: mark, isGuess: false };
  const silent = unmarkedUtf16(bytes);
  if (silent) return { text: new TextDecoder(silent).decode(bytes), encoding: silent, isGuess: true };
  try {
    return { text: strict.decode(bytes), encoding: "utf-8", isGuess: false };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  const guess = detect(Buffer.from(bytes.subarray(0, sampleBytes)))?.encoding?.toLowerCase() ?? "";
  // GB18030 holds all of GBK and GB2312. A guess that the platform cannot decode, or of plain ASCII, says nothing.
  const name = guess.startsWith("gb") || guess === "" || guess === "ascii" || guess === "utf-8" ? "gb18030" : guess;
  const text = decodeAs(bytes, name) ?? new TextDecoder("gb18030").decode(bytes);
  return { text, encoding: name, isGuess: true };
}

function decodeAs(bytes: Uint8Array, name: string): string | undefined {
  try {
    return new TextDecoder(name).decode(bytes);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function markedEncoding(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return undefined;
}

/** UTF-16 without a mark shows as zero bytes at every other place where the text has Latin letters, figures or line ends. */
function unmarkedUtf16(bytes: Uint8Array): string | undefined {
  const length = Math.min(bytes.length & ~1, 4096);
  if (length < 8) return undefined;
  let [even, odd] = [0, 0];
  for (let at = 0; at < length; at += 2) {
    if (bytes[at] === 0) even++;
    if (bytes[at + 1] === 0) odd++;
  }
  const enough = length / 2 / 10;
  if (odd > enough && even === 0) return "utf-16le";
  if (even > enough && odd === 0) return "utf-16be";
  return undefined;
}
