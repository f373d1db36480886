// Two small notes beside the context gauge: what slimming would leave out, with its switch, and what of the draft the engine has read.
import { type ReactElement, useId } from "react";
import type { DraftBody, SlimBody } from "../../src/server/api-types.ts";
import { setPreferences, useStrings } from "../preferences.ts";
import { Button } from "../ui/controls.tsx";
import { shortCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";

export function PrefillBadge({ prefilled }: { prefilled: DraftBody | undefined }): ReactElement | undefined {
  const t = useStrings();
  const id = useId();
  if (prefilled === undefined) return;
  const words = t.prefilled(shortCount(prefilled.promptTokens));
  return (
    <>
      <button type="button" className="badge" popoverTarget={id} title={words}>
        <Icon name="bolt" />
        <span className="visually-hidden">{t.prefillTitle}</span>
        {shortCount(prefilled.promptTokens)}
      </button>
      <section id={id} popover="auto" className="gauge-card" aria-label={t.prefillTitle}>
        <h3>{t.prefillTitle}</h3>
        <p>{words}</p>
        <p className="hint">{t.prefillAbout}</p>
        <Button onClick={() => setPreferences({ isDraftPrefilled: false })}>{t.switchOff}</Button>
      </section>
    </>
  );
}

export function SlimBadge({
  slimmed,
  text,
  isOff,
  onToggle,
}: {
  slimmed: SlimBody | undefined;
  text: string;
  isOff: boolean;
  onToggle: () => void;
}): ReactElement | undefined {
  const t = useStrings();
  const id = useId();
  if (slimmed === undefined) return;
  const saved = slimmed.tokensBefore - slimmed.tokensAfter;
  return (
    <>
      <button type="button" className={isOff ? "badge off" : "badge"} popoverTarget={id} title={t.slimSaves(saved)}>
        <span className="visually-hidden">{t.slimTitle}</span>−{saved}
      </button>
      <section id={id} popover="auto" className="gauge-card" aria-label={t.slimTitle}>
        <h3>{t.slimTitle}</h3>
        <p className="slim-difference">{difference(text, slimmed)}</p>
        <p className="hint">{t.slimAbout}</p>
        <label className="check">
          <input type="checkbox" checked={!isOff} onChange={onToggle} />
          {t.slimThis(saved)}
        </label>
      </section>
    </>
  );
}

/** The message with what goes struck out. */
function difference(text: string, { removed }: SlimBody): ReactElement[] {
  const parts: ReactElement[] = [];
  let at = 0;
  for (const { start, end } of removed) {
    parts.push(
      <span key={`kept${at}`}>{text.slice(at, start)}</span>,
      <del key={`gone${start}`}>{text.slice(start, end)}</del>,
    );
    at = end;
  }
  parts.push(<span key={`kept${at}`}>{text.slice(at)}</span>);
  return parts;
}
