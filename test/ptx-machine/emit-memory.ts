// Memory: loads, stores, atomics, and the copies and barriers that the warp and its block (machine.ts) carry out.
import { addressOf, type Emitter, type Form, fail, type Handler, isReal, isWide, refuse } from "./emitter.ts";
import type { Operand } from "./parse.ts";

/** The view of a memory (runtime.ts) through which a type is read. */
const views: Readonly<Record<string, string>> = {
  ...{ u8: "u8", s8: "i8", b8: "u8", u16: "u16", s16: "i16", b16: "u16", u32: "i32", s32: "i32", b32: "i32" },
  ...{ f32: "f32", f64: "f64" },
};
const bytesOf = (type: string): number => Number(type.slice(1)) / 8;
const pairAt = (memory: string, at: string) =>
  [`${memory}.i32[${at} >>> 2]`, `${memory}.i32[(${at} >>> 2) + 1]`] as const;
const wordAt = (memory: string, at: string, type: string): string => {
  const bytes = bytesOf(type);
  return `${memory}.${views[type] ?? fail(type)}[${at}${bytes === 1 ? "" : ` >>> ${Math.log2(bytes)}`}]`;
};

/** Reaches the memory of a load or a store; returns each register with that memory and its element's offset. */
function elementsOf(js: Emitter, { name, how, type, to, a }: Form): [register: Operand, memory: string, at: string][] {
  const [registers, address] = name === "ld" ? [to, a] : [a, to];
  const space = how.find((part) => /^(?:global|shared|param|shared::cta|shared::cluster)$/.test(part)) ?? "any";
  const all = registers?.kind === "vector" ? registers.parts : registers ? [registers] : [];
  const bytes = bytesOf(type);
  const use = how.includes("volatile") ? "atomic" : name === "ld" ? "read" : "write";
  const [memory, offset] = js.reach(address, space, { bytes: bytes * all.length, use });
  return all.map((one, index) => [one, memory, index === 0 ? `(${offset})` : `(${offset} + ${index * bytes})`]);
}

/** What is asked again is changed by others, who should have a turn. */
const ask = (js: Emitter): undefined => js.line("w.hasAsked = true;");

export const accesses: Record<string, Handler> = {
  ld(js, form) {
    const { how, type } = form;
    const elements = elementsOf(js, form);
    if (how.includes("relaxed") || how.includes("volatile") || how.includes("acquire")) ask(js);
    for (const [to, memory, at] of elements) {
      const into = to.kind === "register" ? to.type : type;
      if (isWide(type)) js.put(to, pairAt(memory, at));
      else {
        // An int takes the bits of a float.
        const value = wordAt(memory, at, type === "f32" && into !== type ? "b32" : type);
        js.put(to, into === "b64" ? [value, type.startsWith("s") ? "$LOW >> 31" : "0"] : value);
      }
    }
    return undefined;
  },
  st(js, form) {
    const { how, type } = form;
    for (const [from, memory, at] of elementsOf(js, form)) {
      if (isWide(type)) {
        const [to, value] = [pairAt(memory, at), js.pair(from)];
        js.line(`${to[0]} = ${value[0]}; ${to[1]} = ${value[1]};`);
      } else js.line(`${wordAt(memory, at, type)} = ${isReal(type) ? js.float(from) : js.int(from)};`);
    }
    return how.includes("shared") ? undefined : js.line("w.block.machine.stores++;");
  },
  atom(js, form) {
    const [space = "", operation = "", type = ""] = form.how;
    const [memory, offset] = js.reach(form.a, space, { bytes: bytesOf(type), use: "atomic" });
    js.line("w.block.machine.stores++;");
    const [at, next] = pairAt(memory, offset);
    const old = js.temporary();
    if (isWide(type)) {
      if (operation !== "add") return refuse(js, form);
      const [low, high] = js.pair(form.b);
      const upper = js.temporary();
      js.line(`const ${old} = ${at}, ${upper} = ${next}; ${at} = ${old} + ${low} | 0;`);
      js.line(`${next} = ${upper} + ${high} + ((${at} >>> 0) < (${old} >>> 0) ? 1 : 0) | 0;`);
      return [old, upper];
    }
    const value = js.int(form.b);
    const results: Readonly<Record<string, string>> = {
      add: `${old} + ${value} | 0`,
      or: `${old} | ${value}`,
      and: `${old} & ${value}`,
      exch: value,
      inc: `(${old} >>> 0) >= (${value} >>> 0) ? 0 : ${old} + 1 | 0`,
    };
    js.line(`const ${old} = ${at}; ${at} = ${results[operation] ?? refuse(js, form)};`);
    return old;
  },
  mbarrier(js, form) {
    const { how, to, a, b } = form;
    const at = (operand: Operand | undefined): string => {
      const { base, offset } = addressOf(operand);
      return offset === 0 ? js.int(base) : `${js.int(base)} + ${offset}`;
    };
    if (how[0] === "init") return js.line(`w.block.initBarrier(${at(to)}, ${js.int(a)});`);
    if (how[0] === "arrive")
      return js.line(`w.block.arrive(w, ${at(a)}, ${how[1] === "expect_tx" ? js.int(b) : "0"});`);
    if (how[0] === "try_wait" || how[0] === "test_wait") return `w.block.hasPassed(w, ${at(a)}, ${js.int(b)})`;
    return refuse(js, form);
  },
  cp(js, { how, to, a, b, c }) {
    const [into, from] = [addressOf(to), addressOf(a)];
    const [low, high] = js.pair(from.base);
    const [at, bytes] = [js.int(into.base), js.int(b)];
    if (how[1] !== "bulk")
      return js.line(`w.copyAsync(${at} + ${into.offset}, ${low} + ${from.offset} | 0, ${high}, ${bytes});`);
    return js.line(`w.block.bulkCopy(w, ${at}, [${low}, ${high}, ${bytes}], ${js.int(addressOf(c).base)});`);
  },
  mapa: (js, { a, b }) => `${js.int(a)} | (${js.int(b)} + 1 << 24)`,
  nanosleep: ask,
};
