// What a screen reader hears of answers: that one began, and its text when it is whole. Reading every token aloud would be noise.
import { type ReactElement, useEffect, useRef, useState } from "react";
import { useStrings } from "./preferences.ts";
import { useSignal } from "./signal.ts";
import type { Workbench } from "./workbench.ts";

const spokenCharacters = 1200;

export function Announcer({ workbench }: { workbench: Workbench }): ReactElement {
  const t = useStrings();
  const answers = useSignal(workbench.answers);
  const before = useRef(answers);
  const [words, setWords] = useState("");
  useEffect(() => {
    const { head, messages } = workbench.open.value;
    for (const [id, answer] of answers) {
      if (!before.current.has(id) && answer.conversationId === head.id) setWords(t.answerStarted);
    }
    for (const [id, answer] of before.current) {
      if (answers.has(id) || answer.conversationId !== head.id) continue;
      const message = messages.get(id);
      const outcome =
        message?.state === "stopped" ? t.answerStopped : message?.state === "cut" ? t.answerCut : t.answerDone;
      if (message?.state !== "failed") setWords(`${outcome} ${message?.text.slice(0, spokenCharacters) ?? ""}`);
    }
    before.current = answers;
  }, [answers, workbench, t]);
  return (
    <div className="visually-hidden" role="status" aria-live="polite" data-testid="announcer">
      {words}
    </div>
  );
}
