import type { Document } from "./document.ts";

const pagesAtOnce = 20;

/** The document as JSON, piece by piece: between the pieces of a long one the server answers others. */
export function* documentJson({ pages, ...rest }: Document): Generator<string> {
  yield `${JSON.stringify(rest).slice(0, -1)},"pages":[`;
  for (let from = 0; from < pages.length; from += pagesAtOnce) {
    const some = JSON.stringify(pages.slice(from, from + pagesAtOnce)).slice(1, -1);
    yield from === 0 ? some : `,${some}`;
  }
  yield "]}";
}
