// Results as a numbered list of facts: each a sentence, its numbers with their roles, the formula, and the cells. The model is given
// these and nothing else; its text is held against them (check-numbers.ts); where it fails, the sentences here stand in.
// The sentences themselves are written in facts-of-*.ts, one file for each family of questions.
import type { Result } from "./aggregate.ts";
import { type CitedCells, citeCells } from "./cells.ts";
import { type Draft, type FactContext, FactWriter } from "./fact-writer.ts";
import { changeDrafts, priceVolumeDrafts } from "./facts-of-change.ts";
import { rankingDrafts, totalDraft } from "./facts-of-parts.ts";
import { correlationDrafts, distributionDrafts, trendDrafts } from "./facts-of-shape.ts";
import type { Plan } from "./plan.ts";
import type { Table } from "./table.ts";
import type { Unit } from "./unit.ts";
import type { Language } from "./words.ts";

/** What a number of a fact says about its subject. */
export type Role = "current" | "previous" | "change" | "rate" | "part" | "share" | "count" | "other";

export interface FactNumber {
  role: Role;
  value: number;
  unit: Unit;
  /** As it should be written. */
  text: string;
}

export interface Fact {
  /** "F1". */
  id: string;
  /** The member it is about; "" is the whole. */
  subject: string;
  sentence: string;
  numbers: readonly FactNumber[];
  /** How the numbers came about, in words and signs. */
  formula: string;
  cells: CitedCells;
  /** First days of periods the sentence may name. */
  periods: readonly number[];
}

export function factsOf(result: Result, plan: Plan, table: Table, language: Language): Fact[] {
  const writer = new FactWriter(plan, table, language);
  const cite = citeCells(plan, table);
  const drafts = draftsOf(result, { plan, table, writer, cite });
  const scopeCells = cite.of("", "current");
  return drafts.map(
    (draft, index): Fact => ({
      id: `F${index + 1}`,
      subject: draft.subject ?? "",
      sentence: draft.sentence,
      numbers: draft.numbers,
      formula: draft.formula,
      cells: draft.cells ?? scopeCells,
      periods: draft.periods ?? [],
    }),
  );
}

function draftsOf(result: Result, context: FactContext): Draft[] {
  switch (result.kind) {
    case "total":
      return [totalDraft(result, context)];
    case "ranking":
    case "pareto":
      return rankingDrafts(result, context);
    case "change":
      return changeDrafts(result, context);
    case "trend":
      return trendDrafts(result, context);
    case "distribution":
      return distributionDrafts(result, context);
    case "correlation":
      return correlationDrafts(result, context);
    case "price_volume":
      return priceVolumeDrafts(result, context);
  }
}
