import { useEffect, useMemo, useState } from "react";
import type { Attachment } from "../conversation.ts";
import { useSignal } from "../signal.ts";
import type { Workbench } from "../workbench.ts";
import { type Budget, budgetOf, type Counted, fileText } from "./budget.ts";
import { placeOf } from "./unsent.ts";

const pauseMs = 250;

/** The budget of what would be sent now; counted by the server when the typing pauses, estimated until then. */
export function useBudget(
  workbench: Workbench,
  { text, attachments, isSlimmed }: { text: string; attachments: readonly Attachment[]; isSlimmed: boolean },
): Budget | undefined {
  const open = useSignal(workbench.open);
  const answers = useSignal(workbench.answers);
  const status = useSignal(workbench.engine.view).status;
  const revision = useSignal(workbench.counter.revision);
  const [counted, setCounted] = useState<Counted>();
  const modelId = status?.model.id;
  const contextTokens = status?.contextTokens;
  const isRunning = [...answers.values()].some(({ conversationId }) => conversationId === open.head.id);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another model counts differently
  useEffect(() => workbench.counter.forget(), [modelId]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another model counts differently
  useEffect(() => {
    if (contextTokens === undefined || isRunning) return;
    const leaving = new AbortController();
    const timer = setTimeout(async () => {
      for (const attachment of attachments) {
        if (!attachment.document) void workbench.counter.ask(fileText(attachment));
      }
      try {
        await workbench.settled(open.head.id);
        const unsent = { ...placeOf(workbench, open.head), text, attachments: [], isSlimmed };
        const body = await workbench.store.budget(unsent, leaving.signal);
        if (!leaving.signal.aborted) setCounted({ body, head: open.head, text });
      } catch {
        // The estimate stands and says that it is one; what is wrong with the server, the panel tells.
      }
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [open, text, attachments, isSlimmed, contextTokens, modelId, isRunning, workbench]);

  return useMemo(
    // `revision` says that the counter knows more than before.
    () =>
      contextTokens === undefined || revision < 0
        ? undefined
        : budgetOf({ open, text, attachments }, { counter: workbench.counter, counted, contextTokens }),
    [open, text, attachments, contextTokens, workbench, revision, counted],
  );
}
