// Tokenises prompts that begin like one of the last: the next turn of a conversation, another question about the same document. What
// they share is looked up instead of encoded again: a hundred kilobytes then cost microseconds, not the ten milliseconds that would
// otherwise stand between a cached prefix and its first token.
//
// A text may be taken up at a word's beginning, because the cuts before it depend on nothing behind it but the next character, the
// rest of a run of white space, or the rest of a special token. So a checkpoint is used only where no white space begins, and only
// when the texts agree for a special token's length beyond it.
import type { Tokenizer } from "./tokenizer.ts";

interface Remembered {
  text: string;
  ids: Int32Array;
  checkpoints: Checkpoint[];
}

/** The first `tokens` ids of the text are those of its first `end` characters. */
interface Checkpoint {
  end: number;
  tokens: number;
}

const leastCharacters = 4096;
const mostTexts = 16;
const mostCharacters = 8_000_000;

export class PromptEncoder {
  readonly #tokenizer: Tokenizer;
  /** Least recently used first. */
  #texts: Remembered[] = [];

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** The ids of the text with special tokens recognised, in parts of about a thousand but for the first. */
  *encode(text: string): Generator<Int32Array, void, undefined> {
    if (text.length < leastCharacters) {
      yield this.#tokenizer.encode(text, { special: true });
      return;
    }
    const known = this.#longestBeginning(text);
    const checkpoints = known?.checkpoints ?? [];
    const parts: Int32Array[] = known ? [known.ids] : [];
    let tokens = known?.ids.length ?? 0;
    if (known) yield known.ids;
    for (const { ids, end } of this.#tokenizer.encodeParts(text, { special: true, from: known?.end ?? 0 })) {
      tokens += ids.length;
      parts.push(ids);
      if (end < text.length && !/[\s\x85]/.test(text[end] ?? "")) checkpoints.push({ end, tokens });
      yield ids;
    }
    this.#remember({ text, ids: joined(parts), checkpoints });
  }

  #longestBeginning(text: string): { end: number; ids: Int32Array; checkpoints: Checkpoint[] } | undefined {
    let best: { from: Remembered; count: number } | undefined;
    for (const from of this.#texts) {
      const agreed = commonCharacters(from.text, text) - this.#tokenizer.longestSpecial - 2;
      const count = from.checkpoints.findLastIndex(({ end }) => end <= agreed) + 1;
      const end = from.checkpoints[count - 1]?.end ?? 0;
      if (end > (best?.from.checkpoints[best.count - 1]?.end ?? 0)) best = { from, count };
    }
    const last = best?.from.checkpoints[best.count - 1];
    if (!best || !last) return undefined;
    const { from, count } = best;
    this.#texts = [...this.#texts.filter((other) => other !== from), from];
    return { end: last.end, ids: from.ids.slice(0, last.tokens), checkpoints: from.checkpoints.slice(0, count) };
  }

  /** A text that begins with all of another takes its place. */
  #remember(added: Remembered): void {
    if (added.text.length > mostCharacters) return;
    this.#texts = this.#texts.filter(({ text }) => !added.text.startsWith(text));
    this.#texts.push(added);
    let characters = this.#texts.reduce((sum, { text }) => sum + text.length, 0);
    while (this.#texts.length > mostTexts || characters > mostCharacters) {
      characters -= this.#texts.shift()?.text.length ?? 0;
    }
  }
}

/** The parts one after the other. */
export function joined(parts: readonly Int32Array[]): Int32Array {
  const ids = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let done = 0;
  for (const part of parts) {
    ids.set(part, done);
    done += part.length;
  }
  return ids;
}

/** How many characters two texts have in common from the start; compared by the stretch, which is a comparison of memory. */
function commonCharacters(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  for (let stretch = 4096; stretch >= 1; ) {
    if (at + stretch <= most && a.slice(at, at + stretch) === b.slice(at, at + stretch)) at += stretch;
    else stretch = stretch === 1 ? 0 : stretch >> 2;
  }
  return at;
}
