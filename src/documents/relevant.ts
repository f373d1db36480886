// When a document does not fit: the passages most relevant to a question, by BM25, within a token budget, in the document's order, each
// under its headings; and a statement of what was left out. Long tables are cut into groups of rows that repeat the header, long
// paragraphs at sentences, so that one piece never takes the whole budget.
import { type Document, markdownOf, type Segment } from "./document.ts";
import { searchWords } from "./words.ts";

export interface Passage {
  page: number;
  /** Index of the segment on its page. */
  segment: number;
  text: string;
  tokens: number;
  score: number;
}

export interface Selection {
  /** In the document's order; documentPrompt (citations.ts) makes text of them. */
  passages: readonly Passage[];
  tokens: number;
  pages: readonly number[];
  leftOut: { segments: number; characters: number; pages: readonly number[] };
  /** One sentence for people; empty when nothing was left out. */
  statement: string;
  /** The same with another name for the document. */
  statementFor: (title: string) => string;
}

export interface SelectOptions {
  question: string;
  budgetTokens: number;
  /** Tokens of a text. Default: an estimate that errs on the high side. */
  countTokens?: (text: string) => number;
  language?: "zh" | "en";
  /** By text, how near each passage is in meaning to the question: then rank by words and rank by meaning count alike. */
  nearness?: ReadonlyMap<string, number>;
}

export function selectRelevant(
  document: Document,
  { question, budgetTokens, countTokens = estimateTokens, language = "en", nearness }: SelectOptions,
): Selection {
  const all = passagesOf(document, countTokens);
  const total = all.reduce((sum, passage) => sum + passage.tokens, 0);
  const chosen = total <= budgetTokens ? new Set(all) : choose(all, { question, budgetTokens, nearness });
  const passages = all.filter((passage) => chosen.has(passage));
  const missing = all.filter((passage) => !chosen.has(passage));
  const leftOut = {
    segments: missing.length,
    characters: missing.reduce((sum, passage) => sum + passage.text.length, 0),
    pages: [...new Set(missing.map((passage) => passage.page))],
  };
  // Nothing in common with the question ("summarise this"): then it is the beginning that was chosen, and that is said.
  const isBeginning = passages.every(({ score }) => score <= 0);
  const statementFor = (title: string): string =>
    statementOf({ kept: passages.length, all: all.length, leftOut, isBeginning, title, language });
  return {
    passages,
    tokens: passages.reduce((sum, passage) => sum + passage.tokens, 0),
    pages: [...new Set(passages.map((passage) => passage.page))],
    leftOut,
    statement: statementFor(document.name),
    statementFor,
  };
}

/** About one token per 3.5 Latin characters and per 1.4 Chinese ones for Qwen3; rounded up. */
export function estimateTokens(text: string): number {
  let wide = 0;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x2e7f) wide++;
  return Math.ceil(wide / 1.4 + (text.length - wide) / 3.5);
}

const longestPassage = 1600;
const rowsPerPassage = 30;

function passagesOf(document: Document, countTokens: (text: string) => number): Passage[] {
  return document.pages.flatMap((page) =>
    page.segments.flatMap((segment, index) =>
      segment.removed
        ? []
        : piecesOf(segment).map((text) => ({
            page: page.number,
            segment: index,
            text,
            tokens: countTokens(text),
            score: 0,
          })),
    ),
  );
}

function piecesOf(segment: Segment): string[] {
  if (segment.kind === "table" && segment.rows > rowsPerPassage * 1.5) return tablePieces(segment);
  const text = markdownOf(segment);
  if (text.length <= longestPassage * 1.5 || segment.kind === "heading") return [text];
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + longestPassage);
    if (end < text.length) {
      const cut = Math.max(
        ...["\n", "。", "！", "？", ". ", "; ", "；"].map((sign) => text.lastIndexOf(sign, end - 1)),
      );
      if (cut > at + longestPassage / 2) end = cut + 1;
    }
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

function tablePieces(table: Extract<Segment, { kind: "table" }>): string[] {
  const byRow = Map.groupBy(table.cells, (cell) => cell.row);
  const head = byRow.get(0) ?? [];
  const pieces: string[] = [];
  for (let first = 1; first < table.rows; first += rowsPerPassage) {
    const rows = Array.from(
      { length: Math.min(rowsPerPassage, table.rows - first) },
      (_, index) => byRow.get(first + index) ?? [],
    );
    const cells = [head, ...rows].flatMap((cellsOfRow, row) => cellsOfRow.map((cell) => ({ ...cell, row })));
    pieces.push(
      markdownOf({
        kind: "table",
        rows: rows.length + 1,
        columns: table.columns,
        cells,
        ...(table.title ? { title: table.title } : {}),
      }),
    );
  }
  return pieces;
}

const saturation = 1.2;
const lengthWeight = 0.75;
/** What the passages next to a hit inherit: answers often stand in the sentence after the one that names the matter. */
const neighbourShare = 0.25;

