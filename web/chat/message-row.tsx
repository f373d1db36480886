// One message: a question in its bubble, or an answer with what can be done about it.
import { type MouseEvent, memo, type ReactElement, useMemo, useState } from "react";
import { type Attachment, type Message, pathTo, versionsOf } from "../conversation.ts";
import { officeView } from "../documents/office-view.ts";
import type { LiveAnswer, LiveText } from "../live-answer.ts";
import { MarkdownView } from "../markdown/markdown-view.tsx";
import { useStrings } from "../preferences.ts";
import { Signal, useSignal } from "../signal.ts";
import { Button, IconButton } from "../ui/controls.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { duration, rate, shortCount } from "../ui/format.ts";
import { Logo } from "../ui/icons.tsx";
import type { Workbench } from "../workbench.ts";
import { AnswerFiles } from "./answer-files.tsx";
import { AnswerProgress, AnswerTrouble } from "./answer-state.tsx";
import { AttachmentChips } from "./attachment-chips.tsx";
import { citationAt, linkCitations, passageBefore } from "./citations.ts";
import { EditBox } from "./edit-box.tsx";
import { FileNotes } from "./file-notes.tsx";

interface RowProps {
  workbench: Workbench;
  message: Message;
  running: LiveAnswer | undefined;
  isLast: boolean;
  isLeftOut: boolean;
  isEditing: boolean;
  onEdit: (id: string | undefined) => void;
}

export const MessageRow = memo(function MessageRow(props: RowProps): ReactElement {
  const t = useStrings();
  const { message, isLeftOut, isLast, workbench } = props;
  const include = (): void => {
    const { head } = workbench.open.value;
    void workbench.changeHead(head.id, { leftOutIds: head.leftOutIds.filter((id) => id !== message.id) });
  };
  return (
    <article
      className={`message ${message.role}${isLeftOut ? " left-out" : ""}${isLast ? " is-last" : ""}`}
      aria-label={message.role === "user" ? t.you : t.quern}
      data-state={props.running ? "running" : message.state}
    >
      {message.role === "user" ? <Question {...props} /> : <Answer {...props} />}
      {isLeftOut && (
        <p className="left-out-mark">
          {t.leftOutMark}{" "}
          <Button look="quiet" onClick={include}>
            {t.includeAgain}
          </Button>
        </p>
      )}
    </article>
  );
});

function Question({ workbench, message, isEditing, onEdit }: RowProps): ReactElement {
  const t = useStrings();
  if (isEditing) {
    return (
      <EditBox
        message={message}
        onCancel={() => onEdit(undefined)}
        onSend={(draft) => {
          onEdit(undefined);
          void workbench.sendEdited(message, draft);
        }}
      />
    );
  }
  return (
    <>
      <div className="bubble">
        <AttachmentChips attachments={message.attachments} />
        {message.text !== "" && <FoldedText text={message.text} />}
        {message.isSlimmed && <p className="hint">{t.slimmedMark}</p>}
      </div>
      <div className="actions">
        <Versions workbench={workbench} message={message} />
        <CopyButton label={t.copy} content={() => ({ text: message.text })} />
        <IconButton icon="pencil" label={t.edit} onClick={() => onEdit(message.id)} />
      </div>
    </>
  );
}

const foldedCharacters = 1600;
const foldedLines = 24;

/** A long question shows its beginning and unfolds; all of it was sent. */
function FoldedText({ text }: { text: string }): ReactElement {
  const t = useStrings();
  const [isOpen, setOpen] = useState(false);
  const isLong = text.length > foldedCharacters || text.split("\n", foldedLines + 1).length > foldedLines;
  if (!isLong) return <div className="question-text">{text}</div>;
  const beginning = text.split("\n", foldedLines).join("\n").slice(0, foldedCharacters);
  return (
    <>
      <div className="question-text">{isOpen ? text : `${beginning}…`}</div>
      <Button look="quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {isOpen ? t.demoLess : t.more}
      </Button>
    </>
  );
}

