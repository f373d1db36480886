// The JavaScript of a run of instructions: one loop over the lanes of a warp whose body is the run, with registers as local variables.
import type { Instruction, Operand, Register } from "./parse.ts";
import type { Use } from "./races.ts";
import { parameterSpace, runtime } from "./runtime.ts";

/** What a run needs to know of its function. */
export interface Scope {
  rowOf(register: Register): number;
  /** Names a register among all of the function. */
  numberOf(register: Register): number;
  resolve(operand: Operand): Operand;
  symbols: ReadonlyMap<string, number>;
  crossing: ReadonlySet<Register>;
  parameters: ReadonlyMap<string, { offset: number; bytes: number }>;
  /** Each use of shared memory is told to races.ts. */
  checksRaces: boolean;
}

const nothing = new Set(["membar", "fence", "griddepcontrol", "setmaxnreg", "prefetch"]);
/** Launches run one after another and every write is seen at once, so these have nothing to do. */
const isNothing = ({ parts }: Instruction): boolean =>
  nothing.has(parts[0] ?? "") ||
  (parts[0] === "wgmma" && parts[1] !== "mma_async") ||
  (parts[0] === "cp" && parts.includes("prefetch"));

const comparisons: Readonly<Record<string, string>> = {
  ...{ eq: "===", ne: "!==", lt: "<", le: "<=", gt: ">", ge: ">=", lo: "<", ls: "<=", hi: ">", hs: ">=" },
};
const specials: Readonly<Record<string, string>> = {
  "tid.x": "(w.firstThread + l)",
  "tid.y": "0",
  "tid.z": "0",
  "ntid.x": "w.block.threads",
  "ctaid.x": "w.block.x",
  "ctaid.y": "w.block.y",
  "ctaid.z": "w.block.z",
  "nctaid.x": "w.block.grid[0]",
  "nctaid.y": "w.block.grid[1]",
  "nctaid.z": "w.block.grid[2]",
  "cluster_nctaid.z": "w.block.cluster.size",
  cluster_ctarank: "w.block.rank",
  laneid: "l",
};

