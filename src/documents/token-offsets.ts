// Gives each segment its place in the document's tokens, for the engine's long-context work. Segments are tokenised one by one, with
// the blank line before them, and counted up: exact for a prompt that is built from the same pieces.
import type { Document, Segment } from "./document.ts";

export interface TokenisedDocument {
  document: Document;
  ids: number[];
}

export async function withTokenOffsets(
  document: Document,
  tokenize: (text: string) => Promise<number[]>,
): Promise<TokenisedDocument> {
  const ids: number[] = [];
  let end = 0;
  const pages = [];
  for (const page of document.pages) {
    const segments: Segment[] = [];
    for (const segment of page.segments) {
      if (segment.removed) {
        segments.push({ ...segment, tokenStart: ids.length, tokenEnd: ids.length });
        continue;
      }
      const tokens = await tokenize(document.text.slice(end, segment.end));
      end = segment.end;
      segments.push({ ...segment, tokenStart: ids.length, tokenEnd: ids.length + tokens.length });
      for (const id of tokens) ids.push(id);
    }
    pages.push({ ...page, segments });
  }
  return { document: { ...document, pages }, ids };
}
