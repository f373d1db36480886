import type { CudaRunner } from "../../src/engine/cuda/runner.ts";
import type { SampledToken } from "../../src/engine/cuda/runner-contract.ts";

/** Decodes `steps` tokens of each slot from its position on, two steps ahead; milliseconds a step. */
export async function decodeSteps(
  runner: CudaRunner,
  slots: readonly { slot: number; position: number }[],
  steps: number,
): Promise<number> {
  const inFlight: Promise<readonly SampledToken[]>[] = [];
  const begin = performance.now();
  for (let step = 0; step < steps; step++) {
    const plan = slots.map(({ slot, position }) => ({ slot, startPosition: position + step, sample: true }));
    inFlight.push(runner.submit(plan));
    if (inFlight.length > 2) await inFlight.shift();
  }
  await Promise.all(inFlight);
  return (performance.now() - begin) / steps;
}
