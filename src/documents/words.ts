// Search words of a text: Chinese by dictionary segmentation (Intl.Segmenter) plus character pairs, other scripts by word, lower case,
// full-width forms folded. Pairs catch what the dictionary cuts differently in question and document.
//
// The text is cut into pieces of at most 400 characters first: every segment that Intl.Segmenter yields holds on to a copy of its whole
// input, so segmenting a long string takes memory with the square of its length (a 56,000-character string ended Node at 3.7 GB).

const pieceCharacters = 400;
const segmenter = new Intl.Segmenter("zh", { granularity: "word" });

export function searchWords(text: string): string[] {
  const words: string[] = [];
  const folded = text.normalize("NFKC").toLowerCase();
  for (let at = 0; at < folded.length; ) {
    const piece = folded.slice(at, at + pieceCharacters);
    // Cut at a blank or a sign where there is one near the end, so that no word is halved.
    let end = piece.length;
    if (at + pieceCharacters < folded.length) {
      const cut = Math.max(...[..." \n\t。，；、！？.,;"].map((sign) => piece.lastIndexOf(sign)));
      if (cut > pieceCharacters / 2) end = cut + 1;
    }
    wordsOfPiece(piece.slice(0, end), words);
    at += end;
  }
  return words;
}

function wordsOfPiece(piece: string, into: string[]): void {
  for (const { segment, isWordLike } of segmenter.segment(piece)) {
    if (isWordLike !== true) continue;
    into.push(segment);
  }
  for (const run of piece.matchAll(/\p{Script=Han}{2,}/gu))
    for (let index = 0; index + 2 <= run[0].length; index++) into.push(run[0].slice(index, index + 2));
}
