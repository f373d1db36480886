// Page references in an answer, [第 3 页] and [p. 3], as links that open the document there. While the answer grows they are found here;
// once it is whole the server has checked each against the pages that the model was given, and the doubtful ones are marked.
import type { CitationBody } from "../../src/server/api-types.ts";

const scheme = "#quern-page:";

interface Place {
  start: number;
  end: number;
  pages: readonly number[];
  name?: string;
  is_given: boolean;
}

/** The text with its citations as Markdown links. */
export function linkCitations(text: string, checked: readonly CitationBody[] | undefined): string {
  let linked = "";
  let at = 0;
  for (const place of checked ?? found(text)) {
    if (place.start < at || isInCode(text, place.start)) continue;
    // As entities: a backslash before a bracket would open a formula.
    const words = text.slice(place.start, place.end).replaceAll("[", "&#91;").replaceAll("]", "&#93;");
    linked += `${text.slice(at, place.start)}[${words}](${addressOf(place)})`;
    at = place.end;
  }
  return linked + text.slice(at);
}

function found(text: string): Place[] {
  const pattern =
    /\[(?:第\s*(\d{1,6})[^\]\n]{0,60}?页|pp?\.\s*(\d{1,6})[^\],\n]{0,60}?)(?:[,，]\s*([^\]\n]{1,200}))?\]/giu;
  return [...text.matchAll(pattern)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    pages: [Number(match[1] ?? match[2])],
    ...(match[3] === undefined ? {} : { name: match[3].trim() }),
    is_given: true,
  }));
}

function isInCode(text: string, at: number): boolean {
  const before = text.slice(0, at);
  return (before.match(/^ {0,3}(?:```|~~~)/gm)?.length ?? 0) % 2 === 1;
}

function addressOf({ start, pages, name, is_given }: Place): string {
  const parts = new URLSearchParams({ page: String(pages[0] ?? 1), at: String(start) });
  if (name !== undefined) parts.set("name", name);
  if (!is_given) parts.set("doubt", "1");
  return `${scheme}${parts.toString().replaceAll("(", "%28").replaceAll(")", "%29")}`;
}

export interface CitationLink {
  page: number;
  /** Of the citation in the answer's text. */
  at: number;
  name?: string;
  isDoubtful: boolean;
}

export function citationAt(address: string): CitationLink | undefined {
  if (!address.startsWith(scheme)) return;
  const parts = new URLSearchParams(address.slice(scheme.length));
  const name = parts.get("name");
  return {
    page: Number(parts.get("page")),
    at: Number(parts.get("at")),
    ...(name === null ? {} : { name }),
    isDoubtful: parts.has("doubt"),
  };
}

/** The sentence that a citation stands behind. */
export function passageBefore(text: string, at: number): string {
  const before = text.slice(0, at).trimEnd();
  const from = Math.max(
    ...["。", "！", "？", "\n", ". ", "]"].map((sign) => before.lastIndexOf(sign, before.length - 2)),
  );
  return before.slice(from + 1);
}
