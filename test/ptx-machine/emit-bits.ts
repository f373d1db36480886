// Logic, shifts, and bits and bytes moved about.
import { alike, byType, call, type Handler, isWide, ofInts, only, refuse } from "./emitter.ts";

const logic = (sign: "&" | "|" | "^"): Handler => {
  const plain = alike((a, b) => `${a} ${sign} ${b}`);
  return (js, form) => (form.type === "pred" ? `(${plain(js, form)}) & 1` : plain(js, form)); // a true constant is -1
};

/** JavaScript shifts by five bits of the amount, PTX by all of it: past the width nothing is left, or the sign. */
const shift: Handler = (js, { name, type, a, b }) => {
  const by = js.int(b);
  const isSigned = type.startsWith("s");
  if (isWide(type)) {
    const kind = name === "shl" ? "Left" : isSigned ? "RightSigned" : "Right";
    const all = [...js.pair(a), by].join(", ");
    return [`rt.shift${kind}Low(${all})`, `rt.shift${kind}High(${all})`];
  }
  const value = type === "u32" ? js.int(a) : js.number(a, type);
  const near = `${value} ${name === "shl" ? "<<" : isSigned ? ">>" : ">>>"} ${by} | 0`;
  const far = isSigned ? `${value} >> 31` : "0";
  const constant = js.resolve(b);
  if (constant.kind === "integer") return BigInt.asUintN(32, constant.value) > 31n ? far : near;
  return `(${by} >>> 0) > 31 ? ${far} : ${near}`;
};

/** Four bytes of two words: each nibble of the selector chooses one, or its sign for all eight bits. */
const permute: Handler = (js, form) => {
  const selector = js.resolve(form.c);
  if (selector.kind !== "integer") return call("rt.permute")(js, form);
  const terms: string[] = [];
  for (let to = 0; to < 32; to += 8) {
    const nibble = Number((selector.value >> BigInt(to / 2)) & 15n);
    const word = js.int((nibble & 4) === 0 ? form.a : form.b);
    if (word === "0") continue;
    const from = (nibble & 3) * 8;
    const moved = nibble & 8 ? `<< ${24 - from} >> 31` : from >= to ? `>>> ${from - to}` : `<< ${to - from}`;
    terms.push(`((${word} ${moved}) & ${255 * 2 ** to})`);
  }
  return terms.join(" | ") || "0";
};

/** Of 32 bits or fewer. */
const word = (handler: Handler): Handler => byType({ wide: refuse, word: handler });

export const bits: Record<string, Handler> = {
  and: logic("&"),
  or: logic("|"),
  xor: logic("^"),
  not: (js, form) => (form.type === "pred" ? ofInts((a) => `${a} ^ 1`) : alike((a) => `~${a}`))(js, form),
  shl: shift,
  shr: shift,
  shf: only("l.wrap.b32 r.wrap.b32", (js, form) =>
    call(`rt.funnel${form.how[0] === "r" ? "Right" : "Left"}`)(js, form),
  ),
  prmt: only("b32", permute),
  bfi: byType({
    wide: (js, { a, b, c, d }) =>
      js.keepPair(`rt.insert64(${[...js.pair(a), ...js.pair(b), js.int(c), js.int(d)].join(", ")})`),
    word: call("rt.insert"),
  }),
  bfe: word((js, { a, b, c, type }) => `rt.extract(${js.int(a)}, ${js.int(b)}, ${js.int(c)}, ${type === "s32"})`),
  bfind: word((js, { how, a }) => {
    const [value, zeros] = [js.int(a), `Math.clz32(${js.int(a)})`];
    return how[0] === "shiftamt" ? `(${value} === 0 ? -1 : ${zeros})` : `31 - ${zeros}`;
  }),
  brev: word(call("rt.reverse")),
  clz: word(call("Math.clz32")),
  popc: word(call("rt.popcount")),
};
