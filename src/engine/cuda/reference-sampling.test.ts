// The reference itself, on cases worked out by hand: what the kernels are held to must be right.
import assert from "node:assert/strict";
import test from "node:test";
import { plainSampling, type Sampling } from "../contract.ts";
import { referenceChoice, uniform } from "./reference-sampling.ts";

const logits = Float32Array.from([Math.log(0.5), Math.log(0.25), Math.log(0.15), Math.log(0.1)]);

function kept(
  changes: Partial<Sampling>,
  { recent = [], mask }: { recent?: number[]; mask?: Int32Array } = {},
): string {
  const choice = referenceChoice(logits, {
    sampling: { ...plainSampling, ...changes },
    seed: 1,
    draw: 0,
    recent,
    mask,
  });
  return choice.kept.map(({ id, probability }) => `${id}:${probability.toFixed(3)}`).join(" ");
}

test("filters see the probabilities before temperature, top-p those that top-k left", () => {
  assert.equal(kept({}), "0:0.500 1:0.250 2:0.150 3:0.100");
  assert.equal(kept({ topK: 2 }), "0:0.667 1:0.333");
  assert.equal(kept({ topP: 0.7 }), "0:0.667 1:0.333");
  assert.equal(kept({ topP: 0.76 }), "0:0.556 1:0.278 2:0.167");
  assert.equal(kept({ topP: 0.6, topK: 2 }), "0:1.000");
  assert.equal(kept({ topP: 0 }), "0:1.000");
  assert.equal(kept({ minP: 0.4 }), "0:0.667 1:0.333");
  // Ten times flatter, and still the same two: the temperature comes last.
  assert.equal(kept({ topP: 0.7, temperature: 10 }), "0:0.517 1:0.483");
  assert.equal(kept({ temperature: 0.5 }), "0:0.725 1:0.181 2:0.065 3:0.029");
});

test("biases come before penalties, which count a token's appearances in their window", () => {
  assert.equal(kept({ logitBias: new Map([[3, 100]]), topK: 1 }), "3:1.000");
  const bias = new Map([[0, 1 - Math.log(0.5)]]); // its logit becomes 1
  assert.equal(kept({ logitBias: bias, repeatPenalty: 2, topK: 2 }, { recent: [0] }), "0:0.868 1:0.132");
  assert.equal(kept({ presencePenalty: Math.log(2) }, { recent: [0, 0] }), "0:0.333 1:0.333 2:0.200 3:0.133");
  assert.equal(kept({ frequencyPenalty: Math.log(2), topK: 2 }, { recent: [0, 0] }), "1:0.625 2:0.375");
  assert.equal(
    kept({ presencePenalty: Math.log(2), penaltyTokens: 1 }, { recent: [0, 1] }),
    "0:0.571 2:0.171 1:0.143 3:0.114",
  );
  assert.equal(kept({}, { mask: Int32Array.of(0b1010) }), "1:0.714 3:0.286");
});

test("draws follow the probabilities, and are the same for the same seed", () => {
  const draws = Array.from(
    { length: 20_000 },
    (_, draw) => referenceChoice(logits, { sampling: plainSampling, seed: 7, draw, recent: [] }).id,
  );
  for (const [id, probability] of [0.5, 0.25, 0.15, 0.1].entries()) {
    const share = draws.filter((drawn) => drawn === id).length / draws.length;
    assert.ok(Math.abs(share - probability) < 0.015, `${id}: ${share}`);
  }
  assert.notEqual(uniform(1, 0), uniform(2 ** 40 + 1, 0), "the seed's upper bits count");
  assert.equal(uniform(5, 3), uniform(5, 3));
});
