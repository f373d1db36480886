// One analysis after another of one workbook: what has come of the present one, and what it was asked. A new question ends the one before.
import type {
  AnalysisBody,
  AnalysisEventBody,
  ChartBody,
  FactBody,
  FindingBody,
  OverridesBody,
  PlanBody,
  SentenceBody,
  TableBody,
} from "../../src/server/api-types.ts";
import type { MessageError } from "../conversation.ts";
import { type AnalysisQuestion, analyse } from "../documents/office-api.ts";
import { messageError } from "../live-answer.ts";
import { Signal } from "../signal.ts";

export interface AnalysisState {
  isRunning: boolean;
  tables: readonly TableBody[];
  tableId?: string;
  findings: readonly FindingBody[];
  plan?: PlanBody;
  planWords?: string;
  facts: readonly FactBody[];
  reconciliation?: AnalysisBody["reconciliation"];
  chart?: ChartBody;
  sentences: readonly SentenceBody[];
  /** Why the model was not asked for words. */
  note?: NonNullable<AnalysisBody["narration"]["note"]>;
  /** Whole: what deliverables are made of. */
  analysis?: AnalysisBody;
  error?: MessageError;
}

const blank: AnalysisState = { isRunning: false, tables: [], findings: [], facts: [], sentences: [] };

export class AnalysisRun {
  readonly state = new Signal<AnalysisState>(blank);
  readonly #fileId: string;
  /** What was computed last: questions that follow keep its filters and period, also after one that failed. */
  lastPlan: PlanBody | undefined;
  /** Decisions of reading that the person overruled. */
  overrides: OverridesBody = {};
  #leave = new AbortController();

  constructor(fileId: string) {
    this.#fileId = fileId;
  }

  /** Shows another kind of chart of the same figures, and leaves all else as it is. */
  async redraw(language: "zh" | "en", chart: string): Promise<void> {
    const { plan, tableId } = this.state.value;
    if (plan === undefined) return;
    const table = tableId === undefined ? {} : { table: tableId };
    const question = {
      file_id: this.#fileId,
      language,
      plan,
      chart,
      narrate: false,
      overrides: this.overrides,
      ...table,
    };
    try {
      for await (const event of analyse(question, AbortSignal.timeout(60_000))) {
        if (event.type !== "chart") continue;
        const { analysis } = this.state.value;
        this.#put({ chart: event.chart, ...(analysis ? { analysis: { ...analysis, charts: [event.chart] } } : {}) });
      }
    } catch (error) {
      this.#put({ error: messageError(error) });
    }
  }

  async run(question: Omit<AnalysisQuestion, "file_id">): Promise<void> {
    this.stop();
    const leave = new AbortController();
    this.#leave = leave;
    const { tables } = this.state.value;
    this.state.value = { ...blank, tables, isRunning: true };
    try {
      for await (const event of analyse(
        { ...question, file_id: this.#fileId, overrides: this.overrides },
        leave.signal,
      ))
        this.#take(event);
    } catch (error) {
      if (leave.signal.aborted) return;
      this.#put({ error: messageError(error) });
    }
    if (this.#leave === leave) this.#put({ isRunning: false });
  }

  /** Forgets what was computed: the tables were read anew. */
  clear(tables: readonly TableBody[]): void {
    this.lastPlan = undefined;
    this.state.value = { ...blank, tables };
  }

  stop(): void {
    this.#leave.abort();
  }

  #take(event: AnalysisEventBody): void {
    const change = changeOf(event, this.state.value);
    if (event.type === "plan") this.lastPlan = event.plan;
    if (change) this.#put(change);
  }

  #put(change: Partial<AnalysisState>): void {
    this.state.value = { ...this.state.value, ...change };
  }
}

function changeOf(event: AnalysisEventBody, { sentences }: AnalysisState): Partial<AnalysisState> | undefined {
  switch (event.type) {
    case "tables":
      return { tables: event.tables };
    case "quality":
      return { tableId: event.table, findings: event.findings };
    case "plan":
      return { plan: event.plan, planWords: event.words };
    case "facts":
      return { facts: event.facts, reconciliation: event.reconciliation };
    case "chart":
      return { chart: event.chart };
    case "sentence":
      return { sentences: [...sentences, event.sentence] };
    case "done":
      return {
        analysis: event.analysis,
        ...(event.analysis.narration.note ? { note: event.analysis.narration.note } : {}),
      };
    case "error":
      return;
  }
}
