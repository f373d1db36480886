// The analysis of a workbook beside the conversation: choose or ask, see what was computed, the figures, the chart and the sentences, each
// figure with its formula and cells; ask further; make slides and reports of it.
import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import type { OverridesBody } from "../../src/server/api-types.ts";
import { type ReadingStage, readTables } from "../documents/office-api.ts";
import { type OpenFile, officeView } from "../documents/office-view.ts";
import { messageError } from "../live-answer.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { IconButton } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import { AskInWords, Results } from "./analysis-results.tsx";
import { AnalysisRun } from "./analysis-run.ts";
import { choicesOf, type PlanChoices, PlanForm, toPlan } from "./plan-form.tsx";
import { TableReading } from "./table-reading.tsx";

export function AnalysisPane({ file }: { file: OpenFile }): ReactElement {
  const t = useOfficeStrings();
  const common = useStrings();
  const { language } = usePreferences();
  const run = useMemo(() => new AnalysisRun(file.fileId), [file.fileId]);
  const state = useSignal(run.state);
  const [choices, setChoices] = useState<PlanChoices>();
  const [tableId, setTableId] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  const [stage, setStage] = useState<ReadingStage>("read");
  const [overrides, setOverrides] = useState<OverridesBody>({});
  const wanted = useRef<string>(undefined);
  wanted.current = tableId;
  useEffect(() => {
    const leave = new AbortController();
    run.overrides = overrides;
    setTrouble(undefined);
    readTables(file.fileId, { overrides, signal: leave.signal, onStage: setStage }).then(
      (tables) => {
        // Figures of the table as it was read before would stand beside the new columns.
        run.clear(tables);
        const chosen = tables.find(({ id }) => id === wanted.current) ?? tables[0];
        if (chosen) {
          setTableId(chosen.id);
          setChoices(choicesOf(chosen));
        } else setTrouble(t.noTables);
      },
      (error: unknown) => leave.signal.aborted || setTrouble(messageError(error).message),
    );
    return () => {
      leave.abort();
      run.stop();
    };
  }, [file.fileId, run, t, overrides]);
  const { plan, tables, tableId: planTableId } = state;
  const table = tables.find(({ id }) => id === tableId);
  // A question in words makes a plan; the choices follow it, so that it can be changed from there.
  useEffect(() => {
    const planned = tables.find(({ id }) => id === planTableId);
    if (!plan || !planned) return;
    setTableId(planned.id);
    setChoices(choicesOf(planned, plan));
  }, [plan, planTableId, tables]);

  const compute = (): void => {
    if (table && choices) void run.run({ language, table: table.id, plan: toPlan(choices) });
  };
  const ask = (question: string): void => {
    const previous = run.lastPlan;
    void run.run({ language, question, ...(previous ? { previous, ...(tableId ? { table: tableId } : {}) } : {}) });
  };
  const replan = (words: string): void =>
    void run.run({ language, question: words, ...(tableId ? { table: tableId } : {}) });
  const member = table?.columns.find(({ role, labels }) => role === "dimension" && labels.length > 1)?.labels[0];
  const example = t.askExample(choices?.metric ?? "", member ?? "");
  return (
    <section className="office-pane analysis-pane" aria-label={`${t.analysis}: ${file.name}`}>
      <header className="office-head">
        <Icon name="chart" />
        <h2 title={file.name}>{file.name}</h2>
        {table && <span className="hint">{t.records(table.records.toLocaleString())}</span>}
        <IconButton icon="close" label={common.close} onClick={() => (officeView.value = undefined)} />
      </header>
      <div className="office-body">
        {trouble !== undefined && <p className="office-trouble">{trouble}</p>}
        {choices === undefined && trouble === undefined && (
          <p className="office-wait">
            <span className="grinding" /> {t.readingStages[stage]}
          </p>
        )}
        {choices && table && (
          <PlanForm
            tables={tables}
            table={table}
            choices={choices}
            isRunning={state.isRunning}
            onTable={(id) => {
              const next = tables.find((each) => each.id === id);
              if (!next) return;
              setTableId(id);
              setChoices(choicesOf(next));
            }}
            onChange={setChoices}
            onRun={compute}
          />
        )}
        {table && <TableReading table={table} overrides={overrides} onOverrides={setOverrides} />}
        {choices && <AskInWords label={t.askInWords} placeholder={example} onAsk={ask} />}
        <Results run={run} state={state} fileId={file.fileId} example={example} onAsk={ask} onPlan={replan} />
      </div>
    </section>
  );
}
