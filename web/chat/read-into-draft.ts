// A document on its way into the draft that it was dropped on, whichever conversation is in view when it arrives.
import { ApiError } from "../api.ts";
import { FileTooLarge, Upload } from "../documents/uploads.ts";
import { messageError } from "../live-answer.ts";
import type { Signal } from "../signal.ts";
import type { Strings } from "../strings.ts";
import { bytes } from "../ui/format.ts";
import { showToast } from "../ui/toasts.tsx";
import { textOfFile, toAttachment } from "./attachment.ts";
import type { DraftText } from "./draft.ts";

function whyNot(error: unknown, name: string, t: Strings): string {
  if (error instanceof FileTooLarge) return t.fileTooLarge(name, bytes(error.limitBytes));
  if (error instanceof ApiError && error.code === "not_found") return t.notText(name);
  const { message, hint } = messageError(error);
  return [message.includes(name) ? message : `${name}: ${message}`, hint].filter(Boolean).join(" ");
}

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
      showToast({ text: whyNot(error, file.name, t), isError: true });
    },
  );
}
