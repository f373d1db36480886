// Text as FTS5 can index it: each Chinese, Japanese or Korean character becomes a word of its own. A query of two such characters is then
// a phrase of two words, which finds 手机 inside any sentence; SQLite's trigram tokeniser cannot find words of two characters.

const ideograph = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu;

export function toSearchTerms(text: string): string {
  return text.normalize("NFKC").replace(ideograph, " $& ");
}

/** An FTS5 query that finds all words of `query`, the last one as a beginning; undefined when it holds no letter or digit. */
export function toSearchQuery(query: string): string | undefined {
  const words = query.normalize("NFKC").match(/[\p{L}\p{N}]+/gu);
  if (!words) return undefined;
  return words
    .map((word, index) => {
      const phrase = `"${toSearchTerms(word).trim().replace(/\s+/g, " ")}"`;
      const last = word.at(-1) ?? "";
      return index === words.length - 1 && !last.match(ideograph) ? `${phrase}*` : phrase;
    })
    .join(" AND ");
}
