// Every address in one line: method, path, what it does, what it takes and gives. A test holds this table and the app's routes together.
import type { Method } from "./bound-routes.ts";
import { knownOptions } from "./instruct.ts";
import type { SchemaName } from "./openapi-schemas.ts";

type Schema = SchemaName | "object" | "text" | "binary";

export interface Described {
  method: Method;
  path: string;
  summary: string;
  tag: string;
  query?: readonly string[];
  body?: Schema | { types: readonly string[]; schema: Schema };
  /** The schema of a JSON answer, or media type and schema of another. "json": an object that its document describes. */
  answer?: "json" | Schema | readonly [type: string, schema: Schema];
  /** Stands with and without /v1. */
  isEither?: boolean;
  /** Needs no key. */
  isOpen?: boolean;
}

type More = Omit<Described, "method" | "path" | "summary" | "tag">;
type Row = readonly [address: `${Method} /${string}`, summary: string, more?: More];

function described(tag: string, rows: readonly Row[]): Described[] {
  return rows.map(([address, summary, more = {}]) => {
    const [method, path] = address.split(" ") as [Method, string];
    return { method, path, summary, tag, ...more };
  });
}

const lines = "application/x-ndjson";
const upload = { types: ["multipart/form-data", "application/json"], schema: "Upload" } as const;
const events = ["text/event-stream", "text"] as const;
const file = ["application/octet-stream", "binary"] as const;

export const modelPaths: readonly Described[] = [
  ...described("model", [
    [
      "POST /chat/completions",
      "An answer to a conversation, whole or streamed (OpenAI's shape)",
      { body: "ChatRequest", answer: "ChatCompletion", isEither: true },
    ],
    [
      "POST /completions",
      "Text on from a prompt, without a chat template",
      { body: "CompletionRequest", isEither: true },
    ],
    [
      "POST /embeddings",
      "Vectors of texts (OpenAI's shape); needs --embedding-model",
      { body: "EmbeddingRequest", answer: "EmbeddingList", isEither: true },
    ],
    [
      "POST /qwen3/instruct",
      "Raw text in, raw text out; with files as a form",
      {
        body: { types: ["text/plain", "application/octet-stream", "multipart/form-data"], schema: "InstructForm" },
        answer: ["text/plain", "text"],
        query: [...knownOptions],
        isEither: true,
      },
    ],
    [
      "POST /qwen3/instruct/batch",
      "Many instructions, one JSON object a line",
      {
        body: { types: [lines], schema: "object" },
        answer: [lines, "object"],
        query: [...knownOptions],
        isEither: true,
      },
    ],
    ["POST /tokenize", "Token ids of a text or of messages", { body: "object", isEither: true }],
    ["POST /detokenize", "The text of token ids", { body: "object", isEither: true }],
    ["GET /models", "The loaded model", { isEither: true }],
    ["GET /models/:id", "The loaded model by its name", { isEither: true }],
  ]),
  ...described("server", [
    ["GET /health", "200 while requests are answered", { isEither: true, isOpen: true }],
    ["GET /status", "Engine, model, memory, queue, defaults, limits", { isEither: true }],
    ["GET /metrics", "Prometheus", { answer: ["text/plain", "text"], isEither: true }],
    ["GET /openapi.json", "This description"],
  ]),
  ...described("anthropic", [
    ["POST /v1/messages", "Anthropic's messages", { body: "object" }],
    ["POST /v1/messages/count_tokens", "Tokens of such messages", { body: "object" }],
  ]),
  ...described("ollama", [
    ["POST /api/chat", "Ollama's chat", { body: "object", answer: [lines, "object"] }],
    ["POST /api/generate", "Ollama's completion", { body: "object", answer: [lines, "object"] }],
    ["POST /api/show", "What the model is", { body: "object" }],
    ["GET /api/tags", "The models there are"],
    ["GET /api/ps", "The models that run"],
    ["GET /api/version", "The version"],
  ]),
];

