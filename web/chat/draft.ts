// What is being written, one draft a conversation. Texts survive a reload through sessionStorage; attachments live in memory,
// because they may be larger than that storage holds.
import type { FileOverflow } from "../../src/server/api-types.ts";
import type { Attachment, TemperatureChoice } from "../conversation.ts";
import type { Upload } from "../documents/uploads.ts";
import { Signal, useSignal } from "../signal.ts";
import type { Workbench } from "../workbench.ts";

export interface DraftText {
  text: string;
  attachments: readonly Attachment[];
  /** A template's name for the conversation that may begin with this message. */
  title?: string;
  /** A template's recommendation for this message. */
  temperatureChoice?: TemperatureChoice;
  /** A template's system prompt, for a conversation that begins with this message. */
  system?: string;
  /** This message goes as it is written. */
  isSlimmingOff?: boolean;
  /** Files that are still being read. */
  uploads?: readonly Upload[];
  fileOverflow?: FileOverflow;
}

const empty: DraftText = { text: "", attachments: [] };
const drafts = new Map<string, Signal<DraftText>>();
const storedCharacters = 200_000;

const keyOf = (head: { id: string; leafId?: string }): string => (head.leafId === undefined ? "new" : head.id);

export function draftOf(workbench: Workbench): Signal<DraftText> {
  const key = keyOf(workbench.open.value.head);
  const known = drafts.get(key);
  if (known !== undefined) return known;
  const made = new Signal<DraftText>({ ...empty, text: stored(key) });
  made.subscribe(() => keep(key, made.value.text));
  drafts.set(key, made);
  return made;
}

export function useDraft(workbench: Workbench): [DraftText, (next: DraftText) => void] {
  useSignal(workbench.open);
  const signal = draftOf(workbench);
  const draft = useSignal(signal);
  return [
    draft,
    (next) => {
      signal.value = next;
    },
  ];
}

function stored(key: string): string {
  try {
    return sessionStorage.getItem(`quern.draft.${key}`) ?? "";
  } catch {
    return ""; // storage is switched off
  }
}

function keep(key: string, text: string): void {
  try {
    if (text === "") sessionStorage.removeItem(`quern.draft.${key}`);
    else if (text.length <= storedCharacters) sessionStorage.setItem(`quern.draft.${key}`, text);
  } catch {
    // Storage is full or switched off: the draft lives as long as the page.
  }
}
