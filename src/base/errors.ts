// The one error class of Quern. Callers branch on `code`; people read `message` (what happened, with the numbers) and then
// `hint` (what to do). server/errors.ts maps each code to an HTTP status; an AppError crosses the process border between
// server and engine host as plain data (toData / fromData), so that a typed failure stays typed.

export type ErrorCode =
  | "bad_request" // the request is malformed or asks for something contradictory
  | "context_overflow" // the prompt does not fit; details: promptTokens, limitTokens, overflowTokens
  | "busy" // the queue is full or the server is stopping; details: retryAfterSeconds
  | "unauthorized" // no key, or a wrong one
  | "forbidden" // a key that may not do this, or a Host header that is not ours
  | "not_found"
  | "method_not_allowed"
  | "too_large" // body or file over its limit
  | "timeout" // a limit of time was reached
  | "unsupported" // well-formed, but this engine, model or build cannot do it
  | "unreadable" // a file (model, document, table) is damaged or not what its name says
  | "conflict" // a concurrent change, or a store of a newer version
  | "download" // the hub or the network failed
  | "storage" // disk full, no permission, I/O error
  | "device" // the GPU or its driver failed
  | "engine_lost" // the engine process died with this request in flight; retrying is safe
  | "upstream" // a remote engine failed
  | "internal"; // a broken invariant: a bug of ours

/** What an error carries for programs: counts, names, positions. Plain JSON values only. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

export interface ErrorData {
  code: ErrorCode;
  message: string;
  hint?: string;
  param?: string;
  details?: ErrorDetails;
}

export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** The request field or setting at fault, as the caller spelt it. */
  readonly param: string | undefined;
  readonly details: ErrorDetails | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; param?: string; details?: ErrorDetails; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.param = options.param;
    this.details = options.details;
  }

  /** Whether the same request may succeed if it is simply sent again. */
  get isRetryable(): boolean {
    return this.code === "busy" || this.code === "engine_lost" || this.code === "timeout";
  }

  toData(): ErrorData {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.param === undefined ? {} : { param: this.param }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }

  static fromData(data: ErrorData): AppError {
    return new AppError(data.code, data.message, data);
  }
}

/** Any thrown value as an AppError; what was not ours becomes `internal` with the original as cause. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new AppError("internal", message, { cause: thrown });
}
