// Work that reports progress through a callback and ends in one result, as a stream of events. Only the latest progress is kept for a slow
// reader; a failure is the last event.
import { toHttpFailure } from "../errors.ts";
import type { StreamEvent } from "../workspace/event-stream.ts";

export async function* progressEvents<Progress, Result extends object>(
  work: (onProgress: (progress: Progress) => void) => Promise<Result>,
  resultType: string,
): AsyncGenerator<StreamEvent> {
  let latest: Progress | undefined;
  let changed = Promise.withResolvers<void>();
  let isOver = false;
  const done = work((progress) => {
    latest = progress;
    changed.resolve();
  }).finally(() => {
    isOver = true;
    changed.resolve();
  });
  done.catch(() => undefined); // reported below
  for (;;) {
    await changed.promise;
    changed = Promise.withResolvers();
    if (latest !== undefined) {
      const progress = latest;
      latest = undefined;
      yield { data: { type: "progress", ...progress } };
    }
    if (!isOver) continue;
    try {
      yield { data: { type: resultType, ...(await done) } };
    } catch (error) {
      yield { data: { type: "error", error: toHttpFailure(error).error } };
    }
    return;
  }
}
