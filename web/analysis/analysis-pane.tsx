// The analysis of a workbook beside the conversation: choose or ask, see what was computed, the figures, the chart and the sentences, each
// figure with its formula and cells; ask further; make slides and reports of it.
import { type ReactElement, useEffect, useMemo, useState } from "react";
import type { FactBody, SentenceBody } from "../../src/server/api-types.ts";
import { readTables } from "../documents/office-api.ts";
import { type OpenFile, officeView } from "../documents/office-view.ts";
import { messageError } from "../live-answer.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { useOfficeStrings } from "../strings-office.ts";
import { Button, IconButton } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import { AnalysisRun, type AnalysisState } from "./analysis-run.ts";
import { ChartView } from "./chart-view.tsx";
import { Deliverables } from "./deliverables.tsx";
import { FiguresTable } from "./figures-table.tsx";
import { choicesOf, type PlanChoices, PlanForm, toPlan } from "./plan-form.tsx";

export function AnalysisPane({ file }: { file: OpenFile }): ReactElement {
  const t = useOfficeStrings();
  const common = useStrings();
  const { language } = usePreferences();
  const run = useMemo(() => new AnalysisRun(file.fileId), [file.fileId]);
  const state = useSignal(run.state);
  const [choices, setChoices] = useState<PlanChoices>();
  const [tableId, setTableId] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  useEffect(() => {
    const leave = new AbortController();
    readTables(file.fileId, leave.signal).then(
      (tables) => {
        run.state.value = { ...run.state.value, tables };
        const [first] = tables;
        if (first) {
          setTableId(first.id);
          setChoices(choicesOf(first));
        } else setTrouble(t.noTables);
      },
      (error: unknown) => leave.signal.aborted || setTrouble(messageError(error).message),
    );
    return () => {
      leave.abort();
      run.stop();
    };
  }, [file.fileId, run, t]);
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
            <span className="grinding" /> {t.readingFile}
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
        {choices && <AskInWords label={t.askInWords} placeholder={example} onAsk={ask} />}
        <Results run={run} state={state} fileId={file.fileId} example={example} onAsk={ask} />
      </div>
    </section>
  );
}

function AskInWords({
  label,
  placeholder,
  onAsk,
}: {
  label: string;
  placeholder: string;
  onAsk: (question: string) => void;
}): ReactElement {
  const t = useOfficeStrings();
  const [question, setQuestion] = useState("");
  return (
    <form
      className="ask-words"
      onSubmit={(event) => {
        event.preventDefault();
        if (question.trim() === "") return;
        onAsk(question.trim());
        setQuestion("");
      }}
    >
      <label>
        <span className="visually-hidden">{label}</span>
        <input
          type="text"
          value={question}
          placeholder={placeholder}
          title={label}
          onChange={(event) => setQuestion(event.target.value)}
        />
      </label>
      <button type="submit" className="button" disabled={question.trim() === ""}>
        {t.ask}
      </button>
    </form>
  );
}

