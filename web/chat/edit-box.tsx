import { type ReactElement, useEffect, useRef, useState } from "react";
import type { Attachment, Message } from "../conversation.ts";
import { useStrings } from "../preferences.ts";
import { Button } from "../ui/controls.tsx";
import type { Draft } from "../workbench.ts";
import { AttachmentChips } from "./attachment-chips.tsx";

/** A question being changed in place. Sending makes a new branch; the old one stays a click away. */
export function EditBox({
  message,
  onSend,
  onCancel,
}: {
  message: Message;
  onSend: (draft: Draft) => void;
  onCancel: () => void;
}): ReactElement {
  const t = useStrings();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(message.text);
  const [attachments, setAttachments] = useState<readonly Attachment[]>(message.attachments);
  const canSend = text.trim() !== "" || attachments.length > 0;
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(message.text.length, message.text.length);
  }, [message.text.length]);
  return (
    <div className="edit-box">
      <AttachmentChips
        attachments={attachments}
        onRemove={(id) => setAttachments(attachments.filter((attachment) => attachment.id !== id))}
      />
      <textarea
        ref={field}
        value={text}
        aria-label={t.editLabel}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Escape") {
            event.stopPropagation();
            onCancel();
          } else if (event.key === "Enter" && !event.shiftKey && canSend) {
            event.preventDefault();
            onSend({ text, attachments });
          }
        }}
      />
      <div className="edit-actions">
        <Button look="quiet" onClick={onCancel}>
          {t.cancel}
        </Button>
        <Button look="primary" disabled={!canSend} onClick={() => onSend({ text, attachments })}>
          {t.sendEdited}
        </Button>
      </div>
    </div>
  );
}
