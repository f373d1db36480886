// What a person changed in a read document before asking about it: a corrected text, a header brought back. It travels with the question,
// so that the stored file and what others read of it stay as they are.
import { assemble, type Document, withCorrection } from "../../documents/document.ts";
import { refuse } from "../errors.ts";
import { Fields } from "../fields.ts";

const mostEdits = 10_000;

/** Applies a file part's `edits`. Throws `bad_request` for one that names no segment of the document. */
export function withEdits(document: Document, fields: Fields): Document {
  return (fields.list("edits", mostEdits) ?? []).reduce(
    (edited: Document, edit, index) => withEdit(edited, Fields.of(edit, `${fields.path("edits")}[${index}]`)),
    document,
  );
}

function withEdit(document: Document, edit: Fields): Document {
  const place = {
    page: edit.required("page", edit.integer("page", 1, 1_000_000)),
    segment: edit.required("segment", edit.integer("segment", 0, 10_000_000)),
  };
  const segment = document.pages.find(({ number }) => number === place.page)?.segments[place.segment];
  if (!segment) {
    throw refuse(edit.path("segment"), `${document.name} has no segment ${place.segment} on page ${place.page}.`);
  }
  const restored = edit.boolean("restore") ? withRestored(document, place) : document;
  const text = edit.string("text");
  if (text === undefined) return restored;
  if (segment.kind !== "table") return withCorrection(restored, place, text);
  const row = edit.required("row", edit.integer("row", 0, segment.rows - 1));
  const column = edit.required("column", edit.integer("column", 0, segment.columns - 1));
  return withCorrection(restored, { ...place, row, column }, text);
}

function withRestored(document: Document, place: { page: number; segment: number }): Document {
  return assemble({
    ...document,
    pages: document.pages.map((page) =>
      page.number !== place.page
        ? page
        : {
            ...page,
            segments: page.segments.map((segment, index) => {
              if (index !== place.segment) return segment;
              const { removed: _brought, ...kept } = segment;
              return kept;
            }),
          },
    ),
  });
}