export const officePaths: readonly Described[] = [
  ...described("files", [
    ["GET /v1/files", "The stored files"],
    ["POST /v1/files", "Stores a file", { body: { types: ["multipart/form-data"], schema: "Upload" }, answer: "File" }],
    ["GET /v1/files/:id", "A stored file", { answer: "File" }],
    ["DELETE /v1/files/:id", "Forgets a stored file"],
    ["GET /v1/files/:id/content", "Its bytes", { answer: file }],
    [
      "GET /v1/files/:id/pages/:page",
      "A page of it as a picture",
      { query: ["pixels", "turned", "levelled"], answer: ["image/png", "binary"] },
    ],
    [
      "GET /v1/files/:id/tables",
      "The tables of a workbook or document: columns, types, the decisions behind them",
      { query: ["overrides", "stream"] },
    ],
  ]),
  ...described("office", [
    ["POST /v1/documents", "Reads a file to segments or Markdown", { body: { ...upload, schema: "DocumentRequest" } }],
    [
      "POST /v1/analysis",
      "Computes an analysis of a workbook or of rows, and tells it",
      { body: { ...upload, schema: "AnalysisRequest" } },
    ],
    [
      "POST /v1/deliverables",
      "A file made of an analysis or of Markdown",
      { body: "DeliverableRequest", answer: file },
    ],
  ]),
];

export const workspaceDescriptions: readonly Described[] = described("workspace", [
  ["GET /workspace/conversations", "The conversations", { query: ["limit", "after"] }],
  ["POST /workspace/conversations", "A new conversation", { body: "object" }],
  ["GET /workspace/conversations/:id", "A conversation with all its messages"],
  ["PATCH /workspace/conversations/:id", "Changes a conversation", { body: "object" }],
  ["DELETE /workspace/conversations/:id", "Hides a conversation"],
  ["POST /workspace/conversations/:id/restore", "Brings it back"],
  ["GET /workspace/conversations/:id/export", "As Markdown or JSON", { query: ["format"], answer: file }],
  ["POST /workspace/conversations/:id/messages", "Adds a message, and answers it if asked", { body: "object" }],
  ["POST /workspace/conversations/:id/answer", "Answers, continues or answers again", { body: "object" }],
  ["POST /workspace/conversations/:id/title", "Names it by its content", { body: "object" }],
  ["POST /workspace/conversations/:id/follow-ups", "What might be asked next", { body: "object" }],
  ["GET /workspace/messages/:id", "A message"],
  ["GET /workspace/messages/:id/events", "An answer as it is written", { query: ["from"], answer: events }],
  ["POST /workspace/messages/:id/stop", "Stops an answer"],
  ["GET /workspace/search", "Messages that hold the words", { query: ["q", "limit"] }],
  ["POST /workspace/import", "Brings exported conversations in", { body: "object" }],
  ["POST /workspace/files", "Stores a file", { body: "object" }],
  ["GET /workspace/files/:id", "A stored file"],
  ["GET /workspace/files/:id/content", "Its bytes", { answer: file }],
  ["GET /workspace/settings", "The settings of the page"],
  ["PATCH /workspace/settings", "Changes them", { body: "object" }],
  ["GET /workspace/templates", "The prompt templates"],
  ["POST /workspace/templates", "Adds templates", { body: "object" }],
  ["GET /workspace/templates/export", "One's own templates as a file", { answer: file }],
  ["GET /workspace/templates/:id", "A template with its versions"],
  ["PUT /workspace/templates/:id", "A new version of it", { body: "object" }],
  ["DELETE /workspace/templates/:id", "Hides it"],
  ["POST /workspace/templates/:id/restore", "Brings it back"],
  ["POST /workspace/templates/:id/fill", "Fills its blanks", { body: "object" }],
  ["POST /workspace/draft", "Reads a draft into the engine's memory ahead of time", { body: "object" }],
  ["POST /workspace/slim", "A prompt without its filler", { body: "object" }],
  ["POST /workspace/budget", "Tokens by part of what would be sent", { body: "object" }],
  ["GET /workspace/live", "The engine's numbers, a reading a second", { answer: events }],
  ["GET /workspace/engine", "What the engine runs with, what it takes, how fast it was", { query: ["model"] }],
  ["PATCH /workspace/engine", "Changes model, context, requests together or KV type", { body: "object" }],
  ["POST /workspace/engine/measure", "Measures the engine's speed for some seconds"],
  ["GET /workspace/models", "Models here and in the catalogue"],
  ["DELETE /workspace/models/:id", "Deletes a model's file"],
  ["POST /workspace/models/:id/pull", "Fetches a model"],
  ["GET /workspace/jobs/:id", "How far it is"],
  ["POST /workspace/jobs/:id/cancel", "Stops it"],
  ["GET /workspace/audit", "The audit log", { query: ["limit", "after"] }],
  ["GET /workspace/audit/verify", "Whether the log is whole"],
]);
