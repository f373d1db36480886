// The bodies worth describing field by field, as JSON schemas: those that programs write by hand. The words are docs/api.md's, shorter.
import { chartKinds } from "../analysis/chart.ts";
import { deliverableFormats } from "../deliverables/deliver.ts";
import { overflowChoices } from "./office/file-prompt.ts";

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const whole = { type: "integer" } as const;
const number = { type: "number" } as const;
const texts = { type: "array", items: text } as const;
const anything = { type: "object", additionalProperties: true } as const;
const object = (properties: object, required: readonly string[] = []) => ({
  type: "object",
  properties,
  ...(required.length > 0 ? { required } : {}),
});
const list = (items: object) => ({ type: "array", items });
const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const binary = { type: "string", format: "binary" } as const;
const language = { enum: ["zh", "en"] };

const sampling = {
  temperature: { ...number, minimum: 0, maximum: 2 },
  top_p: number,
  top_k: whole,
  min_p: number,
  seed: whole,
  max_tokens: whole,
  stop: { anyOf: [text, texts] },
  n: whole,
  presence_penalty: number,
  frequency_penalty: number,
  repetition_penalty: number,
  logprobs: flag,
  stream: flag,
};

const fileSource = {
  file: { ...binary, description: "In multipart/form-data." },
  file_id: { ...text, description: "In JSON: of a stored file." },
};

export const schemas = {
  Error: object({
    error: object({ message: text, type: text, param: { type: ["string", "null"] }, code: text, hint: text }, [
      "message",
      "type",
      "code",
    ]),
  }),
  Message: object(
    {
      role: { enum: ["system", "developer", "user", "assistant", "tool"] },
      content: { anyOf: [text, list(reference("ContentPart")), { type: "null" }] },
      tool_calls: list(anything),
      tool_call_id: text,
    },
    ["role"],
  ),
  ContentPart: {
    oneOf: [
      object({ type: { const: "text" }, text }, ["type", "text"]),
      object(
        {
          type: { const: "file" },
          file: object({
            file_id: text,
            filename: text,
            file_data: text,
            password: text,
            edits: list(reference("DocumentEdit")),
          }),
        },
        ["type", "file"],
      ),
      object(
        { type: { const: "image_url" }, image_url: object({ url: { ...text, description: "A data URL." } }, ["url"]) },
        ["type", "image_url"],
      ),
    ],
  },
  DocumentEdit: object({ page: whole, segment: whole, text, row: whole, column: whole, restore: flag }, [
    "page",
    "segment",
  ]),
  ChatRequest: object(
    {
      model: text,
      messages: list(reference("Message")),
      ...sampling,
      tools: list(anything),
      tool_choice: {},
      response_format: anything,
      stream_options: anything,
      return_progress: flag,
      priority: {},
      file_overflow: { enum: overflowChoices, default: "refuse" },
    },
    ["messages"],
  ),
  ChatCompletion: object({
    id: text,
    object: text,
    created: whole,
    model: text,
    choices: list(anything),
    usage: anything,
    timings: anything,
  }),
  ChatChunk: object({
    id: text,
    object: text,
    created: whole,
    model: text,
    choices: list(anything),
    usage: anything,
    file_progress: object({
      stage: { enum: ["reading", "comparing", "sections", "merging"] },
      name: text,
      done: whole,
      all: whole,
    }),
    quern: reference("QuernFiles"),
  }),
  QuernFiles: object({
    files: list(object({ name: text, file_id: text, pages: list(whole), warnings: list(anything) })),
    left_out: list(
      object({
        name: text,
        file_id: text,
        how: { enum: ["relevant", "summarised"] },
        statement: text,
        tokens: whole,
        given_tokens: whole,
        pages: list(whole),
      }),
    ),
    citations: list(object({ start: whole, end: whole, pages: list(whole), name: text, is_given: flag })),
  }),
  CompletionRequest: object({ model: text, prompt: {}, ...sampling }, ["prompt"]),
  EmbeddingRequest: object(
    { input: {}, model: text, encoding_format: { enum: ["float", "base64"], default: "float" }, dimensions: whole },
    ["input"],
  ),
  EmbeddingList: object({
    object: text,
    data: list(object({ object: text, index: whole, embedding: {} })),
    model: text,
    usage: anything,
  }),
  InstructForm: object({ prompt: text, file: list(binary), password: text }, ["prompt", "file"]),
  Upload: object({ ...fileSource, purpose: text }),
  File: object({
    id: text,
    object: text,
    bytes: whole,
    created_at: whole,
    filename: text,
    purpose: text,
    media_type: text,
    sha256: text,
  }),
  DocumentRequest: object({
    ...fileSource,
    format: { enum: ["json", "markdown"], default: "json" },
    password: text,
    ocr: { ...flag, default: true },
    clean: { ...flag, default: true },
    edits: list(reference("DocumentEdit")),
    tokens: { ...flag, default: false },
    stream: flag,
  }),
  AnalysisRequest: object({
    ...fileSource,
    rows: list(list({ type: ["string", "number", "boolean", "null"] })),
    name: text,
    table: text,
    plan: reference("Plan"),
    previous: {
      ...reference("Plan"),
      description: "A finished plan whose filters and period a question goes on from.",
    },
    question: text,
    overrides: {
      ...anything,
      description:
        'Decisions of reading overruled, by table id and header: {"t0": {"金额": {"type": "number", "unit": "万元"}}}.',
    },
    language,
    chart: { enum: chartKinds },
    narrate: { ...flag, default: true },
    stream: flag,
  }),
  Plan: {
    ...anything,
    description: "kind, metric, aggregate, filters, breakdown, comparison, period …; see docs/api.md.",
  },
  DeliverableRequest: object(
    {
      format: { enum: deliverableFormats },
      analysis: anything,
      file_id: text,
      overrides: anything,
      markdown: text,
      title: text,
      language,
      limit: whole,
    },
    ["format"],
  ),
} as const;

export type SchemaName = keyof typeof schemas;
