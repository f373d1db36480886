// What the handlers of instructions (emit-*.ts) write with: operands as JavaScript, and the lines of the run that is being written. It does not
// know any instruction.
//
// A register is a local variable: r7 an integer, or the lower half of 64 bits whose upper half is h7; f7 a float, d7 a double. Only those that
// matter outside the run are read from the warp's rows in front and written back behind.
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

/** The halves of a 64-bit value; the upper may call the lower $LOW. */
export type Pair = readonly [low: string, high: string];

/** An instruction taken apart: of mul.wide.u32 to, a, b the name is mul, how ["wide", "u32"], type u32, from [a, b]. */
export interface Form extends Record<"to" | "a" | "b" | "c" | "d", Operand | undefined> {
  name: string;
  how: readonly string[];
  type: string;
  from: readonly Operand[];
}

/** Returns what an instruction gives to `to`, if anything; what else it does is written down as lines. */
export type Handler = (js: Emitter, form: Form) => string | Pair | undefined;

const specials: Readonly<Record<string, string>> = {
  ...{ "tid.x": "(w.firstThread + l)", "tid.y": "0", "tid.z": "0", "ntid.x": "w.block.threads", laneid: "l" },
  ...{ "ctaid.x": "w.block.x", "ctaid.y": "w.block.y", "ctaid.z": "w.block.z", cluster_ctarank: "w.block.rank" },
  ...{ "nctaid.x": "w.block.grid[0]", "nctaid.y": "w.block.grid[1]", "nctaid.z": "w.block.grid[2]" },
  "cluster_nctaid.z": "w.block.cluster.size",
};

/** One run: an operand as an int, float or pair of halves is JavaScript text, and so is each line of the body. */
export class Emitter {
  readonly #scope: Scope;
  readonly #locals = new Map<string, { register: Register; half: number; isLoaded: boolean; isWritten: boolean }>();
  readonly #body: string[] = [];
  #temporaries = 0;
  #isGuarded = false;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  // ---- values ----

  resolve(operand: Operand | undefined): Operand {
    return this.#scope.resolve(operand ?? fail("an operand"));
  }

  int(operand: Operand | undefined): string {
    const found = this.resolve(operand);
    if (found.kind === "integer") return literal(wordOf(found.value));
    if (found.kind === "special") return specials[found.name] ?? fail(`%${found.name}`);
    if (found.kind === "symbol") return this.#symbol(found);
    if (found.kind === "float") return literal(runtime.bits(found.value));
    if (found.kind !== "register") return fail(found.kind);
    const name = this.#local(found, 0, false);
    return found.type === "f32" ? `rt.bits(${name})` : name;
  }

  /** As a number of its type: registers hold 32 bits of either sign. */
  number(operand: Operand | undefined, type: string): string {
    const value = this.int(operand);
    if (type === "u32") return `(${value} >>> 0)`;
    const narrowed = narrow(value, type);
    return narrowed === value ? value : `(${narrowed})`;
  }

  float(operand: Operand | undefined): string {
    const found = this.resolve(operand);
    if (found.kind === "float") return literal(found.value);
    if (found.kind === "integer") return literal(runtime.float(wordOf(found.value)));
    if (found.kind !== "register") return fail(found.kind);
    const name = this.#local(found, 0, false);
    return isReal(found.type) ? name : `rt.float(${name})`;
  }

