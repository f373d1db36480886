// One piece of a page as the model reads it: shown by its kind, marked when doubtful or removed, corrected in place.
import { type ReactElement, useState } from "react";
import type { DocumentEdit, DocumentSegment } from "../../src/server/api-types.ts";
import { useStrings } from "../preferences.ts";
import { Button, IconButton } from "../ui/controls.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import { plainText } from "./closest-segment.ts";
import { lowConfidence } from "./office-view.ts";

interface SegmentProps {
  index: number;
  segment: DocumentSegment;
  edits: readonly DocumentEdit[];
  isCited: boolean;
  isEditable: boolean;
  onPoint: (index: number | undefined) => void;
  /** `undefined` takes the correction back. */
  onEdit: (edit: Partial<DocumentEdit> | undefined) => void;
}

export function SegmentView(props: SegmentProps): ReactElement {
  const t = useOfficeStrings();
  const { index, segment, edits, isCited, isEditable, onPoint, onEdit } = props;
  const [editing, setEditing] = useState<{ row?: number; column?: number; text: string }>();
  const isRestored = edits.some(({ restore }) => restore === true);
  const isRemoved = segment.removed !== undefined && !isRestored;
  const isLow = (segment.confidence ?? 1) < lowConfidence;
  const corrected = edits.find(({ text, row }) => text !== undefined && row === undefined);
  const state = [
    "segment",
    segment.kind,
    isRemoved ? "removed" : "",
    isLow ? "low" : "",
    isCited ? "cited" : "",
    edits.length > 0 ? "edited" : "",
  ];
  const cellText = (row: number, column: number): string | undefined =>
    edits.find((edit) => edit.row === row && edit.column === column)?.text;
  return (
    <div
      className={state.filter((each) => each !== "").join(" ")}
      data-segment={index}
      title={isLow ? t.lowMark(Math.round((segment.confidence ?? 0) * 100)) : undefined}
      onPointerEnter={() => onPoint(index)}
      onPointerLeave={() => onPoint(undefined)}
    >
      {editing ? (
        <Correction
          text={editing.text}
          onCancel={() => setEditing(undefined)}
          onSave={(text) => {
            const { text: _before, ...place } = editing;
            setEditing(undefined);
            onEdit({ ...place, text });
          }}
        />
      ) : segment.kind === "table" ? (
        <SegmentTable
          segment={segment}
          textOf={cellText}
          onCell={isEditable && !isRemoved ? (row, column, text) => setEditing({ row, column, text }) : undefined}
        />
      ) : (
        <div className="segment-text">{corrected?.text ?? plainText(segment)}</div>
      )}
      {!editing && (
        <div className="segment-tools">
          {isRemoved && <span className="hint">{t.removedReasons[segment.removed ?? ""] ?? segment.removed}</span>}
          {edits.length > 0 && <span className="corrected-mark">{isRestored ? t.restored : t.correctedMark}</span>}
          {isEditable && isRemoved && (
            <Button look="quiet" onClick={() => onEdit({ restore: true })}>
              {t.restore}
            </Button>
          )}
          {isEditable && edits.length > 0 && segment.kind !== "table" && (
            <IconButton icon="retry" label={t.undoCorrection} onClick={() => onEdit(undefined)} />
          )}
          {isEditable && !isRemoved && segment.kind !== "table" && (
            <IconButton
              icon="pencil"
              label={t.correct}
              onClick={() => setEditing({ text: corrected?.text ?? plainText(segment) })}
            />
          )}
        </div>
      )}
    </div>
  );
}

function SegmentTable({
  segment,
  textOf,
  onCell,
}: {
  segment: DocumentSegment;
  textOf: (row: number, column: number) => string | undefined;
  onCell: ((row: number, column: number, text: string) => void) | undefined;
}): ReactElement {
  const t = useOfficeStrings();
  const rows = Math.min(segment.rows ?? 0, shownRows);
  const byPlace = new Map((segment.cells ?? []).map((cell) => [`${cell.row} ${cell.column}`, cell]));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables scroll, and the keyboard must reach them
    <div className="segment-table" tabIndex={0}>
      {segment.title && <p className="hint">{segment.title}</p>}
      <table>
        <tbody>
          {Array.from({ length: rows }, (_, row) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows are known by their place
            <tr key={row}>
              {Array.from({ length: segment.columns ?? 0 }, (_, column) => {
                const cell = byPlace.get(`${row} ${column}`);
                const text = textOf(row, column) ?? cell?.text ?? "";
                const isLow = (cell?.confidence ?? 1) < lowConfidence;
                const Cell = row === 0 ? "th" : "td";
                return (
                  // biome-ignore lint/suspicious/noArrayIndexKey: cells are known by their place
                  <Cell key={column} className={isLow ? "low" : undefined}>
                    {onCell && cell ? (
                      <button type="button" title={t.correct} onClick={() => onCell(row, column, text)}>
                        {text || "\u00a0"}
                      </button>
                    ) : (
                      text
                    )}
                  </Cell>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {(segment.rows ?? 0) > rows && <p className="hint">… {segment.rows}</p>}
    </div>
  );
}

/** A sheet may have 100,000 rows; the model gets them, the preview shows the first. */
const shownRows = 200;

function Correction({
  text,
  onSave,
  onCancel,
}: {
  text: string;
  onSave: (text: string) => void;
  onCancel: () => void;
}): ReactElement {
  const t = useOfficeStrings();
  const common = useStrings();
  const [draft, setDraft] = useState(text);
  return (
    <div className="correction edit-box">
      <textarea
        // biome-ignore lint/a11y/noAutofocus: the person has just asked to write here
        autoFocus
        value={draft}
        aria-label={t.correctLabel}
        rows={Math.min(10, Math.max(2, Math.ceil(text.length / 40)))}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            onCancel();
          }
        }}
      />
      <div className="edit-actions">
        <Button look="quiet" onClick={onCancel}>
          {common.cancel}
        </Button>
        <Button look="primary" disabled={draft === text} onClick={() => onSave(draft)}>
          {t.save}
        </Button>
      </div>
    </div>
  );
}
