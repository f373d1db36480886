// What could be left out of a message without changing what it asks: the server's rules say so when the typing pauses. Nothing is slimmed
// that the reader has not seen.
import { useEffect, useState } from "react";
import type { SlimBody } from "../../src/server/api-types.ts";
import { usePreferences } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Workbench } from "../workbench.ts";
import type { DraftText } from "./draft.ts";

const pauseMs = 300;

/** Present when something of this very text can go. */
export function useSlimming(workbench: Workbench, draft: DraftText): SlimBody | undefined {
  const { isSlimming } = usePreferences();
  const isDemonstration = useSignal(workbench.engine.view).status?.model.isDemonstration ?? false;
  const [found, setFound] = useState<{ text: string; body: SlimBody }>();
  const text = draft.text.trim();
  // A template's beginning is in the engine's memory as it is, and the demonstration model knows its own wordings only.
  const isWanted = isSlimming && !isDemonstration && draft.title === undefined && text !== "" && !text.startsWith("/");
  useEffect(() => {
    if (!isWanted) return;
    const leaving = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const body = await workbench.store.slim(text, leaving.signal);
        if (!leaving.signal.aborted) setFound({ text, body });
      } catch {
        // Then the message goes as it is written.
      }
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [text, isWanted, workbench]);
  return isWanted && found?.text === text && found.body.tokensAfter < found.body.tokensBefore ? found.body : undefined;
}
