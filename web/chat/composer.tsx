// Where messages are written: a plain text area (nothing typed here waits for anything), attachments, slash menu, context gauge.
// The draft of each conversation survives a reload of the tab.
import {
  type ClipboardEvent,
  type KeyboardEvent,
  type ReactElement,
  type RefObject,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { type Attachment, pathTo } from "../conversation.ts";
import { isWorkbook } from "../documents/office-view.ts";
import { UploadChips } from "../documents/upload-chips.tsx";
import { isDocumentFile } from "../documents/uploads.ts";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { IconButton } from "../ui/controls.tsx";
import { shortCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { showToast } from "../ui/toasts.tsx";
import type { Workbench } from "../workbench.ts";
import { fileBytesLimit, isLongPaste, textOfFile, toAttachment } from "./attachment.ts";
import { AttachmentChips } from "./attachment-chips.tsx";
import { ContextGauge, OverBudget } from "./context-gauge.tsx";
import { type DraftText, draftOf, useDraft } from "./draft.ts";
import { PrefillBadge, SlimBadge } from "./draft-badges.tsx";
import { ChosenFit, FitChoices, fitOf, holdsDocument } from "./file-fit.tsx";
import { pastedTable } from "./pasted-table.ts";
import { readIntoDraft } from "./read-into-draft.ts";
import { type SlashCommand, type SlashEntry, SlashMenu, useSlashEntries } from "./slash-menu.tsx";
import { useBudget } from "./use-budget.ts";
import { usePrefill } from "./use-prefill.ts";
import { useSlimming } from "./use-slimming.ts";

/** Where CSS cannot grow the field with its text, a measurement does. */
const hasFieldSizing = CSS.supports("field-sizing", "content");

export function Composer({
  workbench,
  field,
  onTemplate,
  onCommand,
  onEditLast,
}: {
  workbench: Workbench;
  field: RefObject<HTMLTextAreaElement | null>;
  onTemplate: (id: string | undefined) => void;
  onCommand: (command: SlashCommand) => void;
  onEditLast: () => void;
}): ReactElement {
  const t = useStrings();
  const open = useSignal(workbench.open);
  const answers = useSignal(workbench.answers);
  const [draft, setDraft] = useDraft(workbench);
  const { text, attachments } = draft;
  const slimmed = useSlimming(workbench, draft);
  const isSlimmed = slimmed !== undefined && !draft.isSlimmingOff;
  const prefilled = usePrefill(workbench, draft, isSlimmed);
  const budget = useBudget(workbench, { text, attachments, isSlimmed });
  const picker = useRef<HTMLInputElement>(null);
  const menuId = useId();
  const entries = useSlashEntries(workbench, text);
  const [active, setActive] = useState(0);
  const isRunning = [...answers.values()].some(({ conversationId }) => conversationId === open.head.id);
  const branch = pathTo(open.messages, open.head.leafId).filter(({ id }) => !open.head.leftOutIds.includes(id));
  const hasDocuments = holdsDocument(draft) || branch.some(holdsDocument);
  // Documents that go as passages or as a summary take what room there is; a choice holds for the questions that follow.
  const fit = fitOf(draft.fileOverflow, branch);
  const isFitted = hasDocuments && fit !== undefined && fit !== "refuse";
  const isOver = budget !== undefined && budget.overTokens > 0 && !isFitted;
  // A workbook may be here to be analysed, not to be read by the model.
  const isForAnalysis = text.trim() === "" && attachments.length > 0 && attachments.every(isWorkbook);
  const isBlocked = isOver && budget.isExact;
  const uploads = draft.uploads ?? [];
  const canSend = (text.trim() !== "" || attachments.length > 0) && !isRunning && !isBlocked && uploads.length === 0;

  const change = (next: Partial<DraftText>): void => setDraft({ ...draft, ...next });
  const attach = (added: readonly Attachment[]): void => change({ attachments: [...attachments, ...added] });
  const send = (): void => {
    if (!canSend) return;
    const { isSlimmingOff: _, uploads: __, ...written } = draft;
    setDraft({ text: "", attachments: [] });
    void workbench.send({ ...written, text: text.trim(), isSlimmed });
    field.current?.focus();
  };
  const addFiles = async (files: readonly File[]): Promise<void> => {
    const added: Attachment[] = [];
    for (const file of files) {
      if (await isDocumentFile(file)) {
        readIntoDraft(file, draftOf(workbench), t);
        continue;
      }
      if (file.size > fileBytesLimit) {
        showToast({ text: t.fileTooLarge(file.name, "20 MiB"), isError: true });
        continue;
      }
      const content = await textOfFile(file);
      if (content === undefined) showToast({ text: t.notText(file.name), isError: true });
      else added.push(toAttachment(file.name, content, { isPasted: false }));
    }
    if (added.length > 0) attach(added);
  };
  const pasted = (event: ClipboardEvent): void => {
    const files = [...event.clipboardData.files];
    const table = pastedTable(event.clipboardData.getData("text/html"));
    const words = table ?? event.clipboardData.getData("text/plain");
    if (files.length > 0 && words === "") {
      event.preventDefault();
      void addFiles(files);
    } else if (table !== undefined && !isLongPaste(table)) {
      event.preventDefault();
      const added = text === "" ? `${table}\n\n` : `\n\n${table}\n\n`;
      // As typing would, so that undo takes it back; where the browser has no place for it, at the end.
      if (!document.execCommand("insertText", false, added)) change({ text: `${text}${added}` });
    } else if (isLongPaste(words)) {
      event.preventDefault();
      const count = attachments.filter(({ isPasted }) => isPasted).length + 1;
      const added = toAttachment(t.pastedText(count), words, { isPasted: true });
      attach([added]);
      showToast({ text: t.becameAttachment(t.linesOf(added.lineCount)) });
    }
  };
  const choose = (entry: SlashEntry): void => {
    change({ text: "" });
    const [kind, id = ""] = entry.id.split(":");
    if (kind === "template") onTemplate(id);
    else onCommand(id as SlashCommand);
  };
  const pressed = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While an input method composes, Enter and arrows belong to it.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    const chosen = entries[Math.min(active, entries.length - 1)];
    if (chosen !== undefined) {
      if (event.key === "ArrowDown") setActive((active + 1) % entries.length);
      else if (event.key === "ArrowUp") setActive((active + entries.length - 1) % entries.length);
      else if (event.key === "Enter" || event.key === "Tab") choose(chosen);
      else if (event.key === "Escape") change({ text: "" });
      else return;
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && text === "" && attachments.length === 0) {
      event.preventDefault();
      onEditLast();
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: each text has its own list
  useEffect(() => setActive(0), [text]);
  useLayoutEffect(() => {
    const area = field.current;
    if (area === null || hasFieldSizing) return;
    area.style.height = "auto";
    area.style.height = text === "" ? "" : `${area.scrollHeight}px`;
  }, [text, field]);
  const hasAttachments = attachments.length > 0;
  useEffect(() => {
    if (!hasAttachments) return;
    // They live in memory until they are sent: the browser asks before the tab loses them.
    const leaving = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", leaving);
    return () => removeEventListener("beforeunload", leaving);
  }, [hasAttachments]);
  const dropping = useDrop((files) => void addFiles(files));

  return (
    <div className="composer-area">
      {isOver && !isForAnalysis && (
        <OverBudget
          workbench={workbench}
          budget={budget}
          attachments={attachments}
          fit={hasDocuments && <FitChoices onChoose={(fileOverflow) => change({ fileOverflow })} />}
          onRemoveFile={(id) => change({ attachments: attachments.filter((each) => each.id !== id) })}
          onLeaveOut={(ids) =>
            void workbench.changeHead(open.head.id, { leftOutIds: [...open.head.leftOutIds, ...ids] })
          }
          onNewChat={() => {
            const kept = draft;
            setDraft({ text: "", attachments: [] });
            workbench.startConversation();
            void workbench.send({ text: kept.text.trim(), attachments: kept.attachments });
          }}
          onSummarise={() =>
            void workbench.guard(async () => {
              const whole = await workbench.store.exported(open.head.id, "markdown");
              workbench.startConversation();
              const file = toAttachment(t.conversationFile, whole, { isPasted: false });
              await workbench.send({ text: t.summariseAsk, attachments: [file] });
            })
          }
        />
      )}
      {entries.length > 0 && (
        <SlashMenu id={menuId} entries={entries} active={Math.min(active, entries.length - 1)} onChoose={choose} />
      )}
      <div className={dropping ? "composer dropping" : "composer"}>
        {dropping && <div className="drop-hint">{t.dropHere}</div>}
        <AttachmentChips
          attachments={attachments}
          tokensOf={(attachment) => t.aboutTokens(shortCount(workbench.counter.count(attachment.text ?? "").tokens))}
          onRemove={(id) => change({ attachments: attachments.filter((each) => each.id !== id) })}
          onChange={(changed) => {
            const signal = draftOf(workbench);
            const next = signal.value.attachments.map((each) => (each.id === changed.id ? changed : each));
            signal.value = { ...signal.value, attachments: next };
          }}
          onInline={(attachment) =>
            change({
              text: [text, attachment.text].filter(Boolean).join("\n"),
              attachments: attachments.filter(({ id }) => id !== attachment.id),
            })
          }
        />
        <UploadChips uploads={uploads} />
        {isFitted && <ChosenFit choice={fit} onUndo={() => change({ fileOverflow: "refuse" })} />}
        <textarea
          ref={field}
          value={text}
          rows={1}
          placeholder={t.composerPlaceholder}
          aria-label={t.composerLabel}
          title={t.newlineHint}
          aria-controls={entries.length > 0 ? menuId : undefined}
          aria-activedescendant={entries.length > 0 ? `${menuId}-${Math.min(active, entries.length - 1)}` : undefined}
          onChange={(event) => change({ text: event.target.value })}
          onPaste={pasted}
          onKeyDown={pressed}
        />
        <div className="composer-row">
          <IconButton icon="attach" label={t.attach} onClick={() => picker.current?.click()} />
          <IconButton icon="template" label={t.templates} onClick={() => onTemplate(undefined)} />
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            onChange={(event) => {
              void addFiles([...(event.target.files ?? [])]);
              event.target.value = "";
            }}
          />
          <span className="spacer" />
          <SlimBadge
            slimmed={slimmed}
            text={text.trim()}
            isOff={draft.isSlimmingOff ?? false}
            onToggle={() => change({ isSlimmingOff: !draft.isSlimmingOff })}
          />
          <PrefillBadge prefilled={prefilled} />
          <ContextGauge budget={budget} isFitted={isFitted} />
          {isRunning ? (
            <button
              type="button"
              className="send stop"
              aria-label={t.stop}
              title={t.stopHint}
              onClick={() => workbench.stop()}
            >
              <Icon name="stop" />
            </button>
          ) : (
            <button
              type="button"
              className="send"
              aria-label={t.send}
              title={t.send}
              disabled={!canSend}
              onClick={send}
            >
              <Icon name="send" />
            </button>
          )}
        </div>
      </div>
    </div>
  );
}

/** Files dropped anywhere on the page; true while some hover above it. */
function useDrop(onFiles: (files: readonly File[]) => void): boolean {
  const [isOver, setOver] = useState(false);
  const latest = useRef(onFiles);
  latest.current = onFiles;
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    };
    const left = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const dropped = (event: DragEvent): void => {
      setOver(false);
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      latest.current([...event.dataTransfer.files]);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", left);
    addEventListener("drop", dropped);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", left);
      removeEventListener("drop", dropped);
    };
  }, []);
  return isOver;
}
