// Which answers are being written, seen from every tab of this browser. A tab holds a lock for each of its running answers; the
// browser lets go of it when the tab closes or crashes. Without the API (plain http from another machine) no tab knows of another.

const prefix = "quern.answer.";

/** Marks an answer as running until the returned function is called. */
export function holdAnswer(id: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  void navigator.locks?.request(prefix + id, () => promise);
  return resolve;
}

/** Ids of the answers that some tab is writing now. */
export async function heldAnswers(): Promise<ReadonlySet<string>> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return new Set(held.map(({ name = "" }) => name.slice(prefix.length)));
}
