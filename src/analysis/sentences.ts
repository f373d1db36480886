// Cuts a stream of text into sentences as they become complete. A point ends a sentence only before a space, so that 3.5 and
// "Reno12.5" stay whole; what is unfinished waits for more.

const end = /[。！？!?]+[”’」』）)]*|[.](?=\s)|\n+/gu;

export class SentenceCutter {
  #rest = "";

  /** Takes text in; gives the sentences that are complete now, with their end marks and without outer spaces. */
  push(text: string): string[] {
    this.#rest += text;
    const sentences: string[] = [];
    let from = 0;
    for (const match of this.#rest.matchAll(end)) {
      const stop = match.index + match[0].length;
      // A closing quote may be still to come.
      if (stop === this.#rest.length && !match[0].includes("\n")) break;
      const sentence = this.#rest.slice(from, stop).trim();
      if (/^\d{1,2}\.$/.test(sentence)) continue; // the mark of a list item, not a sentence
      if (sentence !== "") sentences.push(sentence);
      from = stop;
    }
    this.#rest = this.#rest.slice(from);
    return sentences;
  }

  /** What is left when the stream has ended. */
  finish(): string[] {
    const last = this.#rest.trim();
    this.#rest = "";
    return last === "" ? [] : [last];
  }
}
