// Under an answer to documents: what the model was not given of them, pages that could not be read well, citations to doubt.
import type { ReactElement } from "react";
import type { QuernBody } from "../../src/server/api-types.ts";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

export function FileNotes({ files }: { files: QuernBody | undefined }): ReactElement | undefined {
  const t = useOfficeStrings();
  if (files === undefined) return;
  const doubtful = files.citations.filter(({ is_given }) => !is_given).length;
  const unread = files.files.flatMap(({ name, warnings }) =>
    warnings
      .filter(({ code }) => ["page_unreadable", "pages_left_out", "left_out", "no_ocr"].includes(code))
      .map(({ message }) => `${name}: ${message}`),
  );
  const notes = [...files.left_out.map(({ statement }) => statement), ...unread];
  if (notes.length === 0 && doubtful === 0) return;
  return (
    <div className="file-notes">
      {notes.map((note) => (
        <p key={note}>
          <Icon name="file" />
          <span>{note}</span>
        </p>
      ))}
      {doubtful > 0 && (
        <p className="doubt">
          <Icon name="alert" />
          <span>{t.doubtful(doubtful)}</span>
        </p>
      )}
    </div>
  );
}
