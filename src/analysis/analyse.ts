// The one way in. A workbook is opened once (read, typed, loaded, checked for quality) and then analysed as often as people ask:
// each analysis is a stream of events, ends in exactly one `done`, or throws an AppError that says what is wrong with the question.
// Event order: tables, quality, plan, facts, chart, sentences, done. HTTP, command line and page stand on this file.
import { AppError } from "../base/errors.ts";
import type { Engine, Prompt } from "../engine/contract.ts";
import type { ChatMessage } from "../models/chat-template.ts";
import { compute, type Result } from "./aggregate.ts";
import { type BuildOptions, buildTables } from "./build-tables.ts";
import { type Chart, type ChartKind, chartOf } from "./chart.ts";
import { checkContext } from "./check-context.ts";
import { checkPlan } from "./check-plan.ts";
import { unitOfPlan } from "./fact-writer.ts";
import { type Fact, factsOf } from "./facts.ts";
import { type NarrationReport, narrate, type Sentence } from "./narrate.ts";
import type { Plan, PlanInput } from "./plan.ts";
import { mainMetric } from "./plan-defaults.ts";
import { askForPlan } from "./plan-from-model.ts";
import { notUnderstood, readQuestion } from "./plan-from-question.ts";
import { planInWords } from "./plan-in-words.ts";
import { checkQuality, type Finding } from "./quality.ts";
import { readWorkbookOffThread } from "./read-off-thread.ts";
import { type RowTable, type Workbook, type WorkbookNote, workbookFromRows } from "./read-workbook.ts";
import { type Reconciliation, reconcile } from "./reconcile.ts";
import { Store } from "./store.ts";
import type { Table } from "./table.ts";
import { summaryOf, type TableSummary } from "./table-summary.ts";
import { timeColumn } from "./time.ts";
import { type Language, languageOf } from "./words.ts";

export interface WorkbookInput extends BuildOptions {
  name: string;
  bytes?: Uint8Array;
  /** Tables found in a document or a screenshot. */
  tables?: readonly RowTable[];
  signal?: AbortSignal;
  onProgress?: (stage: "read" | "type" | "load" | "check", fraction: number) => void;
}

export interface AnalysisRequest {
  /** Id or name; the largest table if absent. */
  table?: string;
  plan?: PlanInput;
  question?: string;
  /** The plan before, for follow-up questions: they keep its filters and period. */
  previous?: Plan;
  /** Puts facts into words; without one the facts' own sentences are given. */
  engine?: Engine;
  language?: Language;
  chartKind?: ChartKind;
  renderChat?: (messages: readonly ChatMessage[]) => Prompt;
  signal?: AbortSignal;
}

/** All of an analysis as plain JSON: what is saved, sent, and made into deliverables. */
export interface Analysis {
  source: string;
  language: Language;
  table: TableSummary;
  findings: readonly Finding[];
  plan: Plan;
  planWords: string;
  /** Who made the plan. */
  planFrom: "given" | "question" | "model" | "default";
  result: Result;
  facts: readonly Fact[];
  reconciliation: Reconciliation;
  charts: readonly Chart[];
  sentences: readonly Sentence[];
  narration: NarrationReport;
}

export type AnalysisEvent =
  | { type: "tables"; tables: readonly TableSummary[]; notes: readonly WorkbookNote[] }
  | { type: "quality"; table: string; findings: readonly Finding[] }
  | { type: "plan"; plan: Plan; words: string; from: Analysis["planFrom"] }
  | { type: "facts"; facts: readonly Fact[]; reconciliation: Reconciliation }
  | { type: "chart"; chart: Chart }
  | { type: "sentence"; sentence: Sentence }
  | { type: "done"; analysis: Analysis };

export class OpenWorkbook implements Disposable {
  readonly name: string;
  readonly tables: readonly Table[];
  readonly notes: readonly WorkbookNote[];
  readonly #store: Store;
  readonly #loaded = new Map<string, Promise<readonly Finding[]>>();

  private constructor(workbook: Workbook, tables: readonly Table[], store: Store) {
    this.name = workbook.name;
    this.notes = workbook.notes;
    this.tables = tables;
    this.#store = store;
  }

  /** Reads, types and loads a file or rows. Throws AppError `unreadable`, `unsupported`, `too_large`. */
  static async open({
    name,
    bytes,
    tables: rows,
    signal,
    onProgress,
    ...options
  }: WorkbookInput): Promise<OpenWorkbook> {
    onProgress?.("read", 0);
    if ((bytes === undefined) === (rows === undefined))
      throw new AppError("bad_request", "Give either the bytes of a file or rows.", { param: "bytes" });
    let opened: { workbook: Workbook; tables: Table[] };
    if (rows === undefined) opened = await readWorkbookOffThread(bytes ?? new Uint8Array(), name, options, signal);
    else {
      const workbook = workbookFromRows(rows, name);
      opened = { workbook, tables: buildTables(workbook, options) };
    }
    signal?.throwIfAborted();
    const { workbook, tables } = opened;
    if (tables.length === 0)
      throw new AppError("unreadable", `No table was found in ${name}.`, {
        hint: "A table needs at least two columns with some rows below a header.",
      });
    onProgress?.("type", 1);
    const store = await Store.open();
    const open = new OpenWorkbook(workbook, tables, store);
    const [first] = tables;
    if (first !== undefined) {
      onProgress?.("load", 0);
      await open.#ready(first, signal, (fraction) => onProgress?.("load", fraction));
      onProgress?.("check", 1);
    }
    return open;
  }

  table(idOrName?: string): Table {
    const found =
      idOrName === undefined
        ? this.tables[0]
        : this.tables.find((table) => table.id === idOrName || table.name === idOrName || table.sheet === idOrName);
    if (found === undefined) {
      throw new AppError("not_found", `${this.name} has no table "${idOrName ?? ""}".`, {
        param: "table",
        hint: `Tables: ${this.tables.map((table) => table.name).join(", ")}`,
      });
    }
    return found;
  }

