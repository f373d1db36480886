// Moves, and numbers of one type as those of another.
import { type Emitter, type Form, type Handler, isReal, isWide, narrow, type Pair, refuse } from "./emitter.ts";

/** A float as a whole number, by the instruction's rounding. */
const whole = (value: string, { how }: Form): string =>
  how.includes("rni") ? `rt.roundEven(${value})` : `Math.trunc(${value})`;

function toReal(js: Emitter, form: Form): string {
  const { how, type, a } = form;
  if (isReal(type)) return how.includes("rni") || how.includes("rzi") ? whole(js.float(a), form) : js.float(a);
  if (type === "u32") return js.number(a, type);
  if (!isWide(type)) return `(${narrow(js.int(a), type)})`;
  const [low, high] = js.pair(a);
  return `(${type === "u64" ? `(${high} >>> 0)` : high} * 4294967296 + (${low} >>> 0))`;
}

function toWhole(js: Emitter, form: Form, into: string): string | Pair {
  const value = whole(js.float(form.a), form);
  if (isWide(into)) return js.keepPair(`rt.wholeOf(${value}, ${into === "s64"})`);
  if (into !== "u32" && into !== "s32") return refuse(js, form);
  return `rt.clamp(${value}, ${into === "u32" ? "0, 4294967295" : "-2147483648, 2147483647"}) | 0`;
}

export const conversions: Record<string, Handler> = {
  mov(js, { type, to, a }) {
    if (to?.kind === "vector") {
      const [low = "", high] = js.keep(...(type === "b64" ? js.pair(a) : [js.int(a)]));
      js.put(to.parts[0], high ? low : `${low} & 0xffff`);
      return js.put(to.parts[1], high ?? `${low} >>> 16`);
    }
    if (a?.kind === "vector") {
      const [low, high] = [js.int(a.parts[0]), js.int(a.parts[1])];
      return type === "b64" ? [low, high] : `(${low} & 0xffff) | (${high} << 16)`;
    }
    const into = to?.kind === "register" ? to.type : "";
    if (into === "b64") return js.pair(a);
    if (into === "pred" && a?.kind === "integer") return a.value === 0n ? "0" : "1";
    return isReal(into) ? js.float(a) : js.int(a);
  },
  cvt(js, form) {
    const { how, type, a, b } = form;
    const into = how.at(-2) ?? "";
    if (into === "f16x2" && b) return `rt.half(${js.float(b)}) | (rt.half(${js.float(a)}) << 16)`;
    if (into === "f16") return `rt.half(${js.float(a)})`;
    if (type === "f16") return `rt.ofHalf(${js.int(a)})`;
    if (isReal(into)) return into === "f32" ? `rt.fround(${toReal(js, form)})` : toReal(js, form);
    if (isReal(type)) return toWhole(js, form, into);
    if (isWide(type)) return isWide(into) ? js.pair(a) : narrow(`(${js.pair(a)[0]})`, into);
    const value = narrow(js.int(a), type);
    if (isWide(into)) return [value, into === "s64" || type.startsWith("s") ? "$LOW >> 31" : "0"];
    return narrow(`(${value})`, into);
  },
  cvta: (js, { a }) => js.pair(a),
};
