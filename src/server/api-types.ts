// The wire's shapes, types only: what the page and the doors agree on. The page imports this file and nothing else of src.
import type { FileProgress } from "../documents/file-progress.ts";
import type { EngineStatus, ModelInfo } from "../engine/contract.ts";
import type { GpuReading } from "../engine/gpu-reading.ts";
import type { AnswerProgress } from "../workspace/answer-progress.ts";

export interface ErrorBody {
  error: {
    message: string;
    type: string;
    param: string | null;
    code: string;
    /** What to do about it. */
    hint?: string;
    /** Counts that belong to the failure: prompt_tokens, limit_tokens, overflow_tokens, retry_after_seconds … */
    [detail: string]: string | number | boolean | null | undefined;
  };
}

/** `GET /health`: 200 while requests are answered, 503 otherwise. */
export interface HealthBody {
  status: "ok" | "loading" | "restarting" | "failed" | "stopped";
  engine: string;
  restarts: number;
  last_failure?: string;
  load_progress?: number;
}

/** `GET /status`: all there is to know about the running server. */
export interface StatusBody {
  version: string;
  uptime_seconds: number;
  engine: Omit<EngineStatus, "model"> & { model: Omit<ModelInfo, "chatTemplate"> };
  /** Present while the bundled demonstration model answers: what that means and what to do. */
  demonstration?: { message: string; hint: string; reason?: string };
  requests: { open: number; served: number; failed: number };
  defaults: SamplingDefaults;
  limits: { body_bytes: number; upload_bytes: number; per_key: number };
}

export interface SamplingDefaults {
  temperature: number;
  top_k: number;
  top_p: number;
  min_p: number;
  repetition_penalty: number;
  presence_penalty: number;
  frequency_penalty: number;
  max_tokens: number | null;
}

export interface ModelCard {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
  /** Tokens that prompt and answer may hold together; the name is vLLM's. */
  max_model_len: number;
  meta: {
    file: string;
    architecture: string;
    quantisation: string;
    parameters: number;
    trained_context_tokens: number;
    is_demonstration: boolean;
    notice?: string;
  };
}

export interface ModelsBody {
  object: "list";
  data: ModelCard[];
}

/** A file in a message of the user: a stored one, or its bytes as a data URL. */
export interface FilePart {
  type: "file";
  file: ({ file_id: string } | { filename: string; file_data: string }) & { password?: string; edits?: DocumentEdit[] };
}

/** A picture, as a data URL; its text is recognised and read like a document's. */
export interface ImagePart {
  type: "image_url";
  image_url: { url: string };
}

/** What a person changed in a read document: the text of a segment (in a table: of a cell), or a removed segment brought back. */
export interface DocumentEdit {
  page: number;
  /** Index on its page, as `POST /v1/documents` gives them. */
  segment: number;
  text?: string;
  row?: number;
  column?: number;
  restore?: boolean;
}

export type FileOverflow = "refuse" | "relevant" | "summarise";

export type ContentPart = { type: "text"; text: string } | FilePart | ImagePart;

export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content: string | null | ContentPart[];
  name?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "function";
  function: { name?: string; arguments?: string };
}

export interface UsageBody {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

/** Counts and speeds as llama.cpp names them. */
export interface TimingsBody {
  cache_n: number;
  prompt_n: number;
  prompt_ms: number;
  prompt_per_second: number;
  predicted_n: number;
  predicted_ms: number;
  predicted_per_second: number;
  /** From acceptance to admission; not llama.cpp's. */
  queue_ms: number;
}

export interface LogprobEntry {
  token: string;
  logprob: number;
  /** null when the token holds part of a character only. */
  bytes: number[] | null;
  top_logprobs: { token: string; logprob: number; bytes: number[] | null }[];
}

export type ApiFinishReason = "stop" | "length" | "tool_calls";

/** What became of the files of a request; on the last chunk of each choice, and on each choice of a whole answer. */
export interface QuernBody {
  files: GivenFileBody[];
  left_out: LeftOutBody[];
  citations: CitationBody[];
}

export interface GivenFileBody {
  name: string;
  file_id?: string;
  /** Of which the model was given text. */
  pages: number[];
  /** From reading it: pages that could not be read, or with low confidence. */
  warnings: { code: string; message: string; page?: number }[];
}

export interface LeftOutBody {
  name: string;
  file_id?: string;
  how: "relevant" | "summarised";
  /** A sentence that the model was given too. */
  statement: string;
  /** Of the whole document, and of what the model was given of it. */
  tokens: number;
  given_tokens: number;
  /** From which something was left out. */
  pages: number[];
}

export interface CitationBody {
  /** Place in the answer, in UTF-16 units. */
  start: number;
  end: number;
  pages: number[];
  /** The file named in it, if any. */
  name?: string;
  /** False when it points at a page that the model was not given. */
  is_given: boolean;
}

export interface ChatChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: {
    index: number;
    delta: { role?: "assistant"; content?: string | null; tool_calls?: ToolCallDelta[] };
    logprobs?: { content: LogprobEntry[]; refusal: null } | null;
    finish_reason: ApiFinishReason | null;
    token_ids?: number[];
  }[];
  usage?: UsageBody | null;
  timings?: TimingsBody;
  /** With `return_progress`: how much of the prompt is in, and the place in the queue before that. */
  prompt_progress?: { total: number; cache: number; processed: number; time_ms: number };
  queue?: { position: number; estimated_wait_ms: number | null };
  /** With `return_progress`: the work on the request's files, on chunks without choices before the first. */
  file_progress?: FileProgress;
  quern?: QuernBody;
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: {
    index: number;
    message: { role: "assistant"; content: string | null; refusal: null; tool_calls?: ToolCall[] };
    logprobs: { content: LogprobEntry[]; refusal: null } | null;
    finish_reason: ApiFinishReason;
    token_ids?: number[];
    quern?: QuernBody;
  }[];
  usage: UsageBody;
  timings: TimingsBody;
  prompt_token_ids?: number[];
}

