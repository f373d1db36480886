// The context in one line: a ring beside the send button, its parts on request, and the choices when it is too much.
import { type ReactElement, type ReactNode, useId } from "react";
import type { Attachment } from "../conversation.ts";
import { useStrings } from "../preferences.ts";
import { Button } from "../ui/controls.tsx";
import { shortCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
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
  const words = approximately + t.contextOf(shortCount(used), shortCount(budget.contextTokens));
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
          {shortCount(used)} / {shortCount(budget.contextTokens)}
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
  budget,
  modelTokens,
  attachments,
  fit,
  onLeaveOut,
  onRemoveFile,
  onNewChat,
  onSummarise,
}: {
  budget: Budget;
  /** The longest context the model was made for; 0 when it does not say. */
  modelTokens: number;
  attachments: readonly Attachment[];
  /** Ways to send documents that are too long. */
  fit?: ReactNode;
  onLeaveOut: (ids: readonly string[]) => void;
  onRemoveFile: (id: string) => void;
  onNewChat: () => void;
  onSummarise: () => void;
}): ReactElement {
  const t = useStrings();
  const wanted = 2 ** Math.ceil(Math.log2((budget.contextTokens + budget.overTokens) / 1024));
  const canGrow = modelTokens === 0 || wanted * 1024 <= modelTokens;
  return (
    <div className="over-budget" role="alert">
      <Icon name="alert" />
      <div>
        <p>{t.overBudget(budget.overTokens.toLocaleString())}</p>
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
        <p className="hint">
          {canGrow ? (
            <>
              {t.raiseContext} <code>npm start -- --context {wanted}K</code>
            </>
          ) : (
            t.modelIsFull(shortCount(modelTokens))
          )}
        </p>
      </div>
    </div>
  );
}
