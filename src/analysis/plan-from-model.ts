// A question that the rules do not understand goes to the model, which fills in a plan under the table's schema. What comes back is
// checked like any other plan; a model that says the table cannot answer is believed.
import { randomUUID } from "node:crypto";
import { AppError } from "../base/errors.ts";
import { type Engine, type Prompt, plainSampling } from "../engine/contract.ts";
import type { ChatMessage } from "../models/chat-template.ts";
import { renderWithOwnTemplate } from "./narrate.ts";
import type { PlanInput } from "./plan.ts";
import { metricsOf } from "./plan-defaults.ts";
import { notUnderstood } from "./plan-from-question.ts";
import { planSchema } from "./plan-schema.ts";
import type { Table } from "./table.ts";
import { timeColumn } from "./time.ts";
import type { Language } from "./words.ts";

export interface AskOptions {
  engine: Engine;
  language: Language;
  renderChat: ((messages: readonly ChatMessage[]) => Prompt) | undefined;
  signal: AbortSignal | undefined;
  /** Words that the rules could not place; named in the refusal. */
  unknown: readonly string[];
}

interface ModelPlan extends Omit<PlanInput, "comparison" | "period"> {
  answerable: boolean;
  missing?: string;
  grain?: NonNullable<PlanInput["period"]>["grain"];
  start?: string;
  comparison?: "none" | NonNullable<PlanInput["comparison"]>;
}

export async function askForPlan(
  question: string,
  table: Table,
  { engine, language, renderChat, signal, unknown }: AskOptions,
): Promise<PlanInput> {
  const messages = planMessages(question, table, language);
  const prompt = renderChat === undefined ? renderWithOwnTemplate(engine, messages) : renderChat(messages);
  let text = "";
  const request = {
    id: `plan-${randomUUID()}`,
    prompt,
    sampling: { ...plainSampling, temperature: 0 },
    maxTokens: 400,
    grammar: { kind: "json_schema" as const, schema: planSchema(table) },
  };
  for await (const event of engine.generate(request, signal === undefined ? {} : { signal }))
    if (event.type === "tokens") text += event.text;
  signal?.throwIfAborted();
  const answer = parsed(text);
  if (answer === undefined) throw notUnderstood(unknown.length > 0 ? unknown : [question], table, language);
  if (!answer.answerable) throw notUnderstood([answer.missing || unknown[0] || question], table, language);
  const { answerable: _answerable, missing: _missing, grain, start, comparison, ...plan } = answer;
  const time = timeColumn(table);
  const needsTime =
    comparison === "previous" || comparison === "year_ago" || plan.kind === "trend" || plan.kind === "change";
  return {
    ...plan,
    ...(comparison === undefined || comparison === "none" ? {} : { comparison }),
    ...(time === undefined || grain === undefined || (start === "latest" && !needsTime)
      ? {}
      : { period: { column: time.name, grain, ...(start === undefined || start === "latest" ? {} : { start }) } }),
  };
}

function parsed(text: string): ModelPlan | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "answerable" in value && typeof value.answerable === "boolean"
      ? (value as ModelPlan)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw new AppError("internal", "The plan could not be read.", { cause: error });
  }
}

function planMessages(question: string, table: Table, language: Language): ChatMessage[] {
  const metrics = metricsOf(table).map(
    (column) => `${column.name}${column.unit.symbol === "" ? "" : ` (${column.unit.symbol})`}`,
  );
  const dimensions = table.columns
    .filter((column) => column.role === "dimension")
    .map(
      (column) => `${column.name}: ${column.labels.slice(0, 12).join(", ")}${column.labels.length > 12 ? ", …" : ""}`,
    );
  const time = timeColumn(table);
  const system =
    language === "zh"
      ? "把问题变成一个分析计划（JSON）。只用表里有的列和值。表里没有所需的列或值时，answerable 填 false，missing 写缺少什么。环比用 previous，同比用 year_ago，与计划对比用 plan；归因、为什么用 change。"
      : "Turn the question into an analysis plan (JSON). Use only columns and values of the table. If it lacks what is asked for, set answerable to false and say in missing what is lacking. Period on period is previous, year on year is year_ago, against plan is plan; why and attribution are change.";
  const about = [
    `metrics: ${metrics.join(", ")}`,
    ...dimensions,
    ...(time === undefined ? [] : [`time: ${time.name} (${time.grain})`]),
  ].join("\n");
  return [
    { role: "system", content: system },
    { role: "user", content: `${about}\n\n${language === "zh" ? "问题" : "Question"}: ${question}` },
  ];
}
