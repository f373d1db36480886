// A PTX function as JavaScript. Straight runs of instructions become one function each that does them for every active lane of a warp; what a
// warp does together (shuffles, tensor-core products, barriers) stays an instruction of its own, which warp-operations.ts carries out.
//
// Registers: 32-bit and narrower ones, predicates and the halves of 64-bit ones are rows of 32 lanes in an Int32Array, floats rows of a
// Float32Array, doubles rows of a Float64Array. An address is 64 bits: the upper half numbers an allocation, the lower is an offset in it, so
// that a pointer that leaves its allocation is caught.

import { sourceOf } from "./emit.ts";
import { fail, type Scope } from "./emitter.ts";
import type { Warp } from "./machine.ts";
import type { Instruction, Operand, PtxFunction, Register } from "./parse.ts";
import { runtime } from "./runtime.ts";

export type Run = (warp: Warp, mask: number) => number;

/** What a warp does next. `run` gives the lanes that take the branch. */
export type Segment =
  | { kind: "run"; first: number; last: number; run?: Run; end: "on" | "branch" | "jump" | "exit"; target: number }
  | { kind: "together"; instruction: Instruction; slots: readonly (readonly Slot[])[] };

/** Where an operand is: a row of registers of its kind, or the same value for all lanes. */
export interface Slot {
  kind: "i" | "f" | "d" | "constant";
  /** A row, or the constant. */
  at: number;
}

export interface Program {
  name: string;
  segments: Segment[];
  intRows: number;
  floatRows: number;
  doubleRows: number;
  /** Bytes before the dynamic shared memory. */
  staticShared: number;
  parameterBytes: number;
  parameters: readonly { offset: number; bytes: number }[];
  lineOf(segment: number): string;
  /** Compiles a run when it is first needed. */
  compile(segment: Extract<Segment, { kind: "run" }>): Run;
}

const together = new Set([
  ...["shfl", "vote", "redux", "activemask", "mma", "ldmatrix", "bar", "barrier", "match", "elect"],
]);
const longestRun = 250;

const isTogether = ({ parts }: Instruction): boolean =>
  together.has(parts[0] ?? "") ||
  (parts[0] === "wgmma" && parts[1] === "mma_async") ||
  (parts[0] === "cp" && (parts[2] === "commit_group" || parts[2] === "wait_group" || parts[2] === "wait_all"));

