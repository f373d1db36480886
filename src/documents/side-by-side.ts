// Pages of one document, two at a time: while threads read the lines of one, the next is rendered and its lines are found.

/**
 * The results of `work` for 0 to `count` - 1, in order; `after` is told in order too. When one fails, the others under way are waited for
 * before the failure is thrown: they may still use what the caller is about to close.
 */
export async function sideBySide<T>(
  count: number,
  work: (index: number) => Promise<T>,
  { atOnce = 2, after }: { atOnce?: number; after?: (index: number) => unknown } = {},
): Promise<T[]> {
  const started: Promise<T>[] = [];
  const results: T[] = [];
  try {
    for (let index = 0; index < count; index++) {
      while (started.length < Math.min(count, index + atOnce)) {
        const next = work(started.length);
        // It may fail before its turn to be awaited comes.
        next.catch(() => undefined);
        started.push(next);
      }
      results.push(await (started[index] as Promise<T>));
      await after?.(index);
    }
    return results;
  } finally {
    await Promise.allSettled(started);
  }
}