  pair(operand: Operand | undefined): Pair {
    const found = this.resolve(operand);
    if (found.kind === "integer") return [literal(wordOf(found.value)), literal(wordOf(found.value >> 32n))];
    if (found.kind === "symbol") {
      const parameter = this.#scope.parameters.get(found.name);
      if (parameter) return [literal(parameter.offset + found.offset), literal(parameterSpace)];
      return [this.#symbol(found), "0"];
    }
    if (found.kind !== "register" || found.type !== "b64") return fail(`a 64-bit ${found.kind}`);
    return [this.#local(found, 0, false), this.#local(found, 1, false)];
  }

  #symbol({ name, offset }: { name: string; offset: number }): string {
    return literal((this.#scope.symbols.get(name) ?? fail(name)) + offset);
  }

  #local(register: Register, half: number, isWrite: boolean): string {
    const letter = register.type === "f32" ? "f" : register.type === "f64" ? "d" : half === 0 ? "r" : "h";
    const name = `${letter}${this.#scope.numberOf(register)}`;
    const found = this.#locals.get(name);
    // A guarded write leaves some lanes as they were.
    if (!found) this.#locals.set(name, { register, half, isLoaded: !isWrite || this.#isGuarded, isWritten: isWrite });
    else if (isWrite) found.isWritten = true;
    return name;
  }

  // ---- lines ----

  line(text: string): undefined {
    this.#body.push(text);
  }

  temporary(): string {
    return `t${this.#temporaries++}`;
  }

  /** Names values, so that they are computed once and before anything is overwritten. */
  keep(...values: string[]): string[] {
    const names = values.map(() => this.temporary());
    const low = names[0] ?? "";
    this.line(`const ${names.map((name, at) => `${name} = ${values[at]?.replaceAll("$LOW", low)}`).join(", ")};`);
    return names;
  }

  /** The halves that a function of runtime.ts returns. */
  keepPair(call: string): Pair {
    const [both] = this.keep(call);
    return [`${both}[0]`, `${both}[1]`];
  }

  put(to: Operand | undefined, value: string | Pair): undefined {
    if (to?.kind !== "register") return fail("a result");
    if (typeof value === "string") return this.line(`${this.#local(to, 0, true)} = ${value};`);
    const [low, high] = this.keep(...value);
    this.line(`${this.#local(to, 0, true)} = ${low}; ${this.#local(to, 1, true)} = ${high};`);
  }

  /** The lines of `write` are for the lanes that pass the test. */
  guarded(test: string | undefined, write: () => void): void {
    this.#isGuarded = test !== undefined;
    if (test) this.line(`if (${test}) {`);
    write();
    if (test) this.line("}");
  }

  testOf({ register, isNegated }: NonNullable<Instruction["guard"]>): string {
    return `${this.#local(register, 0, false)} ${isNegated ? "===" : "!=="} 0`;
  }

  /** Finds the memory of an access and checks the offset in it; returns the names of both. */
  reach(address: Operand | undefined, space: string, { bytes, use }: { bytes: number; use: Use }): [string, string] {
    const { base, offset: from } = addressOf(address);
    const [memory, offset] = [`s${this.#temporaries}`, `o${this.#temporaries++}`];
    const isShared = space.startsWith("shared");
    const [low, high] = isShared ? [this.int(base), "0"] : this.pair(base);
    const sum = from === 0 ? low : `(${low} + ${from} | 0)`;
    const within = (where: string, at: string): string => `rt.within(${where}, ${at}, ${bytes}, ${bytes})`;
    const found = (where: string, at: string): void => this.line(`const ${memory} = ${where}, ${offset} = ${at};`);
    if (space === "param") found("w.block.parameters", `${low} + ${from} | 0`);
    else if (space === "global") found(`rt.memory(${high}, ${low})`, within(memory, sum));
    else if (space === "shared::cluster") found(`w.block.blockOf(${sum}).shared`, within(memory, `${sum} & 0xffffff`));
    else if (isShared) found("S", within("S", sum));
    else found(`rt.anyMemory(w, ${high}, ${low})`, within(memory, sum));
    if (isShared && this.#scope.checksRaces) this.line(`w.use("${use}", ${sum}, ${bytes});`);
    return [memory, offset];
  }

  /** The whole run: `branch` is its last statement. */
  source(branch: string): string {
    const head: string[] = [];
    const tail: string[] = [];
    for (const [name, { register, half, isLoaded, isWritten }] of this.#locals) {
      const array = register.type === "f32" ? "F" : register.type === "f64" ? "D" : "I";
      const isCrossing = this.#scope.crossing.has(register);
      const place = isCrossing ? `${array}[${(this.#scope.rowOf(register) + half) * 32} + l]` : "0";
      head.push(`${name} = ${isLoaded ? place : "0"}`);
      if (isWritten && isCrossing) tail.push(`${place} = ${name};`);
    }
    return [
      "const I = w.ints, F = w.floats, D = w.doubles, S = w.block.shared; let t = 0;",
      "for (let l = 0; l < 32; l++) { if ((m >>> l & 1) === 0) continue;",
      head.length > 0 ? `let ${head.join(", ")};` : "",
      ...this.#body,
      ...tail,
      branch,
      "} return t;",
    ].join("\n");
  }
}

// ---- handlers from templates, which take as many sources as they name ----

type Template<Value> = (...values: Value[]) => string | Pair;
const reading =
  <Value>(read: (js: Emitter, operand: Operand | undefined, type: string) => Value) =>
  (template: Template<Value>, length = template.length): Handler =>
  (js, { from, type }) =>
    template(...Array.from({ length }, (_, at) => read(js, from[at], type)));
export const ofInts = reading((js, operand) => js.int(operand));
export const ofNumbers = reading((js, operand, type) => js.number(operand, type));
export const ofFloats = reading((js, operand) => js.float(operand));
export const ofPairs = reading((js, operand) => js.pair(operand));

/** Of floats, rounded to one; doubles are not. */
export const rounded = (template: Template<string>): Handler => {
  const exact = ofFloats(template);
  return (js, form) => (form.type === "f64" ? exact(js, form) : `rt.fround(${exact(js, form)})`);
};

/** The same of ints, floats or both halves of 64 bits. */
export const alike = (template: (...values: string[]) => string): Handler => {
  const { length } = template;
  const halves = (...pairs: Pair[]): Pair => [
    template(...pairs.map(([low]) => low)),
    template(...pairs.map(([, high]) => high)),
  ];
  return byType({ real: ofFloats(template), wide: ofPairs(halves, length), word: ofInts(template) });
};

/** A function of ints. */
export const call =
  (name: string): Handler =>
  (js, { from }) =>
    `${name}(${from.map((one) => js.int(one)).join(", ")})`;

/** Chooses by type: two f16, a float or double, 64 bits, or anything that fits an int. */
export const byType =
  ({ halves, real, wide, word }: { halves?: Handler; real?: Handler; wide?: Handler; word: Handler }): Handler =>
  (js, form) => {
    const special = form.type === "f16x2" ? halves : isReal(form.type) ? real : isWide(form.type) ? wide : word;
    return (special ?? word)(js, form);
  };

/** Refuses all but these forms of an instruction, written with blanks between. */
export const only =
  (forms: string, handler: Handler): Handler =>
  (js, form) =>
    forms.split(" ").includes(form.how.join(".")) ? handler(js, form) : refuse(js, form);

// ---- texts and types ----

export const isReal = (type: string): boolean => type === "f32" || type === "f64";
export const isWide = (type: string): boolean => type.endsWith("64") && type !== "f64";

const wordOf = (value: bigint): number => Number(BigInt.asIntN(32, value));

function literal(value: number): string {
  if (Object.is(value, -0)) return "-0";
  return value < 0 ? `(${value})` : String(value);
}

/** The bits of an int that its type has. */
export function narrow(value: string, type: string): string {
  if (type === "u8") return `${value} & 0xff`;
  if (type === "s8") return `${value} << 24 >> 24`;
  if (type === "u16" || type === "b16") return `${value} & 0xffff`;
  return type === "s16" ? `${value} << 16 >> 16` : value;
}

export function addressOf(operand: Operand | undefined): Extract<Operand, { kind: "address" }> {
  return operand?.kind === "address" ? operand : fail("an address");
}

export function refuse(_js: Emitter, { name, how }: Form): never {
  return fail([name, ...how].join("."));
}

export function fail(what: string): never {
  throw new Error(`not known: ${what}`);
}
