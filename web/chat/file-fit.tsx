// How documents that are too long go along: chosen by the person, shown until it is sent, taken back with one press.
import type { ReactElement } from "react";
import type { FileOverflow } from "../../src/server/api-types.ts";
import { Button } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

const choices = ["relevant", "summarise"] as const;

export function FitChoices({ onChoose }: { onChoose: (choice: FileOverflow) => void }): ReactElement {
  const t = useOfficeStrings();
  return (
    <>
      {choices.map((choice) => (
        <Button key={choice} look="primary" onClick={() => onChoose(choice)}>
          {t.fitChoices[choice]}
        </Button>
      ))}
    </>
  );
}

export function ChosenFit({
  choice,
  onUndo,
}: {
  choice: FileOverflow | undefined;
  onUndo: () => void;
}): ReactElement | undefined {
  const t = useOfficeStrings();
  if (choice === undefined || choice === "refuse") return;
  return (
    <div className="file-fit" role="status">
      <Icon name="file" />
      {t.fitChosen[choice]}
      <Button look="quiet" onClick={onUndo}>
        {t.fitUndo}
      </Button>
    </div>
  );
}
