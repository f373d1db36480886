import { useEffect, useMemo } from "react";
import type { Attachment } from "../conversation.ts";
import { useSignal } from "../signal.ts";
import type { Workbench } from "../workbench.ts";
import { type Budget, budgetOf, pastOf, textsToCount } from "./budget.ts";

const pauseMs = 250;

/** The budget of what would be sent now; counted by the server when the typing pauses, estimated until then. */
export function useBudget(workbench: Workbench, text: string, attachments: readonly Attachment[]): Budget | undefined {
  const open = useSignal(workbench.open);
  const status = useSignal(workbench.engine.view).status;
  const revision = useSignal(workbench.counter.revision);
  const modelId = status?.model.id;
  const contextTokens = status?.contextTokens;
  const past = useMemo(() => pastOf(open), [open]);
  const parts = useMemo(() => ({ past, text, attachments }), [past, text, attachments]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another model counts differently
  useEffect(() => workbench.counter.forget(), [modelId]);
  useEffect(() => {
    if (contextTokens === undefined) return;
    const timer = setTimeout(() => {
      for (const each of textsToCount(parts)) void workbench.counter.ask(each);
    }, pauseMs);
    return () => clearTimeout(timer);
  }, [parts, contextTokens, workbench]);

  return useMemo(
    // `revision` says that the counter knows more than before.
    () => (contextTokens === undefined || revision < 0 ? undefined : budgetOf(parts, workbench.counter, contextTokens)),
    [parts, contextTokens, workbench, revision],
  );
}
