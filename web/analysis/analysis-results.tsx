// What came of an analysis: the plan in words, remarks on the data, sentences whose figures open their fact, the chart, the facts, the ways on.
import { type ReactElement, useEffect, useState } from "react";
import type { FactBody, SentenceBody } from "../../src/server/api-types.ts";
import { usePreferences } from "../preferences.ts";
import { Button } from "../ui/controls.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import type { AnalysisRun, AnalysisState } from "./analysis-run.ts";
import { ChartView } from "./chart-view.tsx";
import { Deliverables } from "./deliverables.tsx";
import { FiguresTable } from "./figures-table.tsx";

export function AskInWords({
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

export function Results({
  run,
  state,
  fileId,
  example,
  onAsk,
  onPlan,
}: {
  run: AnalysisRun;
  state: AnalysisState;
  fileId: string;
  /** A question that this table can answer. */
  example: string;
  onAsk: (question: string) => void;
  /** The plan in other words: asked on its own, without what was asked before. */
  onPlan: (words: string) => void;
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
          <PlanInWords words={state.planWords} onPlan={onPlan} />
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
          {state.note && <p className="hint">{state.note[language]}</p>}
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
          <Deliverables analysis={state.analysis} fileId={fileId} overrides={run.overrides} />
        </>
      )}
    </div>
  );
}

/** The words of a plan are a question that gives the plan: they can be changed and asked again. */
function PlanInWords({ words, onPlan }: { words: string; onPlan: (words: string) => void }): ReactElement {
  const t = useOfficeStrings();
  const [edited, setEdited] = useState<string>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: other words are another plan
  useEffect(() => setEdited(undefined), [words]);
  if (edited === undefined)
    return (
      <>
        <p>{words}</p>
        <Button icon="pencil" look="quiet" onClick={() => setEdited(words)}>
          {t.editPlan}
        </Button>
      </>
    );
  return (
    <form
      className="plan-edit"
      onSubmit={(event) => {
        event.preventDefault();
        if (edited.trim() !== "") onPlan(edited.trim());
      }}
    >
      <textarea
        aria-label={t.planTitle}
        rows={3}
        value={edited}
        onChange={(event) => setEdited(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") setEdited(undefined);
        }}
      />
      <div className="plan-edit-ways">
        <Button onClick={() => setEdited(undefined)}>{t.cancelEdit}</Button>
        <button type="submit" className="button primary" disabled={edited.trim() === ""}>
          {t.run}
        </button>
      </div>
    </form>
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

function FactCard({ fact }: { fact: FactBody }): ReactElement {
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
