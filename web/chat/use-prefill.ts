// Hands the draft to the engine while it is being written, so that on Send only the tail is left to compute. The server keeps nothing of it,
// works on it at the lowest priority, and drops it when something newer comes.
import { useEffect, useState } from "react";
import type { DraftBody } from "../../src/server/api-types.ts";
import { usePreferences } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Workbench } from "../workbench.ts";
import type { DraftText } from "./draft.ts";
import { placeOf } from "./unsent.ts";

const settledMs = 400;
/** Below this many characters there is nothing to gain. */
const leastCharacters = 12;
/** A draft this large is sent when its files change, and not again with each word: the files are what takes long. */
const largeCharacters = 200_000;
const charactersPerToken = 2;

/** What of the present draft the engine has taken in; nothing while it works on it. */
export function usePrefill(workbench: Workbench, draft: DraftText, isSlimmed: boolean): DraftBody | undefined {
  const { isDraftPrefilled } = usePreferences();
  const open = useSignal(workbench.open);
  const answers = useSignal(workbench.answers);
  const isReady = useSignal(workbench.engine.view).live?.engine.state === "ready";
  const [done, setDone] = useState<{ draft: string; body: DraftBody }>();
  const { attachments, system } = draft;
  const text = draft.text.trim();
  const fileCharacters = attachments.reduce(
    (sum, { text: own, document }) => sum + (own?.length ?? 0) + (document?.tokens ?? 0) * charactersPerToken,
    0,
  );
  const isLarge = fileCharacters > largeCharacters;
  const isWorth = text.length >= leastCharacters || attachments.length > 0;
  const isSlash = /^\/\S*$/.test(text);
  const key = JSON.stringify([
    open.head.id,
    open.head.leafId,
    isLarge ? "" : text,
    attachments.map(({ id, document }) => [id, document?.edits]),
  ]);
  const isWanted = isDraftPrefilled && isReady && isWorth && !isSlash && answers.size === 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` says what of them matters
  useEffect(() => {
    if (!isWanted) return;
    const leaving = new AbortController();
    const timer = setTimeout(async () => {
      try {
        await workbench.settled(open.head.id);
        const unsent = { ...placeOf(workbench, open.head, system), text, attachments, isSlimmed };
        const body = await workbench.store.prefill(unsent, leaving.signal);
        if (!leaving.signal.aborted && body.state === "ready") setDone({ draft: key, body });
      } catch {
        // Only a saving is lost; Send tells what is wrong, if it still is.
      }
    }, settledMs);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [key, isWanted, isSlimmed, workbench]);
  return isWanted && done?.draft === key ? done.body : undefined;
}