/** The body of `(w: Warp, m: number) => number`: does the instructions for each lane in `m` and returns the lanes that branch. */
export function sourceOf(
  instructions: readonly Instruction[],
  { rowOf, numberOf, resolve, symbols, crossing, parameters, checksRaces }: Scope,
): string {
  const locals = new Map<string, { register: Register; half: number; isLoaded: boolean; isWritten: boolean }>();
  const body: string[] = [];
  let temporaries = 0;

  const local = (register: Register, half: number, isWrite: boolean, isPartial: boolean): string => {
    const letter = register.type === "f32" ? "f" : register.type === "f64" ? "d" : half === 0 ? "r" : "h";
    const name = `${letter}${numberOf(register)}`;
    const found = locals.get(name);
    if (!found) locals.set(name, { register, half, isLoaded: !isWrite || isPartial, isWritten: isWrite });
    else if (isWrite) found.isWritten = true;
    return name;
  };
  const literal = (value: number): string => {
    if (Object.is(value, -0)) return "-0";
    return value < 0 ? `(${value})` : String(value);
  };
  const asInt = (operand: Operand): string => {
    const found = resolve(operand);
    if (found.kind === "integer") return literal(Number(BigInt.asIntN(32, found.value)));
    if (found.kind === "special") return specials[found.name] ?? fail(`%${found.name}`);
    if (found.kind === "symbol") return literal((symbols.get(found.name) ?? fail(found.name)) + found.offset);
    if (found.kind === "float") return literal(runtime.bits(found.value));
    if (found.kind !== "register") return fail(found.kind);
    const name = local(found, 0, false, false);
    return found.type === "f32" ? `rt.bits(${name})` : name;
  };
  const asFloat = (operand: Operand): string => {
    const found = resolve(operand);
    if (found.kind === "float") return literal(found.value);
    if (found.kind === "integer") return literal(runtime.float(Number(BigInt.asIntN(32, found.value))));
    if (found.kind !== "register") return fail(found.kind);
    const name = local(found, 0, false, false);
    return found.type === "f32" || found.type === "f64" ? name : `rt.float(${name})`;
  };
  /** The halves of a 64-bit value, low first. */
  const asPair = (operand: Operand): [string, string] => {
    const found = resolve(operand);
    if (found.kind === "integer") {
      return [literal(Number(BigInt.asIntN(32, found.value))), literal(Number(BigInt.asIntN(32, found.value >> 32n)))];
    }
    if (found.kind === "symbol") {
      const parameter = parameters.get(found.name);
      if (parameter) return [literal(parameter.offset + found.offset), literal(parameterSpace)];
      return [literal((symbols.get(found.name) ?? fail(found.name)) + found.offset), "0"];
    }
    if (found.kind !== "register" || found.type !== "b64") return fail(`a 64-bit ${found.kind}`);
    return [local(found, 0, false, false), local(found, 1, false, false)];
  };
  let isGuarded = false;
  const target = (operand: Operand | undefined): Register =>
    operand?.kind === "register" ? operand : fail("a result");
  const put = (to: Operand | undefined, value: string): void => {
    body.push(`${local(target(to), 0, true, isGuarded)} = ${value};`);
  };
  const putPair = (to: Operand | undefined, low: string, high: string): void => {
    const register = target(to);
    const [a, b] = [`t${temporaries++}`, `t${temporaries++}`];
    body.push(`const ${a} = ${low}, ${b} = ${high.replaceAll("$LOW", a)};`);
    body.push(`${local(register, 0, true, isGuarded)} = ${a}; ${local(register, 1, true, isGuarded)} = ${b};`);
  };
  const bytesOf = (type: string): number => Number(type.slice(1)) / 8;
  const view: Readonly<Record<string, string>> = {
    ...{
      u8: "u8",
      s8: "i8",
      b8: "u8",
      u16: "u16",
      s16: "i16",
      b16: "u16",
      u32: "i32",
      s32: "i32",
      b32: "i32",
      f32: "f32",
    },
    ...{ u64: "i32", s64: "i32", b64: "i32", f64: "f64" },
  };
  /** Sets up `s` (memory) and `o` (offset in it) for an access; returns their names. */
  const reach = (
    address: Operand | undefined,
    space: string,
    { bytes, use }: { bytes: number; use: Use },
  ): [string, string] => {
    if (address?.kind !== "address") return fail("an address");
    const [memory, offset] = [`s${temporaries}`, `o${temporaries++}`];
    const base = resolve(address.base);
    if (space.startsWith("shared")) {
      const at = asInt(base);
      const sum = address.offset === 0 ? at : `(${at} + ${address.offset} | 0)`;
      if (space === "shared::cluster") {
        body.push(
          `const ${memory} = w.block.blockOf(${sum}).shared, ${offset} = rt.within(${memory}, ${sum} & 0xffffff, ${bytes}, ${bytes});`,
        );
      } else body.push(`const ${memory} = S, ${offset} = rt.within(S, ${sum}, ${bytes}, ${bytes});`);
      if (checksRaces) body.push(`w.use("${use}", ${sum}, ${bytes});`);
      return [memory, offset];
    }
    if (space === "param") {
      const parameter = base.kind === "symbol" ? parameters.get(base.name) : undefined;
      const at =
        base.kind === "symbol" ? literal((parameter ?? fail(base.name)).offset + base.offset) : asPair(base)[0];
      body.push(`const ${memory} = w.block.parameters, ${offset} = ${at} + ${address.offset} | 0;`);
      return [memory, offset];
    }
    const [low, high] = asPair(base);
    const sum = address.offset === 0 ? low : `(${low} + ${address.offset} | 0)`;
    const find = space === "global" ? `rt.memory(${high}, ${low})` : `rt.anyMemory(w, ${high}, ${low})`;
    body.push(`const ${memory} = ${find}, ${offset} = rt.within(${memory}, ${sum}, ${bytes}, ${bytes});`);
    return [memory, offset];
  };
  const shiftOf = (bytes: number): string => (bytes === 1 ? "" : ` >>> ${Math.log2(bytes)}`);
  const list = (operand: Operand | undefined): readonly Operand[] =>
    operand?.kind === "vector" ? operand.parts : operand ? [operand] : [];

  /** What an instruction gives, a 64-bit value as its halves; what it does besides is written down. */
  const resultOf = ({ parts, operands }: Instruction): string | [string, string] | undefined => {
    const [name = "", ...rest] = parts;
    const type = rest.at(-1) ?? "";
    const [a, b, c, d, e] = operands;
    const int = (operand: Operand | undefined): string => asInt(operand ?? fail("an operand"));
    const float = (operand: Operand | undefined): string => asFloat(operand ?? fail("an operand"));
    const pair = (operand: Operand | undefined): [string, string] => asPair(operand ?? fail("an operand"));
    const isFloat = type === "f32";
    const isDouble = type === "f64";
    const is64 = type.endsWith("64") && !isDouble;
    const asUnsigned = (value: string): string => `(${value} >>> 0)`;
    switch (name) {
      case "mov": {
        if (a?.kind === "vector") {
          const parts = a.parts;
          if (type === "b64") {
            const [low, high] = pair(b);
            const [x, y] = [`t${temporaries++}`, `t${temporaries++}`];
            body.push(`const ${x} = ${low}, ${y} = ${high};`);
            put(parts[0], x);
            put(parts[1], y);
          } else {
            const x = `t${temporaries++}`;
            body.push(`const ${x} = ${int(b)};`);
            put(parts[0], `${x} & 0xffff`);
            put(parts[1], `${x} >>> 16`);
          }
          return undefined;
        }
        if (b?.kind === "vector") {
          const [low, high] = b.parts;
          if (type === "b64") return [int(low), int(high)];
          return `(${int(low)} & 0xffff) | (${int(high)} << 16)`;
        }
        const into = target(a).type;
        if (into === "b64") return pair(b);
        if (into === "f32" || into === "f64") return float(b);
        if (into === "pred" && b?.kind === "integer") return b.value === 0n ? "0" : "1";
        return int(b);
      }
      case "add":
      case "sub": {
        const sign = name === "add" ? "+" : "-";
        if (type === "f16x2") return `rt.halves${name === "add" ? "Add" : "Sub"}(${int(b)}, ${int(c)})`;
        if (isFloat) return `rt.fround(${float(b)} ${sign} ${float(c)})`;
        if (isDouble) return `${float(b)} ${sign} ${float(c)}`;
        if (!is64) return `${int(b)} ${sign} ${int(c)} | 0`;
        const [bl, bh] = pair(b);
        const [cl, ch] = pair(c);
        const carry = name === "add" ? `($LOW >>> 0) < (${bl} >>> 0)` : `(${bl} >>> 0) < (${cl} >>> 0)`;
        return [`${bl} ${sign} ${cl} | 0`, `${bh} ${sign} ${ch} ${sign} (${carry} ? 1 : 0) | 0`];
      }
      case "mul": {
        if (type === "f16x2") return `rt.halvesMul(${int(b)}, ${int(c)})`;
        if (isFloat) return `rt.fround(${float(b)} * ${float(c)})`;
        if (isDouble) return `${float(b)} * ${float(c)}`;
        const isSigned = type.startsWith("s");
        if (rest[0] === "wide") {
          if (type.endsWith("16")) {
            const narrow = (v: string): string => (isSigned ? `(${v} << 16 >> 16)` : `(${v} & 0xffff)`);
            return `Math.imul(${narrow(int(b))}, ${narrow(int(c))})`;
          }
          return [`Math.imul(${int(b)}, ${int(c)})`, `rt.mulHigh${isSigned ? "Signed" : ""}(${int(b)}, ${int(c)})`];
        }
        if (rest[0] === "hi") return `rt.mulHigh${isSigned ? "Signed" : ""}(${int(b)}, ${int(c)})`;
        if (!is64) return `Math.imul(${int(b)}, ${int(c)})`;
        const [bl, bh] = pair(b);
        const [cl, ch] = pair(c);
        return [
          `Math.imul(${bl}, ${cl})`,
          `rt.mulHigh(${bl}, ${cl}) + Math.imul(${bl}, ${ch}) + Math.imul(${bh}, ${cl}) | 0`,
        ];
      }
      case "mad":
        if (is64 || rest[0] !== "lo") return fail(parts.join("."));
        return `Math.imul(${int(b)}, ${int(c)}) + ${int(d)} | 0`;
      case "fma":
        if (type === "f16x2") return `rt.halvesFma(${int(b)}, ${int(c)}, ${int(d)})`;
        if (isDouble) return `${float(b)} * ${float(c)} + ${float(d)}`;
        return `rt.fround(${float(b)} * ${float(c)} + ${float(d)})`;
      case "neg":
        return isFloat || isDouble ? `-${float(b)}` : `-${int(b)} | 0`;
      case "abs":
        return isFloat || isDouble ? `Math.abs(${float(b)})` : `Math.abs(${int(b)}) | 0`;
      case "max":
      case "min": {
        if (type === "f16x2") return `rt.halves${name === "min" ? "Min" : "Max"}(${int(b)}, ${int(c)})`;
        if (isFloat || isDouble) return `rt.${name}(${float(b)}, ${float(c)})`;
        if (is64) {
          const [bl, bh] = pair(b);
          const [cl, ch] = pair(c);
          const test = `rt.less64(${bl}, ${bh}, ${cl}, ${ch}, ${type === "s64"}) === ${name === "min"}`;
          const chosen = `t${temporaries++}`;
          body.push(`const ${chosen} = ${test};`);
          return [`${chosen} ? ${bl} : ${cl}`, `${chosen} ? ${bh} : ${ch}`];
        }
        if (type === "u32") return `Math.${name}(${asUnsigned(int(b))}, ${asUnsigned(int(c))}) | 0`;
        return `Math.${name}(${int(b)}, ${int(c)})`;
      }
      case "div":
      case "rem": {
        const sign = name === "div" ? "/" : "%";
        if (isFloat) return `rt.fround(${float(b)} / ${float(c)})`;
        if (isDouble) return `${float(b)} / ${float(c)}`;
        if (is64) {
          const [bl, bh] = pair(b);
          const [cl, ch] = pair(c);
          const at = `t${temporaries++}`;
          body.push(`const ${at} = rt.divide64(${bl}, ${bh}, ${cl}, ${ch}, ${type === "s64"}, ${name === "rem"});`);
          return [`${at}[0]`, `${at}[1]`];
        }
        if (type === "u32") return `${asUnsigned(int(b))} ${sign} ${asUnsigned(int(c))} | 0`;
        return `${int(b)} ${sign} ${int(c)} | 0`;
      }
      case "rcp":
        return `rt.fround(1 / ${float(b)})`;
      case "sqrt":
        return isDouble ? `Math.sqrt(${float(b)})` : `rt.fround(Math.sqrt(${float(b)}))`;
      case "rsqrt":
        return `rt.fround(1 / Math.sqrt(${float(b)}))`;
      case "ex2":
        return `rt.fround(2 ** ${float(b)})`;
      case "lg2":
        return `rt.fround(Math.log2(${float(b)}))`;
      case "sin":
      case "cos":
        return `rt.fround(Math.${name}(${float(b)}))`;
      case "and":
      case "or":
      case "xor": {
        const sign = { and: "&", or: "|", xor: "^" }[name];
        if (type === "pred") return `(${int(b)} ${sign} ${int(c)}) & 1`; // a true constant is -1
        if (!is64) return `${int(b)} ${sign} ${int(c)}`;
        const [bl, bh] = pair(b);
        const [cl, ch] = pair(c);
        return [`${bl} ${sign} ${cl}`, `${bh} ${sign} ${ch}`];
      }
      case "not": {
        if (type === "pred") return `${int(b)} ^ 1`;
        if (!is64) return `~${int(b)}`;
        const [low, high] = pair(b);
        return [`~${low}`, `~${high}`];
      }
      case "shl":
      case "shr": {
        const by = int(c);
        if (is64) {
          const [low, high] = pair(b);
          const kind = name === "shl" ? "Left" : type === "s64" ? "RightSigned" : "Right";
          return [`rt.shift${kind}Low(${low}, ${high}, ${by})`, `rt.shift${kind}High(${low}, ${high}, ${by})`];
        }
        const constant = resolve(c ?? fail("a shift")).kind === "integer" ? Number(by.replace(/[()]/g, "")) : undefined;
        const isSigned = type.startsWith("s");
        const value = type === "u16" ? `(${int(b)} & 0xffff)` : type === "s16" ? `(${int(b)} << 16 >> 16)` : int(b);
        const sign = name === "shl" ? "<<" : isSigned ? ">>" : ">>>";
        const far = isSigned ? `${value} >> 31` : "0";
        if (constant !== undefined) return constant >>> 0 > 31 ? far : `${value} ${sign} ${constant} | 0`;
        return `(${by} >>> 0) > 31 ? ${far} : ${value} ${sign} ${by} | 0`;
      }
      case "shf":
        if (rest[1] !== "wrap") return fail(parts.join("."));
        return `rt.funnel${rest[0] === "r" ? "Right" : "Left"}(${int(b)}, ${int(c)}, ${int(d)})`;
      case "prmt": {
        const selector = resolve(d ?? fail("a selector"));
        if (rest[0] !== "b32") return fail(parts.join("."));
        if (selector.kind !== "integer") return `rt.permute(${int(b)}, ${int(c)}, ${int(d)})`;
        const terms: string[] = [];
        for (let byte = 0; byte < 4; byte++) {
          const nibble = Number((selector.value >> BigInt(4 * byte)) & 15n);
          const from = (nibble & 4) === 0 ? int(b) : int(c);
          if (from === "0") continue;
          const at = (nibble & 3) * 8;
          if (nibble & 8) terms.push(`((${from} << ${24 - at} >> 31) & ${255 * 2 ** (8 * byte)})`);
          else if (at >= 8 * byte) terms.push(`((${from} >>> ${at - 8 * byte}) & ${255 * 2 ** (8 * byte)})`);
          else terms.push(`((${from} << ${8 * byte - at}) & ${255 * 2 ** (8 * byte)})`);
        }
        return terms.length > 0 ? terms.join(" | ") : "0";
      }
      case "bfi": {
        if (is64) {
          const at = `t${temporaries++}`;
          body.push(`const ${at} = rt.insert64(${[...pair(b), ...pair(c), int(d), int(e)].join(", ")});`);
          return [`${at}[0]`, `${at}[1]`];
        }
        return `rt.insert(${int(b)}, ${int(c)}, ${int(d)}, ${int(e)})`;
      }
      case "bfe":
        return `rt.extract(${int(b)}, ${int(c)}, ${int(d)}, ${type === "s32"})`;
      case "bfind":
        return rest[0] === "shiftamt" ? `(${int(b)} === 0 ? -1 : Math.clz32(${int(b)}))` : `31 - Math.clz32(${int(b)})`;
      case "brev":
        return `rt.reverse(${int(b)})`;
      case "clz":
        return `Math.clz32(${int(b)})`;
      case "popc":
        return `rt.popcount(${int(b)})`;
      case "selp": {
        const test = int(d);
        if (isFloat || isDouble) return `${test} ? ${float(b)} : ${float(c)}`;
        if (!is64) return `${test} ? ${int(b)} : ${int(c)}`;
        const [bl, bh] = pair(b);
        const [cl, ch] = pair(c);
        return [`${test} ? ${bl} : ${cl}`, `${test} ? ${bh} : ${ch}`];
      }
      case "set":
        if (rest.join(".") !== "eq.u32.f16x2") return fail(parts.join("."));
        return `rt.halvesEqual(${int(b)}, ${int(c)}) ? -1 : 0`;
      case "dp4a":
        if (rest.join(".") !== "s32.s32") return fail(parts.join("."));
        return `rt.dp4a(${int(b)}, ${int(c)}, ${int(d)})`;
      case "setp": {
        const how = rest[0] ?? "";
        if (rest.length !== 2) return fail(parts.join("."));
        if (isFloat || isDouble) {
          const [x, y] = [float(b), float(c)];
          if (how === "num") return `${x} === ${x} && ${y} === ${y} ? 1 : 0`;
          if (how === "nan") return `${x} !== ${x} || ${y} !== ${y} ? 1 : 0`;
          const ordered = how.length === 3 && how.endsWith("u") ? how.slice(0, 2) : how;
          const sign = comparisons[ordered] ?? fail(how);
          if (how === "neu") return `${x} !== ${y} ? 1 : 0`;
          if (how === "ne") return `${x} !== ${y} && ${x} === ${x} && ${y} === ${y} ? 1 : 0`;
          const orUnordered = ordered === how ? "" : ` || ${x} !== ${x} || ${y} !== ${y}`;
          return `${x} ${sign} ${y}${orUnordered} ? 1 : 0`;
        }
        const sign = comparisons[how] ?? fail(how);
        if (is64) {
          const [bl, bh] = pair(b);
          const [cl, ch] = pair(c);
          const equal = `${bl} === ${cl} && ${bh} === ${ch}`;
          if (how === "eq") return `${equal} ? 1 : 0`;
          if (how === "ne") return `${equal} ? 0 : 1`;
          const isSwapped = how === "gt" || how === "le";
          const order = isSwapped ? [cl, ch, bl, bh] : [bl, bh, cl, ch];
          const less = `rt.less64(${order.join(", ")}, ${type === "s64"})`;
          return how === "lt" || how === "gt" ? `${less} ? 1 : 0` : `${less} ? 0 : 1`;
        }
        const as = (v: string): string => {
          if (type === "u32") return how === "eq" || how === "ne" ? v : asUnsigned(v);
          if (type === "u16" || type === "b16") return `(${v} & 0xffff)`;
          return type === "s16" ? `(${v} << 16 >> 16)` : v;
        };
        return `${as(int(b))} ${sign} ${as(int(c))} ? 1 : 0`;
      }
      case "cvt":
        return convert(rest, b ?? fail("an operand"), c);
      case "cvta":
        return pair(b);
      case "mapa":
        return `${int(b)} | (${int(c)} + 1 << 24)`;
      case "ld": {
        const space = rest.find((part) => /^(?:global|shared|param|shared::cta|shared::cluster)$/.test(part)) ?? "any";
        const count = Number(rest.find((part) => /^v\d$/.test(part))?.slice(1) ?? 1);
        const bytes = bytesOf(type);
        const [memory, offset] = reach(b, space, {
          bytes: bytes * count,
          use: rest.includes("volatile") ? "atomic" : "read",
        });
        if (rest.includes("relaxed") || rest.includes("volatile") || rest.includes("acquire"))
          body.push("w.hasAsked = true;");
        for (const [index, to] of list(a).entries()) {
          const at = index === 0 ? offset : `${offset} + ${index * bytes}`;
          if (is64) putPair(to, `${memory}.i32[(${at}) >>> 2]`, `${memory}.i32[((${at}) >>> 2) + 1]`);
          else {
            const kept =
              to.kind === "register" && to.type !== "f32" && type === "f32" ? "i32" : (view[type] ?? fail(type));
            const value = `${memory}.${kept}[(${at})${shiftOf(bytes)}]`;
            if (to.kind === "register" && to.type === "b64")
              putPair(to, value, type.startsWith("s") ? "$LOW >> 31" : "0");
            else put(to, value);
          }
        }
        return undefined;
      }
      case "st": {
        const space = rest.find((part) => /^(?:global|shared|shared::cta|shared::cluster)$/.test(part)) ?? "any";
        const count = Number(rest.find((part) => /^v\d$/.test(part))?.slice(1) ?? 1);
        const bytes = bytesOf(type);
        const [memory, offset] = reach(a, space, {
          bytes: bytes * count,
          use: rest.includes("volatile") ? "atomic" : "write",
        });
        for (const [index, from] of list(b).entries()) {
          const at = index === 0 ? offset : `${offset} + ${index * bytes}`;
          if (is64) {
            const [low, high] = pair(from);
            body.push(`${memory}.i32[(${at}) >>> 2] = ${low}; ${memory}.i32[((${at}) >>> 2) + 1] = ${high};`);
          } else if (isFloat || isDouble)
            body.push(`${memory}.${view[type]}[(${at})${shiftOf(bytes)}] = ${float(from)};`);
          else body.push(`${memory}.${view[type] ?? fail(type)}[(${at})${shiftOf(bytes)}] = ${int(from)};`);
        }
        if (space !== "shared") body.push("w.block.machine.stores++;");
        return undefined;
      }
      case "atom": {
        const [space = "", operation = ""] = rest;
        const bytes = bytesOf(type);
        const [memory, offset] = reach(b, space, { bytes, use: "atomic" });
        body.push("w.block.machine.stores++;");
        if (is64) {
          if (operation !== "add") return fail(parts.join("."));
          const [low, high] = pair(c);
          const [x, y] = [`t${temporaries++}`, `t${temporaries++}`];
          const at = `${memory}.i32[${offset} >>> 2]`;
          const next = `${memory}.i32[(${offset} >>> 2) + 1]`;
          body.push(`const ${x} = ${at}, ${y} = ${next}; ${at} = ${x} + ${low} | 0;`);
          body.push(`${next} = ${y} + ${high} + ((${at} >>> 0) < (${x} >>> 0) ? 1 : 0) | 0;`);
          return [x, y];
        }
        const at = `${memory}.i32[${offset} >>> 2]`;
        const old = `t${temporaries++}`;
        const value = int(c);
        const results: Readonly<Record<string, string>> = {
          add: `${old} + ${value} | 0`,
          or: `${old} | ${value}`,
          and: `${old} & ${value}`,
          exch: value,
          inc: `(${old} >>> 0) >= (${value} >>> 0) ? 0 : ${old} + 1 | 0`,
        };
        body.push(`const ${old} = ${at}; ${at} = ${results[operation] ?? fail(parts.join("."))};`);
        return old;
      }
      case "mbarrier": {
        const at = (operand: Operand | undefined): string => {
          if (operand?.kind !== "address") return fail("an address");
          return operand.offset === 0 ? int(operand.base) : `${int(operand.base)} + ${operand.offset}`;
        };
        if (rest[0] === "init") body.push(`w.block.initBarrier(${at(a)}, ${int(b)});`);
        else if (rest[0] === "arrive" && rest[1] === "expect_tx") body.push(`w.block.arrive(w, ${at(b)}, ${int(c)});`);
        else if (rest[0] === "arrive") body.push(`w.block.arrive(w, ${at(b)}, 0);`);
        else if (rest[0] === "try_wait" || rest[0] === "test_wait") put(a, `w.block.hasPassed(w, ${at(b)}, ${int(c)})`);
        else return fail(parts.join("."));
        return undefined;
      }
      case "cp": {
        if (rest[1] === "bulk") {
          const [to, from, bytes, barrier] = [a, b, c, d];
          if (to?.kind !== "address" || from?.kind !== "address" || barrier?.kind !== "address")
            return fail("an address");
          const [low, high] = pair(from.base);
          body.push(`w.block.bulkCopy(w, ${int(to.base)}, [${low}, ${high}, ${int(bytes)}], ${int(barrier.base)});`);
          return undefined;
        }
        if (a?.kind !== "address" || b?.kind !== "address") return fail("an address");
        const [low, high] = pair(b.base);
        body.push(`w.copyAsync(${int(a.base)} + ${a.offset}, ${low} + ${b.offset} | 0, ${high}, ${int(c)});`);
        return undefined;
      }
      case "nanosleep":
        body.push("w.hasAsked = true;");
        return undefined;
      default:
        return fail(parts.join("."));
    }
  };
  const narrow = (value: string, type: string): string => {
    if (type === "u8") return `${value} & 0xff`;
    if (type === "s8") return `${value} << 24 >> 24`;
    if (type === "u16" || type === "b16") return `${value} & 0xffff`;
    return type === "s16" ? `${value} << 16 >> 16` : value;
  };
  const convert = (rest: readonly string[], from: Operand, second: Operand | undefined): string | [string, string] => {
    const [into = "", of = ""] = rest.slice(-2);
    const rounding = rest.find((part) => /^r[nzmp]i?$/.test(part)) ?? "";
    const isNumber = (type: string): boolean => type === "f32" || type === "f64";
    if (into === "f16x2" && second) return `rt.half(${asFloat(second)}) | (rt.half(${asFloat(from)}) << 16)`;
    if (into === "f16") return `rt.half(${asFloat(from)})`;
    if (of === "f16") return `rt.ofHalf(${asInt(from)})`;
    const isWide = (type: string): boolean => type === "u64" || type === "s64";
    if (isNumber(into) && isNumber(of)) {
      const value = asFloat(from);
      const whole = rounding === "rni" ? `rt.roundEven(${value})` : rounding === "rzi" ? `Math.trunc(${value})` : value;
      return into === "f32" ? `rt.fround(${whole})` : whole;
    }
    if (isNumber(into)) {
      const [low, high] = isWide(of) ? asPair(from) : ["", ""];
      const value = isWide(of)
        ? `(${of === "u64" ? `(${high} >>> 0)` : high} * 4294967296 + (${low} >>> 0))`
        : of === "u32"
          ? `(${asInt(from)} >>> 0)`
          : `(${narrow(asInt(from), of)})`;
      return into === "f32" ? `rt.fround(${value})` : value;
    }
    if (isNumber(of)) {
      const value = rounding === "rni" ? `rt.roundEven(${asFloat(from)})` : `Math.trunc(${asFloat(from)})`;
      if (isWide(into)) {
        const at = `t${temporaries++}`;
        body.push(`const ${at} = rt.wholeOf(${value}, ${into === "s64"});`);
        return [`${at}[0]`, `${at}[1]`];
      }
      const [least, greatest] = into === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
      if (into !== "u32" && into !== "s32") return fail(rest.join("."));
      return `rt.clamp(${value}, ${least}, ${greatest}) | 0`;
    }
    if (isWide(into) && isWide(of)) return asPair(from);
    if (isWide(into)) {
      const value = narrow(asInt(from), of);
      return [value, into === "s64" || of.startsWith("s") ? "$LOW >> 31" : "0"];
    }
    const value = isWide(of) ? asPair(from)[0] : narrow(asInt(from), of);
    return narrow(`(${value})`, into);
  };

  let branch = "";
  for (const instruction of instructions) {
    const { parts, guard } = instruction;
    const test = guard && `${local(guard.register, 0, false, false)} ${guard.isNegated ? "===" : "!=="} 0`;
    if (parts[0] === "bra") {
      if (test) branch = `if (${test}) t |= 1 << l;`;
      continue;
    }
    if (parts[0] === "ret" || parts[0] === "exit" || isNothing(instruction)) continue;
    isGuarded = guard !== undefined;
    if (test) body.push(`if (${test}) {`);
    const value = resultOf(instruction);
    if (typeof value === "string") put(instruction.operands[0], value);
    else if (value) putPair(instruction.operands[0], ...value);
    if (test) body.push("}");
  }
  const head: string[] = [];
  const tail: string[] = [];
  for (const [name, { register, half, isLoaded, isWritten }] of locals) {
    const array = register.type === "f32" ? "F" : register.type === "f64" ? "D" : "I";
    const isCrossing = crossing.has(register);
    const place = isCrossing ? `${array}[${(rowOf(register) + half) * 32} + l]` : "0";
    head.push(`${name} = ${isLoaded ? place : "0"}`);
    if (isWritten && isCrossing) tail.push(`${place} = ${name};`);
  }
  return [
    "const I = w.ints, F = w.floats, D = w.doubles, S = w.block.shared; let t = 0;",
    "for (let l = 0; l < 32; l++) { if ((m >>> l & 1) === 0) continue;",
    head.length > 0 ? `let ${head.join(", ")};` : "",
    ...body,
    ...tail,
    branch,
    "} return t;",
  ].join("\n");
}

function fail(what: string): never {
  throw new Error(`not known: ${what}`);
}
