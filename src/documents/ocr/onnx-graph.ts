// Reads and writes the part of an ONNX file that rewriting it takes: the list of nodes and the constant tensors. Everything else in the
// file passes through as the bytes it was. ONNX is Protocol Buffers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

/** One Protocol Buffers field: a number, or bytes (text, a message, a packed list, a fixed 4 or 8 bytes). */
interface Field {
  number: number;
  wire: number;
  value: bigint | Uint8Array;
}

export interface GraphNode {
  operator: string;
  inputs: string[];
  outputs: string[];
  /** Encoded. */
  attributes: Uint8Array[];
}

export interface ConstantTensor {
  shape: number[];
  values: Float32Array;
}

export interface OnnxGraph {
  nodes: GraphNode[];
  /** Constant float tensors by name, those held by Constant nodes included. */
  constants: Map<string, ConstantTensor>;
  /** The file with the nodes as they are now; tensors that were set anew since reading are added to it. */
  encode(): Uint8Array;
}

// Field numbers of the messages.
const inModel = { graph: 7 } as const;
const inGraph = { node: 1, initializer: 5 } as const;
const inNode = { input: 1, output: 2, operator: 4, attribute: 5 } as const;
const inAttribute = { name: 1, float: 2, integer: 3, tensor: 5, integers: 8, type: 20 } as const;
const inTensor = { dimension: 1, type: 2, name: 8, raw: 9 } as const;
const floatType = 1n;

export function readOnnx(bytes: Uint8Array): OnnxGraph {
  const model = fieldsOf(bytes);
  const graph = model.filter((field) => field.number === inModel.graph).flatMap((field) => fieldsOf(bytesOf(field)));
  const nodes = all(graph, inGraph.node).map(toNode);
  const read = new Map<string, ConstantTensor>();
  for (const encoded of all(graph, inGraph.initializer)) addTensor(read, undefined, encoded);
  for (const { operator, outputs, attributes } of nodes)
    if (operator === "Constant") for (const encoded of attributes) addTensor(read, outputs[0], tensorOf(encoded));
  const constants = new Map(read);
  return {
    nodes,
    constants,
    encode() {
      const inputs = new Set(this.nodes.flatMap((node) => node.inputs));
      const added = [...constants].filter(([name, tensor]) => read.get(name) !== tensor && inputs.has(name));
      return encode([
        ...model.filter((field) => field.number !== inModel.graph),
        message(inModel.graph, [
          ...this.nodes.map(fromNode),
          ...added.map(([name, tensor]) => fromTensor(name, tensor)),
          ...graph.filter((field) => field.number !== inGraph.node),
        ]),
      ]);
    },
  };
}

export function floatAttribute(name: string, value: number): Uint8Array {
  const raw = new Uint8Array(4);
  new DataView(raw.buffer).setFloat32(0, value, true);
  return encode([
    text(inAttribute.name, name),
    { number: inAttribute.float, wire: 5, value: raw },
    { number: inAttribute.type, wire: 0, value: 1n },
  ]);
}

export function integersAttribute(name: string, values: readonly number[]): Uint8Array {
  return encode([
    text(inAttribute.name, name),
    ...values.map((value): Field => ({ number: inAttribute.integers, wire: 0, value: BigInt(value) })),
    { number: inAttribute.type, wire: 0, value: 7n },
  ]);
}

export function integerAttribute(name: string, value: number): Uint8Array {
  return encode([
    text(inAttribute.name, name),
    { number: inAttribute.integer, wire: 0, value: BigInt(value) },
    { number: inAttribute.type, wire: 0, value: 2n },
  ]);
}

/** Whole numbers of an attribute of a node, one or a list; none when the node does not have it. */
export function integersOf(node: GraphNode, name: string): number[] {
  for (const encoded of node.attributes) {
    const fields = fieldsOf(encoded);
    if (textOf(fields, inAttribute.name) !== name) continue;
    return fields.flatMap(({ number, value }) => {
      if (number !== inAttribute.integer && number !== inAttribute.integers) return [];
      return typeof value === "bigint" ? [Number(value)] : numbersOf(value);
    });
  }
  return [];
}

