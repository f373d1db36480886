import { type ReactElement, useEffect, useRef, useState } from "react";
import type { DocumentEdit } from "../../src/server/api-types.ts";
import type { Attachment } from "../conversation.ts";
import { isWorkbook, officeView } from "../documents/office-view.ts";
import { messageError } from "../live-answer.ts";
import { useStrings } from "../preferences.ts";
import { textOf } from "../store-server.ts";
import { Button, Dialog, IconButton } from "../ui/controls.tsx";
import { shortCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

const previewCharacters = 20_000;
const previewLines = 400;

/** The attachments of a message or of the draft; with `onRemove` they can be taken off again. */
export function AttachmentChips({
  attachments,
  tokensOf,
  onRemove,
  onInline,
  onChange,
}: {
  attachments: readonly Attachment[];
  tokensOf?: (attachment: Attachment) => string;
  /** Takes a document with its corrections; absent once it was sent. */
  onChange?: (attachment: Attachment) => void;
  onRemove?: (id: string) => void;
  /** Offered for texts that a text field can hold. */
  onInline?: (attachment: Attachment) => void;
}): ReactElement | undefined {
  const t = useStrings();
  const o = useOfficeStrings();
  const [shown, setShown] = useState<Attachment>();
  const latest = useRef(onChange);
  latest.current = onChange;
  if (attachments.length === 0) return;
  const open = (attachment: Attachment): void => {
    const { id, name, document, pagesToCheck = [] } = attachment;
    if (document === undefined) {
      setShown(attachment);
      return;
    }
    const onEdits = (edits: readonly DocumentEdit[], tokens: number): void =>
      latest.current?.({ ...attachment, document: { ...document, edits: [...edits], tokens } });
    const file = { fileId: id, name, document };
    officeView.value = { kind: "document", file, page: pagesToCheck[0] ?? 1, ...(onChange ? { onEdits } : {}) };
  };
  return (
    <>
      <ul className="chips">
        {attachments.map((attachment) => (
          <li key={attachment.id} className="chip">
            <button type="button" className="chip-name" onClick={() => open(attachment)}>
              <Icon name="file" />
              <span>
                <span className="visually-hidden">{t.showAttachment("")} </span>
                <span className="chip-title">{attachment.name}</span>
                {attachment.document ? (
                  <small>
                    {(isWorkbook(attachment) ? o.sheetsOf : o.pagesOf)(attachment.document.pages)} ·{" "}
                    {o.tokensOf(shortCount(attachment.document.tokens))}
                    {attachment.pagesToCheck && attachment.pagesToCheck.length > 0 && (
                      <span className="to-check"> · {o.lowPages(attachment.pagesToCheck.length)}</span>
                    )}
                    {attachment.document.edits && attachment.document.edits.length > 0 && ` · ${o.edited}`}
                  </small>
                ) : (
                  <small>
                    {t.linesOf(attachment.lineCount)}
                    {tokensOf && ` · ${tokensOf(attachment)}`}
                  </small>
                )}
              </span>
            </button>
            {attachment.document && isWorkbook(attachment) && (
              <button
                type="button"
                className="button chip-analyse"
                onClick={() => {
                  const { id, name, document } = attachment;
                  if (document) officeView.value = { kind: "analysis", file: { fileId: id, name, document } };
                }}
              >
                <Icon name="chart" />
                {o.analyse}
              </button>
            )}
            {onRemove && (
              <IconButton
                icon="close"
                label={t.removeAttachment(attachment.name)}
                onClick={() => onRemove(attachment.id)}
              />
            )}
          </li>
        ))}
      </ul>
      {shown && (
        <Preview
          attachment={shown}
          onClose={() => setShown(undefined)}
          onInline={
            onInline && (shown.text?.length ?? Number.POSITIVE_INFINITY) <= previewCharacters
              ? () => {
                  setShown(undefined);
                  onInline(shown);
                }
              : undefined
          }
        />
      )}
    </>
  );
}

function Preview({
  attachment,
  onClose,
  onInline,
}: {
  attachment: Attachment;
  onClose: () => void;
  onInline: (() => void) | undefined;
}): ReactElement {
  const t = useStrings();
  const [text, setText] = useState(attachment.text);
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    textOf(attachment).then(setText, (error) => setFailure(messageError(error).message));
  }, [attachment]);
  const beginning = (text ?? "").slice(0, previewCharacters).split("\n").slice(0, previewLines);
  const isWhole = text === undefined || beginning.join("\n").length === text.length;
  return (
    <Dialog
      title={attachment.name}
      className="wide"
      onClose={onClose}
      actions={onInline && <Button onClick={onInline}>{t.putIntoMessage}</Button>}
    >
      {failure && (
        <p className="field-error" role="alert">
          {failure}
        </p>
      )}
      {!isWhole && (
        <p className="hint">{t.firstLines(shortCount(beginning.length), t.linesOf(attachment.lineCount))}</p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach it */}
      <pre className="attachment-text" tabIndex={0}>
        {beginning.join("\n")}
      </pre>
    </Dialog>
  );
}