  summaries(): TableSummary[] {
    return this.tables.map(summaryOf);
  }

  /** Findings about one table; computed once. */
  async quality(table: Table, signal?: AbortSignal): Promise<readonly Finding[]> {
    return this.#ready(table, signal);
  }

  async *analyse(request: AnalysisRequest): AsyncGenerator<AnalysisEvent> {
    const { signal, engine } = request;
    const language =
      request.language ??
      (request.question === undefined
        ? languageOf(`${this.name}${this.tables[0]?.columns[0]?.name ?? ""}`)
        : languageOf(request.question));
    yield { type: "tables", tables: this.summaries(), notes: this.notes };
    const table =
      request.table === undefined && request.question !== undefined
        ? this.#bestTable(request.question)
        : this.table(request.table);
    const findings = await this.#ready(table, signal);
    yield { type: "quality", table: table.id, findings };
    const { plan, from } = await this.#planFor(table, request, language);
    const planWords = planInWords(plan, table, language);
    yield { type: "plan", plan, words: planWords, from };
    const result = await compute(plan, table, this.#store, signal);
    const facts = factsOf(result, plan, table, language);
    const reconciliation = reconcile(plan, table);
    yield { type: "facts", facts, reconciliation };
    const chart = chartOf(result, plan, table, {
      language,
      ...(request.chartKind === undefined ? {} : { kind: request.chartKind }),
    });
    if (chart !== undefined) yield { type: "chart", chart };
    const sentences: Sentence[] = [];
    let narration: NarrationReport = { sentences: 0, rewritten: 0, replaced: 0, dropped: 0 };
    const context = checkContext({ plan, table, facts, result });
    const unit = unitOfPlan(plan, table, language);
    for await (const event of narrate({
      plan,
      result,
      facts,
      unit,
      language,
      context,
      engine,
      renderChat: request.renderChat,
      signal,
    })) {
      if (event.type === "narrated") narration = event.report;
      else {
        sentences.push(event.sentence);
        yield event;
      }
    }
    yield {
      type: "done",
      analysis: {
        source: this.name,
        language,
        table: summaryOf(table),
        findings,
        plan,
        planWords,
        planFrom: from,
        result,
        facts,
        reconciliation,
        charts: chart === undefined ? [] : [chart],
        sentences,
        narration,
      },
    };
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  #ready(table: Table, signal?: AbortSignal, onProgress?: (fraction: number) => void): Promise<readonly Finding[]> {
    const known = this.#loaded.get(table.id);
    if (known !== undefined) return known;
    const loading = this.#store.load(table, onProgress).then(() => checkQuality(table, this.#store, signal));
    this.#loaded.set(table.id, loading);
    // A load that was aborted may be tried again.
    loading.catch(() => this.#loaded.delete(table.id));
    return loading;
  }

  /** The table that leaves the fewest words of the question unknown. */
  #bestTable(question: string): Table {
    const scored = this.tables.map((table, index) => ({
      table,
      index,
      unknown: readQuestion(question, table).unknown.length,
    }));
    const [best] = scored.sort((a, b) => a.unknown - b.unknown || a.index - b.index);
    return best?.table ?? this.table();
  }

  async #planFor(
    table: Table,
    { plan, question, previous, engine, renderChat, signal }: AnalysisRequest,
    language: Language,
  ): Promise<{ plan: Plan; from: Analysis["planFrom"] }> {
    if (plan !== undefined) return { plan: checkPlan(plan, table, language), from: "given" };
    if (question === undefined || question.trim() === "")
      return { plan: checkPlan(overview(table), table, language), from: "default" };
    const reading = readQuestion(question, table, previous);
    if (reading.refusal !== undefined)
      throw new AppError("bad_request", reading.refusal[language], { param: "question" });
    if (reading.unknown.length === 0) return { plan: checkPlan(reading.plan, table, language), from: "question" };
    if (engine === undefined || engine.status().model.isDemonstration)
      throw notUnderstood(reading.unknown, table, language);
    const asked = await askForPlan(question, table, { engine, language, renderChat, signal, unknown: reading.unknown });
    return { plan: checkPlan(asked, table, language), from: "model" };
  }
}

/** Nothing asked: the change between the last two periods, else the largest parts, else the total. */
function overview(table: Table): PlanInput {
  const time = timeColumn(table);
  if (time !== undefined && mainMetric(table) !== undefined) {
    try {
      return checkPlan({ kind: "change", comparison: "previous" }, table, "en");
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { kind: "trend" };
    }
  }
  return table.columns.some((column) => column.role === "dimension") ? { kind: "ranking" } : { kind: "total" };
}

/** One analysis of one file, from bytes to `done`. */
export async function* analyse({
  plan,
  question,
  table,
  previous,
  engine,
  language,
  chartKind,
  renderChat,
  ...input
}: WorkbookInput & AnalysisRequest): AsyncGenerator<AnalysisEvent> {
  using workbook = await OpenWorkbook.open(input);
  const request: AnalysisRequest = {
    ...(plan === undefined ? {} : { plan }),
    ...(question === undefined ? {} : { question }),
    ...(table === undefined ? {} : { table }),
    ...(previous === undefined ? {} : { previous }),
    ...(engine === undefined ? {} : { engine }),
    ...(language === undefined ? {} : { language }),
    ...(chartKind === undefined ? {} : { chartKind }),
    ...(renderChat === undefined ? {} : { renderChat }),
    ...(input.signal === undefined ? {} : { signal: input.signal }),
  };
  yield* workbook.analyse(request);
}
