// One table from AppError codes to HTTP: status, OpenAI's `type` and `code`, Anthropic's `type`. `satisfies Record<ErrorCode, …>`
// makes the compiler name a code that was forgotten. Every path of the API answers failures through here, so that a client meets
// one shape: {"error":{"message","type","param","code"}}, with `hint` and the counts of `details` as further fields.
import { AppError, type ErrorCode, toAppError } from "../base/errors.ts";
import type { ErrorBody } from "./api-types.ts";

interface Mapping {
  status: number;
  type: string;
  code: string;
  anthropic: string;
}

const invalid = "invalid_request_error";

const mappings = {
  bad_request: { status: 400, type: invalid, code: "bad_request", anthropic: invalid },
  context_overflow: { status: 400, type: invalid, code: "context_length_exceeded", anthropic: invalid },
  busy: { status: 429, type: "rate_limit_error", code: "queue_full", anthropic: "rate_limit_error" },
  unauthorized: {
    status: 401,
    type: "authentication_error",
    code: "invalid_api_key",
    anthropic: "authentication_error",
  },
  forbidden: { status: 403, type: "permission_error", code: "forbidden", anthropic: "permission_error" },
  not_found: { status: 404, type: "not_found_error", code: "not_found", anthropic: "not_found_error" },
  method_not_allowed: { status: 405, type: invalid, code: "method_not_allowed", anthropic: invalid },
  too_large: { status: 413, type: invalid, code: "too_large", anthropic: "request_too_large" },
  timeout: { status: 504, type: "timeout_error", code: "timeout", anthropic: "timeout_error" },
  unsupported: { status: 400, type: invalid, code: "unsupported", anthropic: invalid },
  unreadable: { status: 422, type: invalid, code: "unreadable", anthropic: invalid },
  conflict: { status: 409, type: invalid, code: "conflict", anthropic: invalid },
  download: { status: 502, type: "server_error", code: "download_failed", anthropic: "api_error" },
  storage: { status: 507, type: "server_error", code: "storage_failed", anthropic: "api_error" },
  device: { status: 503, type: "server_error", code: "device_failed", anthropic: "api_error" },
  engine_lost: { status: 503, type: "server_error", code: "engine_lost", anthropic: "overloaded_error" },
  upstream: { status: 502, type: "server_error", code: "upstream_failed", anthropic: "api_error" },
  internal: { status: 500, type: "server_error", code: "internal_error", anthropic: "api_error" },
} as const satisfies Record<ErrorCode, Mapping>;

export type Protocol = "openai" | "anthropic" | "ollama";

/** Set as `details.limit` on `busy` when it was not the queue that was full. */
export const stoppingLimit = "stopping";
export const perKeyLimit = "per_key";

export interface HttpFailure {
  status: number;
  headers: Record<string, string>;
  error: ErrorBody["error"];
}

/** What a thrown value becomes on the wire. Bugs of ours keep their message for the log: it may name files. */
export function toHttpFailure(thrown: unknown): HttpFailure {
  const error = toAppError(thrown);
  const { status, code } = refine(error, mappings[error.code]);
  const retryAfter = retryAfterSeconds(error);
  return {
    status,
    headers: retryAfter === undefined ? {} : { "retry-after": String(retryAfter) },
    error: {
      ...countsOf(error),
      message: error.code === "internal" ? "Quern failed on this request; its log says where." : error.message,
      type: mappings[error.code].type,
      param: error.param ?? null,
      code,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  };
}

/** The JSON body of a failure in a protocol's own shape. */
export function errorBody(failure: HttpFailure, protocol: Protocol, thrown: unknown): object {
  if (protocol === "openai") return { error: failure.error };
  const { message, hint } = failure.error;
  const sentence = hint === undefined ? message : `${message} ${hint}`;
  if (protocol === "ollama") return { error: sentence };
  return { type: "error", error: { type: mappings[toAppError(thrown).code].anthropic, message: sentence } };
}

/** Details in the wire's spelling: prompt_tokens, limit_tokens, overflow_tokens … */
function countsOf(error: AppError): Record<string, string | number | boolean> {
  const entries = Object.entries(error.details ?? {}).filter(([name]) => name !== "limit");
  return Object.fromEntries(
    entries.map(([name, value]) => [name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), value]),
  );
}

function refine(error: AppError, mapping: Mapping): { status: number; code: string } {
  if (error.code === "busy" && error.details?.limit === stoppingLimit) return { status: 503, code: "stopping" };
  if (error.code === "busy" && error.details?.limit === perKeyLimit) return { status: 429, code: "too_many_requests" };
  if (error.code === "not_found" && error.param === "model") return { status: 404, code: "model_not_found" };
  return mapping;
}

function retryAfterSeconds(error: AppError): number | undefined {
  const stated = error.details?.retryAfterSeconds;
  if (typeof stated === "number") return Math.max(1, Math.ceil(stated));
  return error.isRetryable ? 1 : undefined;
}

/** A refusal of one request field, as all doors word it. */
export function refuse(param: string, message: string, hint?: string): AppError {
  return new AppError("bad_request", message, { param, ...(hint === undefined ? {} : { hint }) });
}

/** A field that is well-formed but would change the answer in a way Quern cannot follow. */
export function unsupported(param: string, message: string, hint?: string): AppError {
  return new AppError("unsupported", message, { param, ...(hint === undefined ? {} : { hint }) });
}

/** For `.catch`: the engine names its own fields; the caller knows them by the names it sent (prompt → messages …). */
export function withParams(names: Readonly<Record<string, string>>): (thrown: unknown) => never {
  return (thrown) => {
    const param = thrown instanceof AppError && thrown.param !== undefined ? names[thrown.param] : undefined;
    if (!(thrown instanceof AppError) || param === undefined) throw thrown;
    throw named(thrown, param);
  };
}

/** For `.catch`: a refusal that names no field was about this one. */
export function aboutParam(param: string): (thrown: unknown) => never {
  return (thrown) => {
    throw thrown instanceof AppError && thrown.param === undefined ? named(thrown, param) : thrown;
  };
}

const named = (error: AppError, param: string): AppError =>
  new AppError(error.code, error.message, { ...error.toData(), param, cause: error });
