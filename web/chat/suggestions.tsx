import type { ReactElement } from "react";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Workbench } from "../workbench.ts";

/** What the reader may want to ask next, as the model guesses when nothing else is to be done. */
export function Suggestions({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const { head } = useSignal(workbench.open);
  const suggested = useSignal(workbench.suggestions);
  if (suggested === undefined || suggested.leafId !== head.leafId || suggested.texts.length === 0) return;
  return (
    <section className="suggestions" aria-label={t.suggestions}>
      {suggested.texts.map((text) => (
        <button key={text} type="button" onClick={() => void workbench.send({ text, attachments: [] })}>
          {text}
        </button>
      ))}
    </section>
  );
}
