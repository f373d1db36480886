// The wire's shapes, types only: what the page and the doors agree on. The page imports this file and nothing else of src.
import type { EngineStatus, ModelInfo } from "../engine/contract.ts";

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
  demonstration?: { message: string; hint: string };
  requests: { open: number; served: number; failed: number };
  defaults: SamplingDefaults;
  limits: { body_bytes: number; per_key: number };
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

export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content: string | null | { type: "text"; text: string }[];
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
  }[];
  usage: UsageBody;
  timings: TimingsBody;
  prompt_token_ids?: number[];
}