// The workspace, /workspace/… (docs/workbench-api.md): the page's own API, so names are the page's.

/** Absent numbers are not sent to the engine: the model's own defaults hold. */
export interface ConversationSettings {
  temperatureChoice?: "auto" | "precise" | "balanced" | "creative" | "custom";
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
  seed?: number;
  maxTokens?: number;
  systemPrompt?: string;
}

export interface ConversationHead {
  id: string;
  title: string;
  isPinned: boolean;
  /** Milliseconds since 1970, as all times of the workspace. */
  createdAt: number;
  updatedAt: number;
  /** The end of the branch that is shown. */
  leafId?: string;
  settings: ConversationSettings;
  /** Messages that stay in view but are not sent. */
  leftOutIds: readonly string[];
  deletedAt?: number;
}

export interface AttachmentHead {
  /** Of the stored file: its text is at /workspace/files/:id/content. */
  id: string;
  name: string;
  bytes: number;
  lineCount: number;
  isPasted: boolean;
  /** Present for what is read as a document rather than as text. */
  document?: AttachedDocument;
}

/** A document with a message: what the page knows of it, and what a person changed in it before asking. */
export interface AttachedDocument {
  kind: string;
  pages: number;
  /** Of its whole text, as the model that was loaded then counted. */
  tokens: number;
  password?: string;
  edits?: DocumentEdit[];
}

export interface AnswerStats {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  queueMs: number;
  /** From the request to the first token, time in the queue included. */
  firstTokenMs: number;
  tokensPerSecond: number;
  /** What the GPU used meanwhile, shared evenly among the requests that ran; absent where it does not tell. */
  energyJoules?: number;
}

export interface WorkspaceMessage {
  id: string;
  conversationId: string;
  parentId?: string;
  role: "system" | "user" | "assistant" | "tool";
  text: string;
  attachments: AttachmentHead[];
  createdAt: number;
  /** `cut`: the answer met its token limit. */
  state: "complete" | "streaming" | "stopped" | "cut" | "failed";
  error?: ErrorBody["error"];
  model?: string;
  stats?: AnswerStats;
  /** Sent without its politeness and filler; `text` is what was written. */
  isSlimmed?: boolean;
  /** Of a question with documents: what to do when they do not fit. */
  fileOverflow?: FileOverflow;
  /** Of an answer to documents: what the model was given of them, and what the answer cites. */
  files?: QuernBody;
}

/** What `GET /workspace/messages/:id/events` sends. */
export type AnswerUpdateBody =
  | ({ type: "files" } & FileProgress)
  | { type: "queued"; position: number; estimatedWaitMs?: number }
  | { type: "prefill"; promptTokens: number; cachedTokens: number; processedTokens: number }
  | { type: "text"; position: number; text: string }
  | { type: "end"; message: WorkspaceMessage };

export interface WorkspaceSearchHit {
  conversationId: string;
  title: string;
  /** Absent when the title holds the words. */
  messageId?: string;
  excerpt: string;
  createdAt: number;
}

/** A download of a model: `GET /workspace/jobs/:id`. */
export interface PullBody {
  jobId: string;
  modelId: string;
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  progress?: {
    phase: "connecting" | "downloading" | "checking" | "mending";
    doneBytes: number;
    totalBytes: number;
    bytesPerSecond: number;
    secondsLeft?: number;
  };
  error?: { code: string; message: string; hint?: string };
}

