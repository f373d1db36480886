// The recognition models spend two thirds of their time outside convolutions: each one is followed by eight passes over its whole output
// (times a number, plus a number, hard swish in four steps, times a number, plus a number), and numbers of one element keep ONNX Runtime
// from its fast layout, so that it converts back and forth as well. The same function with fewer passes:
//
//   s₁·conv(x) + b₁             → the convolution's own weights and bias
//   y · clip(y + 3, 0, 6) / 6   → y · HardSigmoid(1×1 convolution by one): the runtime computes the activation inside the convolution
//   s₂·h + b₂                   → the weights and bias of the convolutions that read it, if they add no border of zeros (zeros are not
//                                 b₂); else one 1×1 convolution per channel
//
// The results differ by rounding alone. A model without these patterns stays as it is.
import {
  type ConstantTensor,
  floatAttribute,
  type GraphNode,
  integerAttribute,
  integersAttribute,
  integersOf,
  type OnnxGraph,
} from "./onnx-graph.ts";

interface Affine {
  scale: number;
  shift: number;
  /** The name of its result, and the nodes that computed it. */
  result: string;
  nodes: GraphNode[];
}

export function foldAffine(graph: OnnxGraph): void {
  for (const node of [...graph.nodes]) if (isConvolution(graph, node)) foldBehind(graph, node);
  for (const node of [...graph.nodes]) if (isConvolution(graph, node)) foldHardSwish(graph, node);
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  remove(
    graph,
    graph.nodes.filter((node) => node.operator === "Constant" && !node.outputs.some((output) => read.has(output))),
  );
}

/** conv → ×s → +b becomes conv. */
function foldBehind(graph: OnnxGraph, convolution: GraphNode): void {
  const { scale, shift, result, nodes } = affineFrom(graph, convolution.outputs[0] ?? "");
  if (nodes.length === 0) return;
  const { weight, bias } = parametersOf(graph, convolution);
  setParameters(graph, convolution, {
    weight: weight.map((value) => value * scale),
    bias: bias.map((value) => value * scale + shift),
  });
  remove(graph, nodes);
  convolution.outputs = [result];
}

function foldHardSwish(graph: OnnxGraph, convolution: GraphNode): void {
  const input = convolution.outputs[0] ?? "";
  const swish = hardSwishFrom(graph, input);
  const channels = graph.constants.get(convolution.inputs[1] ?? "")?.shape[0];
  if (!swish || channels === undefined) return;
  const after = affineFrom(graph, swish.result);
  const product = `${swish.result}.product`;
  const gate = perChannel(graph, { input, output: `${swish.result}.gate.input`, channels, scale: 1, shift: 0 });
  const made: GraphNode[] = [
    gate,
    {
      operator: "HardSigmoid",
      inputs: gate.outputs,
      outputs: [`${swish.result}.gate`],
      attributes: [floatAttribute("alpha", 1 / 6), floatAttribute("beta", 0.5)],
    },
    { operator: "Mul", inputs: [input, `${swish.result}.gate`], outputs: [product], attributes: [] },
  ];
  const readers = readersOf(graph, after.result);
  if (readers.length > 0 && readers.every((reader) => isUnpaddedConvolution(graph, reader, after.result)))
    for (const reader of readers) foldBefore(graph, reader, { ...after, input: product });
  else made.push(perChannel(graph, { ...after, input: product, output: after.result, channels }));
  const [first] = swish.nodes;
  if (first) graph.nodes.splice(graph.nodes.indexOf(first), 0, ...made);
  remove(graph, [...swish.nodes, ...after.nodes]);
}

/** conv(s·x + b) becomes conv'(x). */
function foldBefore(graph: OnnxGraph, reader: GraphNode, from: { scale: number; shift: number; input: string }): void {
  const { weight, bias } = parametersOf(graph, reader);
  const perOutput = weight.length / bias.length;
  setParameters(graph, reader, {
    weight: weight.map((value) => value * from.scale),
    bias: bias.map((value, output) => {
      let sum = 0;
      for (let index = 0; index < perOutput; index++) sum += weight[output * perOutput + index] ?? 0;
      return value + sum * from.shift;
    }),
  });
  reader.inputs[0] = from.input;
}

