// How documents that are too long go along: chosen by the person, shown until it is sent, taken back with one press.
import type { ReactElement } from "react";
import type { FileOverflow } from "../../src/server/api-types.ts";
import type { Message } from "../conversation.ts";
import { Button } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

/** How documents go along: as the draft says, or else as the latest message of the branch that said it. */
export function fitOf(chosen: FileOverflow | undefined, branch: readonly Message[]): FileOverflow | undefined {
  return chosen ?? branch.findLast(({ fileOverflow }) => fileOverflow !== undefined)?.fileOverflow;
}

export const holdsDocument = ({ attachments }: Pick<Message, "attachments">): boolean =>
  attachments.some(({ document }) => document !== undefined);

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
