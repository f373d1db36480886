// A document on its way into the draft that it was dropped on, whichever conversation is in view when it arrives.
import { ApiError } from "../api.ts";
import { Upload } from "../documents/uploads.ts";
import { messageError } from "../live-answer.ts";
import type { Signal } from "../signal.ts";
import type { Strings } from "../strings.ts";
import { showToast } from "../ui/toasts.tsx";
import { textOfFile, toAttachment } from "./attachment.ts";
import type { DraftText } from "./draft.ts";

export function readIntoDraft(file: File, draft: Signal<DraftText>, t: Strings): void {
  const upload = new Upload(file);
  const without = (): readonly Upload[] => (draft.value.uploads ?? []).filter((each) => each !== upload);
  draft.value = { ...draft.value, uploads: [...without(), upload] };
  const attach = (attachment: DraftText["attachments"][number]): void => {
    const others = draft.value.attachments.filter(({ id }) => id !== attachment.id);
    draft.value = { ...draft.value, attachments: [...others, attachment], uploads: without() };
  };
  upload.run().then(
    (read) => attach({ ...read, lineCount: 0, isPasted: false }),
    async (error: unknown) => {
      draft.value = { ...draft.value, uploads: without() };
      if (upload.isCancelled) return;
      // A server that keeps no files still takes texts.
      const text = error instanceof ApiError && error.code === "not_found" ? await textOfFile(file) : undefined;
      if (text !== undefined) return attach(toAttachment(file.name, text, { isPasted: false }));
      const { message, hint } = messageError(error);
      const isMissing = error instanceof ApiError && error.code === "not_found";
      showToast({ text: isMissing ? t.notText(file.name) : [message, hint].filter(Boolean).join(" "), isError: true });
    },
  );
}
