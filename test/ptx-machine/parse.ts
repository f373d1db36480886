// PTX text as data: the functions of a module with their registers, parameters, shared variables and instructions. Calls are inlined.

export type RegisterType = "pred" | "b16" | "b32" | "f32" | "b64" | "f64";

export interface Register {
  kind: "register";
  name: string;
  type: RegisterType;
}
export type Operand =
  | Register
  | { kind: "integer"; value: bigint }
  | { kind: "float"; value: number }
  | { kind: "special"; name: string }
  | { kind: "symbol"; name: string; offset: number }
  | { kind: "vector"; parts: Operand[] }
  | { kind: "address"; base: Operand; offset: number };

export interface Instruction {
  /** The parts between the dots: ["add", "s32"]. */
  parts: readonly string[];
  operands: readonly Operand[];
  guard?: { register: Register; isNegated: boolean };
  line: number;
}

export interface PtxFunction {
  name: string;
  parameters: ReadonlyMap<string, { offset: number; bytes: number }>;
  parameterBytes: number;
  shared: readonly { name: string; bytes: number; align: number }[];
  instructions: readonly Instruction[];
  /** Index of the instruction behind each label. */
  labels: ReadonlyMap<string, number>;
}

export interface PtxModule {
  /** Parsed when it is first asked for. */
  function(name: string): PtxFunction | undefined;
  /** Names of arrays that begin where a launch's dynamic shared memory does, with their alignment. */
  dynamicShared: ReadonlyMap<string, number>;
}

const registerTypes: Readonly<Record<string, RegisterType>> = {
  ...{ pred: "pred", b16: "b16", u16: "b16", s16: "b16", b32: "b32", u32: "b32", s32: "b32" },
  ...{ f16: "b16", f32: "f32", b64: "b64", u64: "b64", s64: "b64", f64: "f64" },
};

