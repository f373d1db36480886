// What stands under an answer that is on its way, or that did not come to its end.
import type { ReactElement } from "react";
import type { Message, MessageError } from "../conversation.ts";
import type { LiveAnswer } from "../live-answer.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Strings } from "../strings.ts";
import { Button } from "../ui/controls.tsx";
import { rate } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import type { Workbench } from "../workbench.ts";
import { FitChoices } from "./file-fit.tsx";

export function AnswerProgress({ workbench, running }: { workbench: Workbench; running: LiveAnswer }): ReactElement {
  const t = useStrings();
  const office = useOfficeStrings();
  const live = useSignal(running.live);
  const { answers = [] } = useSignal(workbench.engine.view).live ?? {};
  const speed = answers.find(({ messageId }) => messageId === running.messageId)?.tokensPerSecond;
  const { phase } = live;
  const wait =
    phase.type === "queued" && phase.waitMs !== undefined ? ` · ${t.aboutSeconds(Math.ceil(phase.waitMs / 1000))}` : "";
  const words =
    phase.type === "queued"
      ? t.waitingInQueue(phase.position) + wait
      : phase.type === "prefill"
        ? t.readingPrompt(Math.round((100 * phase.processedTokens) / Math.max(1, phase.totalTokens)))
        : phase.type === "sent"
          ? t.thinkingStarts
          : phase.type === "files"
            ? office.fitting[phase.stage](phase.done, phase.all)
            : "";
  return (
    <div className="progress">
      <span className="grinding" />
      {words}
      {phase.type === "files" && (
        <progress
          className="bar"
          aria-label={phase.name}
          title={phase.name}
          value={phase.done}
          max={Math.max(1, phase.all)}
        />
      )}
      {phase.type === "writing" && speed !== undefined && (
        <span className="stats">
          {rate(speed)} {t.speedUnit}
        </span>
      )}
    </div>
  );
}

/** Why the answer is not whole, and the ways on. */
export function AnswerTrouble({
  workbench,
  message,
  isLast,
}: {
  workbench: Workbench;
  message: Message;
  isLast: boolean;
}): ReactElement | undefined {
  const t = useStrings();
  const { language } = usePreferences();
  if (message.state === "complete") return;
  if (message.state === "streaming") return;
  const goOn = isLast && message.text !== "" && (
    <Button icon="play" onClick={() => void workbench.continueAnswer(message)}>
      {t.continueAnswer}
    </Button>
  );
  if (message.state === "stopped" || message.state === "cut") {
    return (
      <div className="note">
        {message.state === "cut" ? t.answerCut : t.answerStopped} {goOn}
      </div>
    );
  }
  const { title, detail, hint } = explain(message.error, t, language);
  const question = message.parentId === undefined ? undefined : workbench.open.value.messages.get(message.parentId);
  const canFit =
    message.error?.code === "context_length_exceeded" &&
    question?.attachments.some(({ document }) => document !== undefined) === true;
  return (
    <div className="trouble" role="alert">
      <Icon name="alert" />
      <div>
        <p className="trouble-title">{title}</p>
        {detail && <p>{detail}</p>}
        {hint && <p className="hint">{hint}</p>}
        <div className="trouble-ways">
          {canFit && question && (
            <FitChoices
              onChoose={(fileOverflow) => {
                const { text, attachments } = question;
                void workbench.sendEdited(question, { text, attachments, fileOverflow });
              }}
            />
          )}
          {isLast && (
            <Button icon="retry" look="primary" onClick={() => void workbench.retry(message)}>
              {t.retry}
            </Button>
          )}
          {goOn}
        </div>
      </div>
    </div>
  );
}

/** A failure in the reader's language where its code is known; the server's own sentence, which has the numbers, goes with it. */
export function explain(
  error: MessageError | undefined,
  t: Strings,
  language: string,
): { title: string; detail?: string; hint?: string } {
  if (error === undefined || error.code === "interrupted") return { title: t.answerInterrupted };
  const known = t.errors[error.code];
  const hint = t.errors[`${error.code}Hint`] ?? error.hint;
  const title = known ?? error.message;
  const isOwn = ["unreachable", "cut", "internal_error"].includes(error.code);
  const detail =
    known === undefined || isOwn || (language === "en" && error.message === known) ? undefined : error.message;
  return { title, ...(detail ? { detail } : {}), ...(hint === undefined ? {} : { hint }) };
}
