// Cuts text into the words that byte-pair encoding may not merge across, as Qwen2 and Qwen3 were trained:
//
//   (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N} | ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
//
// Written as a scanner over a table of character classes instead of that expression: a greedy \p{L}+ over millions of letters
// overflows the stack of JavaScript's regular expressions, and the table is faster. The test holds the two to the same cuts.

const other = 0;
const letter = 1;
const digit = 2;
const space = 3;
const newline = 4; // \r and \n; every other white space is `space`

/** Unicode White_Space, which is what the tokenizer's \s means; JavaScript's own lacks U+0085 and adds U+FEFF. */
const whiteSpace = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

function classOf(codePoint: number): number {
  const text = String.fromCodePoint(codePoint);
  if (/\p{L}/u.test(text)) return letter;
  if (/\p{N}/u.test(text)) return digit;
  if (codePoint === 10 || codePoint === 13) return newline;
  return whiteSpace.test(text) ? space : other;
}

const planeClasses = Uint8Array.from({ length: 0x10000 }, (_, codePoint) => classOf(codePoint));
/** Classes of characters beyond the first plane, each worked out when first met. */
const astralClasses = new Map<number, number>();

function astralClass(codePoint: number): number {
  let found = astralClasses.get(codePoint);
  if (found === undefined) {
    found = classOf(codePoint);
    astralClasses.set(codePoint, found);
  }
  return found;
}

function codePointClass(codePoint: number): number {
  return codePoint < 0x10000 ? (planeClasses[codePoint] ?? other) : astralClass(codePoint);
}

const width = (codePoint: number): number => (codePoint < 0x10000 ? 1 : 2);
const isSpace = (kind: number): boolean => kind >= space;

/** The end of the word that starts at `start` (< text.length). Always advances; looks at no more than the word and one character. */
export function wordEnd(text: string, start: number): number {
  const first = text.codePointAt(start) ?? 0;
  const kind = codePointClass(first);
  if (first === 39) {
    const end = contractionEnd(text, start);
    if (end > start) return end;
  }
  if (kind === letter) return runEnd(text, start, letter);
  const second = start + width(first);
  // One character that is no letter, digit or line break goes with the letters behind it.
  if (kind !== digit && kind !== newline && classAt(text, second) === letter) return runEnd(text, second, letter);
  if (kind === digit) return second;
  if (kind === other) return marksEnd(text, start);
  if (first === 32 && classAt(text, second) === other) return marksEnd(text, second);
  return spacesEnd(text, start);
}

/** Class of the character at `at`; at the end of the text a value of its own. */
function classAt(text: string, at: number): number {
  const codePoint = text.codePointAt(at);
  return codePoint === undefined ? -1 : codePointClass(codePoint);
}

function runEnd(text: string, start: number, kind: number): number {
  let at = start;
  while (at < text.length) {
    const codePoint = text.codePointAt(at) ?? 0;
    if (codePointClass(codePoint) !== kind) break;
    at += width(codePoint);
  }
  return at;
}

function marksEnd(text: string, start: number): number {
  return runEnd(text, runEnd(text, start, other), newline);
}

/**
 * White space up to and with its last line break; without one, up to the last space before a visible character, which then belongs
 * to that character's word (or stands alone).
 */
function spacesEnd(text: string, start: number): number {
  let at = start;
  let lastBreak = -1;
  while (at < text.length) {
    const kind = planeClasses[text.charCodeAt(at)] ?? other; // all white space is in the first plane
    if (!isSpace(kind)) break;
    at++;
    if (kind === newline) lastBreak = at;
  }
  if (lastBreak >= 0) return lastBreak;
  return at < text.length && at - start > 1 ? at - 1 : at;
}

const contractions = /'(?:s|t|re|ve|m|ll|d)/iuy;

function contractionEnd(text: string, start: number): number {
  contractions.lastIndex = start;
  return contractions.test(text) ? contractions.lastIndex : start;
}
