import type { Analysis, AnalysisEvent } from "../../src/analysis/analyse.ts";

export interface Collected {
  events: AnalysisEvent[];
  analysis: Analysis;
  text: string[];
}

/** Reads an analysis to its end; exactly one `done`, and it is the last event. */
export async function collect(stream: AsyncIterable<AnalysisEvent>): Promise<Collected> {
  const events: AnalysisEvent[] = [];
  for await (const event of stream) events.push(event);
  const dones = events.filter((event) => event.type === "done");
  const [done] = dones;
  if (done === undefined || dones.length !== 1 || events.at(-1) !== done)
    throw new Error(`events: ${events.map(({ type }) => type).join(" ")}`);
  return { events, analysis: done.analysis, text: done.analysis.sentences.map(({ text }) => text) };
}