/** Throws Error with the line for anything that is not the PTX that nvcc writes for kernels/. */
export function parsePtx(text: string): PtxModule {
  const lines = text.split("\n");
  const places = new Map<string, Place>();
  const parsed = new Map<string, PtxFunction>();
  const dynamicShared = new Map<string, number>();
  for (let at = 0; at < lines.length; at++) {
    const line = (lines[at] ?? "").trim();
    const dynamic = /^\.extern \.shared \.align (\d+) \.b8 ([\w$]+)\[\];/.exec(line);
    if (dynamic) dynamicShared.set(dynamic[2] ?? "", Number(dynamic[1]));
    const head = /^(?:\.visible )?\.(?:entry|func)\s+(?:\(.*\) )?([\w$]+)\(/.exec(line);
    if (!head) continue;
    let end = lines.indexOf("{", at);
    for (let depth = 1; depth > 0; ) {
      for (const brace of (lines[++end] ?? fail(line)).match(/[{}]/g) ?? []) depth += brace === "{" ? 1 : -1;
    }
    const name = head[1] ?? "";
    places.set(name, { name, lines, from: at, to: end });
    at = end;
  }
  const find = (name: string): PtxFunction | undefined => {
    const place = places.get(name);
    if (place && !parsed.has(name)) parsed.set(name, parseFunction(place, find));
    return parsed.get(name);
  };
  return { dynamicShared, function: find };
}

interface Place {
  name: string;
  lines: readonly string[];
  from: number;
  to: number;
}

function parseFunction({ name, lines, from, to }: Place, find: (name: string) => PtxFunction | undefined): PtxFunction {
  const parameters = new Map<string, { offset: number; bytes: number }>();
  const registers = new Map<string, Register>();
  const shared: { name: string; bytes: number; align: number }[] = [];
  const instructions: Instruction[] = [];
  const labels = new Map<string, number>();
  let parameterBytes = 0;
  let calls = 0;

  const declare = (registerName: string, type: RegisterType): Register => {
    const before = registers.get(registerName);
    if (before?.type === type) return before;
    const register: Register = { kind: "register", name: registerName, type };
    registers.set(registerName, register);
    return register;
  };
  const operandOf = (text: string): Operand => {
    const found = registers.get(text);
    if (found) return found;
    if (text.startsWith("{")) return { kind: "vector", parts: splitOperands(text.slice(1, -1)).map(operandOf) };
    if (text.startsWith("[")) {
      const inner = /^\[\s*([^+\s]+?)\s*(?:\+\s*(-?\d+))?\s*\]$/.exec(text);
      if (!inner) throw new Error(`address ${text}`);
      return { kind: "address", base: operandOf(inner[1] ?? ""), offset: Number(inner[2] ?? 0) };
    }
    if (/^-?(?:0x[0-9a-f]+|\d+)U?$/i.test(text)) {
      const digits = text.replace(/U$/, "");
      return {
        kind: "integer",
        value: digits.startsWith("-") ? -BigInt(digits.slice(1)) : BigInt(digits),
      };
    }
    if (/^0[fF][0-9a-fA-F]{8}$/.test(text)) return { kind: "float", value: floatOf(text.slice(2)) };
    if (/^0[dD][0-9a-fA-F]{16}$/.test(text)) return { kind: "float", value: doubleOf(text.slice(2)) };
    if (text.startsWith("%")) return { kind: "special", name: text.slice(1) };
    const symbol = /^([\w$]+)(?:\+(-?\d+))?$/.exec(text);
    if (symbol) return { kind: "symbol", name: symbol[1] ?? "", offset: Number(symbol[2] ?? 0) };
    throw new Error(`operand ${text}`);
  };
  const inline = (called: PtxFunction): void => {
    const prefix = `${called.name}#${calls++}`;
    // A parameter of the callee is a register here, by the type of what was stored into it.
    const renamed = new Map<Register, Register>();
    const rename = (operand: Operand): Operand => {
      if (operand.kind === "register") {
        if (operand.name === "func_retval0") return declare("retval0", operand.type);
        const mine = renamed.get(operand) ?? declare(`${prefix}.${operand.name}`, operand.type);
        renamed.set(operand, mine);
        return mine;
      }
      if (operand.kind === "vector") return { kind: "vector", parts: operand.parts.map(rename) };
      if (operand.kind === "address") return { ...operand, base: rename(operand.base) };
      return operand;
    };
    const order = [...called.parameters.keys()];
    const base = instructions.length;
    for (const [label, index] of called.labels) labels.set(`${prefix}.${label}`, base + index);
    for (const instruction of called.instructions) {
      const { parts, operands, guard } = instruction;
      const renamedGuard = guard && { ...guard, register: rename(guard.register) as Register };
      const [first, second] = operands;
      const kept = { line: instruction.line, ...(renamedGuard ? { guard: renamedGuard } : {}) };
      if (parts[0] === "ld" && parts[1] === "param" && second?.kind === "address" && second.base.kind === "symbol") {
        const source = declare(`param${order.indexOf(second.base.name)}`, widthOf(parts[2] ?? ""));
        if (!first) throw new Error("ld.param");
        const type = parts[2] ?? "";
        const into = first.kind === "register" && first.type === "b64" ? `${type[0]}64` : `${type[0]}32`;
        const move = type.startsWith("f") ? ["mov", type] : ["cvt", into, type];
        instructions.push({ ...kept, parts: move, operands: [rename(first), source] });
      } else if (parts[0] === "ret") {
        const to: Operand = { kind: "symbol", name: `${prefix}.end`, offset: 0 };
        instructions.push({ ...kept, parts: ["bra"], operands: [to] });
      } else if (parts[0] === "bra") {
        if (first?.kind !== "symbol") throw new Error("bra");
        const to: Operand = { ...first, name: `${prefix}.${first.name}` };
        instructions.push({ ...kept, parts, operands: [to] });
      } else {
        instructions.push({ ...kept, parts, operands: operands.map(rename) });
      }
    }
    labels.set(`${prefix}.end`, instructions.length);
  };

  let body = from;
  for (; lines[body] !== "{"; body++) {
    const parameter =
      /^\s+\.param(?: \.align (\d+))? \.([bufs]\d+) ([\w$]+)(?:\[(\d+)\])?/.exec(lines[body] ?? "") ?? undefined;
    if (!parameter) continue;
    const unit = Number((parameter[2] ?? "").slice(1)) / 8;
    const bytes = unit * Number(parameter[4] ?? 1);
    const align = Number(parameter[1] ?? unit);
    const offset = Math.ceil(parameterBytes / align) * align;
    parameters.set(parameter[3] ?? "", { offset, bytes });
    parameterBytes = offset + bytes;
  }
  for (let at = body + 1; at < to; at++) {
    let line = (lines[at] ?? "").replace(/\/\/.*$/, "").trim();
    try {
      line = line
        .replace(/^\{/, "")
        .replace(/;\s*\}$/, ";")
        .trim();
      if (line === "" || line === "{" || line === "}") continue;
      const label = /^([\w$]+):$/.exec(line);
      if (label) {
        labels.set(label[1] ?? "", instructions.length);
        continue;
      }
      const ranged = /^\.reg \.(\w+)\s+(%\w+)<(\d+)>;$/.exec(line);
      if (ranged) {
        const type = registerTypes[ranged[1] ?? ""] ?? fail(line);
        for (let n = 0; n < Number(ranged[3]); n++) declare(`${ranged[2]}${n}`, type);
        continue;
      }
      const named = /^\.reg \.(\w+)\s+([\w, $]+);$/.exec(line);
      if (named) {
        for (const one of splitOperands(named[2] ?? "")) declare(one, registerTypes[named[1] ?? ""] ?? fail(line));
        continue;
      }
      const fixed = /^\.shared \.align (\d+) \.b8 ([\w$]+)\[(\d+)\];$/.exec(line);
      if (fixed) {
        shared.push({ name: fixed[2] ?? "", bytes: Number(fixed[3]), align: Number(fixed[1]) });
        continue;
      }
      if (line.startsWith(".param") || line.startsWith(".pragma")) continue;
      while (!line.includes(";")) line += ` ${(lines[++at] ?? "").trim()}`;
      for (const statement of line.split(";")) {
        if (statement.trim() === "" || statement.trim() === "}") continue;
        const match = /^(?:@(!?)(%?\w+)\s+)?([a-z][\w.:]*)\s*(.*)$/.exec(statement.trim());
        if (!match) throw new Error("not an instruction");
        const parts = (match[3] ?? "").split(".");
        const guardName = match[2];
        const guardRegister = guardName === undefined ? undefined : (registers.get(guardName) ?? fail(guardName));
        const guard = guardRegister && { register: guardRegister, isNegated: match[1] === "!" };
        if (parts[0] === "call") {
          // With or without a result in front.
          const [, callee = ""] = /^(?:\([^)]*\)\s*,\s*)?([\w$]+)/.exec(match[4] ?? "") ?? [];
          const called = find(callee) ?? fail("call of the unknown");
          inline(called);
          continue;
        }
        const texts = splitOperands(match[4] ?? "");
        if (parts[0] === "st" && parts[1] === "param") {
          const to = declare(/\[(\w+)/.exec(texts[0] ?? "")?.[1] ?? "", widthOf(parts[2] ?? ""));
          instructions.push({
            parts: ["mov", parts[2] ?? ""],
            operands: [to, operandOf(texts[1] ?? "")],
            line: at + 1,
          });
          continue;
        }
        if (parts[0] === "ld" && parts[1] === "param" && texts[1]?.startsWith("[retval")) {
          const source = registers.get("retval0") ?? fail("no value returned");
          instructions.push({
            parts: ["mov", parts[2] ?? ""],
            operands: [operandOf(texts[0] ?? ""), source],
            line: at + 1,
          });
          continue;
        }
        const operands = texts.flatMap((one) => one.split("|").map((half) => operandOf(half.trim())));
        instructions.push({ parts, operands, line: at + 1, ...(guard ? { guard } : {}) });
      }
    } catch (error) {
      throw new Error(`line ${at + 1} of ${name}, "${line}": ${String(error)}`);
    }
  }
  return { name, parameters, parameterBytes, shared, instructions, labels };
}

function fail(what: string): never {
  throw new Error(`cannot read ${what}`);
}

/** By the type suffix of an instruction. */
function widthOf(suffix: string): RegisterType {
  if (suffix === "f32" || suffix === "f64") return suffix;
  return suffix.endsWith("64") ? "b64" : "b32";
}

/** At commas outside braces and brackets. */
function splitOperands(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") depth++;
    if (character === "}" || character === "]") depth--;
    if ((character === "," && depth === 0) || at === text.length) {
      const part = text.slice(from, at).trim();
      if (part !== "") parts.push(part);
      from = at + 1;
    }
  }
  return parts;
}

function floatOf(hex: string): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, Number.parseInt(hex, 16));
  return view.getFloat32(0);
}
function doubleOf(hex: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${hex}`));
  return view.getFloat64(0);
}
