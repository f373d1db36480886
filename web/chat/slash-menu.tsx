// The list that opens when a message begins with "/": templates and commands. The focus stays in the text field; the field tells
// the list which keys were pressed, and the list tells the field which entry is active.
import type { ReactElement } from "react";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { iconOf } from "../templates.ts";
import type { IconName } from "../ui/icons.tsx";
import { ListOption } from "../ui/list-option.tsx";
import type { Workbench } from "../workbench.ts";

export interface SlashEntry {
  id: string;
  icon: IconName;
  name: string;
  about?: string;
  /** What may be typed after the slash, lower case. */
  words: string;
}

export type SlashCommand = "new" | "settings" | "shortcuts" | "models";

export function useSlashEntries(workbench: Workbench, text: string): readonly SlashEntry[] {
  const t = useStrings();
  const templates = useSignal(workbench.templates.list);
  if (!/^\/\S*$/.test(text)) return [];
  const typed = text.slice(1).toLowerCase();
  const entries: SlashEntry[] = [
    ...templates.map(
      (template): SlashEntry => ({
        id: `template:${template.id}`,
        icon: iconOf(template),
        name: template.name,
        about: template.about,
        words: `${template.id} ${template.name}`.toLowerCase(),
      }),
    ),
    { id: "command:new", icon: "plus", name: t.newChat, words: `new ${t.newChat}`.toLowerCase() },
    { id: "command:settings", icon: "settings", name: t.settings, words: `settings ${t.settings}`.toLowerCase() },
    { id: "command:models", icon: "bolt", name: t.models, words: `models engine ${t.models}`.toLowerCase() },
    {
      id: "command:shortcuts",
      icon: "keyboard",
      name: t.shortcuts,
      words: `shortcuts help ${t.shortcuts}`.toLowerCase(),
    },
  ];
  return entries.filter((entry) => entry.words.includes(typed));
}

export function SlashMenu({
  id,
  entries,
  active,
  onChoose,
}: {
  id: string;
  entries: readonly SlashEntry[];
  active: number;
  onChoose: (entry: SlashEntry) => void;
}): ReactElement {
  const t = useStrings();
  return (
    <div className="slash-menu" role="listbox" id={id} aria-label={t.command}>
      {entries.map((entry, n) => (
        <ListOption
          key={entry.id}
          id={`${id}-${n}`}
          entry={entry}
          isActive={n === active}
          onChoose={() => onChoose(entry)}
        />
      ))}
    </div>
  );
}