/** A 1×1 convolution of each channel by itself: scale·x + shift in the runtime's fast layout. */
function perChannel(
  graph: OnnxGraph,
  made: { input: string; output: string; channels: number; scale: number; shift: number },
): GraphNode {
  const [weightName, biasName] = [`${made.output}.scale`, `${made.output}.shift`];
  const { channels } = made;
  graph.constants.set(weightName, {
    shape: [channels, 1, 1, 1],
    values: new Float32Array(channels).fill(made.scale),
  });
  graph.constants.set(biasName, { shape: [channels], values: new Float32Array(channels).fill(made.shift) });
  return {
    operator: "Conv",
    inputs: [made.input, weightName, biasName],
    outputs: [made.output],
    attributes: [integersAttribute("kernel_shape", [1, 1]), integerAttribute("group", channels)],
  };
}

/** What multiplies by and adds one number, from `name` on, as long as nothing else reads the value between. */
function affineFrom(graph: OnnxGraph, name: string): Affine {
  const found: Affine = { scale: 1, shift: 0, result: name, nodes: [] };
  for (;;) {
    const readers = readersOf(graph, found.result);
    const [node] = readers;
    const number = node && readers.length === 1 ? numberBeside(graph, node, found.result) : undefined;
    const [result] = node?.outputs ?? [];
    if (!node || number === undefined || result === undefined) return found;
    if (node.operator === "Mul") {
      found.scale *= number;
      found.shift *= number;
    } else if (node.operator === "Add") found.shift += number;
    else return found;
    found.result = result;
    found.nodes.push(node);
  }
}

/** y · clip(y + 3, 0, 6) / 6. */
function hardSwishFrom(graph: OnnxGraph, name: string): { result: string; nodes: GraphNode[] } | undefined {
  const readers = readersOf(graph, name);
  const plus = readers.find((node) => node.operator === "Add" && numberBeside(graph, node, name) === 3);
  const times = readers.find((node) => node.operator === "Mul" && node !== plus);
  if (!plus || !times || readers.length !== 2) return undefined;
  const [clip, ...others] = readersOf(graph, plus.outputs[0] ?? "");
  if (clip?.operator !== "Clip" || others.length > 0 || !clip.outputs.every((output) => times.inputs.includes(output)))
    return undefined;
  const [divided, ...more] = readersOf(graph, times.outputs[0] ?? "");
  if (divided?.operator !== "Div" || more.length > 0 || graph.constants.get(divided.inputs[1] ?? "")?.values[0] !== 6)
    return undefined;
  return { result: divided.outputs[0] ?? "", nodes: [plus, clip, times, divided] };
}

/** The one number that stands beside `name` in a node of two inputs. */
function numberBeside(graph: OnnxGraph, node: GraphNode, name: string): number | undefined {
  const other = node.inputs[0] === name ? node.inputs[1] : node.inputs[0];
  const constant = graph.constants.get(other ?? "");
  return node.inputs.length === 2 && constant?.values.length === 1 ? constant.values[0] : undefined;
}

function isConvolution(graph: OnnxGraph, node: GraphNode): boolean {
  return node.operator === "Conv" && graph.constants.has(node.inputs[1] ?? "");
}

function isUnpaddedConvolution(graph: OnnxGraph, node: GraphNode, input: string): boolean {
  return (
    isConvolution(graph, node) &&
    node.inputs[0] === input &&
    node.inputs.lastIndexOf(input) === 0 &&
    integersOf(node, "pads").every((pad) => pad === 0)
  );
}

function parametersOf(graph: OnnxGraph, node: GraphNode): { weight: Float32Array; bias: Float32Array } {
  const weight = graph.constants.get(node.inputs[1] ?? "");
  const bias = graph.constants.get(node.inputs[2] ?? "");
  return {
    weight: weight?.values ?? new Float32Array(),
    bias: bias?.values ?? new Float32Array(weight?.shape[0] ?? 0),
  };
}

/** Under names of its own: another node may share the old tensor. */
function setParameters(
  graph: OnnxGraph,
  node: GraphNode,
  { weight, bias }: { weight: Float32Array; bias: Float32Array },
): void {
  const old: ConstantTensor | undefined = graph.constants.get(node.inputs[1] ?? "");
  const names = [`${node.outputs[0]}.weight`, `${node.outputs[0]}.bias`] as const;
  graph.constants.set(names[0], { shape: old?.shape ?? [], values: weight });
  graph.constants.set(names[1], { shape: [bias.length], values: bias });
  node.inputs = [node.inputs[0] ?? "", ...names];
}

function readersOf(graph: OnnxGraph, name: string): GraphNode[] {
  return graph.nodes.filter((node) => node.inputs.includes(name));
}

function remove(graph: OnnxGraph, nodes: readonly GraphNode[]): void {
  const gone = new Set(nodes);
  graph.nodes = graph.nodes.filter((node) => !gone.has(node));
}