/** One reading of `GET /workspace/live`. */
export interface LiveBody {
  at: number;
  engine: Pick<
    EngineStatus,
    | "engine"
    | "device"
    | "state"
    | "loadProgress"
    | "contextTokens"
    | "parallel"
    | "runningRequests"
    | "queuedRequests"
    | "queueLimit"
    | "kv"
    | "speed"
    | "restarts"
  > & {
    modelId: string;
    memory: {
      weightBytes: number;
      /** Of `kvBytes`: held by running requests, and kept as prefixes for later ones. */
      kvUsedBytes: number;
      kvKeptBytes: number;
      kvBytes: number;
      otherBytes: number;
      freeBytes?: number;
      totalBytes?: number;
    };
  };
  /** Absent without an NVIDIA GPU. */
  gpu?: GpuReading;
  cpu: { percent: number; cores: number; memoryTotalBytes: number; memoryUsedBytes: number };
  /** Of all answers together, over the last second. */
  tokensPerSecond: number;
  /** Of the last answer that began. */
  firstTokenMs?: number;
  answers: AnswerProgress[];
  pulls: PullBody[];
  /** Grows with each change of the workspace, of any client: read lists again when it does. */
  revision?: number;
}

/** The last hour, oldest first, null where nothing was measured. */
export interface LiveHistory {
  endsAt: number;
  secondsPerPoint: number;
  tokensPerSecond: (number | null)[];
  firstTokenMs: (number | null)[];
  gpuPercent: (number | null)[];
  gpuMemoryBytes: (number | null)[];
  temperatureCelsius: (number | null)[];
  powerWatts: (number | null)[];
  cpuPercent: (number | null)[];
  running: (number | null)[];
  queued: (number | null)[];
}

/** What `GET /workspace/live` sends: the hour first, then a reading a second. */
export type LiveEvent = { type: "history"; history: LiveHistory } | ({ type: "reading" } & LiveBody);

/** As a person chose it: 0 and "auto" leave it to the engine. */
export interface EngineChoiceBody {
  model: string;
  contextTokens: number;
  parallel: number;
  kvType: "auto" | "f16" | "int8";
}

/** What `GET` and `PATCH /workspace/engine` give. */
export interface EngineBody {
  canChange: boolean;
  choice: EngineChoiceBody;
  /** What the choice came to. */
  running: { model: string; contextTokens: number; parallel: number; kvType: string };
  /** Of the running model, or of the one asked for. */
  needs: {
    weightBytes: number;
    /** Of one token of context, for each type that the engine can keep. */
    kvTokenBytes: { f16?: number; int8?: number };
    /** What `auto` comes to; absent where no type is kept. */
    autoKvType?: "f16" | "int8";
    /** A context is set aside for each of the requests together; else one must fit, and they share. */
    isForEach: boolean;
    trainedContextTokens: number;
  };
  memory: {
    /** Taken now, and for how many tokens. */
    kvBytes: number;
    kvTokens: number;
    /** What the engine could have: what it has, and what is free beside it. */
    availableBytes?: number;
  };
  measured?: MeasuredBody;
  /** Of real answers, by how many were written together; empty before any. */
  lastHour: HourSpeedBody[];
}

/** What `POST /workspace/engine/measure` found. Speeds are tokens a second of all sequences together. */
export interface MeasuredBody {
  at: number;
  engine: string;
  device: string;
  model: string;
  contextTokens: number;
  parallel: number;
  kvType: string;
  promptPerSecond: number;
  /** Greedy, the smallest number of sequences first. */
  together: { sequences: number; tokensPerSecond: number }[];
  /** Alone, with temperature 0.7, top_p, top_k and min_p. */
  sampledPerSecond: number;
}

export interface HourSpeedBody {
  sequences: number;
  tokensPerSecond: number;
  /** For how long in all it was so. */
  seconds: number;
}

/** `POST /workspace/budget`: tokens by part of what would be sent. */
export interface BudgetBody {
  contextTokens: number;
  /** All that would be sent. */
  promptTokens: number;
  parts: { system: number; files: number; history: number; message: number };
  /** What the context leaves for the answer; negative by as much as the prompt is too long. */
  roomTokens: number;
  /** What the answer may use: its limit, or all the room. */
  answerTokens: number;
  fits: boolean;
  /** Messages of the branch that could be left out, the largest first. */
  largest: { messageId: string; tokens: number; role: string; excerpt: string }[];
  /** The most that the model was trained for: what `--context` could be raised to. */
  trainedContextTokens: number;
}

export interface DraftBody {
  /** `superseded`: a newer draft or an answer came first. */
  state: "ready" | "superseded";
  promptTokens: number;
  /** Of them, found in the engine's memory already. */
  cachedTokens: number;
}

export interface SlimBody {
  text: string;
  /** Offsets in UTF-16 units of the text that was sent. */
  removed: { start: number; end: number; text: string }[];
  tokensBefore: number;
  tokensAfter: number;
}

// Documents and analyses as /v1/documents and /v1/analysis give them (docs/api.md). The routes hold their own types to these.

