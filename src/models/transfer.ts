// One HTTP request for a stretch of a file, checked against what was asked for. It knows nothing of models or of disks: bytes go to
// a callback, and every failure is a TransferFault that says whether trying again can help.
import { setTimeout as pause } from "node:timers/promises";

export class TransferFault extends Error {
  readonly isRetryable: boolean;
  /** What the server asked for, by Retry-After. */
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(
    message: string,
    options: { isRetryable: boolean; retryAfterMs?: number | undefined; status?: number; cause?: unknown },
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.isRetryable = options.isRetryable;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
  }
}

export interface Patience {
  /** A connection that brings nothing for this long is given up. */
  stallMs: number;
  /** Before the first repetition; doubles with each further one, up to 15 s. */
  retryDelayMs: number;
  /** Failures in a row, without progress between them, before giving up. */
  retries: number;
}

export interface Stretch {
  url: string;
  start: number;
  /** The byte behind the last. */
  end: number;
  totalBytes: number;
  /** Ask for the stretch; without it the whole file is asked for, and `start` and `end` must be its ends. */
  asRange: boolean;
  stallMs: number;
  signal: AbortSignal;
  /** Called in order; the next bytes wait for it. */
  onBytes: (bytes: Uint8Array) => Promise<void>;
}

/** Fetches one stretch. Throws TransferFault, whatever `onBytes` throws, or the signal's reason. */
export async function fetchStretch(stretch: Stretch): Promise<void> {
  const { url, start, end, asRange, stallMs, signal, onBytes } = stretch;
  using watch = watchStall(stallMs, signal);
  const response = await request(url, { range: asRange ? { start, end } : undefined, watch });
  try {
    checkAnswer(response, stretch);
    let position = start;
    for await (const bytes of bodyOf(response, watch)) {
      position += bytes.length;
      if (position > end)
        throw new TransferFault(`${hostOf(url)} sent more bytes than it was asked for`, { isRetryable: true });
      await onBytes(bytes);
      watch.refresh();
    }
    if (position < end)
      throw new TransferFault(`${hostOf(url)} ended ${end - position} bytes too early`, { isRetryable: true });
  } finally {
    await response.body?.cancel().catch(() => undefined); // already read, or already broken
  }
}

/** Repeats `attempt` while it fails in ways that may pass. `hasGained` tells whether the last attempt brought anything. */
export async function withRetries(
  attempt: () => Promise<void>,
  { patience, signal, hasGained }: { patience: Patience; signal: AbortSignal; hasGained: () => boolean },
): Promise<void> {
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (fault) {
      signal.throwIfAborted();
      if (!(fault instanceof TransferFault) || !fault.isRetryable) throw fault;
      failures = hasGained() ? 1 : failures + 1;
      if (failures > patience.retries) throw fault;
      const backoffMs = Math.min(patience.retryDelayMs * 2 ** (failures - 1), 15_000);
      // Spread out, so that several connections that failed together do not come back together.
      const delayMs = Math.max(backoffMs * (0.75 + Math.random() / 2), Math.min(fault.retryAfterMs ?? 0, 60_000));
      await pause(delayMs, undefined, { signal });
    }
  }
}

export interface Watch extends Disposable {
  signal: AbortSignal;
  refresh(): void;
  /** The failure in words: a stall, an abort (thrown as its reason), or the network's. */
  explain(error: unknown, url: string): TransferFault;
}

export function watchStall(stallMs: number, outer: AbortSignal): Watch {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), stallMs);
  return {
    signal: AbortSignal.any([outer, stalled.signal]),
    refresh: () => void timer.refresh(),
    explain(error, url) {
      outer.throwIfAborted();
      if (stalled.signal.aborted)
        return new TransferFault(`${hostOf(url)} sent nothing for ${stallMs / 1000} s`, {
          isRetryable: true,
          cause: error,
        });
      return new TransferFault(`${hostOf(url)}: ${networkReason(error)}`, { isRetryable: true, cause: error });
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** A GET whose body is wanted as it is stored. */
export async function request(
  url: string,
  {
    range,
    watch,
    redirect = "follow",
  }: { range: { start: number; end: number } | undefined; watch: Watch; redirect?: "follow" | "manual" },
): Promise<Response> {
  try {
    return await fetch(url, {
      signal: watch.signal,
      redirect,
      headers: {
        "accept-encoding": "identity",
        "user-agent": "quern",
        ...(range ? { range: `bytes=${range.start}-${range.end - 1}` } : {}),
      },
    });
  } catch (error) {
    throw watch.explain(error, url);
  }
}

async function* bodyOf(response: Response, watch: Watch): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  while (reader) {
    // Only the network's failures are explained here; the consumer's own pass through untouched.
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw watch.explain(error, response.url);
    });
    if (done) return;
    yield value;
  }
}

function checkAnswer(response: Response, { url, start, end, totalBytes, asRange }: Stretch): void {
  refuseStatus(response, url);
  const { total, first } = contentRange(response);
  if (asRange && response.status !== 206)
    throw new TransferFault(`${hostOf(url)} ignored the byte range (HTTP ${response.status})`, { isRetryable: true });
  if (asRange && first !== undefined && first !== start)
    throw new TransferFault(`${hostOf(url)} sent another part than asked for`, { isRetryable: true });
  if (asRange && total !== undefined && total !== totalBytes)
    throw new TransferFault(`${hostOf(url)} says the file has ${total} bytes; it should have ${totalBytes}`, {
      isRetryable: false,
    });
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  if (!Number.isNaN(length) && length !== end - start)
    throw new TransferFault(`${hostOf(url)} offers ${length} bytes instead of ${end - start}`, { isRetryable: true });
}

/** Throws for anything that is not the file: an HTTP error, or a web page in its place. */
export function refuseStatus(response: Response, url: string): void {
  const { status, headers } = response;
  const host = hostOf(url);
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(headers.get("retry-after") ?? Number.NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
    throw new TransferFault(`${host} answered HTTP ${status}`, { isRetryable: true, retryAfterMs, status });
  }
  if (status >= 400) throw new TransferFault(`${host} answered HTTP ${status}`, { isRetryable: false, status });
  if (/^text\/html/i.test(headers.get("content-type") ?? ""))
    throw new TransferFault(`${host} answered with a web page instead of the file`, { isRetryable: false, status });
}

/** `Content-Range: bytes 0-99/1234`, as far as it is there. */
export function contentRange({ headers }: Response): { first?: number; total?: number } {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  if (!match) return {};
  return { first: Number(match[1]), ...(match[2] === "*" ? {} : { total: Number(match[2]) }) };
}

export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

/** `fetch failed` says nothing; its cause does. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the name cannot be resolved";
  if (code === "ECONNREFUSED") return "the connection was refused";
  if (code === "ECONNRESET" || code === "UND_ERR_SOCKET") return "the connection was lost";
  return cause.message || code || cause.name;
}