export function compile(
  ptx: PtxFunction,
  { dynamicShared, checksRaces }: { dynamicShared: ReadonlyMap<string, number>; checksRaces: boolean },
): Program {
  // ---- where things are ----
  const rows = new Map<Register, number>();
  let [intRows, floatRows, doubleRows] = [0, 0, 0];
  const rowOf = (register: Register): number => {
    let row = rows.get(register);
    if (row === undefined) {
      if (register.type === "f32") row = floatRows++;
      else if (register.type === "f64") row = doubleRows++;
      else {
        row = intRows;
        intRows += register.type === "b64" ? 2 : 1;
      }
      rows.set(register, row);
    }
    return row;
  };
  const symbols = new Map<string, number>();
  let staticShared = 0;
  for (const { name, bytes, align } of ptx.shared) {
    staticShared = Math.ceil(staticShared / align) * align;
    symbols.set(name, staticShared);
    staticShared += bytes;
  }
  const most = Math.max(16, ...dynamicShared.values());
  staticShared = Math.ceil(staticShared / most) * most;
  for (const name of dynamicShared.keys()) symbols.set(name, staticShared);

  // ---- constants: a register that is set once, to a number ----
  const definitions = new Map<Register, number>();
  const constants = new Map<Register, Operand>();
  for (const instruction of ptx.instructions)
    for (const to of writtenBy(instruction)) definitions.set(to, (definitions.get(to) ?? 0) + 1);
  for (const { parts, operands, guard } of ptx.instructions) {
    const [to, from] = operands;
    if (parts[0] !== "mov" || guard || to?.kind !== "register" || to.type === "pred" || definitions.get(to) !== 1)
      continue;
    if (from?.kind === "integer" || from?.kind === "float") constants.set(to, from);
  }
  const resolve = (operand: Operand): Operand => {
    if (operand.kind === "register") return constants.get(operand) ?? operand;
    if (operand.kind === "vector") return { kind: "vector", parts: operand.parts.map(resolve) };
    if (operand.kind === "address") return { ...operand, base: resolve(operand.base) };
    return operand;
  };

  // ---- runs ----
  const begins = new Set<number>(ptx.labels.values());
  const segments: Segment[] = [];
  const segmentAt: number[] = [];
  const branches: [Extract<Segment, { kind: "run" }>, string][] = [];
  for (let from = 0; from < ptx.instructions.length; ) {
    segmentAt[from] = segments.length;
    const instruction = ptx.instructions[from];
    if (instruction && isTogether(instruction)) {
      if (instruction.guard) throw new Error(`${ptx.name}: a guarded ${instruction.parts.join(".")}`);
      segments.push({ kind: "together", instruction, slots: [] });
      from++;
      continue;
    }
    let to = from;
    let end: "on" | "branch" | "jump" | "exit" = "on";
    let label = "";
    for (; to < ptx.instructions.length && to - from < longestRun; to++) {
      const one = ptx.instructions[to];
      if (!one || isTogether(one) || (to > from && begins.has(to))) break;
      if (one.parts[0] === "bra") {
        const target = one.operands[0];
        label = target?.kind === "symbol" ? target.name : "";
        end = one.guard ? "branch" : "jump";
      } else if (one.parts[0] === "ret" || one.parts[0] === "exit") {
        if (one.guard) throw new Error(`${ptx.name}: a guarded ret`);
        end = "exit";
      } else continue;
      to++;
      break;
    }
    const segment: Segment = { kind: "run", first: from, last: to, end, target: -1 };
    segments.push(segment);
    if (label) branches.push([segment, label]);
    from = to;
  }
  segmentAt[ptx.instructions.length] = segments.length;
  for (const [segment, label] of branches) {
    const index = ptx.labels.get(label) ?? fail(`label ${label}`);
    segment.target = segmentAt[index] ?? fail(`label ${label}`);
  }
  segments.push({
    kind: "run",
    first: ptx.instructions.length,
    last: ptx.instructions.length,
    end: "exit",
    target: -1,
  });

  // ---- which registers are needed outside the run that writes them ----
  const usedIn = new Map<Register, number>();
  const crossing = new Set<Register>();
  for (const [index, segment] of segments.entries()) {
    const written = new Set<Register>();
    const [first, last] = segment.kind === "run" ? [segment.first, segment.last] : [0, 0];
    const those = segment.kind === "run" ? ptx.instructions.slice(first, last) : [segment.instruction];
    for (const instruction of those) {
      const reads = readBy(instruction);
      for (const register of reads) if (!written.has(register)) crossing.add(register);
      for (const register of writtenBy(instruction)) {
        if (instruction.guard && !written.has(register)) crossing.add(register);
        written.add(register);
        if (segment.kind === "together") crossing.add(register);
      }
      for (const register of [...reads, ...writtenBy(instruction)]) {
        const before = usedIn.get(register);
        if (before !== undefined && before !== index) crossing.add(register);
        usedIn.set(register, index);
      }
    }
  }

  // ---- operands of what warps do together ----
  const slotsOf = (operand: Operand): Slot[] => {
    const found = resolve(operand);
    if (found.kind === "vector") return found.parts.flatMap(slotsOf);
    if (found.kind === "address") return [...slotsOf(found.base), { kind: "constant", at: found.offset }];
    if (found.kind === "integer") return [{ kind: "constant", at: Number(BigInt.asIntN(32, found.value)) }];
    if (found.kind === "float") return [{ kind: "constant", at: found.value }];
    if (found.kind === "symbol")
      return [{ kind: "constant", at: (symbols.get(found.name) ?? fail(found.name)) + found.offset }];
    if (found.kind !== "register") throw new Error(`operand ${found.kind}`);
    const at = rowOf(found);
    if (found.type === "b64")
      return [
        { kind: "i", at },
        { kind: "i", at: at + 1 },
      ];
    return [{ kind: found.type === "f32" ? "f" : found.type === "f64" ? "d" : "i", at }];
  };
  for (const segment of segments) {
    if (segment.kind === "together") segment.slots = segment.instruction.operands.map(slotsOf);
  }
  for (const register of crossing) rowOf(register);

  const numbers = new Map<Register, number>();
  const numberOf = (register: Register): number => {
    const number = numbers.get(register) ?? numbers.size;
    numbers.set(register, number);
    return number;
  };
  const scope: Scope = { rowOf, numberOf, resolve, symbols, crossing, parameters: ptx.parameters, checksRaces };
  return {
    name: ptx.name,
    segments,
    ...{ intRows, floatRows, doubleRows, staticShared },
    parameterBytes: ptx.parameterBytes,
    parameters: [...ptx.parameters.values()],
    lineOf(index) {
      const segment = segments[index];
      if (!segment) return "its end";
      if (segment.kind === "together")
        return `line ${segment.instruction.line} (${segment.instruction.parts.join(".")})`;
      return `lines ${ptx.instructions[segment.first]?.line}-${ptx.instructions[segment.last - 1]?.line}`;
    },
    compile(segment) {
      const source = sourceOf(ptx.instructions.slice(segment.first, segment.last), scope);
      try {
        segment.run = new Function("rt", `"use strict"; return (w, m) => {${source}}`)(runtime) as Run;
      } catch (error) {
        throw new Error(`${ptx.name}, instructions ${segment.first}-${segment.last}: ${String(error)}\n${source}`);
      }
      return segment.run;
    },
  };
}

function registersIn(operand: Operand): Register[] {
  if (operand.kind === "register") return [operand];
  if (operand.kind === "vector") return operand.parts.flatMap(registersIn);
  if (operand.kind === "address") return registersIn(operand.base);
  return [];
}
const writesNothing = new Set([
  "st",
  "bra",
  "bar",
  "barrier",
  "ret",
  "exit",
  "cp",
  "red",
  "nanosleep",
  "membar",
  "fence",
  "griddepcontrol",
  "setmaxnreg",
]);
/** How many operands in front are results. */
function resultsOf({ parts, operands }: Instruction): number {
  const [name, second] = parts;
  if (writesNothing.has(name ?? "")) return 0;
  if (name === "mbarrier") return second === "try_wait" || second === "test_wait" ? 1 : 0;
  if (name === "wgmma") return second === "mma_async" ? 1 : 0;
  if (name === "shfl") return operands.length === 6 ? 2 : 1;
  return 1;
}
const writtenBy = (instruction: Instruction): Register[] =>
  instruction.operands.slice(0, resultsOf(instruction)).flatMap(registersIn);
function readBy(instruction: Instruction): Register[] {
  const reads = instruction.operands.slice(resultsOf(instruction)).flatMap(registersIn);
  // A product in shared memory's order adds to what is there.
  if (instruction.parts[0] === "wgmma") reads.push(...writtenBy(instruction));
  if (instruction.guard) reads.push(instruction.guard.register);
  return reads;
}