function Results({
  run,
  state,
  fileId,
  example,
  onAsk,
}: {
  run: AnalysisRun;
  state: AnalysisState;
  fileId: string;
  /** A question that this table can answer. */
  example: string;
  onAsk: (question: string) => void;
}): ReactElement {
  const t = useOfficeStrings();
  const { language } = usePreferences();
  const [factId, setFactId] = useState<string>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another plan has other facts
  useEffect(() => setFactId(undefined), [state.planWords]);
  const fact = state.facts.find(({ id }) => id === factId);
  return (
    <div className="results" aria-busy={state.isRunning}>
      {state.error && (
        <div className="office-trouble" role="alert">
          <p>{state.error.message}</p>
          {state.error.hint && <p className="hint">{state.error.hint}</p>}
        </div>
      )}
      {state.planWords !== undefined && (
        <section className="plan-words">
          <h3>{t.planTitle}</h3>
          <p>{state.planWords}</p>
          {state.reconciliation && state.reconciliation.status !== "no_total" && (
            <p className="hint">{state.reconciliation.words[language]}</p>
          )}
        </section>
      )}
      {state.planWords !== undefined && <Quality state={state} />}
      {state.isRunning && state.facts.length === 0 && (
        <p className="office-wait">
          <span className="grinding" /> {t.computing}
        </p>
      )}
      {(state.sentences.length > 0 || (state.isRunning && state.facts.length > 0)) && (
        <section className="conclusion">
          <h3>{t.findingsText}</h3>
          <p>
            {state.sentences.map((sentence, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: sentences only ever come at the end
              <CitedSentence key={index} sentence={sentence} chosen={factId} onFact={setFactId} />
            ))}
            {state.isRunning && <span className="grinding" />}
          </p>
          {fact ? <FactCard fact={fact} /> : <p className="hint">{t.factHint}</p>}
        </section>
      )}
      {state.chart && <ChartView chart={state.chart} onKind={(kind) => void run.redraw(language, kind)} />}
      {state.facts.length > 0 && (
        <FiguresTable chart={state.chart} facts={state.facts} chosen={factId} onFact={setFactId} />
      )}
      {state.analysis && (
        <>
          <section className="follow-up">
            <h3>{t.followUp}</h3>
            <div className="follow-row">
              <Button icon="search" onClick={() => onAsk(t.whyQuestion)}>
                {t.why}
              </Button>
              <AskInWords label={t.followUp} placeholder={example} onAsk={onAsk} />
            </div>
          </section>
          <Deliverables analysis={state.analysis} fileId={fileId} />
        </>
      )}
    </div>
  );
}

function Quality({ state }: { state: AnalysisState }): ReactElement {
  const t = useOfficeStrings();
  const { language } = usePreferences();
  if (state.findings.length === 0) return <p className="quality-none hint">{t.noFindings}</p>;
  return (
    <details className="quality" open={state.findings.some(({ severity }) => severity === "error")}>
      <summary>
        {t.quality}: {t.findings(state.findings.length)}
      </summary>
      <ul>
        {state.findings.map((finding) => (
          <li key={finding.words.en} className={finding.severity}>
            <span className="severity">{t.severities[finding.severity]}</span> {finding.words[language]}
            {finding.addresses.length > 0 && <code>{finding.addresses.slice(0, 5).join(", ")}</code>}
          </li>
        ))}
      </ul>
    </details>
  );
}

function CitedSentence({
  sentence,
  chosen,
  onFact,
}: {
  sentence: SentenceBody;
  chosen: string | undefined;
  onFact: (id: string) => void;
}): ReactElement {
  const t = useOfficeStrings();
  const pieces: ReactElement[] = [];
  let at = 0;
  for (const { start, end, factId } of [...sentence.citations].sort((a, b) => a.start - b.start)) {
    if (start < at) continue;
    pieces.push(
      <span key={`t${at}`}>{sentence.text.slice(at, start)}</span>,
      <button
        key={start}
        type="button"
        className="figure-link"
        aria-pressed={chosen === factId}
        title={`${t.facts} ${factId}`}
        onClick={() => onFact(factId)}
      >
        {sentence.text.slice(start, end)}
      </button>,
    );
    at = end;
  }
  return (
    <span className="sentence" title={sentence.source === "template" ? t.fromTemplate : undefined}>
      {pieces}
      {sentence.text.slice(at)}{" "}
    </span>
  );
}

export function FactCard({ fact }: { fact: FactBody }): ReactElement {
  const t = useOfficeStrings();
  const { count, range, first } = fact.cells;
  return (
    <aside className="fact-card" aria-live="polite">
      <p>
        <strong>{fact.id}</strong> {fact.sentence}
      </p>
      <dl>
        <dt>{t.formula}</dt>
        <dd>
          <code>{fact.formula}</code>
        </dd>
        <dt>{t.cells}</dt>
        <dd>
          {t.cellsOf(count.toLocaleString(), range)}
          <code className="cell-list">
            {first.join(", ")}
            {count > first.length ? ", …" : ""}
          </code>
        </dd>
      </dl>
    </aside>
  );
}
