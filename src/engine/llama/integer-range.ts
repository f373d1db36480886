// The integers of a range as a GBNF expression. A range is split where the pattern of digits changes: 8..123 is [8-9] |
// [1-9] [0-9] | "1" ("0".."1" [0-9] | "2" [0-3]). Open ends stop at 15 digits, which a double holds exactly.
const most = 10 ** 15 - 1;

export function integerRange(low: number, high: number): string {
  const [from, to] = [Math.max(low, -most), Math.min(high, most)];
  const options: string[] = [];
  if (from < 0) options.push(`"-" (${positiveRange(Math.max(1, -to), -from)})`);
  if (from <= 0 && to >= 0) options.push('"0"');
  if (to > 0) options.push(positiveRange(Math.max(1, from), to));
  return `(${options.join(" | ")})`;
}

function positiveRange(low: number, high: number): string {
  const options: string[] = [];
  for (let digits = String(low).length; digits <= String(high).length; digits++) {
    const [first, last] = [Math.max(low, 10 ** (digits - 1)), Math.min(high, 10 ** digits - 1)];
    options.push(sameLength(String(first), String(last)));
  }
  return options.join(" | ");
}

/** Numbers from `low` to `high`, written with the same number of digits. */
function sameLength(low: string, high: string): string {
  const digits = low.length;
  const [lowHead = "0", highHead = "0"] = [low[0], high[0]];
  const isWhole = /^.0*$/.test(low) && /^.9*$/.test(high);
  if (isWhole) return `${digit(lowHead, highHead)}${digits > 1 ? ` [0-9]{${digits - 1}}` : ""}`;
  if (digits === 1) return digit(lowHead, highHead);
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  const [zeros, nines] = ["0".repeat(digits - 1), "9".repeat(digits - 1)];
  if (lowHead === highHead) return `"${lowHead}" (${sameLength(lowRest, highRest)})`;
  const options = [`"${lowHead}" (${sameLength(lowRest, nines)})`];
  const [middleFrom, middleTo] = [Number(lowHead) + 1, Number(highHead) - 1];
  if (middleFrom <= middleTo) options.push(`${digit(`${middleFrom}`, `${middleTo}`)} [0-9]{${digits - 1}}`);
  options.push(`"${highHead}" (${sameLength(zeros, highRest)})`);
  return options.join(" | ");
}

function digit(from: string, to: string): string {
  return from === to ? `"${from}"` : `[${from}-${to}]`;
}
