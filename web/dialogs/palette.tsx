// The command palette: everything the page can do, all templates and all conversations, by a few typed letters. The focus stays in the
// field; arrow keys move the choice.
import { type KeyboardEvent, type ReactElement, useEffect, useId, useRef, useState } from "react";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { SearchHit } from "../store-server.ts";
import { iconOf } from "../templates.ts";
import { Dialog } from "../ui/controls.tsx";
import type { IconName } from "../ui/icons.tsx";
import { ListOption } from "../ui/list-option.tsx";
import type { Workbench } from "../workbench.ts";

export interface PaletteEntry {
  id: string;
  icon: IconName;
  name: string;
  about?: string | undefined;
  run: () => void;
}

const shownChats = 30;

export function Palette({
  workbench,
  commands,
  onTemplate,
  onClose,
}: {
  workbench: Workbench;
  commands: readonly PaletteEntry[];
  onTemplate: (id: string) => void;
  onClose: () => void;
}): ReactElement {
  const t = useStrings();
  const [words, setWords] = useState("");
  const [active, setActive] = useState(0);
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const entries = useEntries(workbench, { words, commands, onTemplate });
  const at = Math.min(active, entries.length - 1);
  const choose = (entry: PaletteEntry | undefined): void => {
    if (entry === undefined) return;
    onClose();
    entry.run();
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setActive((at + 1) % Math.max(1, entries.length));
    else if (event.key === "ArrowUp") setActive((at + entries.length - 1) % Math.max(1, entries.length));
    else if (event.key === "Enter") choose(entries[at]);
    else return;
    event.preventDefault();
  };
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);
  return (
    <Dialog title={t.palette} className="palette" onClose={onClose}>
      <input
        type="text"
        data-first
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={entries.length > 0 ? `${id}-${at}` : undefined}
        aria-label={t.paletteField}
        placeholder={t.paletteField}
        value={words}
        onKeyDown={pressed}
        onChange={(event) => {
          setWords(event.target.value);
          setActive(0);
        }}
      />
      <div ref={list} className="palette-list" role="listbox" id={id} aria-label={t.palette}>
        {entries.map((entry, n) => (
          <ListOption
            key={entry.id}
            id={`${id}-${n}`}
            entry={entry}
            isActive={n === at}
            onChoose={() => choose(entry)}
          />
        ))}
      </div>
      {entries.length === 0 && <p className="hint">{t.searchNothing(words.trim())}</p>}
    </Dialog>
  );
}

function useEntries(
  workbench: Workbench,
  {
    words,
    commands,
    onTemplate,
  }: { words: string; commands: readonly PaletteEntry[]; onTemplate: (id: string) => void },
): readonly PaletteEntry[] {
  const t = useStrings();
  const heads = useSignal(workbench.heads);
  const templates = useSignal(workbench.templates.list);
  const [hits, setHits] = useState<readonly SearchHit[]>([]);
  const wanted = words.trim().toLowerCase();
  useEffect(() => {
    setHits([]);
    if (wanted === "") return;
    const leaving = new AbortController();
    const timer = setTimeout(() => {
      void workbench.guard(
        async () => setHits(await workbench.store.search(wanted, { limit: 20, signal: leaving.signal })),
        leaving.signal,
      );
    }, 120);
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [wanted, workbench]);
  const has = (...texts: readonly string[]): boolean => texts.some((text) => text.toLowerCase().includes(wanted));
  const titled = heads.filter(({ title }) => has(title)).slice(0, wanted === "" ? 5 : shownChats);
  return [
    ...commands.filter(({ name }) => has(name)),
    ...templates
      .filter(({ id, name, about }) => has(id, name, about))
      .map(
        (template): PaletteEntry => ({
          id: `template:${template.id}`,
          icon: iconOf(template),
          name: template.name,
          about: template.about,
          run: () => onTemplate(template.id),
        }),
      ),
    ...titled.map(
      (head): PaletteEntry => ({
        id: `chat:${head.id}`,
        icon: "report",
        name: head.title || t.untitled,
        run: () => void workbench.openConversation(head.id),
      }),
    ),
    ...hits
      .filter(({ messageId }) => messageId !== undefined)
      .map(
        (hit): PaletteEntry => ({
          id: `message:${hit.messageId}`,
          icon: "search",
          name: hit.title || t.untitled,
          about: hit.excerpt,
          run: () => void workbench.openConversation(hit.conversationId, hit.messageId),
        }),
      ),
  ];
}
