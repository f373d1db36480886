// The status of an engine whose process has said nothing yet, and the sums over processes that are gone.
import type { EngineStatus } from "./contract.ts";
import type { EngineSettings } from "./open.ts";

export const noTotals = { requests: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0, failures: 0, aborts: 0 };

export function addTotals(left: EngineStatus["totals"], right: EngineStatus["totals"]): EngineStatus["totals"] {
  return {
    requests: left.requests + right.requests,
    promptTokens: left.promptTokens + right.promptTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    completionTokens: left.completionTokens + right.completionTokens,
    failures: left.failures + right.failures,
    aborts: left.aborts + right.aborts,
  };
}

/** What is known before the process has said anything. */
export function unopenedStatus(settings: EngineSettings): EngineStatus {
  const { engine, modelId, modelFile, isDemonstration, contextTokens, parallel, queueLimit, kvType } = settings;
  return {
    engine: engine === "auto" ? "llama" : engine,
    device: "",
    state: "loading",
    model: {
      id: modelId,
      file: modelFile,
      fileBytes: 0,
      architecture: "",
      quantisation: "",
      parameters: 0,
      layers: 0,
      vocabularyTokens: 0,
      trainedContextTokens: 0,
      eosTokenIds: [],
      isDemonstration,
    },
    contextTokens,
    parallel,
    kvType,
    kv: { totalTokens: 0, usedTokens: 0, cachedTokens: 0 },
    memory: { weightBytes: 0, kvBytes: 0, otherBytes: 0 },
    runningRequests: 0,
    queuedRequests: 0,
    queueLimit,
    speed: { promptTokensPerSecond: 0, decodeTokensPerSecond: 0 },
    totals: noTotals,
    restarts: 0,
  };
}