/** BM25 scores of texts for a question. */
export function bm25(texts: readonly string[], question: string): number[] {
  const queryWords = [...new Set(searchWords(question))];
  const counts = texts.map((text) => {
    const words = searchWords(text);
    const found = new Map<string, number>();
    for (const word of words) found.set(word, (found.get(word) ?? 0) + 1);
    return { length: words.length, found };
  });
  const meanLength = counts.reduce((sum, { length }) => sum + length, 0) / Math.max(1, counts.length) || 1;
  const rarity = new Map(
    queryWords.map((word) => {
      const holding = counts.filter(({ found }) => found.has(word)).length;
      return [word, Math.log(1 + (counts.length - holding + 0.5) / (holding + 0.5))];
    }),
  );
  return counts.map(({ length, found }) =>
    queryWords.reduce((score, word) => {
      const times = found.get(word) ?? 0;
      const norm = saturation * (1 - lengthWeight + (lengthWeight * length) / meanLength);
      return score + ((rarity.get(word) ?? 0) * times * (saturation + 1)) / (times + norm);
    }, 0),
  );
}

function choose(
  all: readonly Passage[],
  {
    question,
    budgetTokens,
    nearness,
  }: { question: string; budgetTokens: number; nearness: ReadonlyMap<string, number> | undefined },
): Set<Passage> {
  const scores = bm25(
    all.map((passage) => passage.text),
    question,
  );
  for (const [index, passage] of all.entries())
    passage.score = (scores[index] ?? 0) + neighbourShare * Math.max(scores[index - 1] ?? 0, scores[index + 1] ?? 0);
  if (nearness) fuse(all, nearness);
  const hasHit = nearness !== undefined || scores.some((score) => score > 0);
  // A question that shares no word with the document ("summarise this"): the beginning says what it is about.
  const ranked = hasHit ? all.toSorted((a, b) => b.score - a.score) : [...all];
  const chosen = new Set<Passage>();
  let left = budgetTokens;
  const headingBefore = headingsBefore(all);
  for (const passage of ranked) {
    if (hasHit && passage.score <= 0) break;
    const needed = [passage, ...(headingBefore.get(passage) ?? [])].filter((each) => !chosen.has(each));
    const tokens = needed.reduce((sum, each) => sum + each.tokens, 0);
    if (tokens > left) continue;
    for (const each of needed) chosen.add(each);
    left -= tokens;
  }
  return chosen;
}

/**
 * Reciprocal rank fusion: 1 / (60 + rank) by words, and the same by meaning. It needs no common scale for the two scores
 * (Cormack, Clarke, Büttcher, 2009).
 */
function fuse(all: readonly Passage[], nearness: ReadonlyMap<string, number>): void {
  const byWords = all.filter(({ score }) => score > 0).toSorted((a, b) => b.score - a.score);
  const byMeaning = all.toSorted((a, b) => (nearness.get(b.text) ?? -1) - (nearness.get(a.text) ?? -1));
  const fused = new Map<Passage, number>();
  for (const ranked of [byWords, byMeaning]) {
    for (const [rank, passage] of ranked.entries())
      fused.set(passage, (fused.get(passage) ?? 0) + 1 / (fusionOffset + rank + 1));
  }
  for (const [passage, score] of fused) passage.score = score;
}

const fusionOffset = 60;

/** For each passage the nearest heading above it: a passage without its heading is often unclear. */
function headingsBefore(all: readonly Passage[]): Map<Passage, Passage[]> {
  const found = new Map<Passage, Passage[]>();
  let heading: Passage | undefined;
  for (const passage of all) {
    if (/^#{1,6} /.test(passage.text)) heading = passage;
    else if (heading) found.set(passage, [heading]);
  }
  return found;
}

function statementOf({
  kept,
  all,
  leftOut,
  isBeginning,
  title,
  language,
}: {
  kept: number;
  all: number;
  leftOut: Selection["leftOut"];
  isBeginning: boolean;
  title: string;
  language: "zh" | "en";
}): string {
  if (leftOut.segments === 0) return "";
  const pages = ranges(leftOut.pages);
  if (language === "zh") {
    const given = isBeginning
      ? `没有段落与问题用词相同，只给模型看了开头的 ${kept} 段`
      : `只给模型看了最相关的 ${kept} 段`;
    return `《${title}》太长，${given}（共 ${all} 段）；未给的内容涉及第 ${pages} 页，约 ${leftOut.characters} 字。`;
  }
  const given = isBeginning
    ? `no passage shares a word with the question, so the model was given the first ${kept} of ${all} passages`
    : `the model was given the ${kept} most relevant of ${all} passages`;
  return `${title} does not fit: ${given}; what was left out is on page(s) ${pages}, about ${leftOut.characters} characters.`;
}

/** 1, 2, 3, 7 as "1–3, 7". */
export function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while ((sorted[end + 1] ?? Number.NaN) === (sorted[end] ?? 0) + 1) end++;
    parts.push(end > at ? `${sorted[at]}–${sorted[end]}` : `${sorted[at]}`);
    at = end + 1;
  }
  return parts.join(", ");
}
