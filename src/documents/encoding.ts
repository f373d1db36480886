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
  const sample = bytes.subarray(0, sampleBytes);
  const guess = detect(Buffer.from(sample))?.encoding?.toLowerCase() ?? "";
  const name = platformNames.get(guess) ?? guess;
  const text = saysNothing.test(guess) || isPlainChinese(sample) ? undefined : decodeAs(bytes, name);
  return text === undefined
    ? { text: new TextDecoder("gb18030").decode(bytes), encoding: "gb18030", isGuess: true }
    : { text, encoding: name, isGuess: true };
}

/** GB18030 holds all of GBK and GB2312; plain ASCII and UTF-8 were ruled out before. */
const saysNothing = /^(?:gb.*|ascii|utf-8|)$/;

/** The detector's names that the platform calls otherwise. */
const platformNames: ReadonlyMap<string, string> = new Map([
  ["cp932", "shift_jis"],
  ["cp949", "euc-kr"],
  ["uhc", "euc-kr"],
]);

/**
 * Whether all pairs of bytes are signs or common characters of GB2312. Short Chinese text is often taken for Korean, which uses the same
 * range of bytes, but never the later half of it.
 */
function isPlainChinese(bytes: Uint8Array): boolean {
  let isBeyondKorean = false;
  for (let at = 0; at < bytes.length; at++) {
    const lead = bytes[at] ?? 0;
    if (lead < 0x80) continue;
    const trail = bytes[++at];
    // The sample may end within a pair.
    if (trail === undefined) break;
    const isCommon = (lead >= 0xa1 && lead <= 0xa3) || (lead >= 0xb0 && lead <= 0xd7);
    if (!isCommon || trail < 0xa1) return false;
    if (lead > 0xc8) isBeyondKorean = true;
  }
  return isBeyondKorean;
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

/**
 * UTF-16 without a mark shows as zero bytes at every other place where the text has Latin letters, figures or line ends; among Chinese
 * text they are few, and what decides is that all of it are characters of text.
 */
export function unmarkedUtf16(bytes: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  const sample = bytes.subarray(0, Math.min(bytes.length & ~1, 4096));
  if (sample.length < 8 || !sample.includes(0)) return undefined;
  return (["utf-16le", "utf-16be"] as const).find((encoding) => {
    const text = new TextDecoder(encoding).decode(sample);
    const written = text.match(
      /[\t\n\r\x20-\x7e\xa0-\u024f\u2010-\u2027\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]/g,
    );
    return (written?.length ?? 0) >= text.length * 0.97;
  });
}
