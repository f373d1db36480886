import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { GenerateRequest } from "../../src/engine/contract.ts";
import { answer, ask, greedy, hear, onEachEngine } from "./engines.ts";

const cases: Record<string, Partial<GenerateRequest>> = {
  prompt: { prompt: { kind: "text", pieces: [] } },
  "prompt ": { prompt: { kind: "text", pieces: [""] } },
  "prompt  ": { prompt: { kind: "tokens", ids: [1, 2, 99_999_999] } },
  "prompt   ": { prompt: { kind: "tokens", ids: [1.5] } },
  temperature: { sampling: { ...greedy, temperature: Number.NaN } },
  "temperature ": { sampling: { ...greedy, temperature: -1 } },
  topP: { sampling: { ...greedy, topP: 1.5 } },
  topK: { sampling: { ...greedy, topK: -1 } },
  logitBias: { sampling: { ...greedy, logitBias: new Map([[99_999_999, 1]]) } },
  "logitBias ": { sampling: { ...greedy, logitBias: new Map([[1, 200]]) } },
  maxTokens: { maxTokens: -1 },
  minTokens: { minTokens: 10, maxTokens: 5 },
  topLogprobs: { topLogprobs: 21 },
  stop: { stop: [""] },
  grammar: { grammar: { kind: "choice", options: [] } },
};

onEachEngine({ parallel: 1 }, (engine) => {
  for (const [param, changes] of Object.entries(cases)) {
    test(`a request that makes no sense is refused with its field: ${JSON.stringify(changes, showMap)}`, async () => {
      await assert.rejects(hear(engine().generate(ask(changes))), (error) => {
        assert.ok(error instanceof AppError, String(error));
        assert.equal(error.code, "bad_request");
        assert.equal(error.param, param.trim());
        return true;
      });
    });
  }

  test("after all that the next good request succeeds", async () => {
    assert.equal((await hear(engine().generate(ask()))).text, answer);
  });

  test("ids that are no tokens are refused by detokenize", async () => {
    await assert.rejects(engine().detokenize([1, -1]), { code: "bad_request" });
  });
});

function showMap(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}
