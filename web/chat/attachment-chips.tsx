import { type ReactElement, useEffect, useState } from "react";
import type { Attachment } from "../conversation.ts";
import { messageError } from "../live-answer.ts";
import { useStrings } from "../preferences.ts";
import { textOf } from "../store-server.ts";
import { Button, Dialog, IconButton } from "../ui/controls.tsx";
import { shortCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";

const previewCharacters = 20_000;
const previewLines = 400;

/** The attachments of a message or of the draft; with `onRemove` they can be taken off again. */
export function AttachmentChips({
  attachments,
  tokensOf,
  onRemove,
  onInline,
}: {
  attachments: readonly Attachment[];
  tokensOf?: (attachment: Attachment) => string;
  onRemove?: (id: string) => void;
  /** Offered for texts that a text field can hold. */
  onInline?: (attachment: Attachment) => void;
}): ReactElement | undefined {
  const t = useStrings();
  const [shown, setShown] = useState<Attachment>();
  if (attachments.length === 0) return;
  return (
    <>
      <ul className="chips">
        {attachments.map((attachment) => (
          <li key={attachment.id} className="chip">
            <button
              type="button"
              className="chip-name"
              aria-label={t.showAttachment(attachment.name)}
              onClick={() => setShown(attachment)}
            >
              <Icon name="file" />
              <span>
                <span className="chip-title">{attachment.name}</span>
                <small>
                  {t.linesOf(attachment.lineCount)}
                  {tokensOf && ` · ${tokensOf(attachment)}`}
                </small>
              </span>
            </button>
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