function Answer({ workbench, message, running, isLast }: RowProps): ReactElement {
  return (
    <div className="answer">
      <div className="answer-mark">
        <Logo size={26} />
      </div>
      <div className="answer-body">
        <AnswerText workbench={workbench} message={message} running={running} />
        {running === undefined ? (
          <>
            <FileNotes files={message.files} />
            <AnswerTrouble workbench={workbench} message={message} isLast={isLast} />
            <AnswerActions workbench={workbench} message={message} />
          </>
        ) : (
          <AnswerProgress workbench={workbench} running={running} />
        )}
      </div>
    </div>
  );
}

const notLive = new Signal<LiveText>({ phase: { type: "writing" }, text: "" });

/** The same component while the answer grows and when it is whole, so that a selection in it survives the end. */
function AnswerText({
  workbench,
  message,
  running,
}: Pick<RowProps, "workbench" | "message" | "running">): ReactElement | undefined {
  const live = useSignal(running?.live ?? notLive);
  const { messages } = useSignal(workbench.open);
  const documents = useMemo(
    () =>
      pathTo(messages, message.parentId).flatMap(({ attachments }) => attachments.filter(({ document }) => document)),
    [messages, message.parentId],
  );
  const text = running === undefined ? message.text : live.text;
  if (text === "") return;
  if (documents.length === 0) return <MarkdownView text={text} isGrowing={running !== undefined} />;
  const checked = running === undefined ? message.files?.citations : undefined;
  const followed = (event: MouseEvent): void => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const cited = link && citationAt(link.getAttribute("href") ?? "");
    if (!cited) return;
    event.preventDefault();
    const { page, name, at } = cited;
    const hasPage = ({ document }: Attachment): boolean => (document?.pages ?? 0) >= page;
    const source =
      documents.find((each) => each.name === name) ??
      documents.find((each) => name !== undefined && (each.name.includes(name) || name.includes(each.name))) ??
      documents.findLast(hasPage) ??
      documents.at(-1);
    if (source?.document === undefined) return;
    const file = { fileId: source.id, name: source.name, document: source.document };
    officeView.value = { kind: "document", file, page, passage: passageBefore(text, at) };
  };
  return (
    // The links inside take focus and keys; this only sees where their clicks go.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter on a link is a click
    // biome-ignore lint/a11y/noStaticElementInteractions: as above
    <div onClick={followed}>
      <MarkdownView text={linkCitations(text, checked)} isGrowing={running !== undefined} />
    </div>
  );
}

function AnswerActions({ workbench, message }: { workbench: Workbench; message: Message }): ReactElement {
  const t = useStrings();
  const { stats } = message;
  return (
    <div className="actions">
      <Versions workbench={workbench} message={message} />
      {message.text !== "" && <CopyButton label={t.copy} content={() => ({ text: message.text })} />}
      <IconButton icon="retry" label={t.regenerate} onClick={() => void workbench.regenerate(message)} />
      {message.text !== "" && <AnswerFiles text={message.text} />}
      {stats && (
        <span
          className="stats"
          title={
            stats.cachedTokens > 0
              ? t.cachedOf(shortCount(stats.cachedTokens), shortCount(stats.promptTokens))
              : undefined
          }
        >
          {t.statsOf(String(stats.completionTokens), rate(stats.tokensPerSecond), duration(stats.firstTokenMs))}
          {stats.cachedTokens > 0 && ` · ${t.cachedStat(shortCount(stats.cachedTokens))}`}
          {stats.energyJoules !== undefined && ` · ${t.energyOf(rate(stats.energyJoules))}`}
        </span>
      )}
    </div>
  );
}

function Versions({ workbench, message }: { workbench: Workbench; message: Message }): ReactElement | undefined {
  const t = useStrings();
  const { messages } = useSignal(workbench.open);
  const versions = useMemo(() => versionsOf(messages, message), [messages, message]);
  if (versions.length < 2) return;
  const at = versions.findIndex(({ id }) => id === message.id);
  const show = (step: number): void => {
    const other = versions[at + step];
    if (other !== undefined) void workbench.showVersion(other);
  };
  return (
    <span className="versions">
      <IconButton icon="left" label={t.previousVersion} disabled={at === 0} onClick={() => show(-1)} />
      <span aria-label={t.versionOf(at + 1, versions.length)} role="img">
        {at + 1}/{versions.length}
      </span>
      <IconButton icon="right" label={t.nextVersion} disabled={at === versions.length - 1} onClick={() => show(1)} />
    </span>
  );
}
