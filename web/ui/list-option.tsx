// One line of a list that is worked from a text field: the slash menu and the palette. The field keeps the focus and names the active
// option by its id, so a press must not take the focus away.
import type { ReactElement } from "react";
import { Icon, type IconName } from "./icons.tsx";

export interface ListOptionProps {
  id: string;
  entry: { icon: IconName; name: string; about?: string | undefined };
  isActive: boolean;
  onChoose: () => void;
}

export function ListOption({ id, entry, isActive, onChoose }: ListOptionProps): ReactElement {
  return (
    <div
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={isActive}
      onPointerDown={(event) => event.preventDefault()}
      onClick={onChoose}
      onKeyDown={(event) => event.key === "Enter" && onChoose()}
    >
      <Icon name={entry.icon} />
      <span className="slash-name">{entry.name}</span>
      {entry.about && <small>{entry.about}</small>}
    </div>
  );
}
