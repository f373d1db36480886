// The context in one line: a ring beside the send button, its parts on request, and the choices when it is too much.
import { type ReactElement, type ReactNode, useId } from "react";
import type { Attachment } from "../conversation.ts";
import { EngineWork } from "../dialogs/engine-form.tsx";
import { changeEngine, contextSteps, conversationBytes, hasRoom, useEngine } from "../engine-choice.ts";
import { useStrings } from "../preferences.ts";
import { Button } from "../ui/controls.tsx";
import { bytes, shortCount, tokenWords } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { Workbench } from "../workbench.ts";
import type { Budget } from "./budget.ts";

const parts = ["system", "history", "files", "message", "room"] as const;

/** `isFitted`: its documents are made to fit, so that too much of them is none. */
export function ContextGauge({
  budget,
  isFitted,
}: {
  budget: Budget | undefined;
  isFitted: boolean;
}): ReactElement | undefined {
  const t = useStrings();
  const id = useId();
  if (budget === undefined) return;
  const whole = budget.system + budget.history + budget.files + budget.message;
  const isCapped = isFitted && budget.overTokens > 0;
  const used = isCapped ? budget.contextTokens : whole;
  const share = Math.min(1, used / Math.max(1, budget.contextTokens));
  const approximately = isCapped ? "≤ " : budget.isExact ? "" : "≈ ";
  const words = approximately + t.contextOf(shortCount(used), tokenWords(budget.contextTokens));
  const level = isCapped ? "" : budget.overTokens > 0 ? "over" : share > 0.8 ? "high" : "";
  return (
    <>
      <button type="button" className={`gauge ${level}`} popoverTarget={id} title={words}>
        <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
          <circle cx="10" cy="10" r="7.500" pathLength="100" className="track" />
          <circle cx="10" cy="10" r="7.500" pathLength="100" className="fill" strokeDasharray={`${share * 100} 100`} />
        </svg>
        <span className="visually-hidden">{t.context}</span>
        <span className="gauge-words">
          {approximately}
          {shortCount(used)} / {tokenWords(budget.contextTokens)}
        </span>
      </button>
      <section id={id} popover="auto" className="gauge-card" aria-label={t.context}>
        <h3>{t.context}</h3>
        <div className="gauge-bar">
          {parts.map((part) => (
            <span
              key={part}
              className={`part-${part}`}
              style={{ inlineSize: `${(100 * budget[part]) / Math.max(1, budget.contextTokens)}%` }}
            />
          ))}
        </div>
        <dl>
          {parts.map((part) => (
            <div key={part}>
              <dt>
                <span className={`swatch part-${part}`} />
                {t.contextParts[part]}
              </dt>
              <dd>{budget[part].toLocaleString()}</dd>
            </div>
          ))}
        </dl>
        {!budget.isExact && <p className="hint">{t.estimated}</p>}
      </section>
    </>
  );
}

/** Too much for the context: nothing is cut by itself, these are the ways out. */
export function OverBudget({
  workbench,
  budget,
  attachments,
  fit,
  onLeaveOut,
  onRemoveFile,
  onNewChat,
  onSummarise,
}: {
  workbench: Workbench;
  budget: Budget;
  attachments: readonly Attachment[];
  /** Ways to send documents that are too long. */
  fit?: ReactNode;
  onLeaveOut: (ids: readonly string[]) => void;
  onRemoveFile: (id: string) => void;
  onNewChat: () => void;
  onSummarise: () => void;
}): ReactElement {
  const t = useStrings();
  return (
    <div className="over-budget" role="alert">
      <Icon name="alert" />
      <div>
        <p>{t.overBudget(budget.overTokens.toLocaleString("en"))}</p>
        <div className="trouble-ways">
          {fit}
          {budget.oldestIds.length > 0 && (
            <Button onClick={() => onLeaveOut(budget.oldestIds)}>{t.leaveOutOldest(budget.oldestIds.length)}</Button>
          )}
          {attachments.map((attachment) => (
            <Button key={attachment.id} onClick={() => onRemoveFile(attachment.id)}>
              {t.leaveOutFile(attachment.name)}
            </Button>
          ))}
          {budget.largest.map(({ messageId, tokens, excerpt }) => (
            <Button key={messageId} onClick={() => onLeaveOut([messageId])}>
              {t.leaveOutLargest(excerpt.slice(0, 16), shortCount(tokens))}
            </Button>
          ))}
          {budget.history > 0 && <Button onClick={onNewChat}>{t.sendInNewChat}</Button>}
          {budget.history > 0 && <Button onClick={onSummarise}>{t.summarise}</Button>}
        </div>
        <LargerContext workbench={workbench} budget={budget} />
      </div>
    </div>
  );
}

/** The smallest context that holds it, when the model was made for so much and the memory allows. */
function LargerContext({ workbench, budget }: { workbench: Workbench; budget: Budget }): ReactElement | undefined {
  const t = useStrings();
  const state = useEngine(workbench);
  const { body, work } = state;
  if (body === undefined) return;
  const neededTokens = budget.contextTokens + budget.overTokens;
  const tokens = contextSteps(body).find((step) => step >= neededTokens);
  if (tokens === undefined) {
    const most = body.needs.trainedContextTokens || body.running.contextTokens;
    const words = [t.modelIsFull(tokenWords(most)), budget.message > most && t.shortenMessage];
    return <p className="hint">{t.sentences(words)}</p>;
  }
  const { model: _, ...choice } = body.choice;
  const kvBytes = conversationBytes(body, { ...choice, contextTokens: tokens });
  const memory = kvBytes === undefined ? undefined : bytes(kvBytes);
  if (!hasRoom(body, kvBytes)) {
    return <p className="hint">{t.moreThanMemory(tokenWords(tokens), memory ?? "")}</p>;
  }
  if (!body.canChange) return;
  return (
    <>
      <div className="trouble-ways">
        <Button
          icon="bolt"
          disabled={work !== undefined}
          onClick={() => void workbench.guard(() => changeEngine(workbench, { contextTokens: tokens }))}
        >
          {memory === undefined ? t.raiseContextPlain(tokenWords(tokens)) : t.raiseContext(tokenWords(tokens), memory)}
        </Button>
      </div>
      <EngineWork workbench={workbench} state={state} of={["settings"]} />
    </>
  );
}
