// Analyses and what is made of them. POST /v1/analysis takes a stored file, an uploaded one or rows, and a plan or a question; it gives the
// finished analysis, or with `stream` each part as it is ready: figures and chart first, sentences as they pass their check.
// POST /v1/deliverables makes a file of a finished analysis or of any Markdown.
import {
  type Analysis,
  type AnalysisEvent,
  type AnalysisRequest,
  OpenWorkbook,
  type WorkbookInput,
} from "../../analysis/analyse.ts";
import { chartKinds } from "../../analysis/chart.ts";
import type { Plan, PlanInput } from "../../analysis/plan.ts";
import type { RowTable } from "../../analysis/read-workbook.ts";
import { AppError } from "../../base/errors.ts";
import { deliver, deliverableFormats } from "../../deliverables/deliver.ts";
import { answerWith } from "../answer-sink.ts";
import type { Api } from "../api.ts";
import type { AnalysisEventBody } from "../api-types.ts";
import { refuse, toHttpFailure } from "../errors.ts";
import { type Fields, given, isObject } from "../fields.ts";
import { sinkOf } from "../serve-answer.ts";
import { type StreamEvent, streamEvents } from "../workspace/event-stream.ts";
import { download } from "./file-routes.ts";
import type { OfficeDoor, OfficeHandler } from "./office-door.ts";
import { overridesOf } from "./overrides.ts";
import { progressEvents } from "./progress-events.ts";
import { parseUpload, type Upload } from "./upload.ts";

/**
 * The tables of a stored file: columns, types and the decisions behind them, before any question. `?overrides=` (JSON) overrules
 * decisions; `?stream=true` tells the stages of reading first.
 */
export const fileTables: OfficeHandler = async (context, api, office) => {
  const file = office.files.get(context.req.param("id") ?? "");
  const overrides = given("overrides", overridesOf(jsonOf(context.req.query("overrides"), "overrides")));
  const tables = async (onProgress?: WorkbookInput["onProgress"]): Promise<object> => {
    using workbook = await office.workbook(file, { ...overrides, ...given("onProgress", onProgress) });
    const { name, notes } = workbook.opened;
    return { name, tables: workbook.opened.summaries(), notes };
  };
  if (context.req.query("stream") !== "true") return context.json(await tables());
  return streamEvents(context, api, () =>
    progressEvents((tell) => tables((stage, fraction) => tell({ stage, fraction })), "tables"),
  );
};

function jsonOf(text: string | undefined, name: string): unknown {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("bad_request", `${name} is not JSON.`, { param: name, cause });
  }
}

export const analysisRoute: OfficeHandler = async (context, api, office) => {
  const upload = await parseUpload(context, api, office);
  const request = requestOf(upload.fields, api);
  if (upload.fields.boolean("stream")) {
    return streamEvents(context, api, (signal) => toldEvents(analysed(upload, { ...request, signal }, office)));
  }
  return answerWith(sinkOf(context, api), async (sink) => {
    for await (const event of analysed(upload, { ...request, signal: sink.signal }, office)) {
      if (event.type === "done") return context.json(event.analysis);
    }
    throw new AppError("internal", "The analysis ended without a result.");
  });
};

export const deliverableRoute: OfficeHandler = async (context, api, office) => {
  const { fields } = await parseUpload(context, api, office);
  const format = fields.required("format", fields.choice("format", deliverableFormats));
  const limit = fields.integer("limit", 20, 100_000);
  const [markdown, analysis] = [fields.string("markdown"), fields.raw("analysis")];
  if ((markdown === undefined) === (analysis === undefined)) {
    throw refuse("analysis", "Give either a finished analysis or a text in Markdown.");
  }
  if (markdown !== undefined) {
    const language = fields.choice("language", ["zh", "en"]);
    return download(
      context,
      await deliver(
        { markdown, ...given("title", fields.string("title")), ...given("language", language) },
        format,
        given("limit", limit),
      ),
    );
  }
  const finished = finishedAnalysis(analysis);
  const fileId = fields.string("file_id");
  const overrides = given("overrides", overridesOf(fields.raw("overrides")));
  using workbook = fileId === undefined ? undefined : await office.workbook(office.files.get(fileId), overrides);
  const table = workbook?.opened.tables.find(({ id }) => id === finished.table.id);
  return download(
    context,
    await deliver({ analysis: finished, ...given("table", table) }, format, given("limit", limit)),
  );
};

async function* analysed(upload: Upload, request: AnalysisRequest, office: OfficeDoor): AsyncGenerator<AnalysisEvent> {
  const { file, fields } = upload;
  const overrides = given("overrides", overridesOf(fields.raw("overrides")));
  if (file?.id !== undefined) {
    using workbook = await office.workbook(office.files.get(file.id), overrides);
    yield* workbook.opened.analyse(request);
    return;
  }
  const rows = fields.raw("rows");
  if ((file === undefined) === (rows === undefined)) throw refuse("file", "Give one of file, file_id and rows.");
  const name = fields.string("name") ?? file?.name ?? "rows";
  using workbook =
    file === undefined
      ? await OpenWorkbook.open({ name, tables: [rowTable(rows, name)], ...overrides })
      : await office.tables(
          { name, bytes: file.bytes },
          { ...overrides, signal: request.signal ?? new AbortController().signal },
        );
  yield* workbook.analyse(request);
}

/** A failure in mid-stream is an event like the others, with the same body as everywhere. */
async function* toldEvents(events: AsyncIterable<AnalysisEvent>): AsyncGenerator<StreamEvent> {
  try {
    for await (const event of events) yield { data: event satisfies AnalysisEventBody };
  } catch (error) {
    yield { data: { type: "error", error: toHttpFailure(error).error } };
  }
}

function requestOf(fields: Fields, api: Api): AnalysisRequest {
  const plan = fields.raw("plan");
  const previous = fields.raw("previous");
  if (plan !== undefined && !isObject(plan)) throw refuse("plan", "plan must be an object.");
  if (previous !== undefined && !isObject(previous)) throw refuse("previous", "previous must be a plan.");
  const wantsModel = fields.boolean("narrate") ?? true;
  return {
    ...given("table", fields.string("table")),
    // Names, values and ranges are checked against the table by checkPlan, with a sentence for each fault.
    ...given("plan", plan as PlanInput | undefined),
    ...given("previous", previous as Plan | undefined),
    ...given("question", fields.string("question")),
    ...given("language", fields.choice("language", ["zh", "en"])),
    ...given("chartKind", fields.choice("chart", chartKinds)),
    ...(wantsModel ? { engine: api.engine } : {}),
    renderChat: (messages) => ({ kind: "text", pieces: api.template.render({ messages }) }),
  };
}

function rowTable(rows: unknown, name: string): RowTable {
  const isCell = (cell: unknown): boolean => cell === null || ["string", "number", "boolean"].includes(typeof cell);
  const isTable = Array.isArray(rows) && rows.every((row) => Array.isArray(row) && row.every(isCell));
  if (!isTable)
    throw refuse("rows", "rows must be an array of rows, each an array of texts, numbers, booleans and nulls.");
  return { name, rows: rows as RowTable["rows"] };
}

function finishedAnalysis(value: unknown): Analysis {
  const isFinished =
    isObject(value) &&
    isObject(value.table) &&
    isObject(value.plan) &&
    Array.isArray(value.facts) &&
    Array.isArray(value.sentences);
  if (!isFinished) throw refuse("analysis", "This is not an analysis as /v1/analysis gives it.");
  return value as unknown as Analysis;
}