type Words = { readonly zh: string; readonly en: string };

export interface DocumentBody {
  name: string;
  kind: string;
  text: string;
  pages: readonly DocumentPage[];
  warnings: readonly { code: string; message: string; page?: number }[];
}

export interface DocumentPage {
  number: number;
  name?: string;
  width: number;
  height: number;
  unit?: "pt" | "px";
  turnedBy?: number;
  levelledBy?: number;
  source: string;
  /** 0..1; 1 for text. */
  confidence: number;
  segments: readonly DocumentSegment[];
}

export interface DocumentSegment {
  kind: string;
  page: number;
  /** left, top, right, bottom in the page's units. */
  box?: readonly [number, number, number, number];
  text?: string;
  level?: number;
  items?: readonly { text: string; level: number; marker: string }[];
  rows?: number;
  columns?: number;
  cells?: readonly { row: number; column: number; text: string; confidence?: number }[];
  title?: string;
  confidence?: number;
  /** Why it was taken out of the text: running_header, running_footer, page_number, watermark, repeated_disclaimer. */
  removed?: string;
  corrected?: boolean;
}

/** What `POST /v1/documents` gives with `stream`. */
export type DocumentEvent =
  | { type: "progress"; page: number; pages: number; step: string }
  | { type: "document"; document: DocumentBody; tokens?: number; sha256: string; from_cache: boolean }
  | { type: "error"; error: ErrorBody["error"] };

export interface TableBody {
  id: string;
  name: string;
  sheet: string;
  range: string;
  records: number;
  columns: readonly ColumnBody[];
  decisions: readonly Words[];
}

export interface ColumnBody {
  id: string;
  name: string;
  header: string;
  /** Made by Quern from other columns (months turned into rows): nothing of it can be overruled. */
  isMade: boolean;
  type: string;
  role: string;
  unit: string;
  distinct: number;
  missing: number;
  decisions: readonly Words[];
  labels: readonly string[];
}

/** Decisions of reading overruled, by table id and header. */
export type OverridesBody = Readonly<
  Record<string, Readonly<Record<string, { type?: "number" | "text" | "date" | "period" | "boolean"; unit?: string }>>>
>;

/** What `GET /v1/files/:id/tables?stream=true` gives. */
export type TablesEvent =
  | { type: "progress"; stage: "read" | "type" | "load" | "check"; fraction: number }
  | { type: "tables"; tables: readonly TableBody[] };

export type FilterBody =
  | { column: string; is: "in" | "not_in"; values: readonly string[] }
  | { column: string; is: "at_least" | "at_most"; value: number };

export interface PlanBody {
  kind: string;
  metric: string;
  aggregation: string;
  filters: readonly FilterBody[];
  breakdown: readonly string[];
  period?: { column: string; grain: string; start?: string };
  comparison?: string;
  planMetric?: string;
  versus?: string;
  top: number;
}

export interface FactBody {
  id: string;
  subject: string;
  sentence: string;
  numbers: readonly { role: string; value: number; text: string }[];
  formula: string;
  cells: { count: number; first: readonly string[]; range: string };
}

export interface FindingBody {
  kind: string;
  severity: "note" | "warning" | "error";
  column?: string;
  count: number;
  addresses: readonly string[];
  words: Words;
}

export interface ChartBody {
  id: string;
  kind: string;
  alternatives: readonly string[];
  title: string;
  categories: readonly string[];
  series: readonly { name: string; values: readonly number[] }[];
  unit: string;
  /** An ECharts option without colours. */
  option: Record<string, unknown>;
}

export interface SentenceBody {
  text: string;
  source: "model" | "rewritten" | "template";
  citations: readonly { start: number; end: number; factId: string }[];
}

export interface AnalysisBody {
  source: string;
  language: "zh" | "en";
  table: TableBody;
  findings: readonly FindingBody[];
  plan: PlanBody;
  planWords: string;
  planFrom: string;
  facts: readonly FactBody[];
  reconciliation: { status: string; words: Words };
  charts: readonly ChartBody[];
  sentences: readonly SentenceBody[];
  /** `note`: why the model was not asked for words. */
  narration: { note?: Words };
}

/** What `POST /v1/analysis` gives with `stream`, in this order; sentences as they pass their check. */
export type AnalysisEventBody =
  | { type: "tables"; tables: readonly TableBody[] }
  | { type: "quality"; table: string; findings: readonly FindingBody[] }
  | { type: "plan"; plan: PlanBody; words: string; from: string }
  | { type: "facts"; facts: readonly FactBody[]; reconciliation: AnalysisBody["reconciliation"] }
  | { type: "chart"; chart: ChartBody }
  | { type: "sentence"; sentence: SentenceBody }
  | { type: "done"; analysis: AnalysisBody }
  | { type: "error"; error: ErrorBody["error"] };
