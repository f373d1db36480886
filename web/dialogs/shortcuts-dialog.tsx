import type { ReactElement } from "react";
import { useStrings } from "../preferences.ts";
import { Dialog } from "../ui/controls.tsx";

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const mod = isMac ? "⌘" : "Ctrl";

const keys = {
  newChat: [mod, "Shift", "O"],
  palette: [mod, "K"],
  search: [mod, "Shift", "F"],
  focus: ["Shift", "Esc"],
  stop: ["Esc"],
  editLast: ["↑"],
  settings: [mod, ","],
  sidebar: [mod, "B"],
  help: ["?"],
} as const;

export function ShortcutsDialog({ onClose }: { onClose: () => void }): ReactElement {
  const t = useStrings();
  return (
    <Dialog title={t.shortcuts} onClose={onClose}>
      <dl className="shortcuts">
        {Object.entries(keys).map(([id, combination]) => (
          <div key={id}>
            <dt>{t.shortcutRows[id as keyof typeof keys]}</dt>
            <dd>
              {combination.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
