import path from "node:path";
import type { Log } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/contract.ts";
import { openEngine } from "../../src/engine/open.ts";

/** quern-mini on the CPU, in this process. */
export function openMini(log: Log): Promise<Engine> {
  return openEngine({
    engine: "llama",
    modelFile: path.join(import.meta.dirname, "../../models/quern-mini/quern-mini-q4_k_m.gguf"),
    modelId: "quern-mini",
    isDemonstration: true,
    contextTokens: 4096,
    parallel: 1,
    queueLimit: 4,
    kvType: "auto",
    threads: 1,
    log,
  });
}
