// A prompt and the tokens after it, by every way that the engine has to compute them, against the plain model. Short enough for the PTX machine
// (test/ptx-machine), where it runs without a GPU.
import assert from "node:assert/strict";
import test from "node:test";
import { floatsOf, gpuMissing, miniFile, ReferenceModel, relativeError, slotSettings } from "./gpu-test-tools.ts";
import { openCudaRunner } from "./open-cuda.ts";

const missing = gpuMissing();

test("a prompt and its next tokens are the plain model's, by whatever kernels", {
  skip: missing,
}, async (t) => {
  const reference = new ReferenceModel(miniFile);
  const ids = Array.from({ length: 11 }, (_, index) => (index * 131 + 7) % reference.shape.vocabularyTokens);
  const answers: number[][] = [];
  for (const [about, capability, isPersistent] of [
    ["one kernel for all layers", undefined, true],
    ["five kernels a layer", undefined, false],
    ["portable kernels", 80, false],
  ] as const) {
    const size = { modelFile: miniFile, contextTokens: 128, parallel: 1, isWarmedUp: false };
    const { runner, device, kernels } = await openCudaRunner({ ...size, ...(capability ? { capability } : {}) });
    if (isPersistent && !runner.steps.isPersistent)
      t.diagnostic("this GPU has too little shared memory for one kernel");
    runner.steps.isPersistent &&= isPersistent;
    runner.fillSlot(0, slotSettings());
    runner.setPages(0, 0, Int32Array.of(1, 0));
    const submit = async (startPosition: number, tokens?: readonly number[]): Promise<number[]> => {
      const sampled = await runner.submit([
        { slot: 0, startPosition, sample: true, ...(tokens ? { tokens: Int32Array.from(tokens) } : {}) },
      ]);
      return sampled.map(({ id }) => id);
    };
    const answer = await submit(0, ids);
    for (let step = 0; step < 2; step++) answer.push(...(await submit(ids.length + step)));
    answers.push(answer);
    const rows = reference.residual([...ids, ...answer.slice(0, 2)]);
    const wanted = reference.logits(rows.at(-1) ?? new Float64Array(0));
    const logits = floatsOf(device.read(runner.workspace.logits, kernels.vocabularyTokens * 4));
    const error = relativeError(logits, wanted);
    t.diagnostic(`${about}: relative error of the logits ${error.toFixed(5)}`);
    assert.ok(error < 0.03, `${about}: ${error}`);
    await runner[Symbol.asyncDispose]();
  }
  assert.deepEqual(answers[1], answers[0]);
  assert.deepEqual(answers[2], answers[0]);
});