function toNode(encoded: Uint8Array): GraphNode {
  const fields = fieldsOf(encoded);
  return {
    operator: textOf(fields, inNode.operator),
    inputs: all(fields, inNode.input).map(utf8),
    outputs: all(fields, inNode.output).map(utf8),
    attributes: all(fields, inNode.attribute),
  };
}

function fromNode({ operator, inputs, outputs, attributes }: GraphNode): Field {
  return message(inGraph.node, [
    ...inputs.map((name) => text(inNode.input, name)),
    ...outputs.map((name) => text(inNode.output, name)),
    text(inNode.operator, operator),
    ...attributes.map((value): Field => ({ number: inNode.attribute, wire: 2, value })),
  ]);
}

function tensorOf(attribute: Uint8Array): Uint8Array {
  return all(fieldsOf(attribute), inAttribute.tensor)[0] ?? new Uint8Array();
}

/** Float tensors with raw values only: that is how the models' exporter writes them. */
function addTensor(constants: Map<string, ConstantTensor>, name: string | undefined, encoded: Uint8Array): void {
  const fields = fieldsOf(encoded);
  const raw = all(fields, inTensor.raw)[0];
  if (!raw || fields.find((field) => field.number === inTensor.type)?.value !== floatType) return;
  const shape = fields
    .filter((field) => field.number === inTensor.dimension)
    .flatMap(({ value }) => (typeof value === "bigint" ? [Number(value)] : numbersOf(value)));
  // Copied: the bytes in the file stand at any offset, floats need one divisible by four.
  const values = new Float32Array(new Uint8Array(raw).buffer);
  constants.set(name ?? textOf(fields, inTensor.name), { shape, values });
}

function fromTensor(name: string, { shape, values }: ConstantTensor): Field {
  return message(inGraph.initializer, [
    ...shape.map((size): Field => ({ number: inTensor.dimension, wire: 0, value: BigInt(size) })),
    { number: inTensor.type, wire: 0, value: floatType },
    text(inTensor.name, name),
    { number: inTensor.raw, wire: 2, value: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) },
  ]);
}

function all(fields: readonly Field[], number: number): Uint8Array[] {
  return fields.filter((field) => field.number === number).map(bytesOf);
}

function bytesOf({ value }: Field): Uint8Array {
  return typeof value === "bigint" ? new Uint8Array() : value;
}

function textOf(fields: readonly Field[], number: number): string {
  return all(fields, number).map(utf8)[0] ?? "";
}

function text(number: number, value: string): Field {
  return { number, wire: 2, value: Buffer.from(value) };
}

function message(number: number, fields: readonly Field[]): Field {
  return { number, wire: 2, value: encode(fields) };
}

const decoder = new TextDecoder();
function utf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const key = varint(bytes, at);
    at = key.end;
    const [number, wire] = [Number(key.value >> 3n), Number(key.value & 7n)];
    if (wire === 0) {
      const { value, end } = varint(bytes, at);
      fields.push({ number, wire, value });
      at = end;
      continue;
    }
    const counted = wire === 2 ? varint(bytes, at) : undefined;
    const start = counted?.end ?? at;
    const end = start + (counted ? Number(counted.value) : wire === 1 ? 8 : 4);
    fields.push({ number, wire, value: bytes.subarray(start, end) });
    at = end;
  }
  return fields;
}

function varint(bytes: Uint8Array, from: number): { value: bigint; end: number } {
  let value = 0n;
  for (let at = from, shift = 0n; ; at++, shift += 7n) {
    const byte = bytes[at] ?? 0;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return { value, end: at + 1 };
  }
}

function numbersOf(packed: Uint8Array): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < packed.length; ) {
    const { value, end } = varint(packed, at);
    numbers.push(Number(value));
    at = end;
  }
  return numbers;
}

function encode(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { number, wire, value } of fields) {
    parts.push(toVarint(BigInt((number << 3) | wire)));
    if (typeof value === "bigint") parts.push(toVarint(value));
    else if (wire === 2) parts.push(toVarint(BigInt(value.length)), value);
    else parts.push(value);
  }
  return Buffer.concat(parts);
}

function toVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
